#include "machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/sha.h>

#include "base/file.h"
#include "base/sb.h"
#include "base/strings.h"
#include "core/attest/envelope.h"
#include "core/attest/quote.h"
#include "core/attest/reportdata.h"
#include "core/codec/hex.h"
#include "core/codec/json.h"
#include "core/measure/measure.h"
#include "crypto/issue.h"

enum { EVENTS = 80, TEXT = 1 << 20 };

static const char *evidence_dir;

static void must(int r, const struct err *e)
{
	if (!r)
		return;
	fprintf(stderr, "machine: %s [%s]\n", e->text, e->code);
	abort();
}

static void want(bool ok, const char *what)
{
	struct err e = { .code = "test" };

	snprintf(e.text, sizeof e.text, "%s", what);
	must(!ok, &e);
}

// Good until the next one.
static struct span load(const char *name)
{
	static uint8_t bytes[TEXT];
	char path[400], *text;
	struct err e;
	size_t n;

	snprintf(path, sizeof path, "%s/%s", evidence_dir, name);
	must(file_read(path, TEXT, &text, &n, &e), &e);
	memcpy(bytes, text, n);
	free(text);
	return span_of(bytes, n);
}

static void unhex(uint8_t *out, size_t n, const char *text)
{
	want(hex_exact(out, n, text), "hex");
}

// ---- the image of the recorded boot

static void put_file(const struct machine *m, struct sb *manifest, const char *name, const void *p, size_t n)
{
	char path[300];
	uint8_t hash[32];
	struct err e;

	snprintf(path, sizeof path, "%s/image/%s", m->dir, name);
	must(file_write(path, 0644, p, n, &e), &e);
	SHA256(p, n, hash);
	if (!manifest)
		return;
	sb_hex(manifest, hash, 32);
	sb_fmt(manifest, "  %s\n", name);
}

static void measurement(struct measurement_tdx *t)
{
	*t = (struct measurement_tdx){
		.hob = { .n = 1, .s = { { .type = TDVF_TD_HOB, .address = 0x809000, .size = 0x2000 } } }
	};
	memset(t->mrtd_single, 0x11, 48);
	memset(t->mrtd_two, 0x22, 48);
	unhex(t->kernel, 48,
	      "7ecdb6cc60c09d19a787dc73e2aedb56ac4233946fbdedb60c2623afff61f3d7f717d8c91937c41114de1e6ac5fc7a"
	      "78");
	unhex(t->initrd, 48,
	      "4dd8178e00e0b6d4170a7bb4f1ee10e1eaf090c542d0ef8154bb1cc094414bff0a04fcc61bb8015c1bca8a14d33971"
	      "be");
	measure_cmdline(t->cmdline, span_str("console=ttyS0 panic=-1 quiet"));
}

static void make_image(struct machine *m)
{
	static const char meta[] =
		"{\"bios\":\"ovmf.fd\",\"kernel\":\"bzImage\",\"initrd\":\"initramfs.cpio.gz\","
		"\"cmdline\":\"console=ttyS0 panic=-1 quiet\",\"version\":\"0.0.1\",\"is_dev\":true}";
	struct sb manifest = { 0 };
	struct measurement_tdx t;
	uint8_t cbor[1024];
	struct wr w = wr_to(cbor, sizeof cbor);
	char path[300];
	struct err e;

	snprintf(path, sizeof path, "%s/image", m->dir);
	must(file_mkdirs(path, 0755, &e), &e);
	measurement(&t);
	want(!measurement_tdx_write(&w, &t), "measurement");
	put_file(m, &manifest, "bzImage", "kernel", 6);
	put_file(m, &manifest, "initramfs.cpio.gz", "initrd", 6);
	put_file(m, &manifest, "metadata.json", meta, sizeof meta - 1);
	put_file(m, &manifest, "measurement.tdx.cbor", cbor, w.n);
	put_file(m, NULL, "sha256sum.txt", manifest.p, manifest.n);
	put_file(m, NULL, "unlisted.bin", "x", 1);
	SHA256((uint8_t *)manifest.p, manifest.n, m->image_hash);
	sb_free(&manifest);
}

void machine_make(struct machine *m, const char *dir, const char *evidence)
{
	char path[300];
	struct err e;

	evidence_dir = evidence;
	*m = (struct machine){ 0 };
	snprintf(m->dir, sizeof m->dir, "%s", dir);
	snprintf(path, sizeof path, "%s/pki", dir);
	must(pki_make(path, time(NULL), &e) || pki_load(&m->pki, path, &e), &e);
	must(quote_signer_init(&m->signer, &m->pki, &m->pki, &m->pki, 8, &e), &e);
	unhex(m->lite_hash, 32, "e6f5cfec20c02e7b97baa213d0f718020b55e040172d90ccbcb946d56c8b09db");
	make_image(m);
}

// ---- the software TEE's evidence

struct guest {
	struct event boot[EVENTS], events[EVENTS];
	struct eventlog log, runtime;
	struct quote_body body;
	uint8_t compose_hash[32], app_id[20], instance_id[20];
	char config[400];
};

static void add(struct guest *g, const char *name, struct span payload)
{
	g->events[g->runtime.n++] = event_runtime(span_str(name), payload, 1);
}

static void guest_new(struct guest *g, const struct machine *m)
{
	struct measurement_tdx t;
	struct fault f;

	memset(g, 0, sizeof *g);
	memset(g->compose_hash, 0xc0, 32);
	memset(g->app_id, 0xa0, 20);
	memset(g->instance_id, 0x10, 20);
	g->log = (struct eventlog){ g->boot, 0, EVENTS };
	want(!eventlog_read_tpm(&g->log, load("soft/tpm-3072-2cpu.bin"), &f), "boot log");
	g->runtime = (struct eventlog){ g->events, 0, EVENTS };
	add(g, "system-preparing", span_str(""));
	add(g, "app-id", span_of(g->app_id, 20));
	add(g, "compose-hash", span_of(g->compose_hash, 32));
	add(g, "instance-id", span_of(g->instance_id, 20));
	add(g, "boot-mr-done", span_str(""));
	add(g, "key-provider", span_str("{\"name\":\"kms\",\"id\":\"3059aabb\"}"));
	add(g, "system-ready", span_str(""));
	quote_body_init(&g->body);
	measurement(&t);
	memcpy(g->body.mr_td, t.mrtd_single, 48);
	memset(g->body.report_data, 0x33, 64);
	mr_config_id_v1(g->body.mr_config_id, g->compose_hash);
	snprintf(g->config, sizeof g->config,
		 "{\"os_image_hash\":\"%s\",\"memory_size\":%llu,\"cpu_count\":2,\"tee\":\"soft\",\"swtpm\":"
		 "true,"
		 "\"qemu_version\":\"7.2.22\"}",
		 STR_HEX(m->image_hash, 32), 3072ull << 20);
	want(!eventlog_replay(g->body.rtmr, &g->log, &f) &&
		     !eventlog_replay_runtime(g->body.rtmr[3], &g->runtime, false, &f),
	     "replay");
}

static struct span sign(const struct machine *m, const struct quote_body *b)
{
	static uint8_t quote[QUOTE_CAP];
	struct err e;
	size_t n;

	must(quote_sign(&m->signer, b, quote, &n, &e), &e);
	return span_of(quote, n);
}

static struct span envelope(const struct machine *m, struct guest *g, bool strip)
{
	static uint8_t out[1 << 16];
	struct envelope env = { .kind = ENVELOPE_TDX,
				.quote = sign(m, &g->body),
				.log = g->log,
				.runtime = g->runtime,
				.config = span_str(g->config) };
	struct wr w = wr_to(out, sizeof out);
	struct fault f;

	memcpy(env.report_data, g->body.report_data, 64);
	if (strip)
		envelope_strip(&env);
	want(!envelope_write(&w, &env, &f) && !w.bad, "envelope");
	return span_of(out, w.n);
}

static struct span log_json(struct guest *g)
{
	static uint8_t out[1 << 18];
	struct event all[2 * EVENTS];
	struct eventlog log = { all, g->log.n + g->runtime.n, 2 * EVENTS };
	struct wr w = wr_to(out, sizeof out);

	memcpy(all, g->boot, g->log.n * sizeof *all);
	memcpy(all + g->log.n, g->events, g->runtime.n * sizeof *all);
	eventlog_write_json(&w, &log, true);
	want(!w.bad, "event log");
	return span_of(out, w.n);
}

static char *get_quote(struct span quote, struct span log, const char *config)
{
	struct sb b = { 0 };

	sb_str(&b, "{");
	sb_json_key(&b, "quote");
	sb_chr(&b, '"');
	sb_hex(&b, quote.p, quote.n);
	sb_chr(&b, '"');
	sb_json_key(&b, "event_log");
	sb_json_str_n(&b, log.p, log.n);
	sb_json_key(&b, "vm_config");
	sb_json_str(&b, config);
	sb_json_key(&b, "debug");
	sb_str(&b, "true}");
	return sb_take(&b);
}

// ---- a genuine TD's registers and log

static char *member(struct json root, const char *name)
{
	char *text = malloc(TEXT);
	struct json v;

	want(text && json_get(root, name, &v) && !json_cstr(v, text, TEXT), name);
	return text;
}

static char *lite(const struct machine *m, bool legacy)
{
	struct json root;
	struct quote q;
	struct td_report td;
	struct quote_body b;

	want(!json_parse(&root, load("real/dstack/verifier/tdx-lite-getquote.json"), NULL), "sample");
	char *quote = member(root, "quote"), *log = member(root, "event_log"),
	     *config = member(root, "vm_config"), *at = strstr(config, "\"lite\"");
	size_t n = strlen(quote) / 2;

	want(!hex_decode((uint8_t *)quote, n, span_of(quote, 2 * n)) &&
		     quote_parse(&q, span_of(quote, n)) == REASON_OK,
	     "its quote");
	want(!quote_td(&q, &td), "its registers");
	quote_body_init(&b);
	memcpy(b.mr_td, td.mr_td, 48);
	memcpy(b.mr_config_id, td.mr_config_id, 48);
	memcpy(b.rtmr, td.rtmr, sizeof b.rtmr);
	memcpy(b.report_data, td.report_data, 64);
	want(at, "its variant");
	if (legacy) {
		memmove(at + 8, at + 6, strlen(at + 6) + 1);
		memcpy(at, "\"legacy\"", 8);
	}
	char *r = get_quote(sign(m, &b), span_str(log), config);

	free(quote);
	free(log);
	free(config);
	return r;
}

// ---- all of them

static char *attestation(struct span bytes)
{
	struct sb b = { 0 };

	sb_str(&b, "{\"attestation\":\"");
	sb_hex(&b, bytes.p, bytes.n);
	sb_str(&b, "\"}");
	return sb_take(&b);
}

char *machine_request(const struct machine *m, enum machine_kind kind)
{
	static struct guest g;

	if (kind == MACHINE_LITE || kind == MACHINE_LEGACY)
		return lite(m, kind == MACHINE_LEGACY);
	guest_new(&g, m);
	if (kind == MACHINE_ENVELOPE)
		return attestation(envelope(m, &g, true));
	if (kind == MACHINE_OTHER_BASE)
		g.body.mr_td[0] ^= 1;
	if (kind == MACHINE_OTHER_EVENT)
		g.compose_hash[0] ^= 1;
	return get_quote(sign(m, &g.body), log_json(&g), g.config);
}

char *machine_certificate(const struct machine *m, bool bound)
{
	static const char *const names[] = { "app.example" };
	struct cert_spec spec = { .cn = "app",
				  .not_before = time(NULL) - 10,
				  .not_after = time(NULL) + 1000,
				  .sans = names,
				  .n_sans = 1,
				  .server_auth = true };
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct cert_issuer self = { .key = key };
	uint8_t spki[CERT_SPKI_MAX];
	static struct guest g;
	struct err e = { 0 };
	size_t n = 0;
	X509 *cert = cert_issue(&spec, key, &self, &e);

	must(!cert || cert_spki(cert, spki, &n, &e), &e);
	X509_free(cert);
	guest_new(&g, m);
	report_data_tagged(g.body.report_data, REPORT_RATLS_CERT, span_of(spki, n));
	g.body.report_data[0] ^= !bound;
	spec.attestation = envelope(m, &g, true);
	cert = cert_issue(&spec, key, &self, &e);
	must(!cert, &e);
	char *pem = malloc(CERT_PEM_MAX);

	want(pem, "memory");
	must(cert_to_pem(cert, pem, CERT_PEM_MAX, &e), &e);
	X509_free(cert);
	EVP_PKEY_free(key);
	return pem;
}
