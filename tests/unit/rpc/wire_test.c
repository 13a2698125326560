// The prpc wire, sentence by sentence (guest agent specification, section 2): what a request may look like,
// which encoding is chosen, the JSON mapping, errors, and that all encodings say the same (RB-05).
#include "wire.h"
#include "base/strings.h"
#include "core/codec/json.h"

static const char *const json_type = "application/json";

// One request on its own connection.
static void ask(const char *target, const char *type, const void *body, size_t n, struct answer *a)
{
	auto_close int fd = wire_dial(wire.path);

	if (body) {
		wire_post(fd, target, type, body, n);
	} else {
		char head[512];
		snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: dstack\r\n\r\n", target);
		wire_puts(fd, head);
	}
	wire_get(fd, false, a);
}

static void want(const char *target, const char *type, const char *body, int status, const char *text)
{
	auto_answer a = { 0 };

	ask(target, type, body, body ? strlen(body) : 0, &a);
	if (a.status != status || strcmp(a.body, text))
		fail_msg("%s %s: %d %s\nnot %d %s", target, body ? body : "GET", a.status, a.body, status,
			 text);
	assert_non_null(strstr(a.head, "\r\nContent-Type: application/json\r\n"));
}

static void want_json(const char *method, const char *body, const char *text)
{
	want(method, json_type, body, 200, text);
}

static void refused(const char *target, const char *body, const char *text)
{
	auto_answer a = { 0 };

	ask(target, json_type, body, body ? strlen(body) : 0, &a);
	if (a.status != 400 || !strstr(a.body, text) || strncmp(a.body, "{\n  \"error\": \"", 14))
		fail_msg("%s %s: %d %s", target, body ? body : "GET", a.status, a.body);
}

#define KEY(path) "{\"path\":\"" path "\",\"purpose\":\"\",\"algorithm\":\"\"}"

// ---- 2.1 requests ----

static void path_prefixes(void **state)
{
	static const char *const same[] = { "/GetKeyArgs", "/DstackGuest.GetKeyArgs", "/prpc/GetKeyArgs",
					    "/prpc/DstackGuest.GetKeyArgs",
					    "/prpc/DstackGuest.DstackGuest.GetKeyArgs" };

	(void)state;
	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		want(same[i], json_type, "{\"path\":\"a\"}", 200, KEY("a"));
}

static void one_path_segment_only_else_404(void **state)
{
	static const char *const none[] = {
		"/",      "//GetKeyArgs",      "/GetKeyArgs/",         "/a/GetKeyArgs",
		"/prpc/", "/prpc//GetKeyArgs", "/prpc/prpc/GetKeyArgs"
	};
	auto_answer a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		ask(none[i], json_type, "{}", 2, &a);
		if (a.status != 404 || !strstr(a.body, "\"error\": \"no such path\""))
			fail_msg("%s: %d %s", none[i], a.status, a.body);
		ask(none[i], NULL, NULL, 0, &a);
		assert_int_equal(a.status, 404);
	}
}

static void head_works_like_get(void **state)
{
	auto_close int fd = wire_dial(wire.path);
	auto_answer get = { 0 }, head = { 0 };

	(void)state;
	wire_puts(fd, "GET /GetKeyArgs?path=a HTTP/1.1\r\nHost: x\r\n\r\n");
	wire_get(fd, false, &get);
	wire_puts(fd, "HEAD /GetKeyArgs?path=a HTTP/1.1\r\nHost: x\r\n\r\n");
	wire_get(fd, true, &head);
	assert_string_equal(head.head, get.head);
	wire_puts(fd, "GET /GetKeyArgs HTTP/1.1\r\nHost: x\r\n\r\n"); // no body was sent: framing holds
	wire_get(fd, false, &get);
	assert_string_equal(get.body, KEY(""));
	wire_puts(fd, "HEAD /Nope HTTP/1.1\r\nHost: x\r\n\r\n");
	wire_get(fd, true, &head);
	assert_int_equal(head.status, 400);
}

static void other_methods_are_refused(void **state)
{
	auto_close int fd = wire_dial(wire.path);
	auto_answer a = { 0 };

	(void)state;
	wire_puts(fd, "PUT /GetKeyArgs HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
	wire_get(fd, false, &a);
	assert_int_equal(a.status, 405);
	wire_puts(fd,
		  "post /GetKeyArgs HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"); // names have case
	wire_get(fd, false, &a);
	assert_int_equal(a.status, 405);
}

static void json_is_chosen_by_get_query_or_type(void **state)
{
	static const char *const types[] = { "application/json", "application/json; charset=utf-8",
					     "Application/JSON;charset=utf-8", "application/json ; a=b" };
	static const char *const queries[] = { "/GetKeyArgs?json", "/GetKeyArgs?json=", "/GetKeyArgs?json=1",
					       "/GetKeyArgs?json=true", "/GetKeyArgs?a=b&json&c" };

	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		want("/GetKeyArgs", types[i], "{\"path\":\"a\"}", 200, KEY("a"));
	for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
		want(queries[i], NULL, "{\"path\":\"a\"}", 200, KEY("a"));
		want(queries[i], "application/octet-stream", "{\"path\":\"a\"}", 200, KEY("a"));
	}
	want("/GetKeyArgs?path=a", NULL, NULL, 200, KEY("a"));
	want("/GetKeyArgs?path=a&json=0", NULL, NULL, 200, KEY("a"));
}

static void otherwise_protobuf_whatever_the_type(void **state)
{
	static const char *const types[] = { NULL,         "application/octet-stream", "application/protobuf",
					     "text/plain", "application/jsonlines",    "text/json" };
	static const char *const queries[] = { "/GetKeyArgs", "/GetKeyArgs?json=0", "/GetKeyArgs?json=false",
					       "/GetKeyArgs?jsonx", "/GetKeyArgs?a=json" };
	auto_answer a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		for (size_t k = 0; k < sizeof queries / sizeof *queries; k++) {
			ask(queries[k], types[i], "\x0a\x01z", 3, &a);
			assert_int_equal(a.status, 200);
			assert_non_null(strstr(a.head, "\r\nContent-Type: application/octet-stream\r\n"));
			assert_int_equal(a.n, 3);
			assert_memory_equal(a.body, "\x0a\x01z", 3);
		}
	}
}

static void get_query_forms(void **state)
{
	static const char tls[] = "{\"subject\":\"a b+c\",\"alt_names\":[\"x\",\"y&z\",\"w\"],"
				  "\"usage_ra_tls\":true,\"usage_server_auth\":false,\"usage_client_auth\":"
				  "false,\"not_before\":0,\"not_after\":18446744073709551615,"
				  "\"with_app_info\":false}";

	(void)state;
	want("/RawQuoteArgs?report_data=0x0aFF", NULL, NULL, 200, "{\"report_data\":\"0aff\"}");
	want("/GetTlsKeyArgs?subject=a+b%2Bc&alt_names[0]=x&alt_names[1]=y%26z&alt_names[]=w&usage_ra_tls="
	     "true"
	     "&usage_server_auth=false&not_before=0&not_after=18446744073709551615",
	     NULL, NULL, 200, tls);
	want("/GetTlsKeyArgs?subject=a%20b%2bc&alt_names%5B%5D=x&alt_names%5b1%5d=y%26z&alt_names[]=w&"
	     "usage_ra_tls=true&not_before=0&&not_after=18446744073709551615&unknown=1&unknown[2]=x",
	     NULL, NULL, 200, tls);
	want("/GetKeyArgs?path=%E2%98%83", NULL, NULL, 200, KEY("\\u2603"));
}

static void get_empty_query_is_all_defaults(void **state)
{
	(void)state;
	want("/GetKeyArgs", NULL, NULL, 200, KEY(""));
	want("/GetKeyArgs?", NULL, NULL, 200, KEY(""));
	want("/GetKeyArgs?path=", NULL, NULL, 200, KEY(""));
}

static void get_wrong_values_are_errors(void **state)
{
	static const char *const bad[] = { "/RawQuoteArgs?report_data=abc",   "/RawQuoteArgs?report_data=zz",
					   "/GetTlsKeyArgs?usage_ra_tls=yes", "/GetTlsKeyArgs?usage_ra_tls=1",
					   "/GetTlsKeyArgs?not_after=1.5",    "/GetTlsKeyArgs?not_after=-1",
					   "/GetTlsKeyArgs?subject=%zz",      "/GetTlsKeyArgs?subject=%ff",
					   "/GetTlsKeyArgs?alt_names[9]=a",   "/GetTlsKeyArgs?subject[0]=a" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		refused(bad[i], NULL, "\"code\": \"rpc.query\"");
}

static void json_post_without_body_is_all_defaults(void **state)
{
	(void)state;
	want_json("/GetKeyArgs", "", KEY(""));
	want("/GetKeyArgs?json", NULL, "", 200, KEY(""));
}

static void empty_requests_ignore_the_body(void **state)
{
	static const char *const bodies[] = { "", "{}", "null", "{\"a\":1}", "[", "\xff\xff", "text" };
	auto_answer a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		want_json("/Empty", bodies[i], "null");
		ask("/Empty", NULL, bodies[i], strlen(bodies[i]), &a);
		assert_int_equal(a.status, 200);
		assert_int_equal(a.n, 0);
	}
	want("/Empty?%zz=%", NULL, NULL, 200, "null");
}

// ---- 2.2 the JSON mapping ----

static void json_bytes_are_hex(void **state)
{
	(void)state;
	want_json("/RawQuoteArgs", "{\"report_data\":\"0x0x0xAbCd\"}", "{\"report_data\":\"abcd\"}");
	want_json("/RawQuoteArgs", "{\"report_data\":\"0x\"}", "{\"report_data\":\"\"}");
	want_json("/GetKeyResponse", "{\"signature_chain\":[\"0x01\",\"\",\"FF\"]}",
		  "{\"key\":\"\",\"signature_chain\":[\"01\",\"\",\"ff\"]}");
	refused("/RawQuoteArgs", "{\"report_data\":\"abc\"}", "field report_data");
	refused("/RawQuoteArgs", "{\"report_data\":\"0xg0\"}", "field report_data");
	refused("/RawQuoteArgs", "{\"report_data\":\"01 02\"}", "field report_data");
	refused("/RawQuoteArgs", "{\"report_data\":[1,2]}", "field report_data");
}

#define TLS(before, after)                                                                                   \
	"{\"subject\":\"\",\"alt_names\":[],\"usage_ra_tls\":false,\"usage_server_auth\":false,"             \
	"\"usage_client_auth\":false,\"not_before\":" before ",\"not_after\":" after                         \
	",\"with_app_info\":false}"

static void json_integers_are_plain_numbers(void **state)
{
	(void)state;
	want_json("/GetTlsKeyArgs", "{\"not_before\":0,\"not_after\":18446744073709551615}",
		  TLS("0", "18446744073709551615"));
	want_json("/GetTlsKeyArgs", "{\"not_before\":9007199254740993}", TLS("9007199254740993", "null"));
}

static void json_optional_is_value_null_or_absent(void **state)
{
	(void)state;
	want_json("/GetTlsKeyArgs", "{\"not_before\":null}", TLS("null", "null"));
	want_json("/GetTlsKeyArgs", "{}", TLS("null", "null"));
}

static void json_unknown_fields_are_ignored(void **state)
{
	(void)state;
	want_json("/GetKeyArgs", "{\"newer\":{\"x\":[1,null]},\"path\":\"a\",\"Path\":7,\"\":0}", KEY("a"));
}

static void json_null_for_the_rest_is_an_error(void **state)
{
	(void)state;
	refused("/GetKeyArgs", "{\"path\":null}", "field path");
	refused("/RawQuoteArgs", "{\"report_data\":null}", "field report_data");
	refused("/GetTlsKeyArgs", "{\"alt_names\":null}", "field alt_names");
	refused("/GetTlsKeyArgs", "{\"alt_names\":[null]}", "field alt_names");
	refused("/GetTlsKeyArgs", "{\"usage_ra_tls\":null}", "field usage_ra_tls");
}

static void json_wrong_types_are_errors(void **state)
{
	(void)state;
	refused("/GetKeyArgs", "{\"path\":1}", "field path");
	refused("/GetKeyArgs", "{\"path\":{}}", "field path");
	refused("/GetTlsKeyArgs", "{\"alt_names\":\"a\"}", "field alt_names");
	refused("/GetTlsKeyArgs", "{\"alt_names\":{\"0\":\"a\"}}", "field alt_names");
	refused("/GetTlsKeyArgs", "{\"usage_ra_tls\":\"true\"}", "field usage_ra_tls");
	refused("/GetTlsKeyArgs", "{\"usage_ra_tls\":0}", "field usage_ra_tls");
	refused("/GetTlsKeyArgs", "{\"not_after\":true}", "field not_after");
	refused("/GetTlsKeyArgs", "{\"not_after\":\"5\"}", "field not_after");
	refused("/GetTlsKeyArgs", "{\"not_after\":1.0}", "field not_after");
	refused("/GetTlsKeyArgs", "{\"not_after\":-1}", "field not_after");
	refused("/GetTlsKeyArgs", "{\"not_after\":18446744073709551616}", "field not_after");
	refused("/GetKeyArgs", "[]", "must be a JSON object");
	refused("/GetKeyArgs", "\"path\"", "must be a JSON object");
	refused("/GetKeyArgs", "path=a", "not valid JSON");
}

static void json_attestation_is_left_out_when_empty(void **state)
{
	(void)state;
	want_json("/GetQuoteResponse", "{\"quote\":\"01\"}",
		  "{\"quote\":\"01\",\"event_log\":\"\",\"report_data\":\"\",\"vm_config\":\"\"}");
	want_json("/GetQuoteResponse", "{\"attestation\":\"02\"}",
		  "{\"quote\":\"\",\"event_log\":\"\",\"report_data\":\"\",\"vm_config\":\"\","
		  "\"attestation\":\"02\"}");
	want_json("/AttestResponse", "{}", "{\"attestation\":\"\"}"); // that message's is always there
}

static void json_output_is_ascii(void **state)
{
	auto_answer a = { 0 };
	static const char body[] = "{\"path\":\"caf\xc3\xa9 \xf0\x9f\x98\x80 \\u0001\\n\"}";

	(void)state;
	want_json("/GetKeyArgs", body, KEY("caf\\u00e9 \\ud83d\\ude00 \\u0001\\n"));
	ask("/Fail", json_type, "{}", 2, &a);
	for (size_t i = 0; i < a.n; i++)
		assert_true((uint8_t)a.body[i] < 0x80);
	assert_non_null(strstr(a.body, "Unsupported \\u00e9lgorithm"));
}

// ---- 2.3 errors ----

static void errors_in_json(void **state)
{
	static const char text[] = "{\n  \"error\": \"sign: Unsupported \\u00e9lgorithm\",\n"
				   "  \"code\": \"agent.algorithm\"\n}";

	(void)state;
	want("/Fail", json_type, "{}", 400, text);
	want("/Fail", NULL, NULL, 400, text);
	want("/Fail?json", NULL, "", 400, text);
	want("/prpc/DstackGuest.Nope", json_type, "{}", 400,
	     "{\n  \"error\": \"Service not found: Nope\",\n  \"code\": \"rpc.unknown_method\"\n}");
	want("/Nope", NULL, NULL, 400,
	     "{\n  \"error\": \"Service not found: Nope\",\n  \"code\": \"rpc.unknown_method\"\n}");
}

static void want_error(const struct answer *a, const char *text, const char *code)
{
	Prpc__Error *m = prpc__error__unpack(NULL, a->n, (const uint8_t *)a->body);

	assert_int_equal(a->status, 400);
	assert_non_null(strstr(a->head, "\r\nContent-Type: application/octet-stream\r\n"));
	assert_non_null(m);
	assert_int_equal(a->body[0], 0x0a); // field 1, a string
	assert_string_equal(m->message, text);
	assert_string_equal(m->code, code);
	prpc__error__free_unpacked(m, NULL);
}

static void errors_in_protobuf(void **state)
{
	auto_answer a = { 0 };

	(void)state;
	ask("/Fail", NULL, "", 0, &a);
	want_error(&a, "sign: Unsupported \xc3\xa9lgorithm", "agent.algorithm");
	ask("/DstackGuest.Nope", "text/plain", "", 0, &a);
	want_error(&a, "Service not found: Nope", "rpc.unknown_method");
	ask("/GetKeyArgs", NULL, "\x0a\x05z", 3, &a);
	want_error(&a, "request is not a valid GetKeyArgs message", "rpc.protobuf");
}

// ---- RB-05 ----

// Asks in the encoding of `body`; the answer's text is that of the JSON form either way.
static void rb_05_same(const char *method, const ProtobufCMessageDescriptor *d, const char *bytes, size_t n,
		       const char *json, const char *text)
{
	auto_answer a = { 0 }, b = { 0 };
	auto_sb out = { 0 };
	auto_arena *arena = arena_new(0);
	struct err e;

	ask(method, NULL, bytes, n, &a);
	assert_int_equal(a.status, 200);
	ProtobufCMessage *m = pb_read(d, span_of(a.body, a.n), arena, &e);
	assert_non_null(m);
	pbjson_write(&out, m);
	ask(method, json_type, json, strlen(json), &b);
	assert_int_equal(b.status, 200);
	assert_string_equal(b.body, text);
	assert_string_equal(out.p, text);
}
#define RB_05(method, d, bytes, json, text) rb_05_same(method, &d, bytes, sizeof(bytes) - 1, json, text)

static void rb_05_json_and_protobuf_say_the_same(void **state)
{
	(void)state;
	RB_05("/GetKeyArgs", guest__get_key_args__descriptor,
	      "\x0a\x01"
	      "a\x12\x01"
	      "b",
	      "{\"path\":\"a\",\"purpose\":\"b\"}", "{\"path\":\"a\",\"purpose\":\"b\",\"algorithm\":\"\"}");
	RB_05("/GetTlsKeyArgs", guest__get_tls_key_args__descriptor, "\x30\x00\x38\x07",
	      "{\"not_before\":0,\"not_after\":7}", TLS("0", "7"));
	RB_05("/GetKeyResponse", guest__get_key_response__descriptor, "\x12\x01\x01\x12\x00\x12\x01\x02",
	      "{\"signature_chain\":[\"01\",\"\",\"02\"]}",
	      "{\"key\":\"\",\"signature_chain\":[\"01\",\"\",\"02\"]}");
	RB_05("/VerifyResponse", guest__verify_response__descriptor, "\x08\x01", "{\"valid\":true}",
	      "{\"valid\":true}");
}

static void rb_05_unknown_fields(void **state)
{
	(void)state;
	// 15: varint, 16: bytes, 17: 8 bytes, 18: 4 bytes
	RB_05("/GetKeyArgs", guest__get_key_args__descriptor,
	      "\x78\x07\x0a\x01"
	      "a\x82\x01\x02hi\x89\x01\x00\x00\x00\x00\x00\x00\x00\x00\x95\x01\x00\x00\x00\x00",
	      "{\"f15\":7,\"path\":\"a\",\"f16\":\"6869\",\"f17\":0,\"f18\":null}", KEY("a"));
}

static void rb_05_reordered_fields(void **state)
{
	static const char text[] = "{\"path\":\"a\",\"purpose\":\"b\",\"algorithm\":\"c\"}";

	(void)state;
	RB_05("/GetKeyArgs", guest__get_key_args__descriptor,
	      "\x1a\x01"
	      "c\x12\x01"
	      "b\x0a\x01"
	      "a",
	      "{\"algorithm\":\"c\",\"purpose\":\"b\",\"path\":\"a\"}", text);
	want("/GetKeyArgs?algorithm=c&purpose=b&path=a", NULL, NULL, 200, text);
}

// A field that is not repeated, given twice, means different things to different readers: every encoding
// refuses it. A repeated field's values keep their order in each.
static void rb_05_repeated_fields(void **state)
{
	auto_answer a = { 0 };

	(void)state;
	ask("/GetTlsKeyArgs", NULL, "\x0a\x01x\x12\x01m\x0a\x01y", 9, &a);
	want_error(&a, "request is not a valid GetTlsKeyArgs message: more than one subject", "rpc.protobuf");
	ask("/GetTlsKeyArgs", NULL, "\x30\x05\x30\x06", 4, &a);
	want_error(&a, "request is not a valid GetTlsKeyArgs message: more than one not_before",
		   "rpc.protobuf");
	refused("/GetTlsKeyArgs", "{\"subject\":\"x\",\"subject\":\"y\"}", "duplicate member");
	refused("/GetTlsKeyArgs", "{\"alt_names\":[\"x\"],\"alt\\u005fnames\":[\"y\"]}", "duplicate member");
	refused("/GetTlsKeyArgs?subject=x&alt_names[]=m&subject=y", NULL, "field subject: given twice");
	refused("/GetTlsKeyArgs?subject=x&sub%6Aect=x", NULL, "field subject: given twice");
	refused("/GetTlsKeyArgs?alt_names[0]=m&alt_names[0]=n", NULL, "field alt_names: given twice");
	RB_05("/GetKeyResponse", guest__get_key_response__descriptor, "\x12\x01\x02\x0a\x01\x09\x12\x01\x01",
	      "{\"signature_chain\":[\"02\",\"01\"],\"key\":\"09\"}",
	      "{\"key\":\"09\",\"signature_chain\":[\"02\",\"01\"]}");
	want("/GetKeyResponse?signature_chain[]=02&key=09&signature_chain[]=01", NULL, NULL, 200,
	     "{\"key\":\"09\",\"signature_chain\":[\"02\",\"01\"]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path_prefixes),
		cmocka_unit_test(one_path_segment_only_else_404),
		cmocka_unit_test(head_works_like_get),
		cmocka_unit_test(other_methods_are_refused),
		cmocka_unit_test(json_is_chosen_by_get_query_or_type),
		cmocka_unit_test(otherwise_protobuf_whatever_the_type),
		cmocka_unit_test(get_query_forms),
		cmocka_unit_test(get_empty_query_is_all_defaults),
		cmocka_unit_test(get_wrong_values_are_errors),
		cmocka_unit_test(json_post_without_body_is_all_defaults),
		cmocka_unit_test(empty_requests_ignore_the_body),
		cmocka_unit_test(json_bytes_are_hex),
		cmocka_unit_test(json_integers_are_plain_numbers),
		cmocka_unit_test(json_optional_is_value_null_or_absent),
		cmocka_unit_test(json_unknown_fields_are_ignored),
		cmocka_unit_test(json_null_for_the_rest_is_an_error),
		cmocka_unit_test(json_wrong_types_are_errors),
		cmocka_unit_test(json_attestation_is_left_out_when_empty),
		cmocka_unit_test(json_output_is_ascii),
		cmocka_unit_test(errors_in_json),
		cmocka_unit_test(errors_in_protobuf),
		cmocka_unit_test(rb_05_json_and_protobuf_say_the_same),
		cmocka_unit_test(rb_05_unknown_fields),
		cmocka_unit_test(rb_05_reordered_fields),
		cmocka_unit_test(rb_05_repeated_fields),
	};
	return cmocka_run_group_tests_name("wire", tests, wire_setup, wire_teardown);
}
