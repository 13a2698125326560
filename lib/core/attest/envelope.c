#include "core/attest/envelope.h"
#include "core/codec/json.h"
#include "core/attest/envelope_forms.h"

int envelope_read(struct envelope *env, struct wr *scratch, struct span bytes, struct fault *f)
{
	if (bytes.n > ENVELOPE_MAX)
		return fault_set(f, "envelope.size", "attestation is larger than 10 MiB", bytes.n);
	if (!bytes.n)
		return fault_set(f, "envelope.format", "attestation is empty", 0);
	env->version = 0;
	env->is_pod = false;
	env->quote = env->config = env->pod_payload = env->mr_config = (struct span){ 0 };
	env->n_chain = env->log.n = env->runtime.n = 0;
	if (env->tpm) {
		struct envelope_tpm *t = env->tpm;

		t->message = t->signature = t->ak_cert = (struct span){ 0 };
		t->platform = 0;
		t->n_pcrs = t->n_log = 0;
	}

	uint8_t first = bytes.p[0];

	if (first == 0)
		return envelope_read_v0(env, bytes, f);
	if ((first >= 0x80 && first <= 0x8f) || first == 0xde || first == 0xdf)
		return envelope_read_v1(env, scratch, bytes, f);
	return fault_set(f, "envelope.version", "Unknown attestation wire format", 0);
}

static bool wants_v1(const struct envelope *env)
{
	for (size_t i = 0; i < env->runtime.n; i++)
		if (env->runtime.e[i].version == 2)
			return true;
	return env->is_pod;
}

int envelope_write(struct wr *out, const struct envelope *env, struct fault *f)
{
	if (env->kind == ENVELOPE_GCP_TDX && !env->tpm)
		return fault_set(f, "envelope.format", "GCP TDX evidence without its TPM part", 0);
	if (wants_v1(env))
		envelope_write_v1(out, env);
	else
		envelope_write_v0(out, env);
	return 0;
}

void envelope_strip(struct envelope *env)
{
	size_t n = 0;

	if (env->kind != ENVELOPE_TDX && env->kind != ENVELOPE_GCP_TDX)
		return;
	for (size_t i = 0; i < env->log.n; i++) {
		struct event e = env->log.e[i];

		if (e.imr == 3)
			e.digest = (struct span){ 0 };
		else if (env->kind == ENVELOPE_GCP_TDX || !event_is_acpi(&e))
			continue;
		env->log.e[n++] = e;
	}
	env->log.n = n;
}

struct span envelope_vm_config(const struct envelope *env, struct wr *scratch)
{
	struct json root, v;
	size_t n;

	if (!env->config.n)
		return span_str("{}");
	if (json_parse(&root, env->config, NULL) || !json_get(root, "vm_config", &v) ||
	    json_kind(v) != JSON_STRING)
		return env->config;
	if (scratch->bad || json_string(v, scratch->p + scratch->n, scratch->cap - scratch->n, &n))
		return (struct span){ 0 };
	struct span text = span_of(scratch->p + scratch->n, n);

	scratch->n += n;
	return text;
}
