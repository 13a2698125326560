// MRCONFIGID and host data in all three forms: a real SEV-SNP machine's document and host data, form 2
// against an independent Keccak, and what must be refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/attest/envelope.h"
#include "core/measure/mrconfig.h"
#include "load.h"

static struct event store[64], runtime_store[64];
static uint8_t scratch[1 << 20], scratch2[1 << 16];
static const char sample[] = "real/dstack/verifier/sev-snp-attestation.json";

struct sample {
	struct envelope env;
	struct mr_config facts;
	uint8_t id[MR_CONFIG_LEN]; // what a TD bound to the same document would have
};

static void read_sample(struct sample *s)
{
	struct wr w = wr_to(scratch, sizeof scratch), w2 = wr_to(scratch2, sizeof scratch2);
	struct app_events app;
	struct fault f = { 0 };

	s->env = (struct envelope){ .log = { store, 0, 64 }, .runtime = { runtime_store, 0, 64 } };
	if (envelope_read(&s->env, &w, load_hex_member(sample, "attestation"), &f) ||
	    app_events_read(&app, &s->env.runtime, &f) || mr_config_facts(&s->facts, &w2, &app, &f))
		fail_msg("%s %s", f.code, f.text);
	mr_config_id_v3(s->id, s->env.mr_config);
}

static struct mr_config copy_facts(const struct sample *s)
{
	return s->facts;
}

static void host_data_of_a_real_machine(void **state)
{
	struct wr w = wr_to(scratch2, sizeof scratch2);
	uint8_t digest[32], text[MR_CONFIG_DOCUMENT_MAX];
	struct wr out = wr_to(text, sizeof text);
	struct mr_config c;
	struct sample s;
	struct fault f = { 0 };

	(void)state;
	read_sample(&s);
	mr_config_digest(digest, s.env.mr_config);
	assert_memory_equal(digest, s.env.quote.p + 0xc0, 32);
	w.n = 4096; // behind the facts
	if (mr_config_read(&c, &w, s.env.mr_config, &f))
		fail_msg("%s at %zu", f.text, f.at);
	assert_int_equal(c.key_provider, KEY_PROVIDER_KMS);
	assert_int_equal(c.has, MR_CONFIG_APP_ID | MR_CONFIG_INSTANCE_ID | MR_CONFIG_PROVIDER |
					MR_CONFIG_PROVIDER_ID);
	assert_int_equal(mr_config_agrees(&c, &s.facts, &f), 0);
	mr_config_write(&out, &c);
	assert_true(span_eq(span_of(text, out.n), s.env.mr_config));
}

static void form_2_has_the_values_of_an_independent_keccak(void **state)
{
	static const struct {
		enum key_provider_kind kind;
		const char *id, *digest;
	} known[] = {
		{ KEY_PROVIDER_NONE, "", "f868c751365186303263b52bf221c42a11004608f17e7e96d366446c08b8f836" },
		{ KEY_PROVIDER_LOCAL, "1111111111111111111111111111111111111111111111111111111111111111",
		  "556b4218c6416e163c66e2a0a3adc1ef3bef75cb24fd638167c29e0ee94a82cc" },
		{ KEY_PROVIDER_TPM, "", "1ae169d0e1178ea70681fd030b671fc18c7b6f6091911ea31f1520b026dff055" },
	};
	struct span kms = hex("c18d57e12f43473a3f911afad1713677e8fbda96b411c0939c4ccf78ce6dd985");
	uint8_t id[MR_CONFIG_LEN], want[MR_CONFIG_LEN], zeros[15] = { 0 };
	struct wr w = wr_to(scratch2, sizeof scratch2);
	struct sample s;
	struct fault f = { 0 };

	(void)state;
	read_sample(&s);
	for (size_t i = 0; i < 3; i++) {
		mr_config_id_v2(id, s.facts.compose_hash.p, s.facts.app_id.p, known[i].kind,
				hex(known[i].id));
		assert_int_equal(id[0], 2);
		assert_memory_equal(id + 1, hex(known[i].digest).p, 32);
		assert_memory_equal(id + 33, zeros, 15);
		assert_int_equal(mr_config_judge(want, id, &s.facts, (struct span){ 0 }, &w, &f),
				 MR_CONFIG_BAD);
		assert_string_equal(f.code, "quote.config_id");
	}
	mr_config_id_v2(id, s.facts.compose_hash.p, s.facts.app_id.p, s.facts.key_provider,
			s.facts.key_provider_id);
	assert_memory_equal(id + 1, kms.p, 32);
	assert_int_equal(mr_config_judge(want, id, &s.facts, (struct span){ 0 }, &w, &f), MR_CONFIG_BOUND);
	s.facts.has &= ~(unsigned)MR_CONFIG_PROVIDER; // before boot-mr-done nobody knows the provider
	assert_int_equal(mr_config_judge(want, id, &s.facts, (struct span){ 0 }, &w, &f), MR_CONFIG_OPEN);
	assert_string_equal(f.code, "config_id.open");
}

static void forms_0_and_1(void **state)
{
	uint8_t id[MR_CONFIG_LEN] = { 0 }, want[MR_CONFIG_LEN];
	struct wr w = wr_to(scratch2, sizeof scratch2);
	struct sample s;
	struct fault f = { 0 };

	(void)state;
	read_sample(&s);
	assert_int_equal(mr_config_judge(want, id, &s.facts, (struct span){ 0 }, &w, &f), MR_CONFIG_UNBOUND);
	mr_config_id_v1(id, s.facts.compose_hash.p);
	assert_int_equal(mr_config_judge(want, id, &s.facts, (struct span){ 0 }, &w, &f), MR_CONFIG_BOUND);
	for (size_t i = 0; i < MR_CONFIG_LEN; i++) { // every byte counts, the zeros behind it, too
		id[i] ^= 0x40;
		assert_int_equal(mr_config_judge(want, id, &s.facts, (struct span){ 0 }, &w, &f),
				 MR_CONFIG_BAD);
		assert_string_equal(f.code, "quote.config_id");
		id[i] ^= 0x40;
	}
	id[0] = 0; // form 0 is all zeros or nothing
	assert_int_equal(mr_config_judge(want, id, &s.facts, (struct span){ 0 }, &w, &f), MR_CONFIG_BAD);
}

static void form_3_needs_its_document_or_the_facts(void **state)
{
	uint8_t want[MR_CONFIG_LEN];
	struct wr w = wr_to(scratch2, sizeof scratch2);
	struct sample s;
	struct fault f = { 0 };

	(void)state;
	read_sample(&s);
	w.n = 4096;
	assert_int_equal(mr_config_judge(want, s.id, &s.facts, s.env.mr_config, &w, &f), MR_CONFIG_BOUND);
	// the facts give it back without the document
	assert_int_equal(mr_config_judge(want, s.id, &s.facts, (struct span){ 0 }, &w, &f), MR_CONFIG_BOUND);
	struct mr_config other = copy_facts(&s);

	other.app_id = other.instance_id;
	assert_int_equal(mr_config_judge(want, s.id, &other, s.env.mr_config, &w, &f), MR_CONFIG_BAD);
	assert_string_equal(f.code, "config_id.differs");
	assert_int_equal(mr_config_judge(want, s.id, &other, (struct span){ 0 }, &w, &f), MR_CONFIG_OPEN);
	other = copy_facts(&s);
	other.key_provider = KEY_PROVIDER_TPM;
	assert_int_equal(mr_config_judge(want, s.id, &other, s.env.mr_config, &w, &f), MR_CONFIG_BAD);
	other.has &= ~(unsigned)MR_CONFIG_PROVIDER;
	assert_int_equal(mr_config_judge(want, s.id, &other, s.env.mr_config, &w, &f), MR_CONFIG_BOUND);
	s.id[5] ^= 1;
	assert_int_equal(mr_config_judge(want, s.id, &s.facts, s.env.mr_config, &w, &f), MR_CONFIG_BAD);
	assert_string_equal(f.code, "quote.config_id");
}

#define H32 "86e59625be93207bc2351c4d1bba20037cec8e168da6b18f559af5af657b7a23"

static void documents_are_read_strictly(void **state)
{
	static const char *const good[] = {
		"{\"compose_hash\":\"" H32 "\",\"key_provider\":\"none\",\"version\":3}",
		"{\"compose_hash\":\"" H32 "\",\"gpu_policy_hash\":\"" H32 "\",\"init_script_hashes\":[\"" H32
		"\",\"" H32 "\"],\"key_provider\":\"local\",\"key_provider_id\":\"00\",\"version\":3}",
		"{\"compose_hash\":\"" H32
		"\",\"init_script_hashes\":[],\"key_provider\":\"tpm\",\"version\":3}",
	};
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"compose_hash\":\"" H32 "\",\"key_provider\":\"none\"}",
		"{\"compose_hash\":\"" H32 "\",\"version\":3}",
		"{\"key_provider\":\"none\",\"version\":3}",
		"{\"compose_hash\":\"" H32 "\",\"key_provider\":\"none\",\"version\":2}",
		"{\"compose_hash\":\"" H32 "\",\"key_provider\":\"none\",\"version\":3,\"x\":1}",
		"{\"compose_hash\":\"" H32 "\",\"key_provider\":\"sgx\",\"version\":3}",
		"{\"compose_hash\":\"86E59625be93207bc2351c4d1bba20037cec8e168da6b18f559af5af657b7a23\","
		"\"key_provider\":\"none\",\"version\":3}",
		"{\"compose_hash\":\"00\",\"key_provider\":\"none\",\"version\":3}",
		"{\"compose_hash\":\"" H32 "\", \"key_provider\":\"none\",\"version\":3}",
		"{\"key_provider\":\"none\",\"compose_hash\":\"" H32 "\",\"version\":3}",
		"{\"compose_hash\":\"" H32 "\",\"init_script_hashes\":[\"00\"],\"key_provider\":\"none\","
		"\"version\":3}",
		"{\"compose_hash\":\"" H32 "\",\"init_script_hashes\":\"\",\"key_provider\":\"none\","
		"\"version\":3}",
		"{\"app_id\":\"00\",\"compose_hash\":\"" H32 "\",\"key_provider\":\"none\",\"version\":3}",
		"{\"app_id\":null,\"compose_hash\":\"" H32 "\",\"key_provider\":\"none\",\"version\":3}",
	};
	struct mr_config c;
	struct fault f = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct wr w = wr_to(scratch2, strlen(good[i]) / 2);

		if (mr_config_read(&c, &w, span_str(good[i]), &f))
			fail_msg("%zu: %s at %zu", i, f.text, f.at);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct wr w = wr_to(scratch2, sizeof scratch2);

		assert_int_equal(mr_config_read(&c, &w, span_str(bad[i]), &f), -1);
		assert_string_equal(f.code, "config_id.document");
	}
}

static void every_disagreement_is_seen(void **state)
{
	static const char text[] =
		"{\"app_id\":\"86e59625be93207bc2351c4d1bba20037cec8e16\",\"compose_hash\":\"" H32
		"\",\"gpu_policy_hash\":\"" H32 "\",\"init_script_hashes\":[\"" H32
		"\"],\"instance_id\":\"86e59625be93207bc2351c4d1bba20037cec8e16\",\"key_provider\":\"kms\","
		"\"key_provider_id\":\"0102\",\"version\":3}";
	static const uint8_t other[32] = { 1 };
	struct wr w = wr_to(scratch2, sizeof scratch2);
	struct mr_config d, x;
	struct fault f = { 0 };

	(void)state;
	assert_int_equal(mr_config_read(&d, &w, span_str(text), &f), 0);
	x = d;
	assert_int_equal(mr_config_agrees(&d, &x, &f), 0);
	struct span *const field[] = { &x.compose_hash,    &x.app_id,          &x.instance_id,
				       &x.gpu_policy_hash, &x.key_provider_id, &x.scripts[0] };

	for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
		struct span was = *field[i];

		*field[i] = span_of(other, was.n);
		assert_int_equal(mr_config_agrees(&d, &x, &f), -1);
		assert_string_equal(f.code, "config_id.differs");
		*field[i] = was;
	}
	x.n_scripts = 0;
	assert_int_equal(mr_config_agrees(&d, &x, &f), -1);
}

static void facts_need_a_sound_key_provider(void **state)
{
	static const char *const bad[] = { "kms",
					   "{}",
					   "{\"name\":\"kms\"}",
					   "{\"id\":\"00\"}",
					   "{\"name\":\"sgx\",\"id\":\"00\"}",
					   "{\"name\":\"kms\",\"id\":\"0\"}",
					   "{\"name\":\"kms\",\"id\":1}" };
	static const struct {
		const char *text;
		enum key_provider_kind kind;
	} good[] = { { "{\"name\":\"none\",\"id\":\"\"}", KEY_PROVIDER_NONE },
		     { "{\"name\":\"local-sgx\",\"id\":\"00\"}", KEY_PROVIDER_LOCAL },
		     { "{\"name\":\"tpm\",\"id\":\"\"}", KEY_PROVIDER_TPM },
		     { "{\"name\":\"kms\",\"id\":\"30\"}", KEY_PROVIDER_KMS } };
	struct app_events app = { .n_init_scripts = 1, .gpu_policy_hash = hex(H32) };
	struct mr_config c;
	struct fault f = { 0 };

	(void)state;
	app.init_scripts[0] = hex(H32);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct wr w = wr_to(scratch2, sizeof scratch2);

		app.key_provider = span_str(bad[i]);
		assert_int_equal(mr_config_facts(&c, &w, &app, &f), -1);
		assert_string_equal(f.code, "events.key_provider");
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct wr w = wr_to(scratch2, strlen(good[i].text));

		app.key_provider = span_str(good[i].text);
		assert_int_equal(mr_config_facts(&c, &w, &app, &f), 0);
		assert_int_equal(c.key_provider, good[i].kind);
		assert_true(c.has & MR_CONFIG_PROVIDER && c.has & MR_CONFIG_GPU_POLICY && c.n_scripts == 1);
		assert_false(c.has & (MR_CONFIG_APP_ID | MR_CONFIG_INSTANCE_ID));
	}
	app.key_provider = (struct span){ 0 };
	struct wr none = wr_to(scratch2, 0);

	assert_int_equal(mr_config_facts(&c, &none, &app, &f), 0);
	assert_false(c.has & MR_CONFIG_PROVIDER);
}

static void identities_of_other_sizes_bind_nothing(void **state)
{
	uint8_t id[MR_CONFIG_LEN], want[MR_CONFIG_LEN];
	struct wr w = wr_to(scratch2, sizeof scratch2);
	struct sample s;
	struct fault f = { 0 };

	(void)state;
	read_sample(&s);
	struct mr_config facts = copy_facts(&s);

	facts.app_id.n = 19;
	mr_config_id_v2(id, facts.compose_hash.p, facts.app_id.p, facts.key_provider, facts.key_provider_id);
	assert_int_equal(mr_config_judge(want, id, &facts, (struct span){ 0 }, &w, &f), MR_CONFIG_BAD);
	facts.compose_hash.n = 31;
	assert_int_equal(mr_config_judge(want, id, &facts, (struct span){ 0 }, &w, &f), MR_CONFIG_BAD);
	assert_string_equal(f.code, "quote.config_id");
	facts = copy_facts(&s);
	facts.has &= ~(unsigned)MR_CONFIG_PROVIDER; // form 3 without document and provider
	assert_int_equal(mr_config_judge(want, s.id, &facts, (struct span){ 0 }, &w, &f), MR_CONFIG_OPEN);
	// a document that hashes right and is not one
	mr_config_id_v3(id, span_str("{}"));
	assert_int_equal(mr_config_judge(want, id, &facts, span_str("{}"), &w, &f), MR_CONFIG_BAD);
	assert_string_equal(f.code, "config_id.document");
	// a provider's id of any length: too long a one matches nothing and breaks nothing
	static uint8_t big[MR_CONFIG_DOCUMENT_MAX];

	facts = copy_facts(&s);
	facts.key_provider_id = span_of(big, sizeof big);
	mr_config_id_v2(id, facts.compose_hash.p, facts.app_id.p, facts.key_provider, facts.key_provider_id);
	assert_int_equal(id[0], 0xff);
	assert_int_equal(mr_config_judge(want, s.id, &facts, (struct span){ 0 }, &w, &f), MR_CONFIG_OPEN);
}

static void documents_have_bounds(void **state)
{
	static char text[2 * MR_CONFIG_DOCUMENT_MAX];
	struct mr_config c;
	struct fault f = { 0 };
	struct wr w = wr_to(scratch2, sizeof scratch2);
	size_t n;

	(void)state;
	memset(text, ' ', sizeof text);
	assert_int_equal(mr_config_read(&c, &w, span_of(text, sizeof text), &f), -1);
	assert_string_equal(f.code, "config_id.document");
	for (int scripts = APP_SCRIPTS_MAX; scripts <= APP_SCRIPTS_MAX + 1; scripts++) {
		n = (size_t)snprintf(text, sizeof text,
				     "{\"compose_hash\":\"" H32 "\",\"init_script_hashes\":[");
		for (int i = 0; i < scripts; i++)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s\"" H32 "\"", i ? "," : "");
		n += (size_t)snprintf(text + n, sizeof text - n, "],\"key_provider\":\"kms\",\"version\":3}");
		w = wr_to(scratch2, sizeof scratch2);
		assert_int_equal(mr_config_read(&c, &w, span_of(text, n), &f),
				 scripts > APP_SCRIPTS_MAX ? -1 : 0);
	}
	n = strlen("{\"compose_hash\":\"" H32 "\",\"key_provider\":\"none\",\"version\":3}");
	memcpy(text, "{\"compose_hash\":\"" H32 "\",\"key_provider\":\"none\",\"version\":3}", n);
	w = wr_to(scratch2, 31); // no room
	assert_int_equal(mr_config_read(&c, &w, span_of(text, n), &f), -1);
	for (size_t i = 0; i < n; i++) { // every byte counts
		char was = text[i];

		text[i] = was == 'x' ? 'y' : 'x';
		w = wr_to(scratch2, sizeof scratch2);
		assert_int_equal(mr_config_read(&c, &w, span_of(text, n), &f), -1);
		text[i] = was;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_data_of_a_real_machine),
		cmocka_unit_test(form_2_has_the_values_of_an_independent_keccak),
		cmocka_unit_test(forms_0_and_1),
		cmocka_unit_test(form_3_needs_its_document_or_the_facts),
		cmocka_unit_test(documents_are_read_strictly),
		cmocka_unit_test(every_disagreement_is_seen),
		cmocka_unit_test(facts_need_a_sound_key_provider),
		cmocka_unit_test(identities_of_other_sizes_bind_nothing),
		cmocka_unit_test(documents_have_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
