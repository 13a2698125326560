#include "admin.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/version.h"
#include "kms.pb-c.h"
#include "prpc.pb-c.h"

enum { BODY_MAX = 64 * 1024, CONNS_MAX = 32, IDLE_S = 10, REQUEST_S = 10, HANDLER_S = 60, KEY_MAX = 64 };

// A cache key is hex, so it can name nothing but an entry (spec 70 KM-12).
static bool is_key(const char *s)
{
	size_t n = strspn(s, "0123456789abcdefABCDEF");

	return n && n <= KEY_MAX && !s[n];
}

static int clear_folder(const char *dir, const char *key, struct err *e)
{
	bool all = !strcmp(key, "all");

	if (!*key)
		return 0;
	if (!all && !is_key(key))
		return err_code(e, ERR_INPUT, "kms.cache_key", "invalid cache key %s", STR_QZ(key));
	if (!*dir)
		return 0;
	auto_free char *path = all ? strdup(dir) : str_format("%s/%s", dir, key);
	if (!path)
		return err_set(e, ERR_SYSTEM, "out of memory");
	return file_remove_tree(path, e) || (all && file_mkdirs(dir, 0755, e)) ? -1 : 0;
}

// Measurements are kept in memory with their image: either key drops them.
static int clear_image_cache(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	const Kms__ClearImageCacheRequest *q = in;

	(void)out;
	if (clear_folder("", q->config_hash, e) || clear_folder(s->config->image_cache, q->image_hash, e))
		return -1;
	trust_forget_images(s->trust);
	log_info("kms", "image cache cleared image=%s config=%s", STR_QZ(q->image_hash),
		 STR_QZ(q->config_hash));
	return 0;
}

static void health(struct http_conn *c, void *arg)
{
	(void)arg;
	http_reply(c, 200, "text/plain", "OK", 2);
}

static int at_the_door(struct http_conn *c, void *arg, struct err *e)
{
	struct admin *a = arg;

	if (admin_auth_allows(a->auth, http_request(c)))
		return 0;
	log_warn("kms", "admin: no valid credentials peer=%s", http_peer(c)->text);
	err_code(e, ERR_DENIED, "admin.unauthorized", "unauthorized");
	return 401;
}

static int mount(struct admin *a, struct service *s, struct err *e)
{
	static const struct rpc_method methods[] = {
		{ "ClearImageCache", &kms__clear_image_cache_request__descriptor, &prpc__empty__descriptor,
		  clear_image_cache, .worker = true, .body_max = BODY_MAX },
		{ "GetAuditLog", &kms__audit_log_request__descriptor, &kms__audit_log__descriptor,
		  kms_audit_log, .worker = true, .body_max = BODY_MAX },
		{ "GetKeyPolicy", &prpc__empty__descriptor, &kms__key_policy__descriptor,
		  kms_admin_key_policy, .worker = true, .body_max = BODY_MAX },
		{ "RotateEpoch", &kms__rotate_epoch_request__descriptor, &kms__key_policy__descriptor,
		  kms_admin_rotate, .worker = true, .body_max = BODY_MAX },
		{ "RotateRoots", &prpc__empty__descriptor, &kms__root_rotation__descriptor,
		  kms_admin_rotate_roots, .worker = true, .body_max = BODY_MAX },
		{ "Revoke", &kms__revoke_request__descriptor, &kms__key_policy__descriptor, kms_admin_revoke,
		  .worker = true, .body_max = BODY_MAX },
		{ "OpenHandover", &kms__open_handover_request__descriptor,
		  &kms__open_handover_response__descriptor, kms_admin_open_handover, .worker = true,
		  .body_max = BODY_MAX },
		{ "IssueDevelopmentCert", &kms__development_cert_request__descriptor,
		  &kms__sign_cert_response__descriptor, kms_admin_dev_cert, .worker = true,
		  .body_max = BODY_MAX },
	};
	char header[64];

	snprintf(header, sizeof header, "X-App-Version: %s", version_text);
	rpc_server_limits(a->server, CONNS_MAX, IDLE_S, REQUEST_S, HANDLER_S);
	rpc_server_show_errors(a->server);
	rpc_server_door(a->server, at_the_door, "WWW-Authenticate: Basic realm=\"dstack-kms admin\"\r\n", a);
	if (rpc_server_header(a->server, header) ||
	    rpc_server_mount(a->server, "/prpc", "Admin.", methods, sizeof methods / sizeof *methods, s) ||
	    rpc_server_raw(a->server, "/health", health, NULL))
		return err_set(e, ERR_SYSTEM, "out of memory");
	return 0;
}

static int listen_at(struct rpc_server *s, int fd, const char *address, struct err *e)
{
	return fd >= 0 ? rpc_server_listen_fd(s, fd, address, NULL, e)
		       : rpc_server_listen(s, address, NULL, 0, e);
}

int admin_start(struct admin *a, struct service *s, int fd, struct event_base *base, struct err *e)
{
	const struct kms_config *c = s->config;

	*a = (struct admin){ 0 };
	if (!*c->admin_address)
		return 0;
	a->auth = admin_auth_new_env(c->admin_token_file, c->admin_htpasswd_file, e);
	if (!a->auth)
		return -1;
	a->server = rpc_server_new(base);
	int rc = a->server ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
	if (rc || mount(a, s, e) || listen_at(a->server, fd, c->admin_address, e)) {
		admin_free(a);
		return err_wrap(e, "admin listener");
	}
	return 0;
}

void admin_free(struct admin *a)
{
	rpc_server_free(a->server);
	admin_auth_free(a->auth);
	*a = (struct admin){ 0 };
}
