#include "kms_site.h"

#include <crypt.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/secret.h"
#include "base/strings.h"
#include "base/time.h"
#include "command.h"
#include "crypto/issue.h"
#include "crypto/ssl.h"
#include "host.pb-c.h"
#include "kms_checked.h"
#include "kms_link.h"
#include "policy/policy.h"

enum { TOKEN = 16, TOKEN_MAX = 256, COST = 8, COMPOSE_MAX = 1 << 20, SETUP_S = 180 };

// ---- names

void kms_site_path(const struct kms_site *j, const struct stack_kms *k, const char *name,
		   char out[static PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%s%s", j->vms.ctx.dir, k->name, name);
}

void kms_site_url(const struct kms_site *j, const struct stack_kms *k, const char *host, char out[static 64])
{
	snprintf(out, 64, "https://%s:%u", host, j->conf.port + k->rpc);
}

const struct stack_kms *kms_site_active(const struct kms_site *j)
{
	return &stackconf_kms[j->conf.kms];
}

const struct stack_kms *kms_site_other(const struct kms_site *j)
{
	return &stackconf_kms[!j->conf.kms];
}

int kms_site_image(const struct kms_site *j, const struct stack_kms *k, char out[static 512], struct err *e)
{
	char path[PATH_MAX];
	auto_free char *text = NULL;
	size_t n;

	*out = 0;
	kms_site_path(j, k, "/compose.yaml", path);
	if (!file_exists(path))
		return 0;
	if (file_read(path, COMPOSE_MAX, &text, &n, e))
		return -1;
	const char *at = strstr(text, "image: ");
	if (!at || sscanf(at, "image: %511[^\n]", out) != 1)
		return err_code(e, ERR_INPUT, "input.unreadable", "%s names no image", path);
	return 0;
}

bool kms_site_has_vm(struct kms_site *j, const struct stack_kms *k, Vmm__VmInfo **out, struct err *e)
{
	Vmm__StatusResponse *all;

	*e = (struct err){ 0 };
	if (vms_list(&j->vms, false, &all, e))
		return false;
	for (size_t i = 0; i < all->n_vms; i++)
		if (!strcmp(all->vms[i]->name, k->name) && strcmp(all->vms[i]->status, "removing")) {
			*out = all->vms[i];
			return true;
		}
	return false;
}

int kms_site_forget(struct kms_site *j, const struct stack_kms *k, struct err *e)
{
	static const char *const files[] = { "/compose.yaml", "/admin.token", "/mr_aggregated" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		kms_site_path(j, k, files[i], path);
		if (file_remove(path, e))
			return -1;
	}
	return 0;
}

// ---- open

static int open_trust(struct kms_site *j, struct err *e)
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

int kms_site_open(struct kms_site *j, struct err *e)
{
	if (vms_open(&j->vms, e))
		return -1;
	int active = stackconf_kms_find(context_get(&j->vms.ctx, "kms_app"));
	if (active < 0)
		return err_code(e, ERR_INPUT, "cli.kms_moved",
				"this stack has its KMS on the host: make another with dstack up --kms cvm");
	if (stackconf_init(&j->conf, j->vms.ctx.dir, (unsigned)context_port(&j->vms.ctx) - PORT_GATEWAY, true,
			   e) ||
	    open_trust(j, e))
		return -1;
	snprintf(j->conf.image, sizeof j->conf.image, "%s", context_get(&j->vms.ctx, "image"));
	j->conf.kms = (unsigned)active;
	j->kms = kms_site_active(j);
	return 0;
}

void kms_site_close(struct kms_site *j)
{
	if (j->trust)
		trust_free(j->trust);
	j->trust = NULL;
	vms_close(&j->vms);
}

// ---- its administrator

int kms_site_own(struct kms_own *out, struct err *e)
{
	struct kms_site j = { 0 };
	int rc = kms_site_open(&j, e);

	if (!rc) {
		snprintf(out->url, sizeof out->url, "http://127.0.0.1:%u", j.conf.port + j.kms->admin);
		kms_site_path(&j, j.kms, "/admin.token", out->token);
	}
	kms_site_close(&j);
	return rc;
}

static int make_token(struct kms_site *j, struct err *e)
{
	char path[PATH_MAX], text[2 * TOKEN + 1];

	kms_site_path(j, j->kms, "/admin.token", path);
	if (file_exists(path))
		return 0;
	auto_secret *fresh = secret_random(TOKEN);
	if (!fresh)
		return err_set(e, ERR_SYSTEM, "out of memory");
	str_hex(text, fresh->b, fresh->n);
	int rc = file_write_str(path, 0600, text, e);
	secret_wipe(text, sizeof text);
	return rc;
}

int kms_site_ask(struct kms_site *j, const struct stack_kms *k, bool setup, const char *method,
		 const ProtobufCMessage *in, const ProtobufCMessageDescriptor *d, void **out, struct err *e)
{
	char url[64], token[PATH_MAX];
	const struct kms_link l = { url, token, setup ? SETUP_S : 30 };

	snprintf(url, sizeof url, "http://127.0.0.1:%u", j->conf.port + (setup ? k->setup : k->admin));
	kms_site_path(j, k, "/admin.token", token);
	return kms_link_call(&l, method, in, d, j->vms.arena, out, e);
}

// ---- its VM

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

static int hash_token(struct kms_site *j, char out[static CRYPT_OUTPUT_SIZE], struct err *e)
{
	char text[TOKEN_MAX + 1], path[PATH_MAX];
	auto_secret *token = NULL;

	kms_site_path(j, j->kms, "/admin.token", path);
	if (file_read_secret(path, TOKEN_MAX, &token, e))
		return -1;
	snprintf(text, sizeof text, "%.*s", (int)token->n, (const char *)token->b);
	int rc = bcrypt(text, out, e);
	secret_wipe(text, sizeof text);
	return rc;
}

static int write_compose(struct kms_site *j, char path[static PATH_MAX], struct err *e)
{
	char hash[CRYPT_OUTPUT_SIZE], was[512];
	auto_sb text = { 0 };

	kms_site_path(j, j->kms, "", path);
	if (file_mkdirs(path, 0700, e) || kms_site_image(j, j->kms, was, e))
		return -1;
	kms_site_path(j, j->kms, "/compose.yaml", path);
	if (*was)
		return !j->image || !strcmp(was, j->image)
			       ? 0
			       : err_code(e, ERR_DENIED, "kms.other_image",
					  "%s names another image: a KMS with another one has other root "
					  "keys; dstack kms upgrade --image makes one that takes them over",
					  path);
	if (!j->image)
		return err_code(e, ERR_INPUT, "cli.option",
				"there is no KMS yet: --image REFERENCE says which");
	const struct stack_kms_spec s = { .image = j->image, .bcrypt = hash, .onboards = j->onboards };
	return make_token(j, e) || hash_token(j, hash, e) || stackconf_kms_compose(&j->conf, &s, &text, e) ||
			       file_write_str(path, 0644, text.p, e)
		       ? -1
		       : 0;
}

// As a user would: dstack deploy.
int kms_site_deploy(struct kms_site *j, struct err *e)
{
	char compose[PATH_MAX], ports[3][32], path[PATH_MAX];
	const unsigned host[3] = { j->kms->rpc, j->kms->admin, j->kms->setup };
	auto_free char *made = NULL;
	size_t n, argc = 0;

	if (write_compose(j, compose, e))
		return -1;
	for (unsigned i = 0; i < 3; i++)
		snprintf(ports[i], sizeof ports[i], "127.0.0.1:%u:%u", j->conf.port + host[i], 8000 + i);
	char *argv[24] = { "deploy",
			   compose,
			   "--name",
			   (char *)(uintptr_t)j->kms->name,
			   "--key-provider",
			   "local",
			   "--no-instance-id",
			   "--memory",
			   j->memory,
			   "--if-absent",
			   "--wait",
			   "--port",
			   ports[0],
			   "--port",
			   ports[1] };
	for (argc = 0; argv[argc]; argc++)
		;
	if (j->onboards) {
		argv[argc++] = "--port";
		argv[argc++] = ports[2];
	}
	if (j->json)
		argv[argc++] = "--json";
	struct deployed d;
	if (deploy_vm((int)argc, argv, &d, e))
		return err_wrap(e, "the VM of %s", j->kms->name);
	snprintf(j->id, sizeof j->id, "%s", d.id);
	snprintf(j->app, sizeof j->app, "%s", d.app_id);
	snprintf(path, sizeof path, "%s/apps/%s.json", j->vms.ctx.dir, j->kms->name);
	if (file_read(path, COMPOSE_MAX, &made, &n, e))
		return -1;
	SHA256((const uint8_t *)made, n, j->compose_hash);
	return 0;
}

// Its agent's certificate carries its evidence.
static int agent_cert(struct kms_site *j, X509 **out, struct err *e)
{
	Host__GuestInfo *info;
	Vmm__VmInfo *vm;

	for (uint64_t until = time_mono_ms() + KMS_READY_MS;; time_sleep_ms(KMS_STEP_MS)) {
		int rc = vms_find(&j->vms, j->kms->name, &vm, e) ||
			 vms_ask_guest(&j->vms, "Info", vm->id, &host__guest_info__descriptor, (void **)&info,
				       e);
		if (!rc && *info->app_cert)
			break;
		if (time_mono_ms() > until)
			return rc ? -1 : err_set(e, ERR_AGAIN, "the KMS's agent has no certificate yet");
		progress_tick(&j->progress);
	}
	*out = cert_from_pem(span_str(info->app_cert), e);
	return *out ? 0 : -1;
}

// What the evidence proves is written into the policy.
int kms_site_allow(struct kms_site *j, struct err *e)
{
	auto_free struct trust_result *r = calloc(1, sizeof *r);
	struct trust_expect x = { .compose_hash = j->compose_hash, .judge_tcb = true };
	auto_x509 X509 *cert = NULL;
	char path[PATH_MAX];

	if (!r)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (agent_cert(j, &cert, e) || trust_check_cert(j->trust, r, cert, &x, e))
		return err_wrap(e, "evidence of the KMS's VM");
	memcpy(j->mr, r->boot.mr_aggregated, sizeof j->mr);
	kms_site_path(j, j->kms, "/mr_aggregated", path); // for when it is taken off again
	if (file_write_str(path, 0644, STR_HEX(j->mr, 32), e))
		return -1;
	return policy_file_allow_kms(context_get(&j->vms.ctx, "policy"), STR_HEX(j->mr, 32), e);
}

// ---- what it says

int kms_site_meta(struct kms_site *j, const struct stack_kms *k, const char *ca_file,
		  Kms__GetMetaResponse **out, struct err *e)
{
	char url[64], rpc[80];
	Kms__GetTempCaCertResponse *temp; // refused until the policy allows this KMS
	const struct rpc_client_opts o = { .timeout_s = 10, .insecure = !ca_file, .ca_file = ca_file };

	kms_site_url(j, k, "127.0.0.1", url);
	snprintf(rpc, sizeof rpc, "%s/prpc", url);
	auto_rpc_client *c = rpc_client_new(rpc, &o, e);
	return !c ||
			       rpc_client_call(c, "GetTempCaCert", NULL,
					       &kms__get_temp_ca_cert_response__descriptor, j->vms.arena,
					       (void **)&temp, e) ||
			       rpc_client_call(c, "GetMeta", NULL, &kms__get_meta_response__descriptor,
					       j->vms.arena, (void **)out, e)
		       ? -1
		       : 0;
}

// It serves with a certificate by the root of the stack, over a key that its evidence attests. The root the
// first one names becomes the stack's.
int kms_site_check(struct kms_site *j, struct err *e)
{
	auto_free struct trust_result *r = calloc(1, sizeof *r);
	auto_free char *kept = NULL;
	Kms__GetMetaResponse *meta;
	char path[PATH_MAX], url[64];
	size_t n;

	if (!r)
		return err_set(e, ERR_SYSTEM, "out of memory");
	kms_site_url(j, j->kms, "127.0.0.1", url);
	for (uint64_t until = time_mono_ms() + KMS_READY_MS; kms_site_meta(j, j->kms, NULL, &meta, e);
	     time_sleep_ms(KMS_STEP_MS)) {
		if (time_mono_ms() > until)
			return err_wrap(e, "the KMS does not serve");
		progress_tick(&j->progress);
	}
	snprintf(path, sizeof path, "%s/kms/certs/root-ca.crt", j->vms.ctx.dir);
	if (file_exists(path) && file_read(path, COMPOSE_MAX, &kept, &n, e))
		return -1;
	const struct kms_expect x = { .url = url,
				      .compose_hash = j->compose_hash,
				      .root_pem = kept ? kept : meta->ca_cert };
	if (kms_checked(j->trust, &x, r, e))
		return -1;
	if (kept)
		return 0;
	snprintf(path, sizeof path, "%s/kms/certs", j->vms.ctx.dir);
	if (file_mkdirs(path, 0700, e))
		return -1;
	snprintf(path, sizeof path, "%s/kms/certs/root-ca.crt", j->vms.ctx.dir);
	return file_write_str(path, 0644, meta->ca_cert, e);
}
