// Which gateway the set-up registers at: real TLS, and certificates of every wrong kind.
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway.h"
#include "loopback.h"
#include "rpc/client.h"

#define ID  "ab00000000000000000000000000000000000012"
#define ID2 "0000000000000000000000000000000000000000"
static const uint8_t id[21] = { 0xab, [19] = 0x12, [20] = 0x34 };

static struct party root, other_root, client;
static struct arena *arena;
static atomic_int registered;

static int register_cvm(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const Gateway__RegisterCvmRequest *r = in;

	(void)out, (void)c, (void)e;
	assert_string_equal(r->client_public_key, "public");
	assert_int_equal(r->port_policy->n_ports, 1);
	assert_int_equal(r->port_policy->ports[0]->port, 80);
	registered++;
	return 0;
}

static const struct rpc_method methods[] = {
	{ "RegisterCvm", &gateway__register_cvm_request__descriptor,
	  &gateway__register_cvm_response__descriptor, register_cvm },
};

static int setup(void **state)
{
	struct span none = { 0 };

	(void)state;
	arena = arena_new(16 << 20);
	party_make(&root, "Dstack KMS CA", "", none, NULL);
	party_make(&other_root, "Dstack KMS CA", "", none, NULL);
	party_make(&client, "dstack-guest-agent", "app:custom", span_of(id, 20), &root);
	return rpc_client_setup();
}

static int teardown(void **state)
{
	(void)state;
	party_drop(&root), party_drop(&other_root), party_drop(&client);
	arena_free(arena);
	return 0;
}

// Register at a gateway whose certificate has this app id, when the KMS named `app_ids`.
static void expect_scheme(const char *scheme, const struct party *by, struct span app_id, const char *app_ids,
			  const char *code)
{
	static struct compose compose = { .n_ports = 1, .ports = { { 80, false } } };
	struct loopback loop = { 0 };
	struct party leaf;
	char url[64], full[80];

	party_make(&leaf, "gateway", "app:custom", app_id, by);
	struct rpc_server *server =
		loopback_serve(&loop, &leaf, &root, "/prpc", "Gateway.", methods, 1, NULL, url);
	loopback_start(&loop);
	struct gateway_call g = { .chain_pem = span_str(client.pem),
				  .key_pem = span_str(client.key_pem),
				  .ca_cert = root.pem,
				  .app_ids = app_ids,
				  .public_key = "public",
				  .compose = &compose };
	Gateway__RegisterCvmResponse *out;
	struct err e = { 0 };
	registered = 0;
	snprintf(full, sizeof full, "%s%s", scheme, url + strlen("https"));
	int rc = gateway_register(&g, full, arena, &out, &e);
	loopback_stop(&loop);
	rpc_server_free(server);
	loopback_free(&loop);
	party_drop(&leaf);
	if (strcmp(rc ? e.code : "", code) != 0)
		fail_msg("expected \"%s\", got %d %s: %s", code, rc, e.code, e.text);
	assert_int_equal(registered, !*code); // who is refused has had no request
}

static void expect(const struct party *by, struct span app_id, const char *app_ids, const char *code)
{
	expect_scheme("https", by, app_id, app_ids, code);
}

// Spec 70 CH-08: the chain is good, the app is another one; the 20 bytes are compared whole.
static void ch_08_another_app(void **state)
{
	uint8_t near[20];

	(void)state;
	expect(&root, span_of(id, 20), ID, "");
	expect(&root, span_of(id, 20), ID2 "," ID, "");
	expect(&root, span_of(id, 20), "AB00000000000000000000000000000000000012", "");
	expect(&root, span_of(id, 20), ID2, "gateway.app_id");
	memcpy(near, id, 20);
	near[19] ^= 1;
	expect(&root, span_of(near, 20), ID, "gateway.app_id");
	expect(&root, (struct span){ 0 }, ID, "gateway.app_id");   // no such extension: any leaf of the KMS
	expect(&root, span_of(id, 19), ID, "gateway.app_id");      // a part of it
	expect(&root, span_of(id, 21), ID, "gateway.app_id");      // more than it
	expect(&root, span_str(ID), ID, "gateway.app_id");         // its text
	expect(&root, span_of(id, 20), ID "34", "gateway.app_id"); // it is within what the KMS named
	expect(&root, span_of(id, 20), "34" ID, "gateway.app_id");
	expect(&root, span_of(id, 19), "ab000000000000000000000000000000000000", "gateway.app_id");
	expect(&root, span_of(id, 20), "x" ID ",y", "gateway.app_id");
}

// An extension whose content is empty, which the issuing code would leave out.
static void ch_08_empty_extension(void **state)
{
	(void)state;
	assert_false(gateway_id_allowed(ID, span_of(id, 0)));
	assert_false(gateway_id_allowed("", span_of(id, 0)));
	assert_false(gateway_id_allowed(",", span_of(id, 0)));
	assert_false(gateway_id_allowed("", span_of(id, 20)));
	assert_true(gateway_id_allowed(ID, span_of(id, 20)));
}

// There is no gateway that may be anybody.
static void ch_08_any(void **state)
{
	struct err e;

	(void)state;
	expect(&root, span_of(id, 20), "any", "gateway.any");
	expect(&root, span_of(id, 20), "ANY", "gateway.any");
	expect(&root, span_of(id, 20), "any," ID2, "gateway.app_id"); // one word of a list: nobody's id
	expect(&root, span_of(id, 20), "anything", "gateway.app_id");
	expect(&root, span_str("any"), "any", "gateway.any");
	expect(&root, span_of(id, 20), "", "gateway.app_id");
	assert_int_equal(gateway_check_named(ID, &e), 0);
	assert_int_equal(gateway_check_named("any", &e), -1);
	assert_string_equal(e.code, "gateway.any");
}

// Spec 70 HB-05: gateway_urls are the host's words. A rogue one gets a TLS handshake and nothing else.
static void hb_05_rogue_gateway(void **state)
{
	(void)state;
	expect(&other_root, span_of(id, 20), ID, "tls.peer_chain"); // the right id, signed by itself
	expect(&other_root, span_of(id, 20), "any", "gateway.any");
	expect(&root, span_of(id + 1, 20), ID, "gateway.app_id"); // an app of the same KMS
	expect_scheme("http", &root, span_of(id, 20), ID, "rpc.not_tls");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ch_08_another_app),
		cmocka_unit_test(ch_08_empty_extension),
		cmocka_unit_test(ch_08_any),
		cmocka_unit_test(hb_05_rogue_gateway),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
