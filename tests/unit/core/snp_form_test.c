// The form of AMD's certificates: what each must have, once, and what it must not; and the files they come
// in.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/rsa.h>

#include "core/codec/base64.h"
#include "snp_fixture.h"

// The bytes of a certificate that no other test bends.
static void malformed_certificates(void **state)
{
	static const struct {
		const char *from, *to;
		size_t n;
	} vcek[] = {
		{ "\x03\x62\x00\x04", "\x03\x62\x00\x02", 4 }, // a compressed point
		{ "\x03\x62\x00\x04", "\x03\x62\x01\x04", 4 },
		{ "\xa0\x03\x02\x01\x02", "\xa0\x03\x02\x01\x01", 5 }, // version 2
		{ "\x04\x03\x02\x01\x00", "\x04\x03\x02\x81\x00", 5 },
	};
	static const char *const twice[] = {
		"301006092b060104019c78010104030201"
		"00", // version
		"301206092b060104019c7801020405160352"
		"6f6d", // product
		"301106"
		"0a2b060104019c7801030104030201"
		"00", // a patch level
		"3015"
		"06092b060104019c7801040408"
		"3031323334353637", // chip id
		"300d"
		"06092b060104019c7801040400", // none
		"301106"
		"0a2b060104019c7801030004030201"
		"00", // level 0
		"301106"
		"0a2b060104019c7801030a04030201"
		"00", // level 10
		"301106"
		"0a2b060104019c7801040104030201"
		"00", // chip id .1
		"301206"
		"0b2b060104019c780103010104030201"
		"00",
		"300b0603551d0f040403020780"
		"300b0603551d0f040403020780", // key usage twice
		"300b0603551d0f040403020880", // eight unused bits
		"300b0603551d0f040404020780",
		"300c0603551d0f040503020780"
		"00",
		"300d0603551d0f0406030407800000",
	};

	(void)state;
	for (size_t i = 0; i < sizeof vcek / sizeof *vcek; i++) {
		struct made *m = made_new(SNP_MILAN, 3);
		made_replace(&m->vcek, vcek[i].from, vcek[i].to, vcek[i].n);
		expect(m, REASON_SNP_CERT_FORMAT);
	}
	for (size_t i = 0; i < sizeof twice / sizeof *twice; i++) {
		struct made *m = made_new(SNP_MILAN, 3);
		m->spec.extra = twice[i];
		made_vcek(m, sig_of(snp_key(1)));
		if (made_judge_rules(m) != REASON_SNP_CERT_FORMAT)
			fail_msg("extension %zu", i);
	}
	struct made *m = made_new(SNP_MILAN, 3);
	m->vcek.der[m->vcek.n - 513] = 1; // unused bits of the signature
	expect(m, REASON_SNP_CERT_FORMAT);
	m = made_new(SNP_MILAN, 3);
	m->vcek.der[4] = 0x31; // the signed part is a SET
	expect(m, REASON_SNP_CERT_FORMAT);
}

// Authorities that lack what makes them some.
static void authorities(void **state)
{
	static const struct {
		const char *usage, *constraints;
	} wrong[] = { { NULL, MADE_CA_LEAF },
		      { MADE_ASK_USAGE, NULL },
		      { MADE_ASK_USAGE, "3000" },
		      { "03020780", MADE_CA_LEAF },
		      { NULL, NULL } };
	EVP_PKEY *small = EVP_RSA_gen(2048);

	(void)state;
	assert_non_null(small);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct made *m = made_new(SNP_MILAN, 3);
		made_authority(&m->ask, 0x10001, "ARK-Milan", "SEV-Milan", snp_key(1), wrong[i].usage,
			       wrong[i].constraints);
		made_sign_cert(&m->ask, sig_of(snp_key(0)));
		expect(m, REASON_SNP_CHAIN);
		m = made_new(SNP_MILAN, 3);
		made_authority(&m->ark, 0x10000, "ARK-Milan", "ARK-Milan", snp_key(0), wrong[i].usage,
			       wrong[i].constraints);
		made_sign_cert(&m->ark, sig_of(snp_key(0)));
		expect(m, REASON_SNP_ROOT_FORMAT);
	}
	struct made *m = made_new(SNP_MILAN, 3);
	made_authority(&m->ask, 0x10001, "ARK-Milan", "SEV-Milan", small, MADE_ASK_USAGE, MADE_CA_LEAF);
	expect(m, REASON_SNP_CERT_FORMAT);
	made_authority(&m->ask, 0x10001, "ARK-Milan", "SEV-Milan", snp_key(2), MADE_ASK_USAGE, MADE_CA_LEAF);
	expect(m, REASON_SNP_CHAIN);
	m = made_new(SNP_MILAN, 3);
	m->spec.key = snp_key(1);
	made_vcek(m, sig_of(snp_key(1)));
	expect(m, REASON_SNP_CHAIN);
	// A root that may not sign revocation lists, and one that revoked itself.
	static uint8_t crl[2048];
	m = made_new(SNP_MILAN, 3);
	m->in.crl = span_of(
		crl, made_crl(crl, sizeof crl, m, 0x10000, SNP_NOW - 1, SNP_NOW + 1, sig_of(snp_key(0))));
	expect(m, REASON_SNP_REVOKED);
	m->in.crl =
		span_of(crl, made_crl(crl, sizeof crl, m, 0, SNP_NOW - 1, SNP_NOW + 1, sig_of(snp_key(0))));
	expect(m, REASON_OK);
	made_authority(&m->ark, 0x10000, "ARK-Milan", "ARK-Milan", snp_key(0), MADE_ASK_USAGE, MADE_CA_ANY);
	expect(m, REASON_SNP_CRL_FORMAT);
	static uint8_t large[SNP_CRL_MAX + 1];
	m->in.crl = span_of(large, sizeof large);
	expect(m, REASON_SNP_CRL_FORMAT);
	EVP_PKEY_free(small);
}

static void items(void **state)
{
	static uint8_t large[SNP_CERT_MAX + 1] = { 0x30 };
	static char text[4096], many[3 * 4096];
	struct made *m = made_new(SNP_MILAN, 3);
	struct wr w = wr_to(text, sizeof text), all = wr_to(many, sizeof many);

	(void)state;
	m->in.items[0] = span_of(large, sizeof large);
	expect(m, REASON_SNP_CERT_FORMAT);
	wr_str(&w, "-----BEGIN CERTIFICATE-----\n");
	wr_base64(&w, span_of(m->ark.der, m->ark.n));
	wr_str(&w, "\n-----END CERTIFICATE-----\n");
	for (size_t i = 0; i < 5; i++)
		wr_span(&all, span_of(text, w.n));
	assert_false(w.bad || all.bad);
	m = made_new(SNP_MILAN, 3);
	m->in.items[2] = span_of(text, w.n); // the root as text
	m->in.n_items = 3;
	expect_signed(m, REASON_OK);
	m->in.items[0] = span_of(many, all.n);
	m->in.n_items = 1;
	expect(m, REASON_SNP_CHAIN);
	m->in.n_items = SNP_ITEMS + 1; // of nothing
	for (size_t i = 0; i < SNP_ITEMS; i++)
		m->in.items[i] = (struct span){ 0 };
	expect(m, REASON_SNP_CHAIN);
	m->in.n_items = 1;
	expect(m, REASON_SNP_CERTS_MISSING);
	// Which root to try.
	const struct {
		struct span item;
		enum snp_product want;
	} guess[] = { { span_of(text, w.n), SNP_MILAN },
		      { made_new(SNP_TURIN, 2)->in.items[0], SNP_TURIN },
		      { span_str("no certificate"), SNP_MILAN },
		      { span_of(large, 2), SNP_MILAN },
		      { (struct span){ 0 }, SNP_MILAN } };
	for (size_t i = 0; i < sizeof guess / sizeof *guess; i++) {
		m = made_new(SNP_TURIN, 2);
		m->in.items[0] = guess[i].item;
		m->in.n_items = 1;
		assert_true(span_eq(snp_default_root(&m->in), amd_root(guess[i].want)));
		m->in.n_items = 0;
		assert_true(span_eq(snp_default_root(&m->in), amd_root(SNP_MILAN)));
		made_new(SNP_GENOA, 3);
		assert_true(span_eq(snp_default_root(&m->in), amd_root(SNP_GENOA)));
		m->in.report.n--; // no report any more, and the certificates say
		assert_true(span_eq(snp_default_root(&m->in), amd_root(SNP_GENOA)));
	}
}

static void vcek_fields(void **state)
{
	(void)state;
	for (enum snp_product p = SNP_MILAN; p < SNP_PRODUCTS; p++) {
		for (int i = 1; i < 10; i++) {
			struct made *m = made_new(p, 3);
			int was = m->spec.spl[i];
			m->spec.spl[i] = was < 0 ? 0 : -1; // there and not, the other way round
			made_vcek(m, sig_of(snp_key(1)));
			expect(m, REASON_SNP_VCEK_FIELDS);
			m->spec.spl[i] = was + 1;
			made_vcek(m, sig_of(snp_key(1)));
			expect(m, was < 0 ? REASON_SNP_VCEK_FIELDS : REASON_SNP_TCB_MISMATCH);
		}
		static const char *const product[] = { NULL,     "Rome",   "Mila", "Milano",
						       "Genoa1", "Turin_", "-",    "" };
		for (size_t i = 0; i < 8; i++) {
			struct made *m = made_new(p, 3);
			m->spec.product = product[i];
			made_vcek(m, sig_of(snp_key(1)));
			expect(m, i == 7 ? REASON_SNP_CERT_FORMAT : REASON_SNP_VCEK_FIELDS);
		}
		for (int v = -1; v < 3; v++) {
			struct made *m = made_new(p, 3);
			m->spec.version = v;
			made_vcek(m, sig_of(snp_key(1)));
			expect(m, v == (p == SNP_TURIN) ? REASON_OK : REASON_SNP_VCEK_FIELDS);
		}
		struct made *m = made_new(p, 3);
		m->spec.wrapped = true;
		made_vcek(m, sig_of(snp_key(1)));
		expect_signed(m, REASON_OK);
		m->spec.wrapped = false;
		m->spec.hwid_n = 0;
		made_vcek(m, sig_of(snp_key(1)));
		expect(m, REASON_SNP_VCEK_FIELDS);
		m->spec.hwid_n = p == SNP_TURIN ? 64 : 8;
		made_vcek(m, sig_of(snp_key(1)));
		expect(m, REASON_SNP_VCEK_FIELDS);
		m->spec.hwid_n = 63;
		made_vcek(m, sig_of(snp_key(1)));
		expect(m, REASON_SNP_CERT_FORMAT);
	}
	struct made *m = made_new(SNP_TURIN, 3);
	m->report[0x1a8] = 1; // its chip id has eight bytes
	expect(m, REASON_SNP_CHIP_ID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_certificates),
		cmocka_unit_test(authorities),
		cmocka_unit_test(items),
		cmocka_unit_test(vcek_fields),
	};
	return cmocka_run_group_tests(tests, snp_fixture_new, snp_fixture_free);
}
