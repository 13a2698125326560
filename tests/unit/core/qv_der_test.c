// QV-17: certificates and lists that are not the one encoding DER allows, or not the profile; signed in
// order.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "qv_fixture.h"

// Where each certificate is refused when it cannot be read.
static const struct {
	enum forge_layer layer;
	const char *code;
} certs[] = { { FORGE_PCK, "pck.chain" }, { FORGE_CA, "crl.format" }, { FORGE_TCB, "tcb_info.chain" } };
enum { CERTS = sizeof certs / sizeof *certs };

static void expect_edit(size_t cert, bool late, enum forge_op op, const char *path, const char *hex,
			const char *code)
{
	struct forge *f = qv_fresh(FORGE_TDX4);

	forge_edit(f, (struct forge_edit){ .layer = certs[cert].layer,
					   .late = late,
					   .op = op,
					   .path = path,
					   .bytes = qv_hex(hex) });
	qv_expect(f, code);
}

static void everywhere(enum forge_op op, const char *path, const char *hex)
{
	for (size_t c = 0; c < CERTS; c++)
		expect_edit(c, false, op, path, hex, certs[c].code);
}

// The element at `path` of the TBS certificate that was built last, inside `buf`.
static struct span element(struct span in, const char *path)
{
	struct rd r = rd_span(in);

	for (;;) {
		const uint8_t *from = r.p;
		rd_u8(&r);
		size_t len = rd_u8(&r);
		if (len & 0x80)
			for (size_t n = len & 0x7f, i = len = 0; i < n; i++)
				len = len << 8 | rd_u8(&r);
		struct span body = rd_bytes(&r, len);
		assert_false(r.bad);
		if (!path)
			return span_of(from, (size_t)(r.p - from));
		size_t k = strtoul(path, NULL, 10);
		path = strchr(path, '.');
		path = path ? path + 1 : NULL;
		r = rd_span(body);
		while (k--) { // skip
			rd_u8(&r);
			len = rd_u8(&r);
			if (len & 0x80)
				for (size_t n = len & 0x7f, i = len = 0; i < n; i++)
					len = len << 8 | rd_u8(&r);
			rd_bytes(&r, len);
		}
	}
}

// The same element with another length octet or two, or the indefinite form.
static struct span relength(struct span el, int form)
{
	static uint8_t out[4096];
	struct wr w = wr_to(out, sizeof out);
	size_t head = el.p[1] & 0x80 ? 2 + (el.p[1] & 0x7f) : 2, n = el.n - head;

	wr_u8(&w, el.p[0]);
	if (form == 0) {
		wr_u8(&w, 0x80);
	} else if (form == 4) {
		wr_u8(&w, 0x84);
		wr_be32(&w, (uint32_t)n);
	} else {
		wr_u8(&w, (uint8_t)(0x80 | (n < 128 ? form : form + 1)));
		for (int i = n < 128 ? form : form + 1; i > 0; i--)
			wr_u8(&w, (uint8_t)(i > 3 ? 0 : n >> 8 * (i - 1)));
	}
	wr_put(&w, el.p + head, n);
	if (!form)
		wr_be16(&w, 0);
	assert_false(w.bad);
	return span_of(out, w.n);
}

static void qv_17_lengths(void **state)
{
	static const char *const paths[] = { "0", "0.0", "1",     "2",       "3",       "3.0.0.1",
					     "4", "4.1", "5.0",   "6",       "6.0.1",   "6.1",
					     "7", "7.0", "7.0.0", "7.0.0.1", "7.0.4.2", "7.0.4.2.0" };

	(void)state;
	for (size_t c = 0; c < CERTS; c++)
		for (size_t p = 0; p < sizeof paths / sizeof *paths; p++)
			for (int form = 0; form <= 4; form++) {
				struct forge *f = qv_fresh(FORGE_TDX4);
				qv_build(f);
				struct sb *der = &qv.out.layer[certs[c].layer];
				struct span tbs = element(span_of(der->p, der->n), "0");
				struct span el = element(tbs, paths[p]);
				if (form == 1 && el.n - 4 > 255)
					continue; // two octets are the minimum
				forge_edit(f, (struct forge_edit){ .layer = certs[c].layer,
								   .op = FORGE_DER_SET,
								   .path = paths[p],
								   .bytes = relength(el, form) });
				qv_expect(f, certs[c].code);
			}
}

static void qv_17_numbers_and_flags(void **state)
{
	(void)state;
	everywhere(FORGE_DER_SET, "1", "0201ff"); // negative
	everywhere(FORGE_DER_SET, "1", "0214f0aabbccddeeff00112233445566778899aabbcc");
	everywhere(FORGE_DER_SET, "1", "0200");                                           // no number
	everywhere(FORGE_DER_SET, "1", "02020001");                                       // not minimal
	everywhere(FORGE_DER_SET, "1", "0202ff80");                                       // nor this
	everywhere(FORGE_DER_SET, "1", "02150102030405060708090a0b0c0d0e0f101112131415"); // 21 bytes
	everywhere(FORGE_DER_SET, "1", "040101");
	everywhere(FORGE_DER_SET, "0", "a003020100"); // version 1
	everywhere(FORGE_DER_SET, "0", "a003020101"); // version 2
	everywhere(FORGE_DER_SET, "0", "a003020103"); // version 4
	everywhere(FORGE_DER_CUT, "0", "");           // version 1 as it is written
	// Extensions: 0 AKI, 1 CRL points, 2 SKI, 3 key usage, 4 basic constraints
	everywhere(FORGE_DER_SET, "7.0.3.1", "010101"); // TRUE is ff
	everywhere(FORGE_DER_SET, "7.0.3.1", "0101fe");
	everywhere(FORGE_DER_SET, "7.0.3.1", "010100"); // FALSE is left out
	everywhere(FORGE_DER_SET, "7.0.3.1", "0102ffff");
	everywhere(FORGE_DER_SET, "7.0.3.1", "0100");
	expect_edit(1, false, FORGE_DER_SET, "7.0.4.2.0.0", "010101", "crl.format");
	expect_edit(1, false, FORGE_DER_SET, "7.0.4.2.0.0", "010100", "crl.format");
	expect_edit(1, false, FORGE_DER_SET, "7.0.4.2.0.1", "0201ff", "crl.format");
	expect_edit(0, false, FORGE_DER_SET, "7.0.4.2.0", "3003010100", "pck.chain"); // CA FALSE is left out
	expect_edit(0, false, FORGE_DER_SET, "7.0.4.2.0", "3003020100", "pck.chain"); // path length of a leaf
	everywhere(FORGE_DER_SET, "7.0.3.2.0", "03020006");                           // unused bits are told
	everywhere(FORGE_DER_SET, "7.0.3.2.0", "03020181");                           // and zero
	everywhere(FORGE_DER_SET, "7.0.3.2.0", "03020880");
	everywhere(FORGE_DER_SET, "7.0.3.2.0", "030100");
}

static void qv_17_more_than_there_is(void **state)
{
	static const char *const inside[] = { "0.1", "3.5",     "3.0.1",   "3.0.0.2",   "4.2", "6.2",
					      "7.1", "7.0.0.2", "7.0.4.3", "7.0.4.2.1", "8" };

	(void)state;
	for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
		everywhere(FORGE_DER_INSERT, inside[i], "0500");
		everywhere(FORGE_DER_INSERT, inside[i], "00");
	}
	for (size_t c = 0; c < CERTS; c++) {
		expect_edit(c, true, FORGE_DER_INSERT, "3", "0500", certs[c].code); // behind the signature
		struct forge *f = qv_fresh(FORGE_TDX4);                             // behind the certificate
		forge_edit(f, (struct forge_edit){ .layer = certs[c].layer,
						   .late = true,
						   .op = FORGE_INSERT,
						   .at = SIZE_MAX,
						   .bytes = qv_hex("00") });
		qv_expect(f, certs[c].code);
	}
	// Unique identifiers, extension and attribute twice.
	everywhere(FORGE_DER_INSERT, "7", "81020001");
	for (int i = 0; i < 5; i++) {
		char path[8];
		snprintf(path, sizeof path, "7.0.%d", i);
		everywhere(FORGE_DER_REPEAT, path, "");
	}
	everywhere(FORGE_DER_REPEAT, "5.0", "");
	everywhere(FORGE_DER_REPEAT, "5.0.0", "");
}

static void qv_17_algorithms(void **state)
{
	static const char sha384[] = "300a06082a8648ce3d040303",
			  sha256_null[] = "300c06082a8648ce3d0403020500", ed25519[] = "300506032b6570",
			  k256[] = "301006072a8648ce3d020106052b8104000a";

	(void)state;
	everywhere(FORGE_DER_SET, "2", sha384);
	everywhere(FORGE_DER_SET, "2", sha256_null);
	everywhere(FORGE_DER_SET, "2", ed25519);
	everywhere(FORGE_DER_SET, "6.0", k256);
	everywhere(FORGE_DER_SET, "6.0", ed25519);
	for (size_t c = 0; c < CERTS; c++) {
		expect_edit(c, true, FORGE_DER_SET, "1", sha384, certs[c].code);
		expect_edit(c, true, FORGE_DER_SET, "1", sha256_null, certs[c].code);
		expect_edit(c, true, FORGE_DER_SET, "2", "0303003000", certs[c].code);
		expect_edit(c, true, FORGE_DER_CUT, "2", "", certs[c].code);
	}
}

static void qv_17_times(void **state)
{
	static const char *const never[] = {
		"170b323430313031303030305a",             // no seconds
		"17113234303130313030303030302b30303030", // an offset
		"170c323430313031303030303030",           // no Z
		"170d3234313330313030303030305a",         // month 13
		"170d3234303233303030303030305a",         // 30 February
		"170d3233303232393030303030305a",         // 29 February of 2023
		"170d3234303130313234303030305a",         // 24 o'clock
		"170d3234303130313030363030305a",         // minute 60
		"170d3234303130313030303030307a",         // a small z
		"170d2032303130313030303030305a",         // a blank
		"180f32303234303130313030303030305a",     // GeneralizedTime before 2050
		"181132303630303130313030303030302e305a", // a fraction
		"0500",
	};

	(void)state;
	for (size_t i = 0; i < sizeof never / sizeof *never; i++)
		everywhere(FORGE_DER_SET, "4.0", never[i]);
	for (size_t c = 0; c < CERTS; c++)
		expect_edit(c, false, FORGE_DER_SET, "4.0", "170d3234303232393030303030305a",
			    "ok"); // leap day
}

static void qv_17_extensions(void **state)
{
	static const char unknown[] = "300d06032a03040101ff0403020101", loose[] = "300a06032a03040403020101";

	(void)state;
	for (int at = 0; at < 6; at++) {
		char path[8];
		snprintf(path, sizeof path, "7.0.%d", at);
		if (at == 5) { // behind the last but in the PCK certificate
			everywhere(FORGE_DER_INSERT, path, unknown);
			continue;
		}
		everywhere(FORGE_DER_INSERT, path, unknown);
		for (size_t c = 0; c < CERTS; c++)
			expect_edit(c, false, FORGE_DER_INSERT, path, loose, "ok");
	}
	for (size_t c = 0; c < CERTS; c++) {
		struct forge *f = qv_fresh(FORGE_TDX4);
		f->cert[certs[c].layer].extra = qv_hex(unknown);
		qv_expect(f, certs[c].code);
		f->cert[certs[c].layer].extra = qv_hex(loose);
		qv_expect(f, "ok");
		// Name constraints and policy constraints are not understood, so not ignored.
		f->cert[certs[c].layer].extra = qv_hex("300e0603551d1e0101ff040430020500");
		qv_expect(f, certs[c].code);
	}
}

static void qv_17_constraints_and_usage(void **state)
{
	// A CA that is none is refused where its list is read first.
	static const struct {
		enum forge_layer cert;
		int ca, constraints, path_len, usage;
		const char *extended, *code;
	} cases[] = {
		{ FORGE_CA, 0, 1, -1, 0x06, NULL, "crl.issuer" }, // CA flag missing
		{ FORGE_CA, 1, 0, -1, 0x06, NULL, "crl.issuer" }, // constraints missing
		{ FORGE_CA, 1, 1, 0, 0x04, NULL, "crl.issuer" },  // may not sign lists
		{ FORGE_CA, 1, 1, 0, 0x02, NULL, "crl.issuer" },  // may not sign certificates
		{ FORGE_CA, 1, 1, 0, 0x00, NULL, "crl.issuer" },
		{ FORGE_CA, 1, 1, -1, 0x06, NULL, "ok" },
		{ FORGE_CA, 1, 1, 5, 0x86, NULL, "ok" },
		{ FORGE_CA, 1, 1, 0, 0x06, "1.3.6.1.5.5.7.3.1", "ok" },
		{ FORGE_CA, 1, 1, 0, 0x06, "1.3.6.1.5.5.7.3.2", "crl.issuer" },
		{ FORGE_PCK, 1, 1, -1, 0xc0, NULL, "pck.chain" },
		{ FORGE_PCK, 0, 0, -1, 0xc0, NULL, "pck.chain" },
		{ FORGE_PCK, 0, 1, -1, 0x40, NULL, "pck.chain" },
		{ FORGE_PCK, 0, 1, -1, 0x00, NULL, "pck.chain" },
		{ FORGE_PCK, 0, 1, -1, 0x80, NULL, "ok" },
		{ FORGE_PCK, 0, 1, -1, 0xc0, "1.3.6.1.5.5.7.3.1", "ok" },
		{ FORGE_PCK, 0, 1, -1, 0xc0, "1.3.6.1.5.5.7.3.2", "pck.chain" },
		{ FORGE_PCK, 0, 1, -1, 0xc0, "2.5.29.37.0", "pck.chain" },
		{ FORGE_TCB, 1, 1, -1, 0xc0, NULL, "tcb_info.chain" },
		{ FORGE_TCB, 0, 0, -1, 0xc0, NULL, "tcb_info.chain" },
		{ FORGE_TCB, 0, 1, -1, 0x40, NULL, "tcb_info.chain" },
		{ FORGE_TCB, 0, 1, -1, 0x00, NULL, "tcb_info.chain" },
		{ FORGE_TCB, 0, 1, -1, 0x80, "1.3.6.1.5.5.7.3.3", "tcb_info.chain" },
		{ FORGE_ROOT, 0, 1, -1, 0x06, NULL, "root.format" },
		{ FORGE_ROOT, 1, 0, -1, 0x06, NULL, "root.format" },
		{ FORGE_ROOT, 1, 1, 0, 0x06, NULL,
		  "root.format" }, // no CA may be below: path length exceeded
		{ FORGE_ROOT, 1, 1, -1, 0x06, NULL, "ok" },
		{ FORGE_ROOT, 1, 1, 1, 0x04, NULL, "root.format" },
		{ FORGE_ROOT, 1, 1, 1, 0x02, NULL, "root.format" },
		{ FORGE_ROOT, 1, 1, 1, 0x06, "1.3.6.1.5.5.7.3.4", "root.format" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct forge *f = qv_fresh(FORGE_TDX4);
		struct forge_cert *c = &f->cert[cases[i].cert];
		c->ca = cases[i].ca;
		c->constraints = cases[i].constraints;
		c->path_len = cases[i].path_len;
		c->usage = (uint8_t)cases[i].usage;
		c->extended_usage = cases[i].extended;
		qv_expect_own_root(f, cases[i].code);
	}
	// The CA in the quote only: the list's own CA is in order.
	struct forge *f = qv_fresh(FORGE_TDX4);
	f->cert[FORGE_SPARE] = f->cert[FORGE_CA];
	f->cert[FORGE_SPARE].ca = false;
	f->cert[FORGE_SPARE].path_len = -1;
	f->chain[FORGE_CHAIN_QUOTE] = "pck spare root";
	qv_expect(f, "pck.chain");
}

static void qv_17_sgx_extension(void **state)
{
	static const char *const zeros =
		"00000000000000000000000000000000000000000000000000000000000000000000";
	struct forge *f;

	(void)state;
	for (unsigned count = 0; count < 4; count++) {
		f = qv_fresh(FORGE_TDX4);
		f->sgx_count = count;
		qv_expect(f, count == 1 ? "ok" : "pck.extension");
	}
	for (size_t n = 0; n <= 34; n++) { // of every size
		struct span bytes = span_of(qv_hex(zeros).p, n);
		f = qv_fresh(FORGE_TDX4);
		f->sgx.ppid = bytes;
		qv_expect(f, n == 16 ? "ok" : "pck.extension");
		f = qv_fresh(FORGE_TDX4);
		f->sgx.fmspc = bytes;
		qv_expect(f, n == 6 ? "tcb_info.fmspc" : "pck.extension");
		f = qv_fresh(FORGE_TDX4);
		f->sgx.pce_id = bytes;
		qv_expect(f, n == 2 ? "ok" : "pck.extension");
		f = qv_fresh(FORGE_TDX4);
		f->sgx.cpu_svn = bytes;
		qv_expect(f, "pck.extension"); // of 16 it differs from the components
		f = qv_fresh(FORGE_TDX4);
		f->sgx.instance = bytes;
		qv_expect(f, n == 16 ? "ok" : "pck.extension");
	}
	for (int part = 1; part <= 7; part++) { // each left out, each twice
		char path[16];
		f = qv_fresh(FORGE_TDX4);
		f->sgx.omit = 1u << part;
		qv_expect(f, part >= 6 ? "ok" : "pck.extension");
		snprintf(path, sizeof path, "7.0.5.1.0.%d", part - 1);
		expect_edit(0, false, FORGE_DER_REPEAT, path, "", "pck.extension");
		snprintf(path, sizeof path, "7.0.5.1.0.%d.2", part - 1);
		expect_edit(0, false, FORGE_DER_INSERT, path, "0500", "pck.extension");
	}
	for (int part = 0; part < 18; part++) {
		char path[24];
		snprintf(path, sizeof path, "7.0.5.1.0.1.1.%d", part);
		expect_edit(0, false, FORGE_DER_CUT, path, "", "pck.extension");
		expect_edit(0, false, FORGE_DER_REPEAT, path, "", "pck.extension");
		snprintf(path, sizeof path, "7.0.5.1.0.1.1.%d.1", part);
		expect_edit(0, false, FORGE_DER_SET, path, "0201ff", "pck.extension"); // negative
		expect_edit(0, false, FORGE_DER_SET, path, "02020005", "pck.extension");
		if (part < 16) { // one component other than the octets say
			expect_edit(0, false, FORGE_DER_SET, path, "020104", "pck.extension");
			expect_edit(0, false, FORGE_DER_SET, path, "02020100", "pck.extension");
		}
	}
	static const struct {
		uint32_t pce_svn;
		const char *code;
	} pce[] = { { 0, "tcb.no_level" }, { 127, "ok" },    { 128, "ok" },
		    { 255, "ok" },         { 256, "ok" },    { 0x7fff, "ok" },
		    { 0x8000, "ok" },      { 0xffff, "ok" }, { 0x10000, "pck.extension" } };
	for (size_t i = 0; i < sizeof pce / sizeof *pce; i++) {
		f = qv_fresh(FORGE_TDX4);
		f->sgx.pce_svn = pce[i].pce_svn;
		qv_expect(f, pce[i].code);
	}
	// Truncated, and with a part that nobody knows.
	expect_edit(0, false, FORGE_DER_SET, "7.0.5.1", "0400", "pck.extension");
	expect_edit(0, false, FORGE_DER_SET, "7.0.5.1.0", "3000", "pck.extension");
	expect_edit(0, false, FORGE_DER_INSERT, "7.0.5.1.0.7", "3010060a2a864886f84d010d010804020000",
		    "pck.extension");
	expect_edit(0, false, FORGE_DER_INSERT, "7.0.5.1.1", "0500", "pck.extension");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qv_17_lengths),
		cmocka_unit_test(qv_17_numbers_and_flags),
		cmocka_unit_test(qv_17_more_than_there_is),
		cmocka_unit_test(qv_17_algorithms),
		cmocka_unit_test(qv_17_times),
		cmocka_unit_test(qv_17_extensions),
		cmocka_unit_test(qv_17_constraints_and_usage),
		cmocka_unit_test(qv_17_sgx_extension),
	};
	return cmocka_run_group_tests(tests, qv_setup, qv_teardown);
}
