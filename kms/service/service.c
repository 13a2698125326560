#include "service.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "base/version.h"
#include "core/hash/sha2.h"
#include "crypto/issue.h"
#include "crypto/ssl.h"
#include "evidence.h"
#include "../keys/keyfiles.h"
#include "kms.pb-c.h"
#include "policy/config.h"
#include "prpc.pb-c.h"
#include "ratls/tls.h"
#include "status.h"

enum { FILE_MAX = 64 * 1024, INFO_WAIT_MS = 300 };

static int read_file(const struct service *s, const char *name, char **out, struct err *e)
{
	auto_free char *path = str_format("%s/%s", s->config->keys.dir, name);
	size_t n = 0;

	return path ? file_read(path, FILE_MAX, out, &n, e) : err_set(e, ERR_SYSTEM, "out of memory");
}

static int read_public(struct service *s, struct err *e)
{
	auto_free char *key = str_format("%s/tmp-ca.key", s->config->keys.dir);
	struct face *first = &s->faces.face[0];

	if (!key || faces_open(&s->faces, s->config, e) || read_file(s, "tmp-ca.crt", &s->temp_ca_pem, e) ||
	    file_read_secret(key, FILE_MAX, &s->temp_ca_key, e))
		return -1;
	s->temp_ca = cert_from_pem(span_str(s->temp_ca_pem), e);
	return s->temp_ca ? keyproc_public(s->keys, first->ca_spki, first->k256_pub, e) : -1;
}

struct downloads *service_downloads(const struct kms_config *c, struct err *e)
{
	const struct downloads_config from = { .dir = c->image_cache,
					       .url = c->image_url,
					       .seconds = (int)c->image_seconds,
					       .bytes_max = c->image_bytes };

	return downloads_new(&from, e);
}

int service_init(struct service *s, const struct kms_config *c, struct keyproc *keys, struct judges *judges,
		 struct err *e)
{
	*s = (struct service){ .config = c, .keys = keys, .judges = judges };
	gate_init(&s->deciding);
	handover_gate_init(&s->gate, c->handover_closed);

	s->downloads = *c->image_cache ? service_downloads(c, e) : NULL;
	s->trust = s->downloads || !*c->image_cache ? service_trust(c, judges, e) : NULL;
	s->policy = s->trust ? policy_from_config(c->file, e) : NULL;
	self_init(&s->self, c, s->trust, s->policy, s->downloads);
	if (!s->policy || read_public(s, e) ||
	    kms_audit_start(&s->audit, c->state_dir, c->audit_unproven, keys, e) ||
	    keyrules_open(&s->rules, c->state_dir, &s->audit, &s->faces.n, e) ||
	    crls_open(&s->crls, c->state_dir, (uint64_t)c->crl_valid_s, keys, &s->audit, &s->rules, e) ||
	    kms_peers_start(&s->peers, s, e)) {
		service_free(s);
		return -1;
	}
	if (!c->self_authorize) // nothing to probe it with: it is ready until it fails
		atomic_store(&s->policy_state, POLICY_STATE_ANSWERS);
	return 0;
}

void service_free(struct service *s)
{
	kms_peers_stop(s->peers);
	self_free(&s->self);
	crls_close(&s->crls);
	keyrules_close(&s->rules);
	kms_audit_stop(&s->audit);
	trust_free(s->trust);
	downloads_free(s->downloads);
	policy_free(s->policy);
	faces_close(&s->faces);
	free(s->temp_ca_pem);
	secret_free(s->temp_ca_key);
	X509_free(s->temp_ca);
	*s = (struct service){ 0 };
}

SSL_CTX *service_tls(const struct service *s, struct face *f, X509 *cert, struct err *e)
{
	auto_free char *key_path = str_format("%s/rpc.key", s->config->keys.dir);
	auto_free char *pem = malloc(CERT_PEM_MAX);
	auto_secret *key = NULL;

	if (!key_path || !pem) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	if (cert_to_pem(cert, pem, CERT_PEM_MAX, e) || file_read_secret(key_path, FILE_MAX, &key, e))
		return NULL;
	struct tls_conf conf = {
		.is_server = true,
		.cert_pem = span_str(pem),
		.key_pem = span_of(key->b, key->n),
		.roots_pem = span_str(s->temp_ca_pem),
		.peer = TLS_PEER_OPTIONAL,
		.allow_tls12 = true,
	};
	SSL_CTX *tls = tls_ctx_new(&conf, e);
	if (tls && !SSL_CTX_set_app_data(tls, f)) {
		err_ssl(e, ERR_SYSTEM, "set up TLS");
		SSL_CTX_free(tls);
		return NULL;
	}
	return tls;
}

static bool has_evidence(const X509 *cert)
{
	struct span content;
	struct err e;

	// A malformed or doubled extension counts: the check must see and refuse it.
	return cert_ext(cert, CERT_EXT_ATTESTATION, &content, &e) ||
	       cert_ext(cert, CERT_EXT_QUOTE, &content, &e);
}

int service_check_cert(struct service *s, struct rpc_call *call, const char *vm_config,
		       struct trust_result *r, struct err *e)
{
	struct trust_expect x = { .vm_config = span_str(vm_config) };
	X509 *cert = rpc_peer_cert(call);

	if (!cert || !has_evidence(cert))
		return err_code(e, ERR_UNTRUSTED, "ratls.no_evidence",
				"No attestation provided: the client certificate carries no evidence");
	if (!service_check_evidence(s, &(struct evidence_of){ .cert = cert }, &x, r, e))
		return 0;
	// The evidence may be good; it is not this client's.
	if (!strcmp(e->code, "report_data.mismatch"))
		return err_code(e, ERR_UNTRUSTED, "ratls.key_mismatch",
				"report data mismatch: the client certificate's key is not the attested one");
	return -1;
}

// Before any method does anything (spec 20 section 1.2). An image that is not here is no fault of evidence
// that nothing is given for.
int service_check_shown(struct service *s, struct rpc_call *call, struct err *e)
{
	X509 *cert = rpc_peer_cert(call);

	if (!cert || !has_evidence(cert))
		return 0;
	struct trust_result *r = arena_alloc(rpc_arena(call), sizeof *r);
	if (!r)
		return err_set(e, ERR_SYSTEM, "out of memory");
	return service_check_cert(s, call, "", r, e) && !evidence_but_image(r) ? err_wrap(e, "invalid quote")
									       : 0;
}

// Upstream's contexts: evidence that does not hold is refused before the method is reached.
static void refuse_evidence(struct err *e, const char *who)
{
	if (evidence_blames_image(e))
		err_wrap(e, "%s not allowed: Failed to verify os image hash", who);
	else if (!strcmp(e->code, "ratls.no_evidence"))
		err_wrap(e, "%s not allowed", who);
	else
		err_wrap(e, "invalid quote");
}

void service_entry(struct rpc_call *call, const struct service_case *c, struct audit_entry *x)
{
	kms_audit_who(x, c && c->proved ? &c->r.boot : NULL, rpc_peer_cert(call));
	if (c)
		snprintf(x->source, sizeof x->source, "%s", c->answer.source);
}

int service_ended(struct rpc_call *call, struct audit_entry *x, int rc, struct err *e)
{
	struct service *s = rpc_arg(call);

	if (!rc)
		return 0;
	log_warn("kms", "refused: %s peer=%s code=%s reason=%s", audit_event_name(x->event),
		 rpc_peer(call)->text, e->code, STR_QZ(e->text));
	return kms_audit_refuse(&s->audit, x, e);
}

static int refuse_keys(struct rpc_call *call, const struct service_case *c, struct err *e)
{
	struct audit_entry x;

	service_entry(call, c, &x);
	x.event = AUDIT_KEYS;
	return service_ended(call, &x, -1, e);
}

static void fill_app_key(struct arena *a, const struct app_keys *k, Kms__AppKeyResponse *out)
{
	out->disk_crypt_key = pb_bytes(a, k->disk, sizeof k->disk);
	out->env_crypt_key = pb_bytes(a, k->env, sizeof k->env);
	out->k256_key = pb_bytes(a, k->k256, sizeof k->k256);
	out->k256_signature = pb_bytes(a, k->k256_sig, sizeof k->k256_sig);
}

static void fill_earlier(struct arena *a, const struct keyrules_case *c, const struct app_keys *k,
			 Kms__AppKeyResponse *out)
{
	out->epochs = arena_array(a, c->n, sizeof *out->epochs);
	for (uint32_t i = 1; out->epochs && i < c->n; i++, k++) {
		Kms__EpochKeys *m = pb_new(&kms__epoch_keys__descriptor, a);
		if (!m)
			return;
		m->epoch = c->epochs[i];
		m->revoke_at = c->ends[i];
		m->disk_crypt_key = pb_bytes(a, k->disk, sizeof k->disk);
		m->env_crypt_key = pb_bytes(a, k->env, sizeof k->env);
		m->k256_key = pb_bytes(a, k->k256, sizeof k->k256);
		m->k256_signature = pb_bytes(a, k->k256_sig, sizeof k->k256_sig);
		out->epochs[out->n_epochs++] = m;
	}
}

// The third stage: the record is on the disk.
static int released(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	struct arena *a = rpc_arena(call);
	struct service_case *c = rpc_state(call);
	const struct boot_info *b = &c->r.boot;
	Kms__AppKeyResponse *m = out;
	struct key_reply *r = &c->job.a;

	(void)in;
	if (r->err.class != ERR_NONE) { // recorded already, or nothing can be
		*e = r->err;
		log_warn("kms", "no keys for peer=%s code=%s reason=%s", rpc_peer(call)->text, e->code,
			 STR_QZ(e->text));
		return -1;
	}
	m->ca_cert = face_of(&s->faces, call)->ca_pem;
	fill_app_key(a, &r->app[0], m);
	fill_earlier(a, &c->rules, r->app + 1, m);
	m->epoch = c->rules.epochs[0];
	m->current_epoch = c->rules.current;
	m->gateway_app_id = m->tproxy_app_id = arena_str(a, c->answer.gateway);
	m->os_image_hash = pb_bytes(a, b->os_image_hash, b->has_os_image_hash ? sizeof b->os_image_hash : 0);
	m->audit_seq = r->seq;
	m->audit_record = arena_dup(a, r->line, r->line_n);
	OPENSSL_cleanse(r->app, sizeof r->app);
	if (arena_bad(a))
		return err_set(e, ERR_SYSTEM, "out of memory");
	log_info("kms", "keys released app=%s instance=%s compose=%s anchor=%s policy=%s record=%llu",
		 STR_HEX(b->app_id, 20), STR_HEX(b->instance_id, b->has_instance_id ? 20 : 0),
		 STR_HEX(b->compose_hash, 32), b->anchor, STR_QZ(c->answer.source),
		 (unsigned long long)r->seq);
	return 0;
}

static void on_keys(struct key_job *j)
{
	struct service_case *c = j->arg;

	rpc_continue(c->call, released);
}

// Only a seed whose hash the guest has measured counts; any other is as none.
static void take_seed(struct key_request *q, const struct boot_info *b, ProtobufCBinaryData seed)
{
	uint8_t hash[32];

	if (!b->has_deployment_seed || !seed.len || seed.len > sizeof q->seed)
		return;
	sha256(seed.data, seed.len, hash);
	if (memcmp(hash, b->deployment_seed, sizeof hash) != 0)
		return;
	memcpy(q->seed, seed.data, seed.len);
	q->seed_n = (uint32_t)seed.len;
}

int service_learn(struct service *s, const struct service_case *c, struct err *e)
{
	if (!c->r.boot.has_app_id)
		return 0;
	return keyrules_learn(&s->rules, c->r.boot.app_id, &c->answer.epochs, c->answer.source, e);
}

// A policy that speaks of epochs can only take away from an operator's rule: the one that is served, and
// earlier ones beside it. Its own rule, which is in force where there is no such, has all it ever said.
static int narrow_epochs(struct service *s, struct service_case *c, struct err *e)
{
	uint64_t now = kms_audit_now(&s->audit);
	struct keyrules_case *k = &c->rules;
	struct err why;
	uint32_t kept = 1;

	if (k->learned)
		return 0;
	if (policy_epochs_check(&c->answer.epochs, k->epochs[0], now, e))
		return -1;
	for (uint32_t i = 1; i < k->n; i++) {
		if (policy_epochs_check(&c->answer.epochs, k->epochs[i], now, &why))
			continue;
		k->epochs[kept] = k->epochs[i];
		k->roots[kept] = k->roots[i];
		k->ends[kept++] = k->ends[i];
	}
	k->n = kept;
	return 0;
}

// The second stage: what policy said.
static int release(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	struct service_case *c = rpc_state(call);
	const Kms__GetAppKeyRequest *asked = in;
	struct key_request *q = &c->job.q;
	struct keyrules_ask rules = { .earlier = asked->want_previous,
				      .root = face_of(&s->faces, call)->root };

	(void)out;
	if (asked->opt_epoch_case == KMS__GET_APP_KEY_REQUEST__OPT_EPOCH_EPOCH)
		rules.epoch = &asked->epoch;
	if (service_verdict(c, "App not allowed: ", e) || service_learn(s, c, e) ||
	    keyrules_enter(&s->rules, &c->rules, &c->r.boot, &rules, e))
		return refuse_keys(call, c, e);
	if (narrow_epochs(s, c, e)) {
		keyrules_leave(&s->rules, &c->rules);
		return refuse_keys(call, c, e);
	}
	service_entry(call, c, &q->entry);
	q->op = KEY_APP;
	snprintf(q->entry.reason, sizeof q->entry.reason, "epochs: %s",
		 c->rules.learned ? "policy"
		 : c->rules.own   ? "document"
				  : "default");
	q->entry.skipped = kms_audit_skipped(&s->audit);
	q->entry.n_epochs = c->rules.n;
	memcpy(q->entry.epochs, c->rules.epochs, sizeof q->entry.epochs);
	memcpy(q->entry.roots, c->rules.roots, sizeof q->entry.roots);
	take_seed(q, &c->r.boot, asked->deployment_seed);
	c->job.done = on_keys;
	c->job.arg = c;
	keyproc_submit(s->keys, &c->job);
	return RPC_LATER;
}

static int get_app_key(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	const Kms__GetAppKeyRequest *q = in;

	(void)out;
	if (q->api_version > 1)
		return service_check_shown(s, call, e)
			       ? refuse_keys(call, NULL, e)
			       : err_code(e, ERR_INPUT, "kms.api_version", "Unsupported API version: %u",
					  q->api_version);
	struct service_case *c = service_case_new(call, e);
	if (!c)
		return -1;
	if (service_check_cert(s, call, q->vm_config, &c->r, e)) {
		if (evidence_lacks_image(s, c) && service_fetch_image(s, c, get_app_key, e) == RPC_LATER)
			return RPC_LATER;
		evidence_fetch_failed(c, e);
		refuse_evidence(e, "App");
		return refuse_keys(call, c, e);
	}
	c->proved = true;
	return service_ask(s, c, POLICY_APP, release);
}

static int give_env_key(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	const Kms__AppId *q = in;
	Kms__PublicKeyResponse *a = out;
	struct env_key key;

	if (service_verdict(rpc_state(call), "", e))
		return -1;
	a->timestamp = time_now();
	struct app_epoch at = { .seed = span_of(q->deployment_seed.data, q->deployment_seed.len) };
	uint32_t root = face_of(&s->faces, call)->root;
	bool named = q->opt_epoch_case == KMS__APP_ID__OPT_EPOCH_EPOCH;
	if (keyrules_epoch(&s->rules, q->app_id.data, named ? &q->epoch : NULL, root, &at.epoch, e) ||
	    keyproc_env(s->keys, root, &at, q->app_id.data, a->timestamp, &key, e))
		return -1;
	a->public_key = pb_bytes(rpc_arena(call), key.pub, sizeof key.pub);
	a->signature = pb_bytes(rpc_arena(call), key.sig, sizeof key.sig);
	a->signature_v1 = pb_bytes(rpc_arena(call), key.sig_v1, sizeof key.sig_v1);
	a->epoch = at.epoch;
	a->signature_v2 = pb_bytes(rpc_arena(call), key.sig_v2, sizeof key.sig_v2);
	return arena_bad(rpc_arena(call)) ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

// For methods whose only condition is that this KMS is allowed.
static int ask_self(struct rpc_call *call, rpc_fn *next, struct err *e)
{
	struct service *s = rpc_arg(call);
	struct service_case *c = service_case_new(call, e);

	return c ? service_ask_self(s, c, next) : -1;
}

static int get_env_key(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	const Kms__AppId *q = in;

	(void)out;
	if (service_check_shown(rpc_arg(call), call, e))
		return -1;
	if (q->app_id.len != APP_ID)
		return err_code(e, ERR_INPUT, "kms.app_id", "app_id must be 20 bytes");
	return ask_self(call, give_env_key, e);
}

static int get_meta(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	Kms__GetMetaResponse *a = out;
	const struct face *f = face_of(&s->faces, call);
	struct policy_info info;

	(void)in;
	if (service_check_shown(s, call, e))
		return -1;
	policy_info_wait(s->policy, &info, INFO_WAIT_MS);
	a->ca_cert = f->ca_pem;
	a->k256_pubkey = pb_bytes(rpc_arena(call), f->k256_pub, sizeof f->k256_pub);
	a->is_dev = s->config->insecure_development;
	a->allow_any_upgrade = info.allows_all;
	if (face_bootstrap_info(f, rpc_arena(call), &a->bootstrap_info) ||
	    faces_rotations(&s->faces, rpc_arena(call), &a->roots, &a->n_roots, e))
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (*info.gateway) {
		a->opt_gateway_app_id_case = KMS__GET_META_RESPONSE__OPT_GATEWAY_APP_ID_GATEWAY_APP_ID;
		a->gateway_app_id = arena_str(rpc_arena(call), info.gateway);
	}
	if (info.has_chain) {
		a->opt_kms_contract_address_case =
			KMS__GET_META_RESPONSE__OPT_KMS_CONTRACT_ADDRESS_KMS_CONTRACT_ADDRESS;
		a->kms_contract_address = arena_str(rpc_arena(call), info.contract);
		a->opt_chain_id_case = KMS__GET_META_RESPONSE__OPT_CHAIN_ID_CHAIN_ID;
		a->chain_id = info.chain_id;
		a->opt_app_auth_implementation_case =
			KMS__GET_META_RESPONSE__OPT_APP_AUTH_IMPLEMENTATION_APP_AUTH_IMPLEMENTATION;
		a->app_auth_implementation = arena_str(rpc_arena(call), info.app_implementation);
	}
	return arena_bad(rpc_arena(call)) ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

static int give_temp_ca(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	Kms__GetTempCaCertResponse *a = out;

	(void)in;
	if (service_verdict(rpc_state(call), "", e))
		return -1;
	a->temp_ca_cert = s->temp_ca_pem;
	a->temp_ca_key = arena_dup(rpc_arena(call), s->temp_ca_key->b, s->temp_ca_key->n);
	a->ca_cert = face_of(&s->faces, call)->ca_pem;
	return a->temp_ca_key ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

static int get_temp_ca(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	(void)in, (void)out;
	return service_check_shown(rpc_arg(call), call, e) ? -1 : ask_self(call, give_temp_ca, e);
}

static int refuse_roots(struct rpc_call *call, const struct service_case *c, struct err *e)
{
	struct audit_entry x;

	service_entry(call, c, &x);
	x.event = AUDIT_ROOTS;
	return service_ended(call, &x, -1, e);
}

static int give_kms_key(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	struct service_case *c = rpc_state(call);
	bool recorded = false;
	int rc = service_verdict(c, "KMS not allowed: ", e) ||
				 keyrules_enter(&s->rules, &c->rules, &c->r.boot, NULL, e) ||
				 handover_gate_take(&s->gate, c->r.boot.mr_aggregated, e) ||
				 service_kms_key(call, out, &recorded, e)
			 ? -1
			 : 0;

	(void)in;
	if (rc && !recorded)
		return refuse_roots(call, c, e);
	return rc;
}

static int get_kms_key(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	const Kms__GetKmsKeyRequest *q = in;
	struct service_case *c = service_case_new(call, e);

	(void)out;
	if (!c)
		return -1;
	if (face_of(&s->faces, call)->root) {
		err_code(e, ERR_INPUT, "kms.root_listener",
			 "the roots are handed over at the address of the first root set");
		return refuse_roots(call, c, e);
	}
	if (service_check_cert(s, call, q->vm_config, &c->r, e)) {
		if (evidence_lacks_image(s, c) && service_fetch_image(s, c, get_kms_key, e) == RPC_LATER)
			return RPC_LATER;
		evidence_fetch_failed(c, e);
		refuse_evidence(e, "KMS");
		return refuse_roots(call, c, e);
	}
	c->proved = true;
	return service_ask(s, c, POLICY_KMS, give_kms_key);
}

int service_mount(struct service *s, struct rpc_server *server, struct err *e)
{
	enum { BODY_MAX = 64 * 1024, CSR_BODY_MAX = 2 << 20 };
	static const struct rpc_method methods[] = {
		{ "GetAppKey", &kms__get_app_key_request__descriptor, &kms__app_key_response__descriptor,
		  get_app_key, .worker = true, .lane = LANE_KEYS, .body_max = BODY_MAX },
		{ "GetKmsKey", &kms__get_kms_key_request__descriptor, &kms__kms_key_response__descriptor,
		  get_kms_key, .worker = true, .lane = LANE_KEYS, .body_max = BODY_MAX },
		{ "GetAppEnvEncryptPubKey", &kms__app_id__descriptor, &kms__public_key_response__descriptor,
		  get_env_key, .worker = true, .lane = LANE_PUBLIC, .body_max = BODY_MAX },
		{ "GetMeta", &prpc__empty__descriptor, &kms__get_meta_response__descriptor, get_meta,
		  .worker = true, .lane = LANE_PUBLIC, .body_max = BODY_MAX },
		{ "GetTempCaCert", &prpc__empty__descriptor, &kms__get_temp_ca_cert_response__descriptor,
		  get_temp_ca, .worker = true, .lane = LANE_PUBLIC, .body_max = BODY_MAX },
		{ "GetAuditCheckpoint", &prpc__empty__descriptor, &kms__audit_head__descriptor,
		  kms_audit_checkpoint, .worker = true, .lane = LANE_PUBLIC, .body_max = BODY_MAX },
		{ "GetAuditProof", &kms__audit_proof_request__descriptor, &kms__audit_proof__descriptor,
		  kms_audit_proof, .worker = true, .lane = LANE_PUBLIC, .body_max = BODY_MAX },
		{ "GetPeerCheckpoints", &prpc__empty__descriptor, &kms__peer_checkpoints__descriptor,
		  kms_peer_checkpoints, .worker = true, .lane = LANE_PUBLIC, .body_max = BODY_MAX },
		{ "SignCert", &kms__sign_cert_request__descriptor, &kms__sign_cert_response__descriptor,
		  service_sign_cert, .worker = true, .lane = LANE_KEYS, .body_max = CSR_BODY_MAX },
	};

	if (rpc_server_mount(server, "/prpc", "KMS.", methods, sizeof methods / sizeof *methods, s) ||
	    status_mount(s, server, s->config->metrics) || crls_mount(s, server))
		return err_set(e, ERR_SYSTEM, "out of memory");
	char header[64];
	snprintf(header, sizeof header, "X-App-Version: %s", version_text);
	if (rpc_server_header(server, header))
		return err_set(e, ERR_SYSTEM, "out of memory");
	return 0;
}
