// The certificates behind an SEV-SNP report: chains, signatures, times, names, revocation, the
// table of an extended report, and the roots that are compiled in.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/attest/amd_cert.h"
#include "core/codec/pem.h"
#include "core/hash/sha2.h"
#include "crypto/sig.h"
#include "evidence_files.h"
#include "snp_fixture.h"

#ifdef BIT_STEP // a sanitizer build
enum { CERT_STEP = 997 };
#else
enum { CERT_STEP = 61 };
#endif

static void other_chains(void **state)
{
	struct made *m = made_new(SNP_GENOA, 2);
	static struct made other;

	(void)state;
	other = *m;
	m = made_new(SNP_MILAN, 2);
	// Certificates of another product, with and without its root.
	m->in.items[0] = span_of(other.ask.der, other.ask.n);
	expect(m, REASON_SNP_PRODUCT_OTHER);
	m->in.items[1] = span_of(other.vcek.der, other.vcek.n);
	expect(m, REASON_SNP_PRODUCT_OTHER);
	m->in.items[m->in.n_items++] = span_of(other.ark.der, other.ark.n);
	expect(m, REASON_SNP_ROOT_OTHER);
	m = made_new(SNP_MILAN, 2);
	m->in.items[1] = span_of(other.vcek.der, other.vcek.n);
	expect(m, REASON_SNP_CHAIN);
	// Its own root may be there; one that only looks like it may not.
	m = made_new(SNP_MILAN, 3);
	m->in.items[m->in.n_items++] = span_of(m->ark.der, m->ark.n);
	expect_signed(m, REASON_OK);
	static struct made_cert fake;
	fake = m->ark;
	made_sign_cert(&fake, sig_of(snp_key(3)));
	m->in.items[2] = span_of(fake.der, fake.n);
	expect_signed(m, REASON_SNP_ROOT_OTHER);
	// None, one alone, twice, too many, and neither.
	for (size_t n = 0; n < 2; n++) {
		m = made_new(SNP_MILAN, 3);
		m->in.n_items = n;
		expect(m, REASON_SNP_CERTS_MISSING);
		m->in.n_items = 1;
		m->in.items[0] = m->in.items[n];
		expect(m, REASON_SNP_CERTS_MISSING);
	}
	m = made_new(SNP_MILAN, 3);
	m->in.items[m->in.n_items++] = m->in.items[1];
	expect(m, REASON_SNP_CHAIN);
	m = made_new(SNP_MILAN, 3);
	for (size_t i = 2; i < 5; i++)
		m->in.items[m->in.n_items++] = span_of(m->ark.der, m->ark.n);
	expect(m, REASON_SNP_CHAIN);
	m->in.n_items = SNP_ITEMS + 1;
	expect(m, REASON_SNP_CHAIN);
	m = made_new(SNP_MILAN, 3);
	m->in.items[1] = span_str("no certificate");
	expect(m, REASON_SNP_CERT_FORMAT);
	m->in.items[1] = span_of("0", 1);
	expect(m, REASON_SNP_CERT_FORMAT);
}

static void signatures(void **state)
{
	struct made *m = made_new(SNP_MILAN, 3);

	(void)state;
	made_sign_report(m, snp_key(4));
	expect_signed(m, REASON_SNP_SIGNATURE);
	// A report that breaks a rule, signed by nobody: that is the reason.
	m->report[8 + 2] |= 8;
	expect_signed(m, REASON_SNP_SIGNATURE);
	m = made_new(SNP_MILAN, 3);
	made_sign_cert(&m->vcek, sig_of(snp_key(3)));
	expect_signed(m, REASON_SNP_VCEK_SIGNATURE);
	made_sign_cert(&m->ask, sig_of(snp_key(3)));
	expect_signed(m, REASON_SNP_ASK_SIGNATURE);
	made_sign_cert(&m->ark, sig_of(snp_key(3)));
	expect_signed(m, REASON_SNP_ROOT_FORMAT);
	// RSASSA-PSS with another salt or hash than it says.
	const struct made_sig wrong[] = { { snp_key(1), "SHA384", 0 },  { snp_key(1), "SHA384", 32 },
					  { snp_key(1), "SHA384", 47 }, { snp_key(1), "SHA384", 49 },
					  { snp_key(1), "SHA256", 48 }, { snp_key(1), "SHA512", 48 } };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		m = made_new(SNP_MILAN, 3);
		made_sign_cert(&m->vcek, wrong[i]);
		expect_signed(m, REASON_SNP_VCEK_SIGNATURE);
	}
	// And with parameters that say so.
	static const struct {
		const char *from, *to;
		size_t n;
	} parameters[] = {
		{ "\xa2\x03\x02\x01\x30", "\xa2\x03\x02\x01\x20", 5 }, // salt 32
		{ "\xa3\x03\x02\x01\x01", "\xa3\x03\x02\x01\x02", 5 }, // another trailer
		{ "\x65\x03\x04\x02\x02", "\x65\x03\x04\x02\x01", 5 }, // SHA-256
		{ "\xf7\x0d\x01\x01\x0a", "\xf7\x0d\x01\x01\x0b", 5 }, // PKCS#1 v1.5
		{ "\xa0\x0f\x30\x0d", "\xa0\x0f\x31\x0d", 4 },
	};
	for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
		m = made_new(SNP_MILAN, 3);
		made_replace(&m->vcek, parameters[i].from, parameters[i].to, parameters[i].n);
		made_sign_cert(&m->vcek, sig_of(snp_key(1)));
		expect_signed(m, REASON_SNP_CERT_FORMAT);
	}
	// r and s as large as can be: not below the order.
	m = made_new(SNP_MILAN, 3);
	memset(m->report + SNP_SIGNED, 0xff, 48);
	expect_signed(m, REASON_SNP_SIGNATURE);
	memset(m->report + SNP_SIGNED, 0, 48);
	expect_signed(m, REASON_SNP_SIGNATURE);
}

static void certificate_times(void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = { { "300101000000Z", "241231235959Z" }, { "200101000000Z", "250101000001Z" } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct made *m = made_new(SNP_MILAN, 3);
		made_replace(&m->vcek, cases[i].from, cases[i].to, 13);
		made_sign_cert(&m->vcek, sig_of(snp_key(1)));
		expect_signed(m, REASON_SNP_CERT_TIME);
		m = made_new(SNP_MILAN, 3);
		made_replace(&m->ask, cases[i].from, cases[i].to, 13);
		made_sign_cert(&m->ask, sig_of(snp_key(0)));
		expect_signed(m, REASON_SNP_CERT_TIME);
		m = made_new(SNP_MILAN, 3);
		made_replace(&m->ark, cases[i].from, cases[i].to, 13);
		made_sign_cert(&m->ark, sig_of(snp_key(0)));
		expect_signed(m, REASON_SNP_ROOT_TIME);
	}
	for (int i = 0; i < 4; i++) { // both ends, to the second
		struct made *m = made_new(SNP_MILAN, 3);
		static const uint64_t at[] = { 1577836799, 1577836800, 1893456000, 1893456001 };
		m->in.now = at[i];
		expect(m, i == 1 || i == 2 ? REASON_OK : REASON_SNP_ROOT_TIME);
	}
}

static void parts(void **state)
{
	(void)state;
	// A VCEK must not be an authority, an ASK must be one, names are those of AMD's profile.
	struct made *m = made_new(SNP_MILAN, 3);
	m->spec.extra = "300f0603551d130101ff040530030101ff";
	made_vcek(m, sig_of(snp_key(1)));
	expect_signed(m, REASON_SNP_CHAIN);
	m = made_new(SNP_MILAN, 3);
	m->spec.name = "SEV-VLEK";
	made_vcek(m, sig_of(snp_key(1)));
	expect_signed(m, REASON_SNP_CERT_VLEK);
	m->spec.name = "SEV-VCEX";
	made_vcek(m, sig_of(snp_key(1)));
	expect_signed(m, REASON_SNP_CHAIN);
	m->spec.name = "SEV-VCEK";
	m->spec.csp = "CN=cloud";
	made_vcek(m, sig_of(snp_key(1)));
	expect_signed(m, REASON_SNP_CERT_VLEK);
	m->spec.csp = NULL;
	m->spec.extra = "3009060388370104020500"; // unknown, not critical
	made_vcek(m, sig_of(snp_key(1)));
	expect_signed(m, REASON_OK);
	m->spec.extra = "300c06038837010101ff04020500"; // critical
	made_vcek(m, sig_of(snp_key(1)));
	expect_signed(m, REASON_SNP_CERT_FORMAT);
	m->spec.extra = "301006092b060104019c7801060403020100"; // of AMD's arc, unknown
	made_vcek(m, sig_of(snp_key(1)));
	expect_signed(m, REASON_SNP_CERT_FORMAT);
	static const struct {
		const char *from, *to;
		size_t n;
		enum reason want;
	} ask[] = {
		{ "\x30\x06\x01\x01\xff", "\x30\x06\x01\x01\x00", 5, REASON_SNP_CERT_FORMAT },
		{ "\x03\x02\x01\x04", "\x03\x02\x03\x04", 4, REASON_SNP_CERT_FORMAT },
		{ "\x03\x02\x01\x04", "\x03\x02\x02\x04", 4, REASON_OK },
		{ "\x03\x02\x01\x04", "\x03\x02\x07\x80", 4, REASON_SNP_CHAIN }, // may not sign certificates
		{ "SEV-Milan", "SEV-Rome1", 9, REASON_SNP_PRODUCT_OTHER },
		{ "ARK-Milan", "ARK-Genoa", 9, REASON_SNP_PRODUCT_OTHER },
		{ "\x02\x03\x01\x00\x01\xa3", "\x02\x03\x01\x00\x03\xa3", 6,
		  REASON_SNP_CERT_FORMAT }, // exponent
	};
	for (size_t i = 0; i < sizeof ask / sizeof *ask; i++) {
		m = made_new(SNP_MILAN, 3);
		made_replace(&m->ask, ask[i].from, ask[i].to, ask[i].n);
		made_sign_cert(&m->ask, sig_of(snp_key(0)));
		expect_signed(m, ask[i].want);
	}
	// A root that is none.
	m = made_new(SNP_MILAN, 3);
	made_replace(&m->ark, "ARK-Milan", "ARK-Rome1", 9);
	expect(m, REASON_SNP_ROOT_FORMAT);
	m = made_new(SNP_MILAN, 3);
	m->ark = m->ask;
	expect(m, REASON_SNP_ROOT_FORMAT);
	m->ark = m->vcek;
	expect(m, REASON_SNP_ROOT_FORMAT);
	m->ark.n = 0;
	expect(m, REASON_SNP_ROOT_FORMAT);
}

static void revocation(void **state)
{
	static uint8_t crl[2048];
	const uint64_t from = SNP_NOW - 1000, to = SNP_NOW + 1000;

	(void)state;
	struct made *m = made_new(SNP_MILAN, 3);
	m->in.crl = span_of(crl, made_crl(crl, sizeof crl, m, 0, from, to, sig_of(snp_key(0))));
	expect_signed(m, REASON_OK);
	assert_true(result.revocation_checked && result.expires == to - 1 && result.issued == from);
	m->in.crl.n--;
	expect(m, REASON_SNP_CRL_FORMAT);
	m->in.crl = span_of(crl, made_crl(crl, sizeof crl, m, 0x20002, from, to, sig_of(snp_key(0))));
	expect_signed(m, REASON_OK);
	m->in.crl = span_of(crl, made_crl(crl, sizeof crl, m, 0x10001, from, to, sig_of(snp_key(0))));
	expect_signed(m, REASON_SNP_REVOKED);
	m->in.crl = span_of(crl, made_crl(crl, sizeof crl, m, 0x10001, from, to, sig_of(snp_key(3))));
	expect_signed(m, REASON_SNP_CRL_SIGNATURE);
	m->in.crl = span_of(crl, made_crl(crl, sizeof crl, m, 0, from, SNP_NOW, sig_of(snp_key(0))));
	expect(m, REASON_SNP_CRL_TIME);
	m->in.crl = span_of(crl, made_crl(crl, sizeof crl, m, 0, SNP_NOW + 1, to, sig_of(snp_key(0))));
	expect(m, REASON_SNP_CRL_TIME);
	m->product = SNP_GENOA; // another root's list
	m->in.crl = span_of(crl, made_crl(crl, sizeof crl, m, 0, from, to, sig_of(snp_key(0))));
	expect(m, REASON_SNP_CRL_FORMAT);
}

static void certificate_bits_and_prefixes(void **state)
{
	struct made *m = made_new(SNP_TURIN, 3);
	struct made_cert *const certs[] = { &m->ask, &m->vcek };

	(void)state;
	for (size_t c = 0; c < 2; c++) {
		for (size_t bit = 0; bit < 8 * certs[c]->n; bit += CERT_STEP) {
			certs[c]->der[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_not_equal(made_judge(m, &result), REASON_OK);
			certs[c]->der[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		size_t whole = certs[c]->n;
		for (size_t n = 0; n < whole; n++) {
			m->in.items[c].n = certs[c]->n = n;
			assert_int_not_equal(made_judge_rules(m), REASON_OK);
		}
		m->in.items[c].n = certs[c]->n = whole;
	}
	expect_signed(m, REASON_OK);
}

// ---- the table of an extended report

static const char vcek_guid[] = "\x63\xda\x75\x8d\xe6\x64\x45\x64\xad\xc5\xf4\xb9\x3b\xe8\xac\xcd";
static const char ask_guid[] = "\x4a\xb7\xb3\x79\xbb\xac\x4f\xe4\xa0\x2f\x05\xae\xf3\x27\xc7\x82";
static const char crl_guid[] = "\x92\xf8\x1b\xc3\x58\x11\x4d\x3d\x97\xff\xd1\x9f\x88\xdc\x67\xea";
static const char other_guid[] = "0123456789abcdef";

static void entry(struct wr *w, const char *guid, size_t at, size_t n)
{
	wr_put(w, guid, 16);
	wr_le32(w, (uint32_t)at);
	wr_le32(w, (uint32_t)n);
}

static size_t put_table(uint8_t *out, size_t cap, const struct made *m)
{
	struct wr w = wr_to(out, cap);
	size_t at = 5 * 24;

	entry(&w, vcek_guid, at, m->vcek.n);
	entry(&w, other_guid, at, 3);
	entry(&w, ask_guid, at + m->vcek.n, m->ask.n);
	entry(&w, crl_guid, at + m->vcek.n + m->ask.n, 5);
	for (size_t i = 0; i < 24; i++)
		wr_u8(&w, 0);
	wr_put(&w, m->vcek.der, m->vcek.n);
	wr_put(&w, m->ask.der, m->ask.n);
	wr_str(&w, "a crl");
	assert_false(w.bad);
	return w.n;
}

static void tables(void **state)
{
	static uint8_t table[8192], many[24 * 40];
	struct made *m = made_new(SNP_MILAN, 3);
	size_t n = put_table(table, sizeof table, m);
	struct snp_input in = { 0 };

	(void)state;
	assert_int_equal(snp_table_read(&in, span_of(table, n)), REASON_OK);
	assert_int_equal(in.n_items, 2);
	assert_true(span_is(in.crl, "a crl"));
	in.crl = (struct span){ 0 };
	in.report = m->in.report;
	in.now = SNP_NOW;
	m->in = in;
	expect_signed(m, REASON_OK);
	for (size_t k = 0; k < n; k++) { // cut anywhere: never past the end
		in = (struct snp_input){ 0 };
		assert_int_equal(snp_table_read(&in, span_of(table, k)), REASON_SNP_TABLE);
	}
	static const size_t at[] = { 16, 19, 20, 23 }; // offset and length
	for (size_t i = 0; i < 4; i++) {
		in = (struct snp_input){ 0 };
		uint8_t was = table[at[i]];
		table[at[i]] = 0xff;
		enum reason got = snp_table_read(&in, span_of(table, n));
		assert_true(got == REASON_SNP_TABLE || in.items[0].n <= n);
		assert_int_equal(got == REASON_SNP_TABLE, i == 1 || i == 3);
		table[at[i]] = was;
	}
	table[4 * 24 + 16] = 1; // the end has no value
	assert_int_equal(snp_table_read(&in, span_of(table, n)), REASON_SNP_TABLE);
	table[4 * 24 + 16] = 0;
	table[4 * 24 + 20] = 1;
	in = (struct snp_input){ 0 };
	assert_int_equal(snp_table_read(&in, span_of(table, n)), REASON_SNP_TABLE);
	struct wr w = wr_to(many, sizeof many);
	for (size_t i = 0; i < 40; i++)
		entry(&w, other_guid, 0, 1);
	assert_int_equal(snp_table_read(&in, span_of(many, sizeof many)), REASON_SNP_TABLE);
	for (int kind = 0; kind < 2; kind++) { // nine certificates, two lists
		in = (struct snp_input){ 0 };
		w = wr_to(many, sizeof many);
		for (size_t i = 0; i < (kind ? 2 : 9); i++)
			entry(&w, kind ? crl_guid : vcek_guid, 0, 1);
		memset(many + w.n, 0, 24);
		assert_int_equal(snp_table_read(&in, span_of(many, w.n + 24)), REASON_SNP_TABLE);
	}
}

// What is compiled in is what AMD serves: the whole certificates by their digests, and their signatures hold.
static void roots(void **state)
{
	static const struct {
		const char *file, *digest;
	} want[] = {
		{ "ask_ark_milan.pem", "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd" },
		{ "ask_ark_genoa.pem", "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1" },
		{ "ask_ark_turin_vcek.pem",
		  "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a" },
	};
	static uint8_t der[4096];
	enum snp_product p;
	uint8_t digest[32];
	char text[65];

	(void)state;
	for (enum snp_product i = SNP_MILAN; i < SNP_PRODUCTS; i++) {
		struct span pem = file_read("real/go-sev-guest/verify/trust", want[i].file);
		struct wr w = wr_to(text, sizeof text);
		struct rd in = rd_span(pem);
		struct amd_cert c;
		size_t n;
		assert_int_equal(pem_next(&in, der, sizeof der, &n), 1); // the ASK
		assert_int_equal(pem_next(&in, der, sizeof der, &n), 1);
		sha256(der, n, digest);
		wr_hex(&w, digest, 32);
		assert_memory_equal(text, want[i].digest, 64);
		assert_int_equal(amd_cert_parse(&c, span_of(der, n)), 0);
		assert_true(span_eq(c.x.tbs, amd_root(i)));
		struct sig_check self = { 0, SIG_RSA_PSS_SHA384, c.x.tbs, c.key, c.sig };
		assert_true(sig_verify(&self));
		assert_true(snp_root_product(amd_root(i), &p) && p == i);
		assert_true(snp_root_product(span_of(der, n), &p) && p == i);
		assert_int_equal(snp_root_anchor(span_of(der, n)), ANCHOR_AMD);
		assert_int_equal(snp_root_anchor(amd_root(i)), ANCHOR_AMD);
	}
	file_free_all();
	assert_int_equal(amd_root(SNP_PRODUCTS).n, 0);
	assert_string_equal(snp_product_name(SNP_PRODUCTS), "unknown");
	assert_false(snp_root_product(span_str("0"), &p));
	struct made *m = made_new(SNP_MILAN, 3);
	assert_int_equal(snp_root_anchor(span_of(m->ark.der, m->ark.n)), ANCHOR_DEVELOPMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_chains),
		cmocka_unit_test(signatures),
		cmocka_unit_test(certificate_times),
		cmocka_unit_test(parts),
		cmocka_unit_test(revocation),
		cmocka_unit_test(certificate_bits_and_prefixes),
		cmocka_unit_test(tables),
		cmocka_unit_test(roots),
	};
	return cmocka_run_group_tests(tests, snp_fixture_new, snp_fixture_free);
}
