#ifndef _GNU_SOURCE
#define _GNU_SOURCE // explicit_bzero
#endif
#include "dstack.h"
#include "answer.h"
#include "request.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUEST_MAX (10u << 20) // the agent takes no more
#define ANSWER_MAX  (16u << 20)
#define TIMEOUT_MS  30000L
#define COUNT(a)    (sizeof(a) / sizeof *(a))

static const char *const SOCKETS[] = { "/var/run/dstack.sock", "/run/dstack.sock",
				       "/var/run/dstack/dstack.sock", "/run/dstack/dstack.sock" };

struct dstack {
	CURL *curl;
	struct curl_slist *headers;
	char base[300]; // no slash at the end
	bool is_new;    // Version was answered: 0.5.7 or newer
};

static int fail(struct dstack_error *e, enum dstack_status s, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct dstack_error *e, enum dstack_status s, const char *fmt, ...)
{
	va_list ap;

	*e = (struct dstack_error){ .status = s };
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	return -1;
}

static int add_text(struct dstack_buffer *b, const char *name, const char *s, struct dstack_error *e)
{
	return dstack_put_text(b, name, s) ? 0 : fail(e, DSTACK_ARGUMENT, "%s is not UTF-8", name);
}

static size_t on_data(char *p, size_t one, size_t n, void *to)
{
	struct dstack_buffer *b = to;

	dstack_put(b, p, one * n);
	return b->over || b->no_memory ? 0 : one * n;
}

static int unsent(struct dstack_error *e, CURLcode r, const struct dstack_buffer *answer, const char *method)
{
	if (answer->over)
		return fail(e, DSTACK_ANSWER, "%s: the answer is larger than %u bytes", method, ANSWER_MAX);
	if (answer->no_memory || r == CURLE_OUT_OF_MEMORY)
		return fail(e, DSTACK_MEMORY, "%s: %s", method, dstack_no_memory);
	if (r == CURLE_UNSUPPORTED_PROTOCOL || r == CURLE_WEIRD_SERVER_REPLY)
		return fail(e, DSTACK_ANSWER, "%s: the answer is not HTTP/1.1", method);
	return fail(e, r == CURLE_OPERATION_TIMEDOUT ? DSTACK_TIMEOUT : DSTACK_UNREACHABLE, "%s: %s", method,
		    curl_easy_strerror(r));
}

// The text of a peer, made fit for a log line and cut between characters.
static void copy_plain(char *to, size_t size, const char *s)
{
	size_t n = strlen(s);

	if (n >= size)
		for (n = size - 1; n && ((unsigned char)s[n] & 0xc0) == 0x80;)
			n--;
	for (size_t i = 0; i < n; i++)
		to[i] = (unsigned char)s[i] < 0x20 || s[i] == 0x7f ? ' ' : s[i];
	to[n] = 0;
}

static int refused(struct dstack_error *e, long http, const struct dstack_buffer *answer, const char *method)
{
	const char *why;
	char *text = NULL, *code = NULL;
	struct dstack_answer_field f[] = { { "error", ANSWER_TEXT, &text, false, false },
					   { "code", ANSWER_TEXT, &code, true, false } };

	*e = (struct dstack_error){ .status = DSTACK_REFUSED, .http = http };
	if (!dstack_answer_read(answer->p ? answer->p : "", answer->n, f, COUNT(f), &why)) {
		copy_plain(e->text, sizeof e->text, text);
		copy_plain(e->code, sizeof e->code, code);
	} else {
		snprintf(e->text, sizeof e->text, "%s: HTTP status %ld", method, http);
	}
	dstack_answer_text_free(&text);
	dstack_answer_text_free(&code);
	return -1;
}

static CURLcode exchange(struct dstack *c, const char *method, const struct dstack_buffer *body,
			 struct dstack_buffer *answer, long *http)
{
	char url[sizeof c->base + 40];
	CURLcode r;

	snprintf(url, sizeof url, "%s/%s", c->base, method);
	if ((r = curl_easy_setopt(c->curl, CURLOPT_URL, url)))
		return r;
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body->p);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE, (long)body->n);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, answer);
	// On a fresh connection libcurl never sends twice; an event must not be there twice.
	curl_easy_setopt(c->curl, CURLOPT_FRESH_CONNECT, strcmp(method, "EmitEvent") ? 0L : 1L);
	r = curl_easy_perform(c->curl);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, http);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, NULL);
	return r;
}

// Send `{` + what is in body + `}`, read the fields of the answer; no fields: the answer does not matter.
// Frees body.
static int call(struct dstack *c, const char *method, struct dstack_buffer *body,
		struct dstack_answer_field *f, size_t count, struct dstack_error *e)
{
	struct dstack_buffer answer = { .max = ANSWER_MAX };
	const char *why = NULL;
	long http = 0;
	int ret = 0;

	*e = (struct dstack_error){ 0 };
	dstack_put_str(body, "}");
	if (body->over || body->no_memory) {
		ret = body->over ? fail(e, DSTACK_ARGUMENT, "%s: arguments larger than %u bytes", method,
					REQUEST_MAX)
				 : fail(e, DSTACK_MEMORY, "%s: %s", method, dstack_no_memory);
		dstack_buffer_free(body);
		return ret;
	}
	const CURLcode r = exchange(c, method, body, &answer, &http);
	dstack_buffer_free(body);
	if (r)
		ret = unsent(e, r, &answer, method);
	else if (http != 200)
		ret = refused(e, http, &answer, method);
	else if (count && dstack_answer_read(answer.p ? answer.p : "", answer.n, f, count, &why))
		ret = fail(e, why == dstack_no_memory ? DSTACK_MEMORY : DSTACK_ANSWER,
			   "%s: the answer cannot be read: %s", method, why);
	dstack_buffer_free(&answer);
	return ret;
}

static struct dstack_buffer request(void)
{
	struct dstack_buffer b = { .max = REQUEST_MAX };

	dstack_put_str(&b, "{");
	return b;
}

static int endpoint_read(const char *s, char base[300], const char **path, struct dstack_error *e)
{
	size_t n;

	*path = NULL;
	if (!strncmp(s, "http://", 7) || !strncmp(s, "https://", 8)) {
		for (n = strlen(s); n && s[n - 1] == '/';)
			n--;
		if (n >= 300 || n < 8)
			return fail(e, DSTACK_ARGUMENT,
				    "the endpoint is no address, or longer than 299 bytes");
		snprintf(base, 300, "%.*s", (int)n, s);
		return 0;
	}
	*path = strncmp(s, "unix:", 5) ? s : s + 5;
	if (access(*path, F_OK))
		return fail(e, DSTACK_UNREACHABLE, "there is no socket %s: is it mounted into the container?",
			    *path);
	snprintf(base, 300, "http://dstack");
	return 0;
}

static const char *endpoint_default(void)
{
	const char *env = getenv("DSTACK_SIMULATOR_ENDPOINT");

	if (env && *env)
		return env;
	for (size_t i = 0; i < COUNT(SOCKETS); i++)
		if (!access(SOCKETS[i], F_OK))
			return SOCKETS[i];
	return SOCKETS[0];
}

static bool set_up(struct dstack *c, const char *path)
{
	struct curl_slist *more;

	if (!(c->curl = curl_easy_init()) ||
	    !(c->headers = curl_slist_append(NULL, "Content-Type: application/json")) ||
	    !(more = curl_slist_append(c->headers, "Expect:")))
		return false;
	c->headers = more;
	return !curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers) &&
	       !curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https") &&
	       !curl_easy_setopt(c->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
	       !curl_easy_setopt(c->curl, CURLOPT_PROXY, "") &&
	       !curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L) &&
	       !curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_data) &&
	       !curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS) &&
	       !curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, path);
}

struct dstack *dstack_open(const char *endpoint, struct dstack_error *e)
{
	char base[300];
	const char *path;
	struct dstack *c;

	*e = (struct dstack_error){ 0 };
	if (endpoint_read(endpoint ? endpoint : endpoint_default(), base, &path, e))
		return NULL;
	if (!(c = calloc(1, sizeof *c)) || !set_up(c, path)) {
		fail(e, DSTACK_MEMORY, "open: %s", dstack_no_memory);
		dstack_close(c);
		return NULL;
	}
	memcpy(c->base, base, sizeof base);
	return c;
}

void dstack_close(struct dstack *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->curl);
	curl_slist_free_all(c->headers);
	free(c);
}

void dstack_set_timeout_ms(struct dstack *c, long ms)
{
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, ms < 1 ? 1L : ms > 3600000 ? 3600000L : ms);
}

// Agents before 0.5.7 pass over arguments that they do not know, and would answer something else than was
// asked.
static int need_new(struct dstack *c, struct dstack_error *e)
{
	struct dstack_version v;

	if (c->is_new)
		return 0;
	if (dstack_version(c, &v, e)) {
		if (e->status == DSTACK_REFUSED)
			snprintf(e->text, sizeof e->text,
				 "the OS is too old for this: 0.5.7 or newer is needed");
		return -1;
	}
	dstack_version_free(&v);
	return 0;
}

int dstack_get_key(struct dstack *c, const char *path, const char *purpose, const char *algorithm,
		   struct dstack_key *out, struct dstack_error *e)
{
	const char *a = algorithm && *algorithm ? algorithm : "secp256k1";
	struct dstack_bytes key = { 0 };
	struct dstack_answer_field f[] = { { "key", ANSWER_HEX, &key, false, false },
					   { "signature_chain", ANSWER_HEXES, &out->chain, false, false } };

	*out = (struct dstack_key){ 0 };
	if (strcmp(a, "secp256k1") && strcmp(a, "k256") && need_new(c, e))
		return -1;
	struct dstack_buffer b = request();
	if (add_text(&b, "path", path, e) || add_text(&b, "purpose", purpose, e) ||
	    add_text(&b, "algorithm", a, e)) {
		dstack_buffer_free(&b);
		return -1;
	}
	int ret = call(c, "GetKey", &b, f, COUNT(f), e);
	if (!ret && key.len != sizeof out->key)
		ret = fail(e, DSTACK_ANSWER, "GetKey: a key of %zu bytes instead of 32", key.len);
	if (!ret)
		memcpy(out->key, key.data, sizeof out->key);
	else
		dstack_key_free(out);
	dstack_bytes_free(&key);
	return ret;
}

void dstack_key_free(struct dstack_key *k)
{
	explicit_bzero(k->key, sizeof k->key);
	dstack_answer_list_free(&k->chain);
}

static int tls_request(struct dstack_buffer *b, const struct dstack_tls_options *o, struct dstack_error *e)
{
	if (add_text(b, "subject", o->subject, e))
		return -1;
	dstack_put_name(b, "alt_names");
	dstack_put_str(b, "[");
	for (size_t i = 0; i < o->alt_names_count; i++) {
		const char *s = o->alt_names[i];
		if (!s || !dstack_answer_is_utf8(s, strlen(s)))
			return fail(e, DSTACK_ARGUMENT, "alt_names[%zu] is not UTF-8", i);
		dstack_put_str(b, i ? "," : "");
		dstack_put_quoted(b, s);
	}
	dstack_put_str(b, "]");
	dstack_put_bool(b, "usage_ra_tls", o->usage_ra_tls);
	dstack_put_bool(b, "usage_server_auth", o->usage_server_auth);
	dstack_put_bool(b, "usage_client_auth", o->usage_client_auth);
	dstack_put_bool(b, "with_app_info", o->with_app_info);
	dstack_put_time(b, "not_before", o->not_before);
	dstack_put_time(b, "not_after", o->not_after);
	return 0;
}

int dstack_get_tls_key(struct dstack *c, const struct dstack_tls_options *o, struct dstack_tls_key *out,
		       struct dstack_error *e)
{
	struct dstack_answer_field f[] = { { "key", ANSWER_TEXT, &out->key, false, false },
					   { "certificate_chain", ANSWER_TEXTS, &out->chain, false, false } };

	*out = (struct dstack_tls_key){ 0 };
	if ((o->not_before || o->not_after || o->with_app_info) && need_new(c, e))
		return -1;
	struct dstack_buffer b = request();
	if (tls_request(&b, o, e)) {
		dstack_buffer_free(&b);
		return -1;
	}
	int ret = call(c, "GetTlsKey", &b, f, COUNT(f), e);
	if (!ret && (!*out->key || !out->chain.count))
		ret = fail(e, DSTACK_ANSWER, "GetTlsKey: no key or no certificate in the answer");
	if (ret)
		dstack_tls_key_free(out);
	return ret;
}

void dstack_tls_key_free(struct dstack_tls_key *k)
{
	dstack_answer_text_free(&k->key);
	dstack_answer_texts_free(&k->chain);
}

static int report_data_check(size_t len, struct dstack_error *e)
{
	return len <= 64 ? 0
			 : fail(e, DSTACK_ARGUMENT, "report data of %zu bytes; at most 64 fit into a quote",
				len);
}

int dstack_get_quote(struct dstack *c, const void *report_data, size_t len, struct dstack_quote *out,
		     struct dstack_error *e)
{
	struct dstack_answer_field f[] = { { "quote", ANSWER_HEX, &out->quote, false, false },
					   { "event_log", ANSWER_TEXT, &out->event_log, false, false },
					   { "vm_config", ANSWER_TEXT, &out->vm_config, true, false },
					   { "report_data", ANSWER_HEX, &out->report_data, true, false },
					   { "attestation", ANSWER_HEX, &out->attestation, true, false } };

	*out = (struct dstack_quote){ 0 };
	if (report_data_check(len, e))
		return -1;
	struct dstack_buffer b = request();
	dstack_put_hex(&b, "report_data", report_data, len);
	const int ret = call(c, "GetQuote", &b, f, COUNT(f), e);
	if (ret)
		dstack_quote_free(out);
	return ret;
}

void dstack_quote_free(struct dstack_quote *q)
{
	dstack_bytes_free(&q->quote);
	dstack_answer_text_free(&q->event_log);
	dstack_answer_text_free(&q->vm_config);
	dstack_bytes_free(&q->report_data);
	dstack_bytes_free(&q->attestation);
}

int dstack_attest(struct dstack *c, const void *report_data, size_t len, struct dstack_bytes *out,
		  struct dstack_error *e)
{
	struct dstack_answer_field f[] = { { "attestation", ANSWER_HEX, out, false, false } };

	*out = (struct dstack_bytes){ 0 };
	if (report_data_check(len, e))
		return -1;
	struct dstack_buffer b = request();
	dstack_put_hex(&b, "report_data", report_data, len);
	const int ret = call(c, "Attest", &b, f, COUNT(f), e);
	if (ret)
		dstack_bytes_free(out);
	return ret;
}

int dstack_info(struct dstack *c, struct dstack_info *out, struct dstack_error *e)
{
	struct dstack_answer_field f[] = {
		{ "app_id", ANSWER_HEX, &out->app_id, false, false },
		{ "instance_id", ANSWER_HEX, &out->instance_id, true, false },
		{ "device_id", ANSWER_HEX, &out->device_id, true, false },
		{ "mr_aggregated", ANSWER_HEX, &out->mr_aggregated, true, false },
		{ "os_image_hash", ANSWER_HEX, &out->os_image_hash, true, false },
		{ "compose_hash", ANSWER_HEX, &out->compose_hash, true, false },
		{ "app_name", ANSWER_TEXT, &out->app_name, true, false },
		{ "app_cert", ANSWER_TEXT, &out->app_cert, true, false },
		{ "tcb_info", ANSWER_TEXT, &out->tcb_info, true, false },
		{ "key_provider_info", ANSWER_TEXT, &out->key_provider_info, true, false },
		{ "vm_config", ANSWER_TEXT, &out->vm_config, true, false },
		{ "cloud_vendor", ANSWER_TEXT, &out->cloud_vendor, true, false },
		{ "cloud_product", ANSWER_TEXT, &out->cloud_product, true, false },
	};
	struct dstack_buffer b = request();

	*out = (struct dstack_info){ 0 };
	const int ret = call(c, "Info", &b, f, COUNT(f), e);
	if (ret)
		dstack_info_free(out);
	return ret;
}

void dstack_info_free(struct dstack_info *i)
{
	dstack_bytes_free(&i->app_id);
	dstack_bytes_free(&i->instance_id);
	dstack_bytes_free(&i->device_id);
	dstack_bytes_free(&i->mr_aggregated);
	dstack_bytes_free(&i->os_image_hash);
	dstack_bytes_free(&i->compose_hash);
	dstack_answer_text_free(&i->app_name);
	dstack_answer_text_free(&i->app_cert);
	dstack_answer_text_free(&i->tcb_info);
	dstack_answer_text_free(&i->key_provider_info);
	dstack_answer_text_free(&i->vm_config);
	dstack_answer_text_free(&i->cloud_vendor);
	dstack_answer_text_free(&i->cloud_product);
}

int dstack_sign(struct dstack *c, const char *algorithm, const void *data, size_t len,
		struct dstack_signature *out, struct dstack_error *e)
{
	struct dstack_answer_field f[] = { { "signature", ANSWER_HEX, &out->signature, false, false },
					   { "public_key", ANSWER_HEX, &out->public_key, false, false },
					   { "signature_chain", ANSWER_HEXES, &out->chain, false, false } };
	struct dstack_buffer b = request();

	*out = (struct dstack_signature){ 0 };
	if (add_text(&b, "algorithm", algorithm, e)) {
		dstack_buffer_free(&b);
		return -1;
	}
	dstack_put_hex(&b, "data", data, len);
	const int ret = call(c, "Sign", &b, f, COUNT(f), e);
	if (ret)
		dstack_signature_free(out);
	return ret;
}

void dstack_signature_free(struct dstack_signature *s)
{
	dstack_bytes_free(&s->signature);
	dstack_bytes_free(&s->public_key);
	dstack_answer_list_free(&s->chain);
}

int dstack_verify(struct dstack *c, const struct dstack_verify_args *a, bool *valid, struct dstack_error *e)
{
	bool answer = false;
	struct dstack_answer_field f[] = { { "valid", ANSWER_BOOL, &answer, false, false } };
	struct dstack_buffer b = request();

	*valid = false;
	if (add_text(&b, "algorithm", a->algorithm, e)) {
		dstack_buffer_free(&b);
		return -1;
	}
	dstack_put_hex(&b, "data", a->data, a->data_len);
	dstack_put_hex(&b, "signature", a->signature, a->signature_len);
	dstack_put_hex(&b, "public_key", a->public_key, a->public_key_len);
	const int ret = call(c, "Verify", &b, f, COUNT(f), e);
	*valid = !ret && answer;
	return ret;
}

int dstack_version(struct dstack *c, struct dstack_version *out, struct dstack_error *e)
{
	struct dstack_answer_field f[] = { { "version", ANSWER_TEXT, &out->version, false, false },
					   { "rev", ANSWER_TEXT, &out->rev, true, false } };
	struct dstack_buffer b = request();

	*out = (struct dstack_version){ 0 };
	const int ret = call(c, "Version", &b, f, COUNT(f), e);
	if (ret)
		dstack_version_free(out);
	else
		c->is_new = true;
	return ret;
}

void dstack_version_free(struct dstack_version *v)
{
	dstack_answer_text_free(&v->version);
	dstack_answer_text_free(&v->rev);
}

int dstack_gpu_info(struct dstack *c, char **attestation, struct dstack_error *e)
{
	struct dstack_answer_field f[] = { { "attestation", ANSWER_TEXT, attestation, false, false } };
	struct dstack_buffer b = request();

	*attestation = NULL;
	const int ret = call(c, "GpuInfo", &b, f, COUNT(f), e);
	if (ret)
		dstack_text_free(attestation);
	return ret;
}

void dstack_text_free(char **text)
{
	dstack_answer_text_free(text);
}

int dstack_emit_event(struct dstack *c, const char *event, const void *payload, size_t len,
		      struct dstack_error *e)
{
	struct dstack_buffer b = request();

	if (add_text(&b, "event", event, e)) {
		dstack_buffer_free(&b);
		return -1;
	}
	dstack_put_hex(&b, "payload", payload, len);
	return call(c, "EmitEvent", &b, NULL, 0, e);
}
