// The local key provider from end to end but for the sockets: the guest's quote, the provider's answer, what
// the VMM carries, what the guest believes of it. Known answers are upstream's own constants (kms.json).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <sodium.h>

#include "../../../guest/setup/localkey.h"
#include "../../../softtee/collateral.h"
#include "../../../softtee/sealing.h"
#include "../../../vmm/runner/keyprovider.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "core/hash/sha2.h"
#include "rpc/bytelist.h"

enum { NOW = 1760000000 };

static char dir[] = "/tmp/sealing-test.XXXXXX", other_dir[] = "/tmp/sealing-other.XXXXXX";
static struct pki pki, other_pki;
static struct sealing sealing;
static uint8_t public[32], secret[32];
static char *vectors;
static struct json doc;

static void must(int rc, const struct err *e)
{
	if (rc)
		fail_msg("%s (%s)", e->text, e->code);
}

static struct json member(struct json o, const char *name)
{
	struct json v;

	assert_true(json_get(o, name, &v));
	return v;
}

static size_t hex(struct json o, const char *name, uint8_t *out, size_t cap)
{
	size_t n = json_string_size(member(o, name)) / 2;

	assert_true(n <= cap);
	assert_int_equal(json_hex(member(o, name), out, n), 0);
	return n;
}

static void derives_upstreams_constant(void **state)
{
	struct json c = member(doc, "local_key_provider_derive_upstream");
	char sealing_key[64], measurements[64];
	uint8_t key[32], want[32];

	(void)state;
	assert_int_equal(json_cstr(member(c, "sealing_key_utf8"), sealing_key, sizeof sealing_key), 0);
	assert_int_equal(json_cstr(member(c, "measurements_utf8"), measurements, sizeof measurements), 0);
	hex(c, "derived_key", want, 32);
	sealing_derive((uint8_t *)sealing_key, strlen(sealing_key), measurements, strlen(measurements), key);
	assert_memory_equal(key, want, 32);
}

static void derives_every_vector(void **state)
{
	struct json c, list = member(member(doc, "local_key_provider_derive"), "cases");
	uint8_t sealed[16], measured[SEALING_MEASURED], key[32], want[32];
	size_t seen = 0;

	(void)state;
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &c); seen++) {
		size_t n = hex(c, "sealing_key", sealed, sizeof sealed);
		size_t m = hex(c, "mrtd_rtmr0_1_2_3", measured, sizeof measured);

		hex(c, "derived_key", want, 32);
		sealing_derive(sealed, n, measured, m, key);
		assert_memory_equal(key, want, 32);
	}
	assert_int_equal(seen, 5);
}

static void box_of_report(struct sgx_report *sgx, struct span box)
{
	memset(sgx, 0, sizeof *sgx);
	sha256(box.p, box.n, sgx->report_data);
}

static void opens_boxes_of_another_implementation(void **state)
{
	struct json c, list = member(member(doc, "sealed_box"), "cases");
	uint8_t box[128], sk[32], pk[32], message[64], seed[32];
	struct sgx_report sgx;
	size_t opened = 0;
	struct err e;

	(void)state;
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &c);) {
		size_t n = hex(c, "sealed_box", box, sizeof box);

		hex(c, "recipient_secret", sk, 32);
		hex(c, "recipient_public", pk, 32);
		box_of_report(&sgx, span_of(box, n));
		if (hex(c, "message", message, sizeof message) != 32) {
			assert_int_equal(localkey_open(&sgx, span_of(box, n), pk, sk, seed, &e), -1);
			assert_string_equal(e.code, "localkey.box");
			continue;
		}
		must(localkey_open(&sgx, span_of(box, n), pk, sk, seed, &e), &e);
		assert_memory_equal(seed, message, 32);
		opened++;
	}
	assert_true(opened > 0);
}

static void guest_body(struct quote_body *b)
{
	quote_body_init(b);
	memset(b->mr_td, 0x31, MR);
	for (int i = 0; i < 4; i++)
		memset(b->rtmr[i], 0x40 + i, MR);
	memcpy(b->report_data, public, 32);
}

static struct span request_for(const struct pki *p, const struct quote_body *b, struct sb *out)
{
	static struct quote_signer signer;
	uint8_t quote[QUOTE_CAP];
	struct err e = { 0 };
	size_t n;

	must(quote_signer_init(&signer, p, p, p, 4, &e), &e);
	must(quote_sign(&signer, b, quote, &n, &e), &e);
	sb_str(out, "{\"quote\":");
	bytelist_write(out, quote, n);
	sb_chr(out, '}');
	return span_of(out->p, out->n);
}

// What a guest with that body gets: the whole way.
static void seed_of(const struct quote_body *b, uint8_t seed[static 32], struct dcap_result *r)
{
	struct collateral_opts o = { .sgx = true };
	auto_sb request = { 0 }, answer = { 0 }, collateral = { 0 };
	auto_arena *a = arena_new(0);
	struct span box, quote;
	struct err e = { 0 };

	must(sealing_answer(&sealing, request_for(&pki, b, &request), NOW, &answer, &e), &e);
	must(keyprovider_read(span_of(answer.p, answer.n), a, &box, &quote, &e), &e);
	must(collateral_json(&pki, &o, NOW, &collateral, &e), &e);
	struct dcap_input in = { .quote = quote,
				 .collateral = span_of(collateral.p, collateral.n),
				 .now = NOW };
	must(dcap_verify(sealing.engine, &in, r, &e), &e);
	assert_false(r->is_tdx);
	assert_int_equal(r->tcb.status, TCB_UP_TO_DATE);
	must(localkey_open(&r->sgx, box, public, secret, seed, &e), &e);
}

static void a_guest_gets_its_key_again_and_again(void **state)
{
	uint8_t first[32], again[32], want[32], measured[SEALING_MEASURED];
	struct quote_body b;
	struct dcap_result r;

	(void)state;
	guest_body(&b);
	seed_of(&b, first, &r);
	memcpy(measured, b.mr_td, MR);
	memcpy(measured + MR, b.rtmr, sizeof b.rtmr);
	sealing_derive(sealing.secret, SEALING_SECRET, measured, sizeof measured, want);
	assert_memory_equal(first, want, 32);
	seed_of(&b, again, &r);
	assert_memory_equal(first, again, 32);
	assert_memory_equal(r.sgx.mr_enclave, sealing.self.mr_enclave, 32);

	b.rtmr[3][0] ^= 1; // another compose file
	seed_of(&b, again, &r);
	assert_memory_not_equal(first, again, 32);
}

static void refuses(const struct pki *p, const struct quote_body *b, const char *code)
{
	auto_sb request = { 0 }, answer = { 0 };
	struct err e = { 0 };

	assert_int_equal(sealing_answer(&sealing, request_for(p, b, &request), NOW, &answer, &e), -1);
	assert_string_equal(e.code, code);
	assert_int_equal(answer.n, 0);
}

static void refuses_who_may_not_have_one(void **state)
{
	struct quote_body b;

	(void)state;
	guest_body(&b);
	refuses(&other_pki, &b, "root.not_trusted");
	b.td_attributes[0] = 1; // debug
	refuses(&pki, &b, "td.debug");
	guest_body(&b);
	memset(b.report_data, 0, 32); // a shared secret that everybody knows
	refuses(&pki, &b, "sealing.guest_key");
}

// Spec 70 HB-14: another enclave in the provider's place. One with another secret has other keys, so the disk
// stays closed; one that knows the secret has another identity, which is what is measured and pinned.
static void hb_14_another_enclave(void **state)
{
	uint8_t first[32], other[32], was[SEALING_SECRET];
	char pin[65];
	struct quote_body b;
	struct dcap_result r;
	struct err e = { 0 };

	(void)state;
	guest_body(&b);
	seed_of(&b, first, &r);
	hex_encode(pin, r.sgx.mr_enclave, 32);
	struct compose c = { .provider = PROVIDER_LOCAL, .provider_id = pin };
	must(keys_check_pin(&c, r.sgx.mr_enclave, 32, &e), &e);
	memcpy(was, sealing.secret, sizeof was);
	sealing.secret[0] ^= 1;
	seed_of(&b, other, &r);
	assert_memory_not_equal(first, other, 32);
	memcpy(sealing.secret, was, sizeof was);
	sealing.self.mr_enclave[31] ^= 1;
	seed_of(&b, other, &r);
	sealing.self.mr_enclave[31] ^= 1;
	assert_int_equal(keys_check_pin(&c, r.sgx.mr_enclave, 32, &e), -1);
	assert_string_equal(e.code, "binding.key_provider");
}

static void refuses_another_machine(void **state)
{
	struct quote_body b;

	(void)state;
	guest_body(&b);
	sealing.signer.qe_id[0] ^= 1;
	refuses(&pki, &b, "sealing.machine");
	sealing.signer.qe_id[0] ^= 1;
}

static void refuses_requests_of_another_form(void **state)
{
	static const char *const bad[] = { "",
					   "{}",
					   "[]",
					   "{\"quote\":\"00\"}",
					   "{\"quote\":[256]}",
					   "{\"quote\":[-1]}",
					   "{\"quote\":[1.0]}",
					   "{\"quote\":[1],\"more\":1}",
					   "{\"quote\":[]}" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		auto_sb answer = { 0 };
		struct err e = { 0 };

		assert_int_equal(sealing_answer(&sealing, span_str(bad[i]), NOW, &answer, &e), -1);
		assert_string_equal(e.code, i == 8 ? "quote.truncated" : "sealing.request");
	}
}

static void a_key_mixed_with_another_quote(void **state)
{
	uint8_t box[SEALING_KEY + crypto_box_SEALBYTES] = { 7 }, seed[32];
	struct sgx_report sgx;
	struct err e = { 0 };

	(void)state;
	box_of_report(&sgx, span_of(box, sizeof box));
	sgx.report_data[63] = 1; // also the half that is unused
	assert_int_equal(localkey_open(&sgx, span_of(box, sizeof box), public, secret, seed, &e), -1);
	assert_string_equal(e.code, "localkey.binding");
	box_of_report(&sgx, span_of(box, sizeof box));
	assert_int_equal(localkey_open(&sgx, span_of(box, sizeof box), public, secret, seed, &e), -1);
	assert_string_equal(e.code, "localkey.box");
}

static void the_vmm_carries_only_answers(void **state)
{
	static const char *const bad[] = { "", "{}", "{\"encrypted_key\":[1]}",
					   "{\"encrypted_key\":[],\"provider_quote\":[1]}",
					   "{\"encrypted_key\":[1],\"provider_quote\":\"x\"}" };
	struct span box, quote;
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		auto_arena *a = arena_new(0);

		assert_int_equal(keyprovider_read(span_str(bad[i]), a, &box, &quote, &e), -1);
		assert_string_equal(e.code, "host.key_provider");
	}
}

static void the_secret_is_made_once_for_its_owner_only(void **state)
{
	auto_free char *path = str_format("%s/sealing.key", dir);
	static struct sealing again;
	struct stat st;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	must(sealing_init(&again, &pki, dir, &e), &e);
	assert_memory_equal(again.secret, sealing.secret, SEALING_SECRET);
	sealing_free(&again);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(sealing_init(&again, &pki, dir, &e), -1);
	sealing_free(&again);
	assert_int_equal(chmod(path, 0600), 0);
}

static int start(void **state)
{
	struct err e = { 0 };
	size_t n;

	(void)state;
	must(file_read(KMS_VECTORS, 4 << 20, &vectors, &n, &e), &e);
	assert_int_equal(json_parse(&doc, span_of(vectors, n), NULL), 0);
	assert_non_null(mkdtemp(dir));
	assert_non_null(mkdtemp(other_dir));
	must(pki_make(dir, NOW, &e), &e);
	must(pki_make(other_dir, NOW, &e), &e);
	must(pki_load(&pki, dir, &e), &e);
	must(pki_load(&other_pki, other_dir, &e), &e);
	must(sealing_init(&sealing, &pki, dir, &e), &e);
	assert_int_equal(crypto_box_keypair(public, secret), 0);
	return 0;
}

static int end(void **state)
{
	struct err ignored;

	(void)state;
	sealing_free(&sealing);
	pki_free(&pki);
	pki_free(&other_pki);
	free(vectors);
	return file_remove_tree(dir, &ignored) || file_remove_tree(other_dir, &ignored);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(derives_upstreams_constant),
		cmocka_unit_test(derives_every_vector),
		cmocka_unit_test(opens_boxes_of_another_implementation),
		cmocka_unit_test(a_guest_gets_its_key_again_and_again),
		cmocka_unit_test(refuses_who_may_not_have_one),
		cmocka_unit_test(hb_14_another_enclave),
		cmocka_unit_test(refuses_another_machine),
		cmocka_unit_test(refuses_requests_of_another_form),
		cmocka_unit_test(a_key_mixed_with_another_quote),
		cmocka_unit_test(the_vmm_carries_only_answers),
		cmocka_unit_test(the_secret_is_made_once_for_its_owner_only),
	};

	return cmocka_run_group_tests(tests, start, end);
}
