// The gateway's pure parts: ClientHello, names, route table, addresses, store, registrants' certificates.
#include <arpa/inet.h>
#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/time.h"
#include "core/attest/certext.h"
#include "crypto/crl.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "gateway/certs.h"
#include "gateway/hello.h"
#include "gateway/registry.h"
#include "gateway/service.h"

// A real ClientHello of OpenSSL, as one record.
static size_t client_hello(uint8_t *out, size_t cap, const char *name)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	BIO *wire = BIO_new(BIO_s_mem());
	char host[64];

	snprintf(host, sizeof host, "%s", name ? name : "");
	BIO_up_ref(wire);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), wire);
	if (name) // the macro casts const away
		SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host);
	SSL_connect(ssl);
	ERR_clear_error();
	int n = BIO_read(wire, out, (int)cap);
	SSL_free(ssl);
	BIO_free(wire);
	SSL_CTX_free(ctx);
	assert_true(n > 100);
	return (size_t)n;
}

// The message of one record, cut into records of `piece` bytes.
static size_t fragment(uint8_t *out, const uint8_t *in, size_t n, size_t piece)
{
	size_t at = 0;

	for (size_t i = 5; i < n; i += piece) {
		size_t k = n - i < piece ? n - i : piece;
		uint8_t head[] = { 22, 3, 1, (uint8_t)(k >> 8), (uint8_t)k };
		memcpy(out + at, head, 5);
		memcpy(out + at + 5, in + i, k);
		at += 5 + k;
	}
	return at;
}

static void hello(void **state)
{
	(void)state;
	struct err e = { 0 };
	static uint8_t b[1024], cut[8192];
	char name[HELLO_NAME_MAX + 1];
	size_t n = client_hello(b, sizeof b, "Ab-8080s.App.Test");

	assert_int_equal(hello_name(b, n, name, &e), HELLO_DONE);
	assert_string_equal(name, "ab-8080s.app.test");
	for (size_t i = 0; i < n; i++)
		assert_int_equal(hello_name(b, i, name, &e), HELLO_MORE);
	for (size_t piece = 1; piece < 400; piece += piece < 8 ? 1 : 37) {
		size_t m = fragment(cut, b, n, piece);
		assert_int_equal(hello_name(cut, m, name, &e), HELLO_DONE);
		assert_string_equal(name, "ab-8080s.app.test");
		for (size_t i = 0; i < m; i++)
			assert_int_equal(hello_name(cut, i, name, &e), HELLO_MORE);
	}
	n = client_hello(b, sizeof b, NULL);
	assert_int_equal(hello_name(b, n, name, &e), HELLO_DONE);
	assert_string_equal(name, "");
	n = client_hello(b, sizeof b, "dot.test.");
	assert_int_equal(hello_name(b, n, name, &e), HELLO_DONE);
	assert_string_equal(name, "dot.test");
	n = client_hello(b, sizeof b, "bad name");
	assert_int_equal(hello_name(b, n, name, &e), -1);
	assert_string_equal(e.code, "hello.name");
}

static void hello_refused(void **state)
{
	(void)state;
	struct err e = { 0 };
	char name[HELLO_NAME_MAX + 1];
	static uint8_t large[HELLO_MAX + 1] = { 22, 3, 1, 0x40, 0x01 };
	static const struct {
		const char *bytes;
		size_t n;
		const char *code;
	} bad[] = {
		{ "GET / HTTP/1.1\r\n", 16, "hello.not_tls" },
		{ "\x80\x2e\x01\x03\x01", 5, "hello.not_tls" }, // SSLv2
		{ "\x16\x02\x00\x00\x10", 5, "hello.not_tls" },
		{ "\x16\x03\x01\x00\x00", 5, "hello.malformed" }, // empty record
		{ "\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9, "hello.malformed" },
		{ "\x16\x03\x01\x00\x04\x01\x01\x00\x00", 9, "hello.too_large" },
		{ "\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03", 11, "hello.malformed" },
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(hello_name(bad[i].bytes, bad[i].n, name, &e), -1);
		assert_string_equal(e.code, bad[i].code);
	}
	assert_int_equal(hello_name(large, sizeof large, name, &e), -1);
	assert_string_equal(e.code, "hello.too_large");
	assert_int_equal(hello_name(large, 5, name, &e), -1); // a record over 2^14
	assert_int_equal(hello_name("", 0, name, &e), HELLO_MORE);
}

#define ID "00112233445566778899aabbccddeeff00112233"

static void names(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct name n;
	static const struct {
		const char *name;
		uint16_t port;
		enum name_mode mode;
	} good[] = {
		{ ID ".app.test", 80, NAME_TERMINATE },
		{ ID "-8080.app.test", 8080, NAME_TERMINATE },
		{ ID "-s.app.test", 443, NAME_PASS },
		{ ID "-8443s.app.test", 8443, NAME_PASS },
		{ ID "-50051g.app.test", 50051, NAME_TERMINATE_H2 },
		{ ID "-.app.test", 80, NAME_TERMINATE },
		{ ID "-g.app.test", 80, NAME_TERMINATE_H2 },
		{ ID "-65535.app.test", 65535, NAME_TERMINATE },
	};
	static const struct {
		const char *name, *code;
	} bad[] = {
		{ ID "s.app.test", "sni.label" },
		{ ID "-gs.app.test", "sni.port" },
		{ ID "-sg.app.test", "sni.label" },
		{ ID "-1-2.app.test", "sni.port" },
		{ "-80.app.test", "sni.label" },
		{ ID "-99999.app.test", "sni.port" },
		{ ID "-0.app.test", "sni.port" },
		{ ID "-080808.app.test", "sni.port" },
		{ ID ".test", "sni.domain" },
		{ ID ".xapp.test", "sni.domain" },
		{ "a." ID ".app.test", "sni.domain" },
		{ ID, "sni.domain" },
		{ "", "sni.domain" },
		{ "app.test", "sni.domain" },
		{ "00112233445566778899AABBCCDDEEFF00112233.app.test", "sni.label" },
	};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(name_parse(&n, good[i].name, "app.test", &e), 0);
		assert_int_equal(n.port, good[i].port);
		assert_int_equal(n.mode, good[i].mode);
		assert_int_equal(n.id[1], 0x11);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(name_parse(&n, bad[i].name, "app.test", &e), -1);
		assert_string_equal(e.code, bad[i].code);
	}
}

static struct route route_of(uint8_t app, uint8_t instance, uint64_t handshake, enum route_state state)
{
	struct route r = { .handshake = handshake, .state = state, .index = instance };

	memset(r.app_id, app, ID_SIZE);
	memset(r.instance_id, instance, ID_SIZE);
	return r;
}

static void routes(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct route_env env = { .domain = "app.test" };
	struct route list[] = { route_of(0xa1, 1, 10, ROUTE_TRUSTED), route_of(0xa1, 2, 30, ROUTE_TRUSTED),
				route_of(0xa1, 3, 90, ROUTE_GRACE), route_of(0xb2, 4, 0, ROUTE_TRUSTED) };
	uint8_t id[ID_SIZE];
	size_t n;
	struct route_table *t = route_table_new(list, 4, &env, &e);

	assert_non_null(t);
	memset(id, 0xa1, ID_SIZE);
	const struct route *const *found = route_find(t, id, &n);
	assert_int_equal(n, 3);
	assert_int_equal(found[0]->index, 2); // trusted, latest handshake
	assert_int_equal(found[1]->index, 1);
	assert_int_equal(found[2]->index, 3); // grace last
	memset(id, 3, ID_SIZE);
	found = route_find(t, id, &n);
	assert_int_equal(n, 1);
	assert_int_equal(found[0]->index, 3);
	memset(id, 9, ID_SIZE);
	assert_null(route_find(t, id, &n));
	assert_int_equal(n, 0);

	struct route r = list[0];
	assert_true(route_allows(&r, 80, true));
	assert_false(route_allows(&r, 80, false));
	r.policy = (struct port_policy){ .known = true, .restricted = true, .n = 1, .ports = { 80 } };
	assert_true(route_allows(&r, 80, false));
	assert_false(route_allows(&r, 81, true));

	// A pinned table outlives its replacement, and goes once unpinned.
	static struct route_board board;
	route_publish(&board, t);
	assert_ptr_equal(route_pin(&board, 3), t);
	struct route_table *second = route_table_new(list, 1, &env, &e);
	route_publish(&board, second);
	assert_ptr_equal(board.retired, t);
	assert_ptr_equal(route_pin(&board, 2), second);
	route_unpin(&board, 3);
	route_collect(&board);
	assert_null(board.retired);
	route_unpin(&board, 2);
	route_board_end(&board);
}

static void addresses(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct registry_config c = { .n_reserved = 2 };
	uint32_t taken[] = { 0x0a080004, 0x0a080005 };

	assert_int_equal(wg_cidr_parse(&c.own, "10.8.0.1/16", &e), 0);
	assert_int_equal(wg_cidr_parse(&c.clients, "10.8.0.0/29", &e), 0);
	assert_int_equal(wg_cidr_parse(&c.reserved[0], "10.8.0.1/32", &e), 0);
	assert_int_equal(wg_cidr_parse(&c.reserved[1], "10.8.0.2/31", &e), 0);
	assert_int_equal(registry_config_check(&c, &e), 0);
	assert_int_equal(address_pick(&c, NULL, 0), 0x0a080004);
	assert_int_equal(address_pick(&c, taken, 2), 0x0a080006);
	uint32_t all[] = { 0x0a080004, 0x0a080005, 0x0a080006 };
	assert_int_equal(address_pick(&c, all, 3), 0); // .7 is the broadcast of the range
	assert_int_equal(wg_cidr_parse(&c.clients, "10.9.0.0/24", &e), 0);
	assert_int_equal(registry_config_check(&c, &e), -1);
	assert_string_equal(e.code, "config.wg");
	assert_int_equal(wg_cidr_parse(&c.clients, "10.8.255.248/29", &e), 0);
	uint32_t end[] = { 0x0a08fff9, 0x0a08fffa, 0x0a08fffb, 0x0a08fffc, 0x0a08fffd, 0x0a08fffe };
	assert_int_equal(address_pick(&c, end, 5), 0x0a08fffe);
	assert_int_equal(address_pick(&c, end, 6), 0);
}

struct seen {
	struct instance list[4];
	size_t n;
};

static int collect(void *arg, const struct instance *i, struct err *e)
{
	struct seen *s = arg;

	(void)e;
	s->list[s->n++] = *i;
	return 0;
}

static void storing(void **state)
{
	(void)state;
	struct err e = { 0 };
	char path[] = "/tmp/gateway_store_XXXXXX";
	struct store s;
	struct seen seen = { 0 };
	struct instance i = { .route = route_of(0xa1, 1, 0, ROUTE_TRUSTED), .lease_until = 77, .used = true };

	close(mkstemp(path));
	assert_int_equal(store_open(&s, path, &e), 0);
	i.route.ip.s_addr = htonl(0x0a080002);
	i.route.registered = 42;
	i.route.policy =
		(struct port_policy){ .known = true, .restricted = true, .n = 2, .ports = { 80, 65535 } };
	i.key[0] = 1;
	assert_int_equal(store_put(&s, &i, &e), 0);
	i.route.registered = 43;
	assert_int_equal(store_put(&s, &i, &e), 0); // the same instance again
	struct instance two = i;
	memset(two.route.instance_id, 2, ID_SIZE);
	assert_int_equal(store_put(&s, &two, &e), -1); // address and key are taken
	assert_string_equal(e.code, "wg.key_taken");
	two.route.ip.s_addr = htonl(0x0a080003);
	assert_int_equal(store_put(&s, &two, &e), -1); // the key still is
	two.key[0] = 2;
	two.route.policy = (struct port_policy){ 0 };
	assert_int_equal(store_put(&s, &two, &e), 0);
	store_close(&s);

	assert_int_equal(store_open(&s, path, &e), 0);
	assert_int_equal(store_load(&s, collect, &seen, &e), 0);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.list[0].route.registered, 43);
	assert_int_equal(seen.list[0].lease_until, 77);
	assert_int_equal(seen.list[0].route.policy.n, 2);
	assert_int_equal(seen.list[0].route.policy.ports[1], 65535);
	assert_true(seen.list[0].route.policy.restricted);
	assert_false(seen.list[1].route.policy.known);
	assert_memory_equal(seen.list[0].key, i.key, WG_KEY);
	assert_int_equal(store_delete(&s, i.route.instance_id, &e), 0);
	seen.n = 0;
	assert_int_equal(store_load(&s, collect, &seen, &e), 0);
	assert_int_equal(seen.n, 1);
	store_close(&s);
	for (size_t k = 0; k < 3; k++) {
		char name[64];
		snprintf(name, sizeof name, "%s%s", path, k == 0 ? "" : k == 1 ? "-wal" : "-shm");
		unlink(name);
	}
}

// A database of the version before has rows without certificate; it is taken over as it is.
static void storing_certificates(void **state)
{
	(void)state;
	struct err e = { 0 };
	char path[] = "/tmp/gateway_store_XXXXXX", name[64];
	struct store s = { 0 };
	struct seen seen = { 0 };
	struct instance i = { .route = route_of(0xa1, 1, 0, ROUTE_TRUSTED), .used = true, .has_cert = true };

	close(mkstemp(path));
	assert_int_equal(sqlite3_open(path, &s.db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(
			s.db,
			"CREATE TABLE instance(instance_id BLOB PRIMARY KEY, app_id BLOB NOT NULL,"
			" ip INTEGER NOT NULL UNIQUE, public_key BLOB NOT NULL UNIQUE, compose_hash BLOB NOT "
			"NULL, registered INTEGER NOT NULL, lease_until INTEGER NOT NULL, policy TEXT) "
			"WITHOUT "
			"ROWID; PRAGMA user_version=1;"
			"INSERT INTO instance "
			"VALUES(zeroblob(20),zeroblob(20),7,zeroblob(32),zeroblob(32),1,2,"
			"NULL)",
			NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(s.db);
	assert_int_equal(store_open(&s, path, &e), 0);
	i.key[0] = 1;
	i.route.ip.s_addr = htonl(8);
	memset(&i.cert, 5, sizeof i.cert);
	memcpy(i.cert.app, i.route.app_id, ID_SIZE);
	assert_int_equal(store_put(&s, &i, &e), 0);
	store_close(&s);
	assert_int_equal(store_open(&s, path, &e), 0);
	assert_int_equal(store_load(&s, collect, &seen, &e), 0);
	assert_int_equal(seen.n, 2);
	assert_false(seen.list[0].has_cert);
	assert_true(seen.list[1].has_cert);
	assert_memory_equal(&seen.list[1].cert, &i.cert, sizeof i.cert);
	store_close(&s);
	for (size_t k = 0; k < 3; k++) {
		snprintf(name, sizeof name, "%s%s", path, k == 0 ? "" : k == 1 ? "-wal" : "-shm");
		unlink(name);
	}
}

static void revoked_routes(void **state)
{
	struct route list[] = { route_of(0xa1, 1, 0, ROUTE_REVOKED), route_of(0xa1, 2, 0, ROUTE_TRUSTED),
				route_of(0xa1, 3, 0, ROUTE_REVOKED) };
	struct route_env env = { 0 };
	struct err e = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		list[i].index = 7 - i;
	struct route_table *t = route_table_new(list, 3, &env, &e),
			   *u = route_table_new(list + 1, 1, &env, &e);
	assert_true(route_any_revoked(t) && !route_any_revoked(u));
	assert_true(route_is_revoked(t, 7) && route_is_revoked(t, 5));
	assert_false(route_is_revoked(t, 6) || route_is_revoked(t, 4) || route_is_revoked(u, 6));
	assert_true(route_number(u) > route_number(t));
	route_table_free(t);
	route_table_free(u);
}

static X509 *cert_with(size_t app_size, bool other_app_id, bool with_info)
{
	struct err e = { 0 };
	static uint8_t z[32], info[512], app[ID_SIZE];
	struct wr w = wr_to(info, sizeof info);
	int64_t now = (int64_t)time_now();
	struct app_info a = { .app_id = { z, app_size },
			      .compose_hash = { z, 32 },
			      .instance_id = { z, ID_SIZE },
			      .device_id = { z, 32 },
			      .mr_system = { z, 32 },
			      .mr_aggregated = { z, 32 },
			      .os_image_hash = { z, 32 } };
	EVP_PKEY *k = p256_new(&e);
	struct cert_issuer self = { .key = k };

	memset(app, 9, sizeof app);
	app_info_write(&w, &a);
	struct cert_spec spec = {
		.cn = "x", .client_auth = true, .not_before = now - 10, .not_after = now + 1000
	};
	if (with_info)
		spec.app_info = (struct span){ info, w.n };
	if (other_app_id)
		spec.app_id = (struct span){ app, ID_SIZE };
	X509 *c = cert_issue(&spec, k, &self, &e);
	EVP_PKEY_free(k);
	assert_non_null(c);
	return c;
}

static void registrants(void **state)
{
	(void)state;
	struct err e = { 0 };
	struct registrant who;
	static const struct {
		size_t app_size;
		bool other, info;
		int result;
		const char *code;
	} cases[] = { { 20, false, true, 0, "" },
		      { 20, false, false, -1, "register.no_certificate" },
		      { 19, false, true, -1, "register.app_info" },
		      { 20, true, true, -1, "register.app_info" } };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		X509 *c = cert_with(cases[i].app_size, cases[i].other, cases[i].info);
		e = (struct err){ 0 };
		assert_int_equal(registrant_read(&who, c, &e), cases[i].result);
		assert_string_equal(e.code, cases[i].code);
		if (!cases[i].result)
			assert_in_range(who.not_after, time_now() + 900, time_now() + 1100);
		X509_free(c);
	}
	assert_int_equal(registrant_read(&who, NULL, &e), -1);
	assert_string_equal(e.code, "register.no_certificate");
	assert_null(strstr(e.text, "no attestation provided"));
}

static void development_certificates(void **state)
{
	(void)state;
	struct err e = { 0 };
	char dir[] = "/tmp/gateway_tls_XXXXXX", path[64], command[64];
	bool made;
	struct stat st;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(dev_cert("app.test", dir, &made, &e), 0);
	assert_true(made);
	assert_int_equal(dev_cert("app.test", dir, &made, &e), 0);
	assert_false(made);
	snprintf(path, sizeof path, "%s/key.pem", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(dev_cert("other.test", dir, &made, &e), 0); // same CA, new leaf
	assert_true(made);
	snprintf(command, sizeof command, "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello),
		cmocka_unit_test(hello_refused),
		cmocka_unit_test(names),
		cmocka_unit_test(routes),
		cmocka_unit_test(addresses),
		cmocka_unit_test(storing),
		cmocka_unit_test(storing_certificates),
		cmocka_unit_test(revoked_routes),
		cmocka_unit_test(registrants),
		cmocka_unit_test(development_certificates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
