// Golden bytes: every message of proto/guest.proto, host.proto and kms.proto, in both encodings, as an
// encoder that shares no code with ours wrote them (tests/vectors/README.md), over the wire and across.
#include "wire.h"
#include "base/strings.h"
#include "core/codec/json.h"

static char *text_of(struct json object, const char *name)
{
	struct json v;
	char *s = NULL;

	if (json_get(object, name, &v) && (s = calloc(1, json_string_size(v) + 1)))
		assert_int_equal(json_cstr(v, s, json_string_size(v) + 1), 0);
	assert_non_null(s);
	return s;
}

static const struct rpc_method *method_of(const char *package, const char *message)
{
	char name[128];

	snprintf(name, sizeof name, "%s.%s", package, message);
	for (size_t i = 0; i < wire.methods; i++)
		if (!strcmp(wire.method[i].in->name, name))
			return &wire.method[i];
	fail_msg("no method takes a %s", name);
	return NULL;
}

static void echoed(const struct rpc_method *m, const char *type, const void *p, size_t n, const char *what)
{
	auto_close int fd = wire_dial(wire.path);
	auto_answer a = { 0 };
	char target[128];

	snprintf(target, sizeof target, "/prpc/%s", m->name);
	wire_post(fd, target, type, p, n);
	wire_get(fd, false, &a);
	if (a.status != 200 || a.n != n || memcmp(a.body, p, n))
		fail_msg("%s %s: %d %s", m->in->name, what, a.status, a.body);
}

// What the text means is those bytes, what the bytes mean is that text.
static void across(const struct rpc_method *m, const uint8_t *bytes, size_t n, const char *json)
{
	auto_arena *arena = arena_new(0);
	auto_sb out = { 0 };
	struct err e;
	uint8_t packed[4096];
	const ProtobufCMessage *x = pbjson_read(m->in, span_str(json), arena, &e);

	assert_non_null(x);
	assert_int_equal(protobuf_c_message_get_packed_size(x), n);
	protobuf_c_message_pack(x, packed);
	assert_memory_equal(packed, bytes, n);
	assert_non_null(x = pb_read(m->in, span_of(bytes, n), arena, &e));
	pbjson_write(&out, x);
	assert_string_equal(out.p, json);
}

static const struct rpc_method *golden_case(const char *package, struct json v)
{
	auto_free char *message = text_of(v, "message"), *name = text_of(v, "case");
	auto_free char *hex = text_of(v, "protobuf"), *json = text_of(v, "json");
	const struct rpc_method *m = method_of(package, message);
	uint8_t bytes[4096];
	size_t n;

	assert_int_equal(hex_read(bytes, sizeof bytes, hex, strlen(hex), &n), 0);
	echoed(m, NULL, bytes, n, name);
	echoed(m, "application/json", json, strlen(json), name);
	across(m, bytes, n, json);
	return m;
}

static void golden_bytes_of(const char *package)
{
	static char text[1 << 17];
	char path[1024];
	size_t seen[WIRE_METHODS_MAX] = { 0 };
	struct json all, v;

	snprintf(path, sizeof path, "%s/%s-messages.json", VECTORS, package);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof text, f);
	assert_true(n < sizeof text);
	fclose(f);
	assert_int_equal(json_parse(&all, span_of(text, n), NULL), 0);
	for (struct json_iter it = json_iter(all); json_next(&it, NULL, &v);)
		seen[golden_case(package, v) - wire.method]++;
	size_t k = strlen(package);
	for (size_t i = 0; i < wire.methods; i++) {
		const ProtobufCMessageDescriptor *d = wire.method[i].in;
		if (!strncmp(d->name, package, k) && d->name[k] == '.' && seen[i] < 3 &&
		    wire.method[i].fn == wire_echo)
			fail_msg("no golden bytes for %s", d->name);
	}
}

static void golden_bytes_of_the_agent(void **state)
{
	(void)state;
	golden_bytes_of("guest");
}

static void golden_bytes_of_guest_and_host(void **state)
{
	(void)state;
	golden_bytes_of("host");
}

static void golden_bytes_of_the_kms(void **state)
{
	(void)state;
	golden_bytes_of("kms");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes_of_the_agent),
		cmocka_unit_test(golden_bytes_of_guest_and_host),
		cmocka_unit_test(golden_bytes_of_the_kms),
	};
	return cmocka_run_group_tests_name("golden", tests, wire_setup, wire_teardown);
}
