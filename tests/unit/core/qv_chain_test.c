// QV-01, QV-02, QV-08, QV-09: roots, chains, revocation.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "crypto/intel_root.h"
#include "evidence_files.h"
#include "qv_fixture.h"

static void forged_evidence_is_genuine(void **state)
{
	static const struct {
		enum forge_kind kind;
		int version;
	} kinds[] = { { FORGE_TDX4, 4 }, { FORGE_TDX5, 5 }, { FORGE_TDX5_10, 5 }, { FORGE_SGX3, 3 } };

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		qv_expect(qv_fresh(kinds[i].kind), "ok");
		assert_int_equal(qv.result.tcb.status, TCB_UP_TO_DATE);
		assert_int_equal(qv.result.version, kinds[i].version);
		assert_int_equal(qv.result.is_tdx, kinds[i].kind != FORGE_SGX3);
		assert_int_equal(qv.result.anchor, ANCHOR_DEVELOPMENT);
	}
	qv_expect(qv_fresh(FORGE_TDX5_EX), "quote.body_ex");
}

// The same bytes each time: cases can be named by their hash.
static void forged_evidence_is_reproducible(void **state)
{
	uint8_t was[16384];
	size_t n;

	(void)state;
	qv_build(qv_fresh(FORGE_TDX4));
	n = qv.in.quote.n;
	assert_true(n <= sizeof was);
	memcpy(was, qv.in.quote.p, n);
	qv_build(qv_fresh(FORGE_TDX5));
	qv_build(qv_fresh(FORGE_TDX4));
	assert_int_equal(qv.in.quote.n, n);
	assert_memory_equal(qv.in.quote.p, was, n);
}

// Everything under a root of the same name, serial and usage, but another key.
static void qv_01_other_root_of_the_same_name(void **state)
{
	static const char *const code[] = { "root.not_trusted", "crl.signature" };
	struct forge_keys other;
	struct forge *f;

	(void)state;
	assert_int_equal(forge_keys_load(&other, NULL, "another", &qv.err), 0);
	for (int brings_root = 1; brings_root >= 0; brings_root--) {
		f = qv_fresh(FORGE_TDX4);
		f->keys = &other;
		f->cert[FORGE_ROOT].serial = span_of(qv.keys.serial[FORGE_ROOT], 20);
		if (!brings_root) { // nothing in the chains gives it away
			f->chain[FORGE_CHAIN_QUOTE] = "pck ca";
			f->chain[FORGE_CHAIN_CRL] = "ca";
			f->chain[FORGE_CHAIN_TCB] = f->chain[FORGE_CHAIN_QE] = "tcb";
		}
		qv_expect(f, code[!brings_root]);
		qv_expect_own_root(f, "ok"); // it is the root and nothing else
	}
	forge_keys_free(&other);
	// The root's own key with another body is another root, too.
	f = qv_fresh(FORGE_TDX4);
	f->cert[FORGE_ROOT].path_len = 2;
	qv_expect(f, "root.not_trusted");
}

static void qv_01_one_layer_under_another_root(void **state)
{
	static const struct {
		enum forge_layer layer;
		enum forge_key by;
		const char *code;
	} cases[] = {
		{ FORGE_ROOT_CRL, FORGE_KEY_OTHER_ROOT, "crl.signature" },
		{ FORGE_CA, FORGE_KEY_OTHER_ROOT, "crl.signature" },
		{ FORGE_TCB, FORGE_KEY_OTHER_ROOT, "tcb_info.chain" },
		{ FORGE_PCK_CRL, FORGE_KEY_OTHER_CA, "crl.signature" },
		{ FORGE_PCK, FORGE_KEY_OTHER_CA, "pck.chain" },
		{ FORGE_TCB_INFO, FORGE_KEY_OTHER, "tcb_info.signature" },
		{ FORGE_QE_IDENTITY, FORGE_KEY_OTHER, "qe_identity.signature" },
		{ FORGE_QE_REPORT, FORGE_KEY_OTHER, "quote.qe_signature" },
		{ FORGE_QUOTE, FORGE_KEY_OTHER, "quote.signature" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct forge *f = qv_fresh(FORGE_TDX4);
		f->sign[cases[i].layer].by = cases[i].by;
		qv_expect(f, cases[i].code);
	}
	// The CA that signed the PCK list and the CA of the chain need not be the same certificate: with the
	// genuine one beside the list, the forged one in the quote is told by its own signature.
	struct forge *f = qv_fresh(FORGE_TDX4);
	f->cert[FORGE_SPARE] = f->cert[FORGE_CA];
	f->cert[FORGE_SPARE].under = FORGE_KEY_OTHER_ROOT;
	f->cert[FORGE_SPARE].key = FORGE_KEY_OTHER_CA;
	f->sign[FORGE_PCK].by = FORGE_KEY_OTHER_CA;
	f->chain[FORGE_CHAIN_QUOTE] = "pck spare root";
	qv_expect(f, "pck.chain");
}

static void qv_02_anchors_are_kept_apart(void **state)
{
	struct err e = { 0 };
	struct engine *production = engine_new(&e);
	struct dcap_input real = { .now = 1750588248 };
	struct dcap_result r;

	(void)state;
	assert_non_null(production);
	real.quote = file_read("real/dcap-qvl", "tdx_quote");
	real.collateral = file_read("real/dcap-qvl", "tdx_quote_collateral.json");
	// Development evidence under production policy.
	qv_build(qv_fresh(FORGE_TDX4));
	assert_false(engine_has_development(production));
	assert_int_equal(dcap_verify(production, &qv.in, &r, &e), -1);
	assert_string_equal(e.code, "root.not_trusted");
	// Production evidence under development policy.
	assert_int_equal(dcap_verify(qv.engine, &real, &r, &e), -1);
	assert_string_equal(e.code, "root.not_trusted");
	// Where both are allowed every verdict says which it was.
	assert_int_equal(engine_add_root(production, span_of(qv.root.p, qv.root.n), &e), 0);
	assert_true(engine_has_development(production));
	assert_int_equal(dcap_verify(production, &qv.in, &r, &e), 0);
	assert_int_equal(r.anchor, ANCHOR_DEVELOPMENT);
	assert_int_equal(dcap_verify(production, &real, &r, &e), 0);
	assert_int_equal(r.anchor, ANCHOR_INTEL);
	// Intel's own root given as one more is still Intel's, and no other root can be.
	assert_int_equal(engine_only_root(production, intel_root(), &e), 0);
	assert_false(engine_has_development(production));
	engine_free(production);
	file_free_all();
}

static void revoke(struct forge *f, int list, enum forge_layer cert)
{
	f->crl[list].revoked[f->crl[list].n_revoked++] = f->cert[cert].serial;
}

static void qv_08_revoked(void **state)
{
	static const struct {
		int list;
		enum forge_layer cert;
		const char *code;
	} cases[] = {
		{ 1, FORGE_PCK, "cert.revoked" },
		{ 0, FORGE_CA, "cert.revoked" },
		{ 0, FORGE_TCB, "cert.revoked" },
		{ 0, FORGE_ROOT, "root.revoked" },
		// A serial counts under its issuer only.
		{ 0, FORGE_PCK, "ok" },
		{ 1, FORGE_TCB, "ok" },
		{ 1, FORGE_CA, "ok" },
		{ 1, FORGE_ROOT, "ok" },
	};

	(void)state;
	for (int kind = 0; kind < 2; kind++)
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			struct forge *f = qv_fresh(kind ? FORGE_SGX3 : FORGE_TDX5);
			revoke(f, cases[i].list, cases[i].cert);
			qv_expect(f, cases[i].code);
		}
	// Among others, first, in the middle and last.
	for (size_t at = 0; at < 5; at++) {
		struct forge *f = qv_fresh(FORGE_TDX4);
		for (size_t i = 0; i < 5; i++) {
			if (i == at)
				revoke(f, 1, FORGE_PCK);
			else
				f->crl[1].revoked[f->crl[1].n_revoked++] = qv_hex("1122334455");
		}
		qv_expect(f, "cert.revoked");
	}
	// Serials are numbers: neither a longer nor a shorter one of the same digits is the same.
	struct forge *f = qv_fresh(FORGE_TDX4);
	f->cert[FORGE_PCK].serial = qv_hex("80aabb");
	f->crl[1].revoked[0] = qv_hex("80aabb00");
	f->crl[1].revoked[1] = qv_hex("80aa");
	f->crl[1].revoked[2] = qv_hex("aabb");
	f->crl[1].n_revoked = 3;
	qv_expect(f, "ok");
	f->crl[1].revoked[3] = qv_hex("0080aabb"); // written with its sign byte it is
	f->crl[1].n_revoked = 4;
	qv_expect(f, "cert.revoked");
}

static void expect_lists(void (*change)(struct forge *f, int list), const char *code)
{
	for (int list = 0; list < 2; list++) {
		struct forge *f = qv_fresh(FORGE_TDX4);
		change(f, list);
		qv_expect(f, code);
	}
}

static const char *const member[2] = { "root_ca_crl", "pck_crl" };
static const enum forge_layer layer[2] = { FORGE_ROOT_CRL, FORGE_PCK_CRL };

static void missing(struct forge *f, int list)
{
	forge_member(f, FORGE_COLLATERAL, member[list], NULL);
}
static void null(struct forge *f, int list)
{
	forge_member(f, FORGE_COLLATERAL, member[list], "null");
}
static void empty(struct forge *f, int list)
{
	forge_member(f, FORGE_COLLATERAL, member[list], "\"\"");
}
static void garbage(struct forge *f, int list)
{
	forge_member(f, FORGE_COLLATERAL, member[list], "\"00ff00ff\"");
}
static void trailing(struct forge *f, int list)
{
	forge_edit(f, (struct forge_edit){ .layer = layer[list],
					   .late = true,
					   .op = FORGE_INSERT,
					   .at = SIZE_MAX,
					   .bytes = qv_hex("00") });
}
static void version_1(struct forge *f, int list)
{
	f->crl[list].version = 0;
}
static void other_issuer(struct forge *f, int list)
{
	f->crl[list].issuer = "Intel SGX Another CA";
}
static void flipped(struct forge *f, int list)
{
	f->sign[layer[list]].fault = FORGE_FLIP;
}
static void unsigned_(struct forge *f, int list)
{
	f->sign[layer[list]].fault = FORGE_NONE;
}
static void other_key(struct forge *f, int list)
{
	f->sign[layer[list]].by = FORGE_KEY_OTHER_ROOT;
}
static void altered(struct forge *f, int list)
{
	forge_edit(f, (struct forge_edit){ .layer = layer[list],
					   .late = true,
					   .op = FORGE_DER_SET,
					   .path = "0.4",
					   .bytes = span_of("\x17\x0d"
							    "350101000000Z",
							    15) });
}
static void expired(struct forge *f, int list)
{
	f->crl[list].next_update = QV_NOW - 1;
}
static void at_its_end(struct forge *f, int list)
{
	f->crl[list].next_update = QV_NOW;
}
static void not_yet(struct forge *f, int list)
{
	f->crl[list].this_update = QV_NOW + 1;
}
static void no_end(struct forge *f, int list)
{
	forge_edit(f, (struct forge_edit){ .layer = layer[list], .op = FORGE_DER_CUT, .path = "4" });
}
static void critical_extension(struct forge *f, int list)
{
	// issuingDistributionPoint, onlyContainsUserCerts: such a list says nothing about CAs
	forge_edit(f, (struct forge_edit){ .layer = layer[list],
					   .op = FORGE_DER_INSERT,
					   .path = "5.0.0",
					   .bytes = qv_hex("300f0603551d1c0101ff040530038101ff") });
}

static void qv_09_lists(void **state)
{
	(void)state;
	expect_lists(missing, "collateral.format");
	expect_lists(null, "collateral.format");
	expect_lists(empty, "crl.format");
	expect_lists(garbage, "crl.format");
	expect_lists(trailing, "crl.format");
	expect_lists(version_1, "crl.format");
	expect_lists(unsigned_, "crl.format");
	expect_lists(no_end, "crl.format");
	expect_lists(critical_extension, "crl.format");
	expect_lists(other_issuer, "crl.issuer");
	expect_lists(flipped, "crl.signature");
	expect_lists(other_key, "crl.signature");
	expect_lists(altered, "crl.signature");
	expect_lists(expired, "crl.time");
	expect_lists(at_its_end, "crl.time");
	expect_lists(not_yet, "crl.time");
}

static void qv_09_wrong_list(void **state)
{
	struct forge *f = qv_fresh(FORGE_TDX4);

	(void)state;
	// Each list in the other's place.
	qv_build(f);
	auto_sb root = { 0 }, pck = { 0 };
	sb_chr(&root, '"');
	sb_hex(&root, qv.out.layer[FORGE_ROOT_CRL].p, qv.out.layer[FORGE_ROOT_CRL].n);
	sb_chr(&root, '"');
	sb_chr(&pck, '"');
	sb_hex(&pck, qv.out.layer[FORGE_PCK_CRL].p, qv.out.layer[FORGE_PCK_CRL].n);
	sb_chr(&pck, '"');
	forge_member(f, FORGE_COLLATERAL, "pck_crl", root.p);
	qv_expect(f, "crl.issuer");
	f = qv_fresh(FORGE_TDX4);
	forge_member(f, FORGE_COLLATERAL, "root_ca_crl", pck.p);
	qv_expect(f, "crl.issuer");
	// A platform's certificate, the list of the processor CA: itself in order, but not about this one.
	f = qv_fresh(FORGE_TDX4);
	f->cert[FORGE_SPARE] = f->cert[FORGE_CA];
	f->cert[FORGE_SPARE].subject = f->crl[1].issuer = "Intel SGX PCK Processor CA";
	f->cert[FORGE_SPARE].key = FORGE_KEY_OTHER_CA;
	f->sign[FORGE_PCK_CRL].by = FORGE_KEY_OTHER_CA;
	f->chain[FORGE_CHAIN_CRL] = "spare root";
	qv_expect(f, "pck.chain");
	// The whole of it as processor is fine.
	f = qv_fresh(FORGE_SGX3);
	f->cert[FORGE_CA].subject = f->cert[FORGE_PCK].issuer = f->crl[1].issuer =
		"Intel SGX PCK Processor CA";
	qv_expect(f, "ok");
	// Neither a TCB signer nor the PCK certificate may issue a list.
	f = qv_fresh(FORGE_TDX4);
	f->crl[1].issuer = f->cert[FORGE_TCB].subject;
	f->sign[FORGE_PCK_CRL].by = FORGE_KEY_TCB;
	f->chain[FORGE_CHAIN_CRL] = "tcb root";
	qv_expect(f, "crl.issuer");
	f = qv_fresh(FORGE_TDX4);
	f->crl[1].issuer = f->cert[FORGE_PCK].subject;
	f->sign[FORGE_PCK_CRL].by = FORGE_KEY_PCK;
	f->chain[FORGE_CHAIN_CRL] = "pck ca root";
	qv_expect(f, "crl.issuer");
	// A chain without the issuer, or none.
	f = qv_fresh(FORGE_TDX4);
	f->chain[FORGE_CHAIN_CRL] = "root";
	qv_expect(f, "crl.issuer");
	f->chain[FORGE_CHAIN_CRL] = "";
	qv_expect(f, "crl.issuer");
	f->chain[FORGE_CHAIN_CRL] = "pck ca root spare spare";
	qv_expect(f, "root.not_trusted");
}

// Spec 3.2: at most four, the leaf first, any order after it, nothing that is not part of the chain.
static void chain_order(void **state)
{
	static const struct {
		enum forge_chain chain;
		const char *names, *code;
	} cases[] = {
		{ FORGE_CHAIN_QUOTE, "pck ca", "ok" },
		{ FORGE_CHAIN_QUOTE, "pck root ca", "ok" },
		{ FORGE_CHAIN_QUOTE, "pck ca root root", "ok" },
		{ FORGE_CHAIN_QUOTE, "pck ca ca root", "ok" },
		{ FORGE_CHAIN_QUOTE, "pck ca ca root root", "pck.chain" },
		{ FORGE_CHAIN_QUOTE, "pck root", "pck.chain" },
		{ FORGE_CHAIN_QUOTE, "pck", "pck.chain" },
		{ FORGE_CHAIN_QUOTE, "", "pck.chain" },
		{ FORGE_CHAIN_QUOTE, "ca pck root", "pck.chain" },
		{ FORGE_CHAIN_QUOTE, "root ca pck", "pck.chain" },
		{ FORGE_CHAIN_QUOTE, "pck ca root tcb", "pck.chain" },
		{ FORGE_CHAIN_QUOTE, "tcb root", "pck.chain" },
		{ FORGE_CHAIN_PCK, "pck ca root", "ok" },
		{ FORGE_CHAIN_PCK, "pck root", "pck.chain" },
		{ FORGE_CHAIN_TCB, "tcb", "ok" },
		{ FORGE_CHAIN_TCB, "tcb root root", "ok" },
		{ FORGE_CHAIN_TCB, "root tcb", "tcb_info.chain" },
		{ FORGE_CHAIN_TCB, "root", "tcb_info.chain" },
		{ FORGE_CHAIN_TCB, "", "tcb_info.chain" },
		{ FORGE_CHAIN_TCB, "tcb ca root", "tcb_info.chain" },
		{ FORGE_CHAIN_QE, "tcb", "ok" },
		{ FORGE_CHAIN_QE, "", "qe_identity.chain" },
		{ FORGE_CHAIN_QE, "root", "qe_identity.chain" },
		{ FORGE_CHAIN_QE, "pck ca root", "qe_identity.chain" },
		{ FORGE_CHAIN_CRL, "root ca", "ok" },
		{ FORGE_CHAIN_CRL, "ca", "ok" },
		{ FORGE_CHAIN_CRL, "ca root pck", "crl.issuer" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct forge *f = qv_fresh(FORGE_TDX4);
		f->chain[cases[i].chain] = cases[i].names;
		qv_expect(f, cases[i].code);
	}
	// NUL and blank lines around PEM texts are no certificates; anything else is.
	static const struct {
		const char *bytes, *code;
	} tails[] = { { "00", "ok" },       { "0000", "ok" },      { "0d0a0a", "ok" },
		      { "0a20090a", "ok" }, { "41", "pck.chain" }, { "2d2d2d2d2d", "pck.chain" },
		      { "ff", "pck.chain" } };
	for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
		struct forge *f = qv_fresh(FORGE_TDX4);
		forge_edit(f, (struct forge_edit){ .layer = FORGE_CHAIN,
						   .op = FORGE_INSERT,
						   .at = SIZE_MAX,
						   .bytes = qv_hex(tails[i].bytes) });
		qv_expect(f, tails[i].code);
	}
}

// Spec 3.2: who may play which part.
static void chain_roles(void **state)
{
	static const struct {
		enum forge_layer cert;
		const char *name, *code;
	} names[] = {
		{ FORGE_PCK, "Intel SGX PCK Certificat", "pck.chain" },
		{ FORGE_PCK, "Intel SGX TCB Signing", "pck.chain" },
		{ FORGE_PCK, "My Intel SGX PCK Certificate 2", "ok" },
		{ FORGE_TCB, "Intel SGX PCK Certificate", "tcb_info.chain" },
		{ FORGE_TCB, "Intel SGX TCB Sign", "tcb_info.chain" },
	};
	struct forge *f;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		f = qv_fresh(FORGE_TDX4);
		f->cert[names[i].cert].subject = names[i].name;
		qv_expect(f, names[i].code);
	}
	f = qv_fresh(FORGE_TDX4);
	f->cert[FORGE_CA].subject = f->cert[FORGE_PCK].issuer = f->crl[1].issuer = "Intel SGX PCK Platform";
	qv_expect(f, "crl.issuer");
	// A PCK certificate is no TCB signer.
	f = qv_fresh(FORGE_TDX4);
	f->chain[FORGE_CHAIN_TCB] = "pck ca root";
	f->sign[FORGE_TCB_INFO].by = FORGE_KEY_PCK;
	qv_expect(f, "tcb_info.chain");
	// Nor is it when the root itself issued one, nor does a TCB signer quote.
	f = qv_fresh(FORGE_TDX4);
	f->cert[FORGE_PCK].issuer = f->cert[FORGE_ROOT].subject;
	f->cert[FORGE_PCK].under = FORGE_KEY_ROOT;
	qv_expect(f, "pck.chain");
	f = qv_fresh(FORGE_TDX4);
	f->chain[FORGE_CHAIN_QUOTE] = "tcb ca root";
	f->sign[FORGE_QE_REPORT].by = FORGE_KEY_TCB;
	qv_expect(f, "pck.chain");
	// A TCB signer below the PCK CA.
	f = qv_fresh(FORGE_TDX4);
	f->cert[FORGE_TCB].issuer = f->cert[FORGE_CA].subject;
	f->cert[FORGE_TCB].under = FORGE_KEY_CA;
	f->chain[FORGE_CHAIN_TCB] = f->chain[FORGE_CHAIN_QE] = "tcb ca root";
	qv_expect(f, "tcb_info.chain");
	// The pinned root must look like one.
	f = qv_fresh(FORGE_TDX4);
	f->cert[FORGE_ROOT].subject = f->cert[FORGE_ROOT].issuer = "Some Root CA";
	f->cert[FORGE_CA].issuer = f->cert[FORGE_TCB].issuer = f->crl[0].issuer = "Some Root CA";
	qv_expect_own_root(f, "root.format");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forged_evidence_is_genuine),
		cmocka_unit_test(forged_evidence_is_reproducible),
		cmocka_unit_test(qv_01_other_root_of_the_same_name),
		cmocka_unit_test(qv_01_one_layer_under_another_root),
		cmocka_unit_test(qv_02_anchors_are_kept_apart),
		cmocka_unit_test(qv_08_revoked),
		cmocka_unit_test(qv_09_lists),
		cmocka_unit_test(qv_09_wrong_list),
		cmocka_unit_test(chain_order),
		cmocka_unit_test(chain_roles),
	};
	return cmocka_run_group_tests(tests, qv_setup, qv_teardown);
}
