#include "guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../evidence/load.h"
#include "core/codec/base64.h"
#include "core/codec/json.h"
#include "crypto/p256.h"

enum { TURNS = 16, TURN = GUEST_ROOM };

static struct forge_keys keys;
static struct forge_out out;
static struct engine *engine;
static struct verify *last;
static struct verify_image image;
static EVP_PKEY *cert_key;
static uint8_t *turn[TURNS];
static size_t next_turn;
static uint8_t root[4096];
static size_t root_n;

uint8_t *guest_room(void)
{
	uint8_t *p = turn[next_turn++ % TURNS];

	return p;
}

static void must(int r, const struct err *e)
{
	if (r)
		fail_msg("%s [%s]", e->text, e->code);
}

static struct span span_sb(const struct sb *b)
{
	return span_of(b->p, b->n);
}

static void make_image(void)
{
	struct span kernel = hex("7ecdb6cc60c09d19a787dc73e2aedb56ac4233946fbdedb60c2623afff61f3d7"
				 "f717d8c91937c41114de1e6ac5fc7a78");
	struct span initrd = hex("4dd8178e00e0b6d4170a7bb4f1ee10e1eaf090c542d0ef8154bb1cc094414bff"
				 "0a04fcc61bb8015c1bca8a14d33971be");
	struct measurement_tdx *m = &image.m;

	*m = (struct measurement_tdx){
		.hob = { .n = 1, .s = { { .type = TDVF_TD_HOB, .address = 0x809000, .size = 0x2000 } } }
	};
	memset(m->mrtd_single, 0x11, 48);
	memset(m->mrtd_two, 0x22, 48);
	memcpy(m->kernel, kernel.p, 48);
	memcpy(m->initrd, initrd.p, 48);
	measure_cmdline(m->cmdline, span_str("console=ttyS0 panic=-1 quiet"));
	memcpy(image.kernel, m->kernel, 48);
	snprintf(image.version, sizeof image.version, "0.0.1");
}

int guest_setup(void **state)
{
	uint8_t scalar[32] = { 7 };
	struct guest *g = calloc(1, sizeof *g);
	struct err e = { 0 };

	(void)state;
	assert_non_null(g);
	for (size_t i = 0; i < TURNS; i++)
		assert_non_null(turn[i] = malloc(TURN));
	must(forge_keys_load(&keys, NULL, "verify", &e), &e);
	assert_non_null(engine = engine_new(&e));
	assert_non_null(cert_key = p256_from_scalar(scalar, &e));
	make_image();
	guest_new(g);
	guest_build(g);
	root_n = out.layer[FORGE_ROOT].n;
	assert_true(root_n <= sizeof root);
	memcpy(root, out.layer[FORGE_ROOT].p, root_n);
	must(engine_only_root(engine, span_of(root, root_n), &e), &e);
	free(g);
	return 0;
}

int guest_teardown(void **state)
{
	(void)state;
	forge_out_free(&out);
	forge_keys_free(&keys);
	engine_free(engine);
	EVP_PKEY_free(cert_key);
	free(last);
	for (size_t i = 0; i < TURNS; i++)
		free(turn[i]);
	return 0;
}

static void add(struct guest *g, const char *name, struct span payload)
{
	g->events[g->runtime.n++] = event_runtime(span_str(name), payload, 1);
}

void guest_new(struct guest *g)
{
	struct fault f;

	memset(g, 0, sizeof *g);
	memset(g->compose_hash, 0xc0, 32);
	memset(g->app_id, 0xa0, 20);
	memset(g->instance_id, 0x10, 20);
	memset(g->image_hash, 0x1a, 32);
	memset(g->gpu_hash, 0x9b, 32);
	memset(g->report_data, 0x33, 64);
	memcpy(g->mr_td, image.m.mrtd_single, 48);
	snprintf(g->key_provider, sizeof g->key_provider, "{\"name\":\"kms\",\"id\":\"3059aabb\"}");
	g->log = (struct eventlog){ g->boot, 0, GUEST_EVENTS };
	assert_int_equal(eventlog_read_tpm(&g->log, load("soft/tpm-3072-2cpu.bin"), &f), 0);
	g->runtime = (struct eventlog){ g->events, 0, GUEST_RUNTIME };
	add(g, "system-preparing", span_str(""));
	add(g, "app-id", span_of(g->app_id, 20));
	add(g, "compose-hash", span_of(g->compose_hash, 32));
	add(g, "gpu-policy-hash", span_of(g->gpu_hash, 32));
	add(g, "instance-id", span_of(g->instance_id, 20));
	add(g, "boot-mr-done", span_str(""));
	add(g, "key-provider", span_str(g->key_provider));
	add(g, "system-ready", span_str(""));
	mr_config_id_v1(g->mr_config_id, g->compose_hash);
	snprintf(g->config, sizeof g->config,
		 "{\"os_image_hash\":\"%.*s\",\"memory_size\":%llu,\"cpu_count\":2,\"tee\":\"soft\","
		 "\"swtpm\":true,"
		 "\"qemu_version\":\"7.2.22\"}",
		 64, (const char *)guest_hex(span_of(g->image_hash, 32)).p, 3072ull << 20);
	forge_init(&g->forge, &keys, FORGE_TDX4, GUEST_NOW);
}

void guest_build(struct guest *g)
{
	uint8_t *td = g->forge.quote.td;
	struct fault f;
	struct err e = { 0 };

	if (!g->forged_rtmr) {
		assert_int_equal(eventlog_replay(g->rtmr, &g->log, &f), 0);
		assert_int_equal(eventlog_replay_runtime(g->rtmr[3], &g->runtime, false, &f), 0);
	}
	memcpy(td + TD_MRTD, g->mr_td, 48);
	memcpy(td + TD_RTMR, g->rtmr, sizeof g->rtmr);
	memcpy(td + TD_MRCONFIGID, g->mr_config_id, 48);
	memcpy(td + TD_REPORT_DATA, g->report_data, 64);
	must(forge_build(&g->forge, &out, &e), &e);
}

struct span guest_quote(void)
{
	return span_sb(&out.layer[FORGE_WHOLE]);
}

struct span guest_collateral(void)
{
	return span_sb(&out.layer[FORGE_COLLATERAL]);
}

struct span guest_root(void)
{
	return span_of(root, root_n);
}

EVP_PKEY *guest_key(void)
{
	return cert_key;
}

// ---- forms

struct span guest_envelope(struct guest *g, bool strip)
{
	struct event copy[GUEST_EVENTS]; // stripping moves events
	struct envelope env = { .kind = ENVELOPE_TDX,
				.quote = guest_quote(),
				.log = { copy, g->log.n, GUEST_EVENTS },
				.runtime = g->runtime,
				.config = span_str(g->config) };
	struct wr w = wr_to(guest_room(), TURN);
	struct fault f;

	memcpy(copy, g->boot, sizeof copy);
	memcpy(env.report_data, g->report_data, 64);
	if (strip)
		envelope_strip(&env);
	assert_int_equal(envelope_write(&w, &env, &f), 0);
	assert_false(w.bad);
	return span_of(w.p, w.n);
}

struct span guest_log_json(struct guest *g)
{
	struct event all[GUEST_EVENTS + GUEST_RUNTIME];
	struct eventlog log = { all, g->log.n + g->runtime.n, GUEST_EVENTS + GUEST_RUNTIME };
	struct wr w = wr_to(guest_room(), TURN);

	memcpy(all, g->boot, g->log.n * sizeof *all);
	memcpy(all + g->log.n, g->events, g->runtime.n * sizeof *all);
	eventlog_write_json(&w, &log, true);
	assert_false(w.bad);
	return span_of(w.p, w.n);
}

struct span guest_text(const char *fmt, ...)
{
	char *p = (char *)guest_room();
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(p, TURN, fmt, ap);

	va_end(ap);
	assert_true(n >= 0 && n < TURN);
	return span_of(p, (size_t)n);
}

struct span guest_hex(struct span bytes)
{
	struct wr w = wr_to(guest_room(), TURN);

	wr_hex(&w, bytes.p, bytes.n);
	assert_false(w.bad);
	return span_of(w.p, w.n);
}

struct span guest_json_string(struct span text)
{
	struct wr w = wr_to(guest_room(), TURN);

	wr_json(&w, text);
	assert_false(w.bad);
	return span_of(w.p, w.n);
}

struct span guest_get_quote(struct guest *g)
{
	struct span quote = guest_hex(guest_quote()), log = guest_json_string(guest_log_json(g)),
		    config = guest_json_string(span_str(g->config)),
		    data = guest_hex(span_of(g->report_data, 64));

	return guest_text(
		"{\"quote\":\"%.*s\",\"event_log\":%.*s,\"report_data\":\"%.*s\",\"vm_config\":%.*s}",
		(int)quote.n, quote.p, (int)log.n, log.p, (int)data.n, data.p, (int)config.n, config.p);
}

// ---- certificates

void guest_bind(struct guest *g)
{
	uint8_t spki[P256_SPKI];
	struct err e;

	must(p256_spki(cert_key, spki, &e), &e);
	report_data_tagged(g->report_data, REPORT_RATLS_CERT, span_of(spki, sizeof spki));
	guest_build(g);
}

struct span guest_pem(struct span der)
{
	struct wr w = wr_to(guest_room(), TURN), b = wr_to(guest_room(), TURN);

	wr_base64(&b, der);
	wr_str(&w, "-----BEGIN CERTIFICATE-----\n");
	for (size_t i = 0; i < b.n; i += 64) {
		wr_put(&w, b.p + i, b.n - i < 64 ? b.n - i : 64);
		wr_u8(&w, '\n');
	}
	wr_str(&w, "-----END CERTIFICATE-----\n");
	assert_false(w.bad || b.bad);
	return span_of(w.p, w.n);
}

// ---- verdicts

const struct verify_image *guest_image(void)
{
	return &image;
}

struct verify *guest_judge(struct span evidence, const struct verify_input *with,
			   const struct verify_image *is)
{
	struct verify_input in = with ? *with : (struct verify_input){ 0 };
	uint8_t *exact = malloc(evidence.n + 1); // so that a sanitizer sees a read past the end
	struct err e = { 0 };

	assert_non_null(exact);
	if (evidence.n)
		memcpy(exact, evidence.p, evidence.n);
	in.evidence = span_of(exact, evidence.n);
	if (!in.expect.p)
		in.expect = span_str("{}");
	if (!with)
		in.binding = VERIFY_BIND_STATED;
	if (!in.collateral.p)
		in.collateral = guest_collateral();
	in.now = in.now ? in.now : GUEST_NOW;
	free(last);
	assert_non_null(last = evidence_new(&in, &e));
	if (evidence_read(last, &in))
		(void)evidence_check(engine, last);
	verify_finish(last, 0, is);
	if (!last->verdict.ok)
		assert_true(*last->verdict.code && *last->verdict.error);
	free(exact);
	return last;
}

void guest_accepts(struct span evidence, const struct verify_input *with)
{
	struct verify *v = guest_judge(evidence, with, &image);

	if (!v->verdict.ok)
		fail_msg("%s [%s]", v->verdict.error, v->verdict.code);
	assert_int_equal(v->verdict.anchor, ANCHOR_DEVELOPMENT);
}

void guest_refuses(struct span evidence, const struct verify_input *with, const char *code)
{
	struct verify *v = guest_judge(evidence, with, &image);

	assert_false(v->verdict.ok);
	assert_string_equal(v->verdict.code, code);
}

const char *guest_claim(const struct verify *v, const char *name)
{
	const struct claim *c = verdict_find(&v->verdict, name);

	return !c ? NULL : c->ok ? "" : c->code;
}
