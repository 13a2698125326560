#include "hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/attest/collateral.h"
#include "core/attest/envelope.h"
#include "core/codec/json.h"
#include "core/codec/scale.h"
#include "core/codec/x509.h"
#include "core/verify/verify.h"

enum { MIB = 1 << 20, CASES = 128, NOW = 1750588248, ROOM = 120 * 1024, DOCUMENT = 82 * 1024 };

static struct hostile all[CASES];
static size_t count;
static void *kept[512];
static size_t kept_n;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "hostile: %s\n", what);
	exit(1);
}

static struct wr room(size_t cap)
{
	uint8_t *p = malloc(cap);

	if (!p || kept_n == sizeof kept / sizeof *kept)
		die("out of memory");
	kept[kept_n++] = p;
	return wr_to(p, cap);
}

static struct span load(const char *name)
{
	char path[600];
	struct wr w = room(MIB);

	snprintf(path, sizeof path, "%s/real/dcap-qvl/%s", EVIDENCE_DIR, name);
	FILE *f = fopen(path, "rb");
	if (!f)
		die(path);
	w.n = fread(w.p, 1, w.cap, f);
	fclose(f);
	return span_of(w.p, w.n);
}

static void add(const char *name, enum hostile_kind kind, struct span bytes, struct span collateral)
{
	if (count == CASES || bytes.n > MIB || collateral.n > MIB)
		die(name);
	all[count++] = (struct hostile){ name, kind, bytes, collateral };
}

// As often as fits into n bytes.
static void repeat(struct wr *w, struct span s, const char *between, size_t n)
{
	for (bool first = true; w->n + s.n + strlen(between) <= n; first = false) {
		wr_str(w, first ? "" : between);
		wr_span(w, s);
	}
}

// ---- JSON

static uint32_t fnv(uint32_t h, const char *s)
{
	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h;
}

enum { LETTERS = 6 };

static void word_of(char out[LETTERS + 1], uint32_t i)
{
	uint64_t n = i * UINT64_C(11400714819323198485) >> 24;

	for (int k = 0; k < LETTERS; k++, n /= 26)
		out[k] = (char)('a' + n % 26);
	out[LETTERS] = 0;
}

// Two words that take the hash `from` to the same value, and that.
static uint32_t collide(uint32_t from, char a[LETTERS + 1], char b[LETTERS + 1])
{
	enum { TABLE = 1 << 20 };
	uint32_t *table = calloc(TABLE, sizeof *table); // word + 1

	if (!table)
		die("out of memory");
	for (uint32_t i = 1; i < TABLE / 2; i++) {
		word_of(b, i);
		uint32_t h = fnv(from, b), at = h % TABLE;
		for (; table[at]; at = (at + 1) % TABLE) {
			word_of(a, table[at]);
			if (fnv(from, a) == h && strcmp(a, b) != 0) {
				free(table);
				return h;
			}
		}
		table[at] = i;
	}
	die("no collision");
}

// Objects of up to `members` members whose names all have one hash and begin alike.
static void wr_alike(struct wr *w, size_t members, size_t n)
{
	static const char head[] = "names-that-begin-alike-so-that-comparing-them-takes-a-while-";
	char word[10][2][LETTERS + 1];
	uint32_t h = fnv(2166136261u, head);

	for (int i = 0; i < 10; i++)
		h = collide(h, word[i][0], word[i][1]);
	wr_u8(w, '[');
	for (size_t k = 0; w->n + 200 < n; k++) {
		wr_str(w, k % members == 0 ? k ? "},{\"" : "{\"" : ",\"");
		wr_str(w, head);
		for (int i = 0; i < 10; i++)
			wr_str(w, word[i][k >> i & 1]);
		wr_str(w, "\":0");
	}
	wr_str(w, "}]");
}

static void wr_members(struct wr *w, size_t members, size_t n)
{
	char name[16];

	wr_u8(w, '[');
	for (size_t k = 0; w->n + 40 < n; k++) {
		snprintf(name, sizeof name, "\"%zx\":0", k % members);
		wr_str(w, k % members == 0 ? k ? "},{" : "{" : ",");
		wr_str(w, name);
	}
	wr_str(w, "}]");
}

static void json_cases(void)
{
	static const char *const unit[][3] = { { "json: deep", "[", "" },
					       { "json: deep objects", "{\"a\":", "" },
					       { "json: empty arrays", "[]", "," },
					       { "json: empty objects", "{}", "," },
					       { "json: numbers", "1.0e5", "," },
					       { "json: escapes", "\"\\u0061\\ud83d\\ude00\"", "," },
					       { "json: one-letter strings", "\"\"", "," } };

	for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
		struct wr w = room(MIB);
		if (i > 1)
			wr_u8(&w, '[');
		repeat(&w, span_str(unit[i][1]), unit[i][2], MIB - 1);
		if (i > 1)
			wr_u8(&w, ']');
		add(unit[i][0], HOSTILE_JSON, span_of(w.p, w.n), (struct span){ 0 });
	}
	for (size_t members = 2; members <= 1024; members *= 32) {
		struct wr a = room(MIB), b = room(MIB);
		wr_alike(&a, members, MIB);
		add("json: names of one hash", HOSTILE_JSON, span_of(a.p, a.n), (struct span){ 0 });
		wr_members(&b, members, MIB);
		add("json: many members", HOSTILE_JSON, span_of(b.p, b.n), (struct span){ 0 });
	}
}

// ---- a quote and its collateral

static struct span quote;
static struct collateral base; // real, but for the root CRL's signature: no signature is good

static void add_collateral(const char *name, const struct collateral *c)
{
	struct wr w = room(MIB);

	collateral_write(&w, c);
	if (w.bad)
		die(name);
	add(name, HOSTILE_QUOTE, quote, span_of(w.p, w.n));
}

// The document with the array of this name made of one element, as often as it fits.
static struct span inflated(struct span doc, const char *array, struct span element)
{
	struct json v, list;
	struct wr w = room(DOCUMENT); // as JSON in JSON it gets longer

	if (json_parse(&v, doc, NULL) || !json_get(v, array, &list))
		die(array);
	size_t at = (size_t)(list.text.p - doc.p);
	wr_span(&w, span_of(doc.p, at + 1));
	size_t tail = doc.n - at - list.text.n;
	repeat(&w, element, ",", DOCUMENT - tail - 2);
	wr_u8(&w, ']');
	wr_span(&w, span_of(doc.p + doc.n - tail, tail));
	return span_of(w.p, w.n);
}

static struct span first_of(struct span doc, const char *array)
{
	struct json v, list, first;

	if (json_parse(&v, doc, NULL) || !json_get(v, array, &list))
		die(array);
	struct json_iter it = json_iter(list);
	if (!json_next(&it, NULL, &first))
		die(array);
	return first.text;
}

static void document_cases(void)
{
	static const char small[] = "{\"tcb\":{\"isvsvn\":1},\"tcbDate\":\"\",\"tcbStatus\":\"Revoked\"}";
	struct collateral c = base;
	struct wr many = room(4096), escaped = room(MIB);

	c.tcb_info = inflated(base.tcb_info, "tcbLevels", first_of(base.tcb_info, "tcbLevels"));
	add_collateral("quote: TCB levels", &c);
	c = base;
	c.tcb_info = inflated(base.tcb_info, "tdxModuleIdentities",
			      first_of(base.tcb_info, "tdxModuleIdentities"));
	add_collateral("quote: module identities", &c);
	c = base;
	c.qe_identity = inflated(base.qe_identity, "tcbLevels", span_str(small));
	add_collateral("quote: QE levels", &c);
	wr_str(&many, "{\"tcb\":{\"isvsvn\":1},\"tcbDate\":\"\",\"tcbStatus\":\"Revoked\",\"advisoryIDs\":[");
	for (int i = 0; i < 64; i++)
		wr_str(&many, i ? ",\"INTEL-SA-0000000000000000000\"" : "\"INTEL-SA-0000000000000000000\"");
	wr_str(&many, "]}");
	c.qe_identity = inflated(base.qe_identity, "tcbLevels", span_of(many.p, many.n));
	add_collateral("quote: advisories", &c);
	wr_str(&escaped, "{\"tcb_info\":\"");
	repeat(&escaped, span_str("\\u0061"), "", DCAP_COLLATERAL_MAX - 2);
	wr_str(&escaped, "\"}");
	add("quote: escaped collateral", HOSTILE_QUOTE, quote, span_of(escaped.p, escaped.n));
	struct wr alike = room(MIB), far = room(MIB);
	wr_alike(&alike, 31, DCAP_COLLATERAL_MAX);
	add("quote: names of one hash", HOSTILE_QUOTE, quote, span_of(alike.p, alike.n));
	repeat(&far, span_str(" "), "", MIB);
	add("quote: collateral of 1 MiB", HOSTILE_QUOTE, quote, span_of(far.p, far.n));
}

static struct span seq(struct span a, struct span b, struct span c)
{
	struct wr w = room(ROOM);

	wr_u8(&w, 0x30);
	wr_u8(&w, 0x82);
	wr_be16(&w, (uint16_t)(a.n + b.n + c.n));
	wr_span(&w, a);
	wr_span(&w, b);
	wr_span(&w, c);
	if (w.bad)
		die("sequence");
	return span_of(w.p, w.n);
}

static struct span between(const uint8_t *from, const uint8_t *to)
{
	return span_of(from, (size_t)(to - from));
}

// The real revocation list with its entries again and again. All its lengths have two bytes.
static void crl_case(void)
{
	struct x509_crl real;
	struct wr list = room(ROOM);
	struct collateral c = base;
	struct span none = { 0 }, crl = base.pck_crl;

	if (x509_crl_parse(&real, crl))
		die("revocation list");
	repeat(&list, real.list, "", 50 * 1024);
	const uint8_t *list_end = real.list.p + real.list.n, *tbs_end = real.tbs.p + real.tbs.n;
	struct span tbs = seq(between(real.tbs.p + 4, real.list.p - 4),
			      seq(span_of(list.p, list.n), none, none), between(list_end, tbs_end));
	c.pck_crl = seq(tbs, between(tbs_end, crl.p + crl.n), none);
	if (x509_crl_parse(&real, c.pck_crl))
		die("long revocation list");
	add_collateral("quote: revocation list", &c);
}

static struct span pem_block(struct span der)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct wr w = room(ROOM);

	wr_str(&w, "-----BEGIN CERTIFICATE-----\n");
	for (size_t i = 0; i + 3 <= der.n; i += 3) {
		uint32_t v = (uint32_t)der.p[i] << 16 | (uint32_t)der.p[i + 1] << 8 | der.p[i + 2];
		for (int k = 18; k >= 0; k -= 6)
			wr_u8(&w, (uint8_t)digit[v >> k & 63]);
	}
	wr_str(&w, "-----END CERTIFICATE-----\n");
	return span_of(w.p, w.n);
}

// A certificate in which all there is are small elements.
static struct span busy_der(size_t n)
{
	struct wr w = room(ROOM);

	repeat(&w, span_of("\x31\x07\x30\x05\x06\x01\x2a\x05\x00", 9), "", n - 4);
	return seq(seq(span_of(w.p, w.n), (struct span){ 0 }, (struct span){ 0 }), (struct span){ 0 },
		   (struct span){ 0 });
}

static void chain_cases(void)
{
	static uint8_t zeros[48 * 1024];
	struct collateral c = base;
	struct wr blocks = room(ROOM), white = room(ROOM);

	c.pck_crl_issuer_chain = pem_block(busy_der(60 * 1024));
	add_collateral("quote: certificate of small parts", &c);
	c.pck_crl_issuer_chain = pem_block(span_of(zeros, sizeof zeros));
	add_collateral("quote: certificate of zeros", &c);
	c = base;
	repeat(&blocks, base.tcb_info_issuer_chain, "", ROOM);
	c.pck_crl_issuer_chain = span_of(blocks.p, blocks.n * 3 / 4);
	add_collateral("quote: many certificates", &c);
	c = base;
	repeat(&white, span_str(" "), "", DOCUMENT);
	c.pck_certificate_chain = span_of(white.p, white.n);
	add_collateral("quote: white space for a chain", &c);
}

// A real quote whose certificates are `pem`: as long as a quote may be.
static void add_quote(const char *name, struct span pem, struct span collateral)
{
	struct quote q;
	struct wr w = room(MIB);

	if (quote_parse(&q, quote))
		die("quote");
	size_t head = (size_t)(q.cert_data.p - quote.p), qe = (size_t)(q.qe_report.p - quote.p);
	wr_span(&w, span_of(quote.p, head - 4));
	wr_le32(&w, (uint32_t)pem.n);
	wr_span(&w, pem);
	// The lengths around it: signature data, and in it the part of the quoting enclave.
	struct wr sig = wr_to(w.p + QUOTE_HEADER + QUOTE_TD10, 4), part = wr_to(w.p + qe - 4, 4);
	wr_le32(&sig, (uint32_t)(w.n - QUOTE_HEADER - QUOTE_TD10 - 4));
	wr_le32(&part, (uint32_t)(w.n - qe));
	add(name, HOSTILE_QUOTE, span_of(w.p, w.n), collateral);
}

static void quote_cases(void)
{
	static uint8_t zeros[MIB];
	struct wr col = room(MIB), white = room(ROOM);
	struct quote q;
	size_t most = QUOTE_MAX - 2048;

	collateral_write(&col, &base);
	struct span collateral = span_of(col.p, col.n);
	if (quote_parse(&q, quote))
		die("quote");
	struct span chain = q.cert_data;
	while (chain.n && !chain.p[chain.n - 1])
		chain.n--;
	wr_span(&white, chain);
	repeat(&white, span_str("\n"), "", most);
	add_quote("quote: chain and white space", span_of(white.p, white.n), collateral);
	add_quote("quote: a large certificate", pem_block(busy_der(46 * 1024 - 100)), collateral);
	add("quote: zeros", HOSTILE_QUOTE, span_of(zeros, MIB), collateral);
	add("quote: root list signed by nobody", HOSTILE_QUOTE, quote, collateral);
}

// ---- envelopes and logs

static void envelope_cases(void)
{
	struct wr events = room(MIB), deep = room(MIB), wide = room(MIB), map = room(MIB);

	wr_put(&events, "\0\0", 2); // V0, TDX
	scale_wr_bytes(&events, quote);
	scale_wr_compact(&events, EVENTLOG_MAX);
	for (int i = 0; i < EVENTLOG_MAX; i++) {
		wr_le32(&events, 3);
		wr_le32(&events, EVENT_RUNTIME);
		scale_wr_bytes(&events, (struct span){ 0 });
		scale_wr_bytes(&events, span_str("x"));
		scale_wr_bytes(&events, span_of(quote.p, 220));
	}
	add("envelope: events", HOSTILE_ENVELOPE, span_of(events.p, events.n), (struct span){ 0 });
	wr_put(&deep, "\x83\xa1x", 3);
	repeat(&deep, span_str("\x91"), "", MIB);
	add("envelope: deep", HOSTILE_ENVELOPE, span_of(deep.p, deep.n), (struct span){ 0 });
	wr_put(&wide, "\x83\xa1x\xdd\x00\x0f\xff\xe0", 8);
	repeat(&wide, span_str("\xc0"), "", MIB);
	add("envelope: an array of nothing", HOSTILE_ENVELOPE, span_of(wide.p, wide.n), (struct span){ 0 });
	wr_put(&map, "\xde\xff\xff", 3);
	repeat(&map, span_str("\xadx-in-the-way-\xc0"), "", MIB);
	add("envelope: unknown members", HOSTILE_ENVELOPE, span_of(map.p, map.n), (struct span){ 0 });
}

static void wr_spec_id(struct wr *w)
{
	static const char spec[] = "Spec ID Event03\0\0\0\0\0\0\2\0\2\1\0\0\0\x0c\0\x30\0\0";

	wr_le32(w, 1);
	wr_le32(w, 3);
	repeat(w, span_of("", 1), "", w->n + 20);
	wr_le32(w, sizeof spec - 1);
	wr_put(w, spec, sizeof spec - 1);
}

// The answer of GetQuote, cut to the size of evidence.
static void add_answer(const char *name, struct span log)
{
	struct wr w = room(2 * MIB);

	wr_str(&w, "{\"quote\":");
	wr_json_hex(&w, quote.p, quote.n);
	wr_str(&w, ",\"event_log\":");
	wr_json(&w, log);
	if (w.n >= MIB) {
		w.n = MIB - 2;
		wr_u8(&w, '"');
	}
	wr_u8(&w, '}');
	add(name, HOSTILE_EVIDENCE, span_of(w.p, w.n), (struct span){ 0 });
}

static void log_cases(void)
{
	struct wr json = room(MIB), one = room(MIB), ccel = room(MIB), zeros = room(MIB);
	char event[] =
		"{\"imr\":3,\"event_type\":134217729,\"digest\":\"\",\"event\":\"x\",\"event_payload\":\"";

	wr_u8(&json, '[');
	for (int i = 0; i < EVENTLOG_MAX; i++) {
		wr_str(&json, i ? "," : "");
		wr_str(&json, event);
		wr_hex(&json, quote.p, 80);
		wr_str(&json, "\"}");
	}
	wr_u8(&json, ']');
	add("log: events", HOSTILE_LOG, span_of(json.p, json.n), (struct span){ 0 });
	add_answer("evidence: events", span_of(json.p, json.n));
	wr_u8(&one, '[');
	wr_str(&one, event);
	repeat(&one, span_str("00"), "", 340 * 1024);
	wr_str(&one, "\",\"version\":2,\"preimage\":\"");
	repeat(&one, span_str("00"), "", MIB - 16 * 1024);
	wr_str(&one, "\"}]");
	add("log: one event, version 2", HOSTILE_LOG, span_of(one.p, one.n), (struct span){ 0 });
	add_answer("evidence: one event, version 2", span_of(one.p, one.n));
	wr_spec_id(&ccel);
	while (ccel.n + 66 <= MIB) {
		wr_le32(&ccel, 0);
		wr_le32(&ccel, 5);
		wr_le32(&ccel, 0);
		wr_le32(&ccel, 0);
	}
	add("ccel: events of no register", HOSTILE_CCEL, span_of(ccel.p, ccel.n), (struct span){ 0 });
	add("tpm: events of no bank", HOSTILE_TPM, span_of(ccel.p, ccel.n), (struct span){ 0 });
	wr_spec_id(&zeros);
	repeat(&zeros, span_of("", 1), "", MIB);
	add("ccel: zeros", HOSTILE_CCEL, span_of(zeros.p, zeros.n), (struct span){ 0 });
}

const struct hostile *hostile_all(size_t *n)
{
	static uint8_t arena[MIB], broken[4096];
	size_t used;

	*n = count;
	if (count)
		return all;
	quote = load("tdx_quote");
	if (collateral_parse(&base, load("tdx_quote_collateral.json"), arena, sizeof arena, &used) ||
	    base.root_ca_crl.n > sizeof broken)
		die("collateral");
	memcpy(broken, base.root_ca_crl.p, base.root_ca_crl.n);
	broken[base.root_ca_crl.n - 1] ^= 1;
	base.root_ca_crl.p = broken;
	json_cases();
	document_cases();
	crl_case();
	chain_cases();
	quote_cases();
	envelope_cases();
	log_cases();
	for (size_t i = 0, parsers = count; i < parsers; i++)
		if (all[i].kind != HOSTILE_EVIDENCE)
			add(all[i].name, HOSTILE_EVIDENCE, all[i].bytes, all[i].collateral);
	*n = count;
	return all;
}

void hostile_free(void)
{
	while (kept_n)
		free(kept[--kept_n]);
	count = 0;
}

// ---- running

static bool run_parser(const struct hostile *h, const char **code)
{
	static struct event store[EVENTLOG_MAX], runtime[EVENTLOG_MAX];
	static struct envelope_tpm tpm;
	static uint8_t scratch[MIB];
	struct wr s = wr_to(scratch, sizeof scratch);
	struct eventlog log = { store, 0, EVENTLOG_MAX };
	struct envelope env = { .log = log, .runtime = { runtime, 0, EVENTLOG_MAX }, .tpm = &tpm };
	struct json_fault jf = { 0, "read" };
	struct fault f = { .code = "read" };
	struct json v;
	bool refused = false;

	switch (h->kind) {
	case HOSTILE_JSON:
		refused = json_parse(&v, h->bytes, &jf);
		*code = jf.what;
		return refused;
	case HOSTILE_ENVELOPE:
		refused = envelope_read(&env, &s, h->bytes, &f);
		break;
	case HOSTILE_LOG:
		refused = eventlog_read_json(&log, &s, h->bytes, &f);
		break;
	case HOSTILE_CCEL:
		refused = eventlog_read_ccel(&log, h->bytes, &f);
		break;
	default:
		refused = eventlog_read_tpm(&log, h->bytes, &f);
	}
	*code = f.code;
	return refused;
}

// Everything before an image is looked up.
static bool run_evidence(const struct hostile *h, struct engine *g, const char **code)
{
	static struct verify v;
	static uint8_t scratch[VERIFY_SCRATCH(MIB)];
	struct verify_input in = { .evidence = h->bytes,
				   .collateral = h->collateral,
				   .expect = span_str("{}"),
				   .binding = VERIFY_BIND_STATED,
				   .now = NOW };
	const struct sig_check *checks;

	if (verify_read(&v, &in, scratch, sizeof scratch) == VERIFY_BEGIN) {
		verify_begin(&v, engine_collateral(g, verify_collateral(&v), 0));
		size_t n = verify_checks(&v, &checks);
		enum reason why = verify_signed(&v, engine_run(g, checks, n, verify_found(&v)));
		*code = reason_text(why)->code;
		return why != REASON_OK;
	}
	*code = v.verdict.n ? v.verdict.claim[0].code : "inflate";
	return true;
}

bool hostile_run(const struct hostile *h, struct engine *g, char *code, size_t cap)
{
	struct dcap_input in = { .quote = h->bytes, .collateral = h->collateral, .now = NOW };
	struct dcap_result r;
	struct err e = { .code = "read" };
	const char *why = e.code;
	bool refused;

	switch (h->kind) {
	case HOSTILE_QUOTE:
		refused = dcap_verify(g, &in, &r, &e);
		break;
	case HOSTILE_EVIDENCE:
		refused = run_evidence(h, g, &why);
		break;
	default:
		refused = run_parser(h, &why);
	}
	snprintf(code, cap, "%s", why);
	return refused;
}
