#include "rpc/client_impl.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <linux/vm_sockets.h>
#include "base/cleanup.h"
#include "base/strings.h"
#include "base/version.h"
#include "core/codec/json.h"
#include "rpc/pbjson.h"

enum { REPLY_MAX = 16 << 20, ERROR_TEXT = 300 };

static const char json_type[] = "Content-Type: application/json";

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int setup_result;

static void setup(void)
{
	setup_result = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -1;
}

int rpc_client_setup(void)
{
	return pthread_once(&once, setup) ? -1 : setup_result;
}

static size_t on_data(char *p, size_t size, size_t n, void *arg)
{
	struct rpc_client *c = arg;

	(void)size; // 1, says curl
	if (c->piece)
		return c->piece(c->piece_arg, p, n) ? 0 : n;
	sb_put(&c->reply, p, n);
	return c->reply.bad ? 0 : n;
}

static CURLcode on_tls(CURL *curl, void *ctx, void *arg)
{
	struct rpc_client *c = arg;

	(void)curl;
	if (c->o.tls(ctx, c->o.arg, &c->hook))
		return CURLE_SSL_CERTPROBLEM;
	if (!c->o.insecure && !(SSL_CTX_get_verify_mode(ctx) & SSL_VERIFY_PEER)) {
		err_set(&c->hook, ERR_BUG, "the TLS hook left verification off");
		return CURLE_SSL_CERTPROBLEM;
	}
	return CURLE_OK;
}

// curl has no vsock: it gets a socket that is connected already.
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct rpc_client *c = arg;
	struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = c->cid, .svm_port = c->port };
	struct timeval limit = { c->o.connect_s, 0 };

	(void)purpose;
	(void)address;
	auto_close int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) ||
	    connect(fd, (const struct sockaddr *)&a, sizeof a)) {
		err_errno(&c->hook, "connect to vsock %u:%u", c->cid, c->port);
		return CURL_SOCKET_BAD;
	}
	return take_fd(&fd);
}

static int on_opened(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	(void)arg;
	(void)fd;
	(void)purpose;
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

static int add_header(struct rpc_client *c, const char *line)
{
	struct curl_slist *more = curl_slist_append(c->headers, line);

	if (!more)
		return -1;
	c->headers = more;
	return 0;
}

static int set_unix(struct rpc_client *c, const char *rest, struct err *e)
{
	const char *colon = strchr(rest, ':');
	auto_free char *path = str_dup_n(rest, colon ? (size_t)(colon - rest) : strlen(rest));

	c->base = str_format("http://localhost%s", colon ? colon + 1 : "");
	if (!path || !c->base || curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, path) != CURLE_OK)
		return err_set(e, ERR_SYSTEM, "out of memory");
	return 0;
}

static int set_vsock(struct rpc_client *c, const char *url, struct err *e)
{
	const char *rest = url + 8, *slash = strchrnul(rest, '/'),
		   *colon = memchr(rest, ':', (size_t)(slash - rest));
	uint64_t cid, port;

	if (!colon || !str_u64_n(rest, (size_t)(colon - rest), &cid) || cid > UINT32_MAX ||
	    !str_u64_n(colon + 1, (size_t)(slash - colon - 1), &port) || port > UINT32_MAX)
		return err_set(e, ERR_INPUT, "url %s: want vsock://CID:PORT/path", STR_QZ(url));
	c->vsock = true;
	c->cid = (uint32_t)cid;
	c->port = (uint32_t)port;
	c->base = str_format("http://127.0.0.1%s", slash);
	auto_free char *host = str_format("Host: %u:%u", c->cid, c->port);
	if (!c->base || !host || add_header(c, host))
		return err_set(e, ERR_SYSTEM, "out of memory");
	curl_easy_setopt(c->curl, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(c->curl, CURLOPT_OPENSOCKETDATA, c);
	curl_easy_setopt(c->curl, CURLOPT_SOCKOPTFUNCTION, on_opened);
	return 0;
}

static int set_url(struct rpc_client *c, const char *url, struct err *e)
{
	if (str_starts(url, "unix:"))
		return set_unix(c, url + 5, e);
	if (str_starts(url, "vsock://"))
		return set_vsock(c, url, e);
	if (!str_starts(url, "https://") && !str_starts(url, "http://"))
		return err_set(e, ERR_INPUT, "url %s: want https://, http://, unix: or vsock://",
			       STR_QZ(url));
	c->base = strdup(url);
	return c->base ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

static int on_progress(void *arg, curl_off_t total, curl_off_t now, curl_off_t out_total, curl_off_t out_now)
{
	(void)total, (void)now, (void)out_total, (void)out_now;
	return atomic_load((const atomic_bool *)arg);
}

static void set_tls(struct rpc_client *c)
{
	CURL *h = c->curl;
	long check = !c->o.tls && !c->o.insecure;

	curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, check);
	curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, check ? 2L : 0L);
	curl_easy_setopt(h, CURLOPT_SSL_SESSIONID_CACHE, 0L); // a resumed session would not be verified again
	if (c->o.ca_file)
		curl_easy_setopt(h, CURLOPT_CAINFO, c->o.ca_file);
	if (c->o.tls) {
		curl_easy_setopt(h, CURLOPT_SSL_CTX_FUNCTION, on_tls);
		curl_easy_setopt(h, CURLOPT_SSL_CTX_DATA, c);
	}
}

static void set_common(struct rpc_client *c)
{
	char agent[64]; // curl copies it
	CURL *h = c->curl;

	snprintf(agent, sizeof agent, "dstack/%s", version_text);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(h, CURLOPT_PROXY, ""); // nothing of the environment decides where evidence goes
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, (long)c->o.connect_s);
	curl_easy_setopt(h, CURLOPT_TIMEOUT, (long)c->o.timeout_s);
	curl_easy_setopt(h, CURLOPT_USERAGENT, agent);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, c->headers);
	if (c->o.stop) {
		curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
		curl_easy_setopt(h, CURLOPT_XFERINFODATA, (void *)(uintptr_t)c->o.stop);
	}
	set_tls(c);
}

struct rpc_client *rpc_client_new(const char *url, const struct rpc_client_opts *o, struct err *e)
{
	auto_rpc_client *c = calloc(1, sizeof *c);

	if (!c || rpc_client_setup() || !(c->curl = curl_easy_init())) {
		err_set(e, ERR_SYSTEM, "start the HTTP client");
		return NULL;
	}
	if (o)
		c->o = *o;
	if (!c->o.connect_s)
		c->o.connect_s = 5;
	if (!c->o.timeout_s)
		c->o.timeout_s = 60;
	if (c->o.tls && !str_starts(url, "https://")) { // the hook, which knows the peer, would never run
		err_code(e, ERR_DENIED, "rpc.not_tls", "url %s: want https://", STR_QZ(url));
		return NULL;
	}
	c->reply.max = c->o.reply_max ? c->o.reply_max : REPLY_MAX;
	if (set_url(c, url, e))
		return NULL;
	if ((c->o.header && add_header(c, c->o.header)) || add_header(c, "Expect:") ||
	    add_header(c, json_type)) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	size_t n = strlen(c->base);
	while (n && c->base[n - 1] == '/')
		c->base[--n] = 0;
	set_common(c);
	return TAKE(c);
}

void rpc_client_free(struct rpc_client *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->curl);
	curl_slist_free_all(c->headers);
	sb_free(&c->reply);
	sb_free(&c->body);
	free(c->url);
	free(c->base);
	free(c);
}

static int failure(struct rpc_client *c, CURLcode rc, const char *url, struct err *e)
{
	const struct err *why = c->hook.class                       ? &c->hook
				: c->o.reason && c->o.reason->class ? c->o.reason
								    : NULL;

	switch (rc) {
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_ABORTED_BY_CALLBACK:
		return err_code(e, ERR_AGAIN, "rpc.timeout", "call %s: no answer in time", url);
	case CURLE_WRITE_ERROR:
		return err_code(e, ERR_INPUT, "rpc.reply", "call %s: answer larger than %zu bytes", url,
				c->reply.max);
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		if (why) {
			*e = *why;
			return err_wrap(e, "call %s", url);
		}
		return err_code(e, ERR_UNTRUSTED, "rpc.tls", "call %s: %s", url, curl_easy_strerror(rc));
	default:
		if (c->hook.class)
			return err_code(e, ERR_AGAIN, "rpc.connect", "call %s: %s", url, c->hook.text);
		return err_code(e, ERR_AGAIN, "rpc.connect", "call %s: %s", url, curl_easy_strerror(rc));
	}
}

static void prepare(struct rpc_client *c, const char *url)
{
	sb_free(&c->reply);
	c->reply.max = c->o.reply_max ? c->o.reply_max : REPLY_MAX;
	c->hook = (struct err){ 0 };
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
}

static int outcome(struct rpc_client *c, CURLcode rc, const char *url, long *status, struct err *e)
{
	if (rc != CURLE_OK)
		return failure(c, rc, url, e);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, status);
	return 0;
}

// One exchange. The answer's body is in c->reply unless it is streamed.
static int perform(struct rpc_client *c, const char *url, long *status, struct err *e)
{
	prepare(c, url);
	return outcome(c, curl_easy_perform(c->curl), url, status, e);
}

// What the peer said, printable: the text of {"error": "...", "code": "..."}, or the start of the body.
static int refused(struct rpc_client *c, long status, const char *method, struct err *e)
{
	struct json v, member;
	char text[ERROR_TEXT] = "", code[sizeof e->code] = "";
	enum err_class class = status == 401 || status == 403 ? ERR_DENIED
			       : status == 404                ? ERR_ABSENT
			       : status == 503                ? ERR_AGAIN
							      : ERR_INPUT;

	if (!json_parse(&v, span_of(c->reply.p, c->reply.n), NULL)) {
		if (json_get(v, "error", &member) && json_cstr(member, text, sizeof text))
			text[0] = 0;
		if (json_get(v, "code", &member) && json_cstr(member, code, sizeof code))
			code[0] = 0;
	}
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	for (const char *p = code; *p; p++)
		if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') && *p != '.' && *p != '_')
			code[0] = 0;
	if (!*text)
		snprintf(text, sizeof text, "HTTP status %ld, body %s", status,
			 STR_Q(c->reply.p, c->reply.n));
	return err_code(e, class, code, "%s: %s", method, text);
}

int rpc_client_begin(struct rpc_client *c, const char *method, const ProtobufCMessage *in, struct err *e)
{
	free(c->url);
	sb_free(&c->body);
	c->method = method;
	c->url = str_format("%s/%s?json", c->base, method);
	if (in)
		pbjson_write(&c->body, in);
	else
		sb_str(&c->body, "null");
	if (!c->url || c->body.bad)
		return err_set(e, ERR_SYSTEM, "call %s: out of memory", method);
	curl_easy_setopt(c->curl, CURLOPT_POST, 1L);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body.n);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, c->body.p);
	prepare(c, c->url);
	return 0;
}

int rpc_client_end(struct rpc_client *c, CURLcode rc, const ProtobufCMessageDescriptor *d, struct arena *a,
		   void **out, struct err *e)
{
	long status = 0;

	if (outcome(c, rc, c->url, &status, e))
		return -1;
	if (status != 200)
		return refused(c, status, c->method, e);
	if (!d)
		return 0;
	*out = pbjson_read(d, span_of(c->reply.p, c->reply.n), a, e);
	return *out ? 0 : err_wrap(e, "answer of %s", c->method);
}

int rpc_client_call(struct rpc_client *c, const char *method, const ProtobufCMessage *in,
		    const ProtobufCMessageDescriptor *d, struct arena *a, void **out, struct err *e)
{
	if (rpc_client_begin(c, method, in, e))
		return -1;
	int rc = rpc_client_end(c, curl_easy_perform(c->curl), d, a, out, e);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, NULL);
	sb_free(&c->body);
	return rc;
}

static int plain(struct rpc_client *c, const char *path, struct arena *a, int *status, struct span *body,
		 struct err *e)
{
	auto_free char *url = str_format("%s%s", c->base, path);
	long code = 0;

	if (!url)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (perform(c, url, &code, e))
		return -1;
	void *copy = arena_dup(a, c->reply.p, c->reply.n);
	if (!copy)
		return err_set(e, ERR_SYSTEM, "answer of %s: out of memory", path);
	*status = (int)code;
	*body = span_of(copy, c->reply.n);
	return 0;
}

int rpc_client_get(struct rpc_client *c, const char *path, struct arena *a, int *status, struct span *body,
		   struct err *e)
{
	curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
	return plain(c, path, a, status, body, e);
}

int rpc_client_post(struct rpc_client *c, const char *path, const char *type, struct span data,
		    struct arena *a, int *status, struct span *body, struct err *e)
{
	auto_free char *line = str_format("Content-Type: %s", type);
	struct curl_slist *with = NULL;

	for (const struct curl_slist *h = c->headers; line && h; h = h->next) {
		if (!strcmp(h->data, json_type))
			continue;
		struct curl_slist *more = curl_slist_append(with, h->data);
		if (!more)
			break;
		with = more;
	}
	struct curl_slist *all = line ? curl_slist_append(with, line) : NULL;
	if (!all) {
		curl_slist_free_all(with);
		return err_set(e, ERR_SYSTEM, "out of memory");
	}
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, all);
	curl_easy_setopt(c->curl, CURLOPT_POST, 1L);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)data.n);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, data.n ? (const char *)data.p : "");
	int rc = plain(c, path, a, status, body, e);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
	curl_slist_free_all(all);
	return rc;
}

const char *rpc_client_header(const struct rpc_client *c, const char *name)
{
	struct curl_header *h = NULL;

	if (curl_easy_header(c->curl, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return "";
	return h->value;
}

int rpc_client_stream(struct rpc_client *c, const char *path, int (*fn)(void *arg, const char *p, size_t n),
		      void *arg, struct err *e)
{
	auto_free char *url = str_format("%s%s", c->base, path);
	long status = 0;

	if (!url)
		return err_set(e, ERR_SYSTEM, "out of memory");
	curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, 0L);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, (long)c->o.timeout_s);
	c->piece = fn;
	c->piece_arg = arg;
	int rc = perform(c, url, &status, e);
	c->piece = NULL;
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, (long)c->o.timeout_s);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_LIMIT, 0L);
	if (rc && !strcmp(e->code, "rpc.reply"))
		return 0; // `fn` ended it
	if (!rc && status != 200)
		return err_code(e, status == 404 ? ERR_ABSENT : ERR_INPUT, "rpc.status",
				"%s: HTTP status %ld", path, status);
	return rc;
}
