#include "agentcall.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../../../guest/simulator/fixture.h"
#include "agent.h"
#include "cert.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "core/codec/base64.h"
#include "core/codec/json.h"
#include "guestapi.h"
#include "external.h"
#include "prpc.pb-c.h"
#include "rpc/server_impl.h"

enum { METHODS_MAX = 32, SECRETS_MAX = 8, KEY = 32, PKCS8_AT = 36, BASE64_KEY = 42, PEM_LINE = 64 };

static const uint64_t BASE = 0x100000001b3; // of the rolling hash

static struct keyring keyring;
static struct custody custody;
static struct agent agent = { .lock = PTHREAD_MUTEX_INITIALIZER };
static struct fixture fixture;
static struct guest_side side;
static struct external external;
static struct rpc_server *server;
static const struct rpc_method *methods[METHODS_MAX];
static size_t methods_n;
static const char *const *mounts; // before the method's name
static unsigned mounts_n;

// What no answer may hold. Known by a hash alone: whatever is compared with it, a fuzzer would learn a secret
// from the comparison and send it in a request that is echoed.
static struct secret_form {
	const char *what;
	size_t n;
	bool any_case;
	uint64_t hash;
} forms[SECRETS_MAX];
static size_t forms_n;

static void must(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "agentcall: %s\n", what);
		abort();
	}
}

static void add(const struct rpc_method *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		must(methods_n < METHODS_MAX, "too many methods");
		methods[methods_n++] = &m[i];
	}
}

static void read_files(void)
{
	struct err e = { 0 };
	auto_free char *keys = NULL;
	struct key_file file;
	size_t n = 0;

	agent.custody = &custody;
	must(!app_files_read(SIMULATOR_FILES "/app-compose.json", SIMULATOR_FILES "/sys-config.json",
			     &agent.app, &e) &&
		     !file_read(SIMULATOR_FILES "/appkeys.json", KEYS_MAX, &keys, &n, &e) &&
		     !key_file_parse("keys", keys, n, &file, &e) &&
		     !custody_here(&custody, &keyring, &file, &agent.keys, &e) && !cert_open(&agent, &e) &&
		     !fixture_read(&fixture, SIMULATOR_FILES "/attestation.bin", true, &e),
	     e.text);
	agent.source = &fixture.source;
	agent.emit_event = true; // as far as it goes without a TEE: names and the log's state
	agent.cloud_vendor = agent.cloud_product = "";
	atomic_store(&agent.powering_off, true); // Shutdown is answered, this machine stays on
	side = (struct guest_side){ .agent = &agent, .root = "", .engine = "" };
}

static uint64_t roll(const uint8_t *p, size_t n, bool any_case)
{
	uint64_t h = 0;

	for (size_t i = 0; i < n; i++)
		h = h * BASE + (uint64_t)(any_case ? tolower(p[i]) : p[i]) + 1;
	return h;
}

static void forbid(const char *what, const void *p, size_t n, bool any_case)
{
	must(forms_n < SECRETS_MAX, "too many secrets");
	forms[forms_n++] = (struct secret_form){ what, n, any_case, roll(p, n, any_case) };
}

static void forbid_key(const uint8_t key[static KEY])
{
	char hex[2 * KEY + 1], b64[64];
	struct wr w = wr_to(b64, sizeof b64);

	hex_encode(hex, key, KEY);
	wr_base64(&w, span_of(key, KEY));
	forbid("a root key", key, KEY, false);
	forbid("a root key in hex", hex, 2 * KEY, true);
	forbid("a root key in base64", b64, BASE64_KEY, false);
}

// From the key file itself and not from what the agent made of it.
static void read_secrets(void)
{
	auto_free char *text = NULL;
	struct json all, v, provider;
	struct err e = { 0 };
	char pem[1024] = "", body[1024], *line = pem;
	uint8_t key[KEY], der[256];
	struct wr w = wr_to(der, sizeof der);
	size_t n = 0, kept = 0;

	must(!file_read(SIMULATOR_FILES "/appkeys.json", KEYS_MAX, &text, &n, &e), e.text);
	must(!json_parse(&all, span_of(text, n), NULL) && json_get(all, "k256_key", &v) &&
		     !json_hex(v, key, KEY),
	     "k256_key");
	forbid_key(key);
	must(json_get(all, "key_provider", &v) && json_get(v, "None", &provider) &&
		     json_get(provider, "key", &v) && !json_cstr(v, pem, sizeof pem) &&
		     (line = strchr(pem, '\n')) && strlen(++line) > 2 * PEM_LINE,
	     "the CA key");
	forbid("the CA key's PEM", line, PEM_LINE, false);
	for (const char *p = line; *p != '-'; p++)
		if (!isspace((unsigned char)*p))
			body[kept++] = *p;
	must(!base64_decode(&w, span_of(body, kept)) && w.n > PKCS8_AT + KEY, "the CA key's text");
	forbid_key(der + PKCS8_AT);
}

static bool holds(const struct sb *in, const struct secret_form *f)
{
	const uint8_t *p = (const uint8_t *)in->p;
	uint64_t top = 1, h;

	if (in->n < f->n)
		return false;
	for (size_t i = 1; i < f->n; i++)
		top *= BASE;
	h = roll(p, f->n, f->any_case);
	for (size_t i = f->n; h != f->hash && i < in->n; i++) {
		uint64_t out = (uint64_t)(f->any_case ? tolower(p[i - f->n]) : p[i - f->n]) + 1;
		h = (h - out * top) * BASE + (uint64_t)(f->any_case ? tolower(p[i]) : p[i]) + 1;
	}
	return h == f->hash;
}

void agent_call_setup(enum agent_service service)
{
	static const char *const dstack[] = { "/", "/DstackGuest.", "/prpc/", "/prpc/DstackGuest." };
	static const char *const tappd[] = { "/prpc/Tappd.", "/prpc/", "/", "/Tappd.Tappd." };
	static const char *const worker[] = { "/prpc/Worker.", "/prpc/" };
	static const char *const guest[] = { "/api/", "/api/GuestApi." };
	static const struct {
		const char *const *mount;
		unsigned n;
	} all[] = { { dstack, 4 }, { tappd, 4 }, { worker, 2 }, { guest, 2 } };

	log_setup(false, LOG_LEVEL_ERROR);
	setenv("DSTACK_RUNTIME_LOG_DIR", "/nonexistent", 1);
	read_files();
	read_secrets();
	mounts = all[service].mount;
	mounts_n = all[service].n;
	struct event_base *base = event_base_new();
	server = rpc_server_new(base);
	side.containers = containers_new(base, "", 1);
	must(server && side.containers, "out of memory");
	external.outside = outside_here(base, &side);
	rpc_server_gate(server, service == AGENT_GUEST ? guest_gate : NULL, NULL);
	switch (service) {
	case AGENT_DSTACK:
		must(!mount_internal(server, &agent), "mount");
		add(dstack_methods, dstack_methods_n);
		add(emit_methods, emit_methods_n);
		break;
	case AGENT_TAPPD:
		must(!mount_tappd(server, &agent), "mount");
		add(tappd_methods, tappd_methods_n);
		break;
	case AGENT_WORKER:
		must(!external_mount(server, &external), "mount");
		add(worker_methods, worker_methods_n);
		break;
	case AGENT_GUEST:
		must(!rpc_server_mount(server, "/api", "GuestApi.", guest_methods, guest_methods_n, &side),
		     "mount");
		add(guest_methods, guest_methods_n);
		break;
	}
}

size_t agent_call_methods(void)
{
	return methods_n;
}

const struct rpc_method *agent_call_method(size_t i)
{
	return methods[i];
}

// What is sent: false if the bytes cannot stand in a request of this form.
static bool request(struct sb *out, const char *mount, const char *method, enum agent_form form,
		    const void *p, size_t n)
{
	if (form == FORM_GET) {
		for (size_t i = 0; i < n; i++)
			if (((const uint8_t *)p)[i] <= ' ' || ((const uint8_t *)p)[i] >= 127)
				return false;
		sb_fmt(out, "GET %s%s?", mount, method);
		sb_put(out, p, n);
		sb_str(out, " HTTP/1.1\r\nHost: x\r\n\r\n");
		return out->n < HTTP_HEAD_MAX;
	}
	sb_fmt(out, "POST %s%s%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n", mount, method,
	       form == FORM_JSON_QUERY ? "?json" : "",
	       form == FORM_JSON ? "Content-Type: application/json\r\n" : "", n);
	sb_put(out, p, n);
	return true;
}

// Sends, half-closes and reads until the server has closed.
static void carry(const struct sb *out, struct sb *in)
{
	char b[65536];
	ssize_t r = -1;
	int f[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, f) &&
		     !http_adopt(&server->http, f[0], NULL),
	     "no connection");
	must(send(f[1], out->p, out->n, MSG_NOSIGNAL) == (ssize_t)out->n && !shutdown(f[1], SHUT_WR),
	     "the request does not fit a socket");
	for (int i = 0; i < 10000 && r; i++) {
		// A worker's end, or the connection's own timer, wakes the loop.
		event_base_loop(server->http.base, i < 8 ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
		while ((r = recv(f[1], b, sizeof b, 0)) > 0)
			sb_put(in, b, (size_t)r);
	}
	close(f[1]);
	for (int i = 0; i < 5 && server->http.conns; i++)
		event_base_loop(server->http.base, EVLOOP_NONBLOCK);
	must(!r && !server->http.conns && !server->calls, "the connection or the call is still there");
	must(!in->bad, "an answer without end");
	for (size_t i = 0; i < forms_n; i++)
		must(!holds(in, &forms[i]), forms[i].what);
}

static int split(const struct sb *in, struct span *body, bool *json)
{
	static const char length[] = "\r\nContent-Length: ";
	const char *head = memmem(in->p, in->n, "\r\n\r\n", 4);
	int status = 0;

	must(head && sscanf(in->p, "HTTP/1.1 %d ", &status) == 1, "no head");
	size_t n = (size_t)(head - in->p) + 2; // the last line's end as well
	const char *at = memmem(in->p, n, length, sizeof length - 1);
	must(at && !memmem(at + 2, n - (size_t)(at + 2 - in->p), length, sizeof length - 1),
	     "not one length");
	must(!memmem(in->p, n, "\r\nTransfer-Encoding", 19), "a chunked answer");
	*json = memmem(in->p, n, "\r\nContent-Type: application/json\r\n", 34) != NULL;
	must(*json || memmem(in->p, n, "\r\nContent-Type: application/octet-stream\r\n", 42), "another type");
	*body = span_of(head + 4, in->n - (size_t)(head + 4 - in->p));
	must(body->n == strtoul(at + sizeof length - 1, NULL, 10), "another length");
	return status;
}

static void check_json(struct span s)
{
	struct json v;

	for (size_t i = 0; i < s.n; i++)
		must(s.p[i] < 127, "JSON beyond ASCII");
	must(!json_parse(&v, s, NULL), "malformed JSON");
}

static void check_protobuf(const ProtobufCMessageDescriptor *d, struct span s)
{
	auto_arena *a = arena_new(0);
	struct err e = { 0 };

	must(a && pb_read(d, s, a, &e), "an answer that is no message of its type");
}

int agent_call(const struct rpc_method *m, unsigned mount, enum agent_form form, const void *p, size_t n,
	       struct sb *in, struct span *body)
{
	auto_sb out = { 0 };
	bool json;

	if (!request(&out, mounts[mount % mounts_n], m->name, form, p, n))
		return 0;
	carry(&out, in);
	must(in->n, "no answer");
	int status = split(in, body, &json);
	must(status == 200 || status == 400 || status == 429, "another status");
	must(json == (form != FORM_PROTOBUF), "not the request's encoding");
	if (json)
		check_json(*body);
	else
		check_protobuf(status == 200 ? m->out : &prpc__error__descriptor, *body);
	return status;
}

void agent_stream(const void *p, size_t n)
{
	auto_sb out = { 0 }, in = { 0 };
	int status = 0;

	sb_put(&out, p, n);
	carry(&out, &in);
	must(!in.n || (sscanf(in.p, "HTTP/1.1 %d ", &status) == 1 && status >= 200 && status < 600 &&
		       memmem(in.p, in.n, "\r\n\r\n", 4)),
	     "what came is no answer");
}
