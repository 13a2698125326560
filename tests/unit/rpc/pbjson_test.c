// pbjson: golden texts (written from the wire specification) in both directions, and what must be refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "gateway.pb-c.h"
#include "guest.pb-c.h"
#include "kms.pb-c.h"
#include "prpc.pb-c.h"
#include "rpc/pbjson.h"
#include "vmm.pb-c.h"

static struct arena *arena;
static struct err err;

static int setup(void **state)
{
	(void)state;
	arena = arena_new(0);
	memset(&err, 0, sizeof err);
	return arena ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static void *from(const ProtobufCMessageDescriptor *d, const char *json)
{
	return pbjson_read(d, span_str(json), arena, &err);
}

static void expect_text(const void *m, const char *want)
{
	auto_sb b = { 0 };

	pbjson_write(&b, m);
	assert_false(b.bad);
	assert_string_equal(b.p, want);
}

// Read, write, compare; then through protobuf bytes and compare again.
static void round_trip(const ProtobufCMessageDescriptor *d, const char *in, const char *out)
{
	ProtobufCMessage *m = from(d, in);
	uint8_t bytes[4096];

	if (!m)
		fail_msg("%s: %s", in, err.text);
	expect_text(m, out);
	assert_true(protobuf_c_message_get_packed_size(m) <= sizeof bytes);
	size_t n = protobuf_c_message_pack(m, bytes);
	m = pb_read(d, span_of(bytes, n), arena, &err);
	assert_non_null(m);
	expect_text(m, out);
}

static void refused(const ProtobufCMessageDescriptor *d, const char *in, const char *text)
{
	if (from(d, in))
		fail_msg("accepted: %s", in);
	assert_string_equal(err.code, "rpc.json");
	assert_int_equal(err.class, ERR_INPUT);
	if (!strstr(err.text, text))
		fail_msg("%s: error is \"%s\"", in, err.text);
}

static void test_golden(void **state)
{
	(void)state;
	round_trip(&guest__get_tls_key_args__descriptor, "{}",
		   "{\"subject\":\"\",\"alt_names\":[],\"usage_ra_tls\":false,\"usage_server_auth\":false,"
		   "\"usage_client_auth\":false,\"not_before\":null,\"not_after\":null,\"with_app_info\":"
		   "false}");
	round_trip(
		&guest__get_tls_key_args__descriptor,
		" {\"not_after\":18446744073709551615, \"alt_names\" : [\"a\",\"b\"], \"newer\":{\"x\":[1]}, "
		"\"usage_ra_tls\":true,\"not_before\":0} ",
		"{\"subject\":\"\",\"alt_names\":[\"a\",\"b\"],\"usage_ra_tls\":true,\"usage_server_auth\":"
		"false,"
		"\"usage_client_auth\":false,\"not_before\":0,\"not_after\":18446744073709551615,\"with_app_"
		"info\":false}");
	round_trip(&guest__get_key_response__descriptor,
		   "{\"key\":\"0x0xABcd\",\"signature_chain\":[\"00\",\"\"]}",
		   "{\"key\":\"abcd\",\"signature_chain\":[\"00\",\"\"]}");
	round_trip(&kms__get_meta_response__descriptor,
		   "{\"bootstrap_info\":{\"ca_pubkey\":\"01\"},\"chain_id\":7,\"gateway_app_id\":\"\"}",
		   "{\"ca_cert\":\"\",\"allow_any_upgrade\":false,\"k256_pubkey\":\"\",\"bootstrap_info\":{"
		   "\"ca_pubkey\":\"01\","
		   "\"k256_pubkey\":\"\",\"attestation\":\"\"},\"is_dev\":false,\"gateway_app_id\":\"\","
		   "\"kms_contract_address\":null,\"chain_id\":7,\"app_auth_implementation\":null,\"roots\":["
		   "]}");
	round_trip(&gateway__global_connections_stats__descriptor,
		   "{\"total_connections\":3,\"node_connections\":{\"1\":2,\"4000000000\":5}}",
		   "{\"total_connections\":3,\"node_connections\":{\"1\":2,\"4000000000\":5}}");
	round_trip(
		&gateway__zt_domain_config__descriptor, "{\"domain\":\"x\",\"priority\":-2147483648}",
		"{\"domain\":\"x\",\"dns_cred_id\":null,\"port\":0,\"node\":null,\"priority\":-2147483648}");
	round_trip(
		&vmm__status_response__descriptor,
		"{\"vms\":[{\"id\":\"a\",\"events\":[{\"timestamp\":1700000000000}]}]}",
		"{\"vms\":[{\"id\":\"a\",\"name\":\"\",\"status\":\"\",\"uptime\":\"\",\"app_url\":null,"
		"\"app_id\":\"\","
		"\"instance_id\":null,\"configuration\":null,\"exited_at\":null,\"boot_progress\":\"\","
		"\"boot_error\":\"\","
		"\"shutdown_progress\":\"\",\"image_version\":\"\",\"events\":[{\"event\":\"\",\"body\":\"\","
		"\"timestamp\":1700000000000}],\"interfaces\":[]}],\"port_mapping_enabled\":false,\"total\":"
		"0}");
}

static void test_special(void **state)
{
	(void)state;
	expect_text(from(&prpc__empty__descriptor, "not even JSON"), "null");
	round_trip(&guest__get_quote_response__descriptor, "null",
		   "{\"quote\":\"\",\"event_log\":\"\",\"report_data\":\"\",\"vm_config\":\"\"}");
	round_trip(&guest__get_quote_response__descriptor, "{\"attestation\":\"01\"}",
		   "{\"quote\":\"\",\"event_log\":\"\",\"report_data\":\"\",\"vm_config\":\"\","
		   "\"attestation\":\"01\"}");
	round_trip(&guest__get_key_args__descriptor,
		   "{\"path\":\"caf\\u00e9 \\ud83d\\ude00 \\\"\\\\\\n\\u0001\"}",
		   "{\"path\":\"caf\\u00e9 \\ud83d\\ude00 "
		   "\\\"\\\\\\n\\u0001\",\"purpose\":\"\",\"algorithm\":\"\"}");
	round_trip(&guest__get_key_args__descriptor, "{\"path\":\"caf\xc3\xa9\"}",
		   "{\"path\":\"caf\\u00e9\",\"purpose\":\"\",\"algorithm\":\"\"}");
}

static void test_refused(void **state)
{
	const ProtobufCMessageDescriptor *tls = &guest__get_tls_key_args__descriptor;
	char deep[600] = "";

	(void)state;
	refused(tls, "[]", "must be a JSON object");
	refused(tls, "{", "not valid JSON");
	refused(tls, "{}{}", "not valid JSON");
	refused(tls, "{\"subject\":\"a\",\"subject\":\"b\"}", "not valid JSON");
	refused(tls, "{\"subject\":1}", "field subject: must be a string");
	refused(tls, "{\"subject\":null}", "field subject: must be present or left out");
	refused(tls, "{\"subject\":\"a\\u0000b\"}", "field subject");
	refused(tls, "{\"alt_names\":\"x\"}", "field alt_names: must be an array");
	refused(tls, "{\"alt_names\":[1]}", "field alt_names: must be a string");
	refused(tls, "{\"usage_ra_tls\":\"true\"}", "field usage_ra_tls: must be true or false");
	refused(tls, "{\"usage_ra_tls\":1}", "field usage_ra_tls");
	refused(tls, "{\"not_after\":-1}", "field not_after");
	refused(tls, "{\"not_after\":1.0}", "field not_after");
	refused(tls, "{\"not_after\":1e3}", "field not_after");
	refused(tls, "{\"not_after\":\"5\"}", "field not_after: must be a number");
	refused(tls, "{\"not_after\":18446744073709551616}", "field not_after");
	refused(&kms__get_app_key_request__descriptor, "{\"api_version\":4294967296}", "out of range");
	refused(&kms__get_app_key_request__descriptor, "{\"api_version\":\"1\"}", "must be a number");
	refused(&gateway__zt_domain_config__descriptor, "{\"priority\":2147483648}", "out of range");
	refused(&kms__app_id__descriptor, "{\"app_id\":\"abc\"}", "hex of even length");
	refused(&kms__app_id__descriptor, "{\"app_id\":\"zz\"}", "hex of even length");
	refused(&kms__app_id__descriptor, "{\"app_id\":[1]}", "must be a hex string");
	refused(&vmm__vm_configuration__descriptor, "{\"gpus\":[]}", "field gpus: must be an object");
	refused(&gateway__global_connections_stats__descriptor, "{\"node_connections\":{\"x\":1}}",
		"field key");
	for (int i = 0; i < 200; i++)
		strcat(deep, "[");
	refused(tls, deep, "not valid JSON");
}

static void test_query(void **state)
{
	(void)state;
	void *m = pbjson_query(&guest__get_tls_key_args__descriptor,
			       span_str("subject=a+b%21&alt_names[0]=x&alt_names%5B%5D=y&json&usage_ra_tls="
					"true&not_after=5&n=1"),
			       arena, &err);
	assert_non_null(m);
	expect_text(
		m,
		"{\"subject\":\"a "
		"b!\",\"alt_names\":[\"x\",\"y\"],\"usage_ra_tls\":true,\"usage_server_auth\":false,"
		"\"usage_client_auth\":false,\"not_before\":null,\"not_after\":5,\"with_app_info\":false}");
	m = pbjson_query(&vmm__vm_configuration__descriptor,
			 span_str("gpus[gpus][0][slot]=a&gpus[attach_mode]=all&encrypted_env=0xAB&ports[0]["
				  "vm_port]=1&ports[0][host_"
				  "port]=2"),
			 arena, &err);
	assert_non_null(m);
	Vmm__VmConfiguration *v = m;
	assert_string_equal(v->gpus->gpus[0]->slot, "a");
	assert_string_equal(v->gpus->attach_mode, "all");
	assert_int_equal(v->n_ports, 1);
	assert_int_equal(v->ports[0]->host_port, 2);
	assert_int_equal(v->encrypted_env.data[0], 0xab);

	static const char *const bad[] = { "subject=%zz",  "subject=%4",     "usage_ra_tls=yes",
					   "not_after=-1", "alt_names[5]=a", "alt_names[=a",
					   "subject[a]=1", "subject=%ff",    "subject=%00" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (pbjson_query(&guest__get_tls_key_args__descriptor, span_str(bad[i]), arena, &err))
			fail_msg("accepted: %s", bad[i]);
		assert_string_equal(err.code, "rpc.query");
	}
}

static void test_protobuf(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		bool ok;
	} cases[] = {
		{ "\x0a\x01"
		  "a",
		  3, true },
		{ "\x0a\x02"
		  "a",
		  3, false },                 // runs over
		{ "\x0a\x01\0", 3, false },   // NUL
		{ "\x0a\x01\xff", 3, false }, // not UTF-8
		{ "\x0b", 1, false },         // a group
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x01", 11, false },
		{ "\x30\x05\x7a\x00", 4, true }, // not_before, an unknown field
		{ "\x30", 1, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		void *m = pb_read(&guest__get_tls_key_args__descriptor, span_of(cases[i].bytes, cases[i].n),
				  arena, &err);
		if (!m != !cases[i].ok)
			fail_msg("case %zu", i);
		if (!m)
			assert_string_equal(err.code, "rpc.protobuf");
	}
	assert_non_null(pb_read(&guest__get_tls_key_args__descriptor, span_of("", 0), arena, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_golden, setup, teardown),
		cmocka_unit_test_setup_teardown(test_special, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_query, setup, teardown),
		cmocka_unit_test_setup_teardown(test_protobuf, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
