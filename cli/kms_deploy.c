// kms deploy - the KMS of a stack in a confidential VM of its own: started, judged by its evidence, allowed,
// and its root taken as what apps and gateway rest on.
//
// Its identity is its compose file: image, configuration, administrator. So that is written once; with
// another it would be another KMS with other roots. Its own disk key comes from the machine's local key
// provider.
#include <crypt.h>
#include <getopt.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/strings.h"
#include "base/time.h"
#include "command.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "host.pb-c.h"
#include "kms.h"
#include "kms.pb-c.h"
#include "kms_checked.h"
#include "policy/policy.h"
#include "progress.h"
#include "stackconf.h"
#include "vms.h"

enum { TOKEN = 16, READY_MS = 180000, STEP_MS = 500, COST = 8, GATEWAY_APP_ID = 20 };

struct job {
	struct vms vms;
	struct stackconf conf;
	struct trust *trust;
	uint8_t compose_hash[32];
	const char *image;
	char memory[16];
	char *token; // of the administrator
	bool json;
};

static void path_in(const struct job *j, char out[static PATH_MAX], const char *name)
{
	snprintf(out, PATH_MAX, "%s/%s", j->vms.ctx.dir, name);
}

static int read_options(struct job *j, int argc, char **argv, struct err *e)
{
	static const struct option options[] = { { "image", required_argument, NULL, 'i' },
						 { "memory", required_argument, NULL, 'm' },
						 { "json", no_argument, NULL, 'j' },
						 { 0 } };
	uint64_t memory = 1024;

	optind = 1;
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'i')
			j->image = optarg;
		else if (c == 'j')
			j->json = true;
		else if (c != 'm' || !str_uint(optarg, 512, 1 << 20, &memory))
			return err_set(e, ERR_INPUT, "see dstack kms --help");
	}
	snprintf(j->memory, sizeof j->memory, "%llu", (unsigned long long)memory);
	return optind == argc && j->image
		       ? 0
		       : err_set(e, ERR_INPUT, "dstack kms deploy needs --image REFERENCE");
}

// ---- the compose file

static int admin_token(struct job *j, struct err *e)
{
	char path[PATH_MAX];
	size_t n;

	path_in(j, path, "kms/admin.token");
	if (!file_exists(path)) {
		auto_secret *fresh = secret_random(TOKEN);
		char text[2 * TOKEN + 1];

		if (!fresh)
			return err_set(e, ERR_SYSTEM, "out of memory");
		str_hex(text, fresh->b, fresh->n);
		int rc = file_write_str(path, 0600, text, e);
		secret_wipe(text, sizeof text);
		if (rc)
			return -1;
	}
	return file_read(path, 256, &j->token, &n, e);
}

static int bcrypt(const char *secret, char out[static CRYPT_OUTPUT_SIZE], struct err *e)
{
	struct crypt_data *d = calloc(1, sizeof *d);
	char salt[CRYPT_GENSALT_OUTPUT_SIZE];

	if (!d)
		return err_set(e, ERR_SYSTEM, "out of memory");
	const char *made =
		crypt_gensalt_rn("$2b$", COST, NULL, 0, salt, sizeof salt) ? crypt_r(secret, salt, d) : NULL;
	bool good = made && *made == '$';
	if (good)
		snprintf(out, CRYPT_OUTPUT_SIZE, "%s", made);
	secret_wipe(d, sizeof *d);
	free(d);
	return good ? 0 : err_set(e, ERR_SYSTEM, "bcrypt is not available");
}

static int write_compose(struct job *j, char path[static PATH_MAX], struct err *e)
{
	char hash[CRYPT_OUTPUT_SIZE], want[512];
	auto_free char *was = NULL;
	auto_sb text = { 0 };
	size_t n;

	path_in(j, path, "kms/compose.yaml");
	if (!file_read(path, 1 << 20, &was, &n, e)) {
		snprintf(want, sizeof want, "image: %s\n", j->image);
		return strstr(was, want)
			       ? 0
			       : err_code(
					 e, ERR_DENIED, "kms.other_image",
					 "%s names another image: a KMS with another one has other root keys",
					 path);
	}
	if (e->class != ERR_ABSENT || bcrypt(j->token, hash, e) ||
	    stackconf_kms_compose(&j->conf, j->image, hash, &text, e))
		return -1;
	return file_write_str(path, 0644, text.p, e);
}

// As a user would: dstack deploy.
static int deploy(struct job *j, struct err *e)
{
	char compose[PATH_MAX], rpc[32], admin[32], path[PATH_MAX];
	auto_free char *made = NULL;
	uint8_t hash[32];
	size_t n;

	if (admin_token(j, e) || write_compose(j, compose, e))
		return -1;
	snprintf(rpc, sizeof rpc, "127.0.0.1:%u:8000", j->conf.port + PORT_KMS);
	snprintf(admin, sizeof admin, "127.0.0.1:%u:8001", j->conf.port + PORT_KMS_ADMIN);
	char *argv[] = { "deploy",
			 compose,
			 "--name",
			 "kms",
			 "--key-provider",
			 "local",
			 "--no-instance-id",
			 "--port",
			 rpc,
			 "--port",
			 admin,
			 "--memory",
			 j->memory,
			 "--if-absent",
			 "--wait",
			 j->json ? "--json" : NULL,
			 NULL };
	optind = 1;
	if (cmd_deploy((int)(sizeof argv / sizeof *argv) - (j->json ? 1 : 2), argv))
		return err_set(e, ERR_AGAIN, "the KMS's VM did not start");
	path_in(j, path, "apps/kms.json");
	if (file_read(path, 1 << 20, &made, &n, e))
		return -1;
	SHA256((const uint8_t *)made, n, hash);
	memcpy(j->compose_hash, hash, sizeof hash);
	return 0;
}

// ---- what it is, and that it may

static int open_trust(struct job *j, struct err *e)
{
	struct context *c = &j->vms.ctx;
	const char *root = context_get(c, "development_root");
	struct trust_config config = { .pccs_url = *context_get(c, "pccs") ? context_get(c, "pccs") : NULL,
				       .image_dir = context_get(c, "images"),
				       .development_root = *root ? root : NULL,
				       .insecure_development = *root != 0 };

	j->trust = trust_new(&config, e);
	return j->trust ? 0 : -1;
}

// Its agent's certificate carries its evidence; what that proves is written into the policy.
static int allow(struct job *j, struct err *e)
{
	auto_free struct trust_result *r = calloc(1, sizeof *r);
	struct trust_expect x = { .compose_hash = j->compose_hash, .judge_tcb = true };
	Host__GuestInfo *info;
	Vmm__VmInfo *vm;

	if (!r)
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (uint64_t until = time_mono_ms() + READY_MS;; time_sleep_ms(STEP_MS)) {
		if (vms_find(&j->vms, "kms", &vm, e) ||
		    vms_ask_guest(&j->vms, "Info", vm->id, &host__guest_info__descriptor, (void **)&info,
				  e)) {
			if (time_mono_ms() > until)
				return -1;
		} else if (*info->app_cert) {
			break;
		} else if (time_mono_ms() > until) {
			return err_set(e, ERR_AGAIN, "the KMS's agent has no certificate yet");
		}
	}
	auto_x509 X509 *cert = cert_from_pem(span_str(info->app_cert), e);
	if (!cert || trust_check_cert(j->trust, r, cert, &x, e))
		return err_wrap(e, "evidence of the KMS's VM");
	return policy_file_allow_kms(context_get(&j->vms.ctx, "policy"), STR_HEX(r->boot.mr_aggregated, 32),
				     e);
}

static int ask_meta(struct job *j, Kms__GetMetaResponse **meta, struct err *e)
{
	char url[512];

	snprintf(url, sizeof url, "%s/prpc", context_get(&j->vms.ctx, "kms"));
	auto_rpc_client *c =
		rpc_client_new(url, &(struct rpc_client_opts){ .timeout_s = 10, .insecure = true }, e);
	Kms__GetTempCaCertResponse *temp; // refused until the policy allows this KMS
	return !c ||
			       rpc_client_call(c, "GetTempCaCert", NULL,
					       &kms__get_temp_ca_cert_response__descriptor, j->vms.arena,
					       (void **)&temp, e) ||
			       rpc_client_call(c, "GetMeta", NULL, &kms__get_meta_response__descriptor,
					       j->vms.arena, (void **)meta, e)
		       ? -1
		       : 0;
}

// It serves with a certificate by the root it names, over a key that its evidence attests.
static int take_root(struct job *j, struct err *e)
{
	auto_free struct trust_result *r = calloc(1, sizeof *r);
	struct kms_expect x = { .url = context_get(&j->vms.ctx, "kms"), .compose_hash = j->compose_hash };
	Kms__GetMetaResponse *meta;
	char path[PATH_MAX];

	if (!r)
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (uint64_t until = time_mono_ms() + READY_MS; ask_meta(j, &meta, e); time_sleep_ms(STEP_MS))
		if (time_mono_ms() > until)
			return err_wrap(e, "the KMS does not serve");
	x.root_pem = meta->ca_cert;
	if (kms_checked(j->trust, &x, r, e))
		return -1;
	path_in(j, path, "kms/certs");
	if (file_mkdirs(path, 0700, e))
		return -1;
	path_in(j, path, "kms/certs/root-ca.crt");
	return file_write_str(path, 0644, meta->ca_cert, e);
}

// ---- the gateway's certificate

static int ask_cert(struct job *j, EVP_PKEY *key, Kms__SignCertResponse **out, struct err *e)
{
	Kms__DevelopmentCertRequest q = KMS__DEVELOPMENT_CERT_REQUEST__INIT;
	static const uint8_t app[GATEWAY_APP_ID]; // the local stack's gateway: GATEWAY_APP of stackconf.c
	char *names[] = { "10.0.2.2", "127.0.0.1" }, url[512], plain[128];
	uint8_t spki[P256_SPKI];
	auto_sb header = { 0 };

	if (p256_spki(key, spki, e))
		return -1;
	q.public_key = (ProtobufCBinaryData){ sizeof spki, spki };
	q.name = "gateway";
	q.alt_names = names;
	q.n_alt_names = 2;
	q.app_id = (ProtobufCBinaryData){ sizeof app, (uint8_t *)(uintptr_t)app };
	snprintf(plain, sizeof plain, "admin:%s", j->token);
	sb_str(&header, "Authorization: Basic ");
	sb_base64(&header, plain, strlen(plain));
	secret_wipe(plain, sizeof plain);
	snprintf(url, sizeof url, "%s/prpc", context_get(&j->vms.ctx, "kms_admin"));
	auto_rpc_client *c =
		rpc_client_new(url, &(struct rpc_client_opts){ .timeout_s = 30, .header = header.p }, e);
	return !c || rpc_client_call(c, "IssueDevelopmentCert", &q.base, &kms__sign_cert_response__descriptor,
				     j->vms.arena, (void **)out, e)
		       ? -1
		       : 0;
}

static int gateway_cert(struct job *j, struct err *e)
{
	char path[PATH_MAX], pem[P256_PEM_MAX];
	auto_pkey EVP_PKEY *key = p256_new(e);
	Kms__SignCertResponse *r;
	auto_sb chain = { 0 };

	path_in(j, path, "gateway/rpc/rpc.crt");
	if (file_exists(path))
		return 0;
	if (!key || ask_cert(j, key, &r, e))
		return err_wrap(e, "the gateway's certificate");
	if (r->n_certificate_chain != 3)
		return err_code(e, ERR_INPUT, "kms.reply", "a chain of %zu certificates, not 3",
				r->n_certificate_chain);
	sb_str(&chain, r->certificate_chain[0]);
	sb_str(&chain, r->certificate_chain[1]);
	path_in(j, path, "gateway/rpc");
	if (chain.bad || file_mkdirs(path, 0700, e) || p256_to_pem(key, pem, e))
		return -1;
	path_in(j, path, "gateway/rpc/rpc.key");
	int rc = file_write_str(path, 0600, pem, e);
	secret_wipe(pem, sizeof pem);
	path_in(j, path, "gateway/rpc/ca.crt");
	rc = rc || file_write_str(path, 0644, r->certificate_chain[2], e);
	path_in(j, path, "gateway/rpc/rpc.crt"); // last: `dstack up` starts the gateway when it is there
	return rc || file_write_str(path, 0644, chain.p, e) ? -1 : 0;
}

// ---- all

static int open_stack(struct job *j, struct err *e)
{
	if (vms_open(&j->vms, e))
		return -1;
	if (!*context_get(&j->vms.ctx, "kms_app"))
		return err_code(e, ERR_INPUT, "cli.kms_moved",
				"this stack has its KMS on the host: make another with dstack up --kms cvm");
	return stackconf_init(&j->conf, j->vms.ctx.dir, (unsigned)context_port(&j->vms.ctx) - PORT_GATEWAY,
			      true, e) ||
			       open_trust(j, e)
		       ? -1
		       : 0;
}

int kms_deploy(int argc, char **argv)
{
	static const struct {
		const char *text;
		int (*run)(struct job *j, struct err *e);
	} stages[] = { { "KMS: evidence of its VM, and its place in the policy", allow },
		       { "KMS: its attested certificate and its root", take_root },
		       { "KMS: the gateway's certificate", gateway_cert } };
	struct job j = { 0 };
	struct err e = { 0 };
	struct progress p;
	int status = read_options(&j, argc, argv, &e) || open_stack(&j, &e) || deploy(&j, &e);

	progress_init(&p, j.json);
	for (size_t i = 0; !status && i < sizeof stages / sizeof *stages; i++) {
		progress_stage(&p, "%s", stages[i].text);
		status = stages[i].run(&j, &e);
	}
	progress_end(&p, !status);
	if (j.trust)
		trust_free(j.trust);
	if (j.token)
		secret_wipe(j.token, strlen(j.token));
	free(j.token);
	vms_close(&j.vms);
	if (status)
		return command_fail(&e, j.json);
	if (!j.json)
		printf("the KMS runs in a CVM; `dstack up` starts what was waiting for it\n");
	return 0;
}
