// V0: one byte 00, then SCALE.
#include "core/attest/envelope_forms.h"
#include "core/codec/scale.h"

static bool push(struct eventlog *log, const struct event *e, struct rd *in)
{
	if (log->n == log->cap)
		in->bad = true;
	else
		log->e[log->n++] = *e;
	return !in->bad;
}

static void read_log(struct rd *in, struct eventlog *log)
{
	uint32_t n = scale_rd_count(in, EVENTLOG_MAX);

	for (uint32_t i = 0; i < n && !in->bad; i++) {
		struct event e = { .version = 1 };

		e.imr = rd_le32(in);
		e.type = rd_le32(in);
		e.digest = scale_rd_bytes(in);
		e.name = scale_rd_bytes(in);
		e.payload = scale_rd_bytes(in);
		if (e.imr > 3)
			in->bad = true;
		push(log, &e, in);
	}
}

static void read_tpm(struct rd *in, struct envelope_tpm *t)
{
	uint32_t n;

	if (!t) {
		in->bad = true;
		return;
	}
	t->message = scale_rd_bytes(in);
	t->signature = scale_rd_bytes(in);
	n = scale_rd_count(in, ENVELOPE_PCRS_MAX);
	for (uint32_t i = 0; i < n && !in->bad; i++) {
		t->pcrs[i].index = rd_le32(in);
		t->pcrs[i].algorithm = scale_rd_bytes(in);
		t->pcrs[i].value = scale_rd_bytes(in);
	}
	t->n_pcrs = n;
	t->ak_cert = scale_rd_bytes(in);
	t->platform = rd_u8(in);
	if (t->platform > 3)
		in->bad = true;
	n = scale_rd_count(in, sizeof t->log / sizeof *t->log);
	for (uint32_t i = 0; i < n && !in->bad; i++) {
		t->log[i].index = rd_le32(in);
		t->log[i].value = scale_rd_bytes(in);
	}
	t->n_log = n;
}

static void read_platform(struct rd *in, struct envelope *env)
{
	uint8_t kind = rd_u8(in);

	env->kind = (enum envelope_kind)kind;
	env->quote = scale_rd_bytes(in);
	switch (kind) {
	case ENVELOPE_TDX:
		read_log(in, &env->log);
		return;
	case ENVELOPE_GCP_TDX:
		read_log(in, &env->log);
		read_tpm(in, env->tpm);
		return;
	case ENVELOPE_SNP:
		env->n_chain = scale_rd_count(in, ENVELOPE_CHAIN_MAX);
		for (size_t i = 0; i < env->n_chain; i++)
			env->chain[i] = scale_rd_bytes(in);
		env->mr_config = scale_rd_bytes(in);
		return;
	case ENVELOPE_NITRO:
	case ENVELOPE_NITRO_TPM:
		return;
	default:
		in->bad = true;
	}
}

int envelope_read_v0(struct envelope *env, struct span bytes, struct fault *f)
{
	struct rd in = rd_span(bytes);
	uint32_t n;

	rd_u8(&in);
	read_platform(&in, env);
	n = scale_rd_count(&in, EVENTLOG_MAX);
	for (uint32_t i = 0; i < n && !in.bad; i++) {
		struct span name = scale_rd_bytes(&in);
		struct event e = event_runtime(name, scale_rd_bytes(&in), 1);

		push(&env->runtime, &e, &in);
	}
	rd_copy(&in, env->report_data, sizeof env->report_data);
	env->config = scale_rd_bytes(&in);
	if (in.bad)
		return fault_set(f, "envelope.format", "malformed attestation (V0)",
				 (size_t)(in.p - bytes.p));
	if (rd_left(&in))
		return fault_set(f, "envelope.trailing", "bytes after the attestation",
				 bytes.n - rd_left(&in));
	return 0;
}

static void write_log(struct wr *out, const struct eventlog *log)
{
	scale_wr_compact(out, log->n);
	for (size_t i = 0; i < log->n; i++) {
		const struct event *e = &log->e[i];

		wr_le32(out, e->imr);
		wr_le32(out, e->type);
		scale_wr_bytes(out, e->digest);
		scale_wr_bytes(out, e->name);
		scale_wr_bytes(out, e->payload);
	}
}

static void write_tpm(struct wr *out, const struct envelope_tpm *t)
{
	scale_wr_bytes(out, t->message);
	scale_wr_bytes(out, t->signature);
	scale_wr_compact(out, t->n_pcrs);
	for (size_t i = 0; i < t->n_pcrs; i++) {
		wr_le32(out, t->pcrs[i].index);
		scale_wr_bytes(out, t->pcrs[i].algorithm);
		scale_wr_bytes(out, t->pcrs[i].value);
	}
	scale_wr_bytes(out, t->ak_cert);
	wr_u8(out, t->platform);
	scale_wr_compact(out, t->n_log);
	for (size_t i = 0; i < t->n_log; i++) {
		wr_le32(out, t->log[i].index);
		scale_wr_bytes(out, t->log[i].value);
	}
}

void envelope_write_v0(struct wr *out, const struct envelope *env)
{
	wr_u8(out, 0);
	wr_u8(out, (uint8_t)env->kind);
	scale_wr_bytes(out, env->quote);
	if (env->kind == ENVELOPE_TDX || env->kind == ENVELOPE_GCP_TDX)
		write_log(out, &env->log);
	if (env->kind == ENVELOPE_GCP_TDX)
		write_tpm(out, env->tpm);
	if (env->kind == ENVELOPE_SNP) {
		scale_wr_compact(out, env->n_chain);
		for (size_t i = 0; i < env->n_chain; i++)
			scale_wr_bytes(out, env->chain[i]);
		scale_wr_bytes(out, env->mr_config);
	}
	scale_wr_compact(out, env->runtime.n);
	for (size_t i = 0; i < env->runtime.n; i++) {
		scale_wr_bytes(out, env->runtime.e[i].name);
		scale_wr_bytes(out, env->runtime.e[i].payload);
	}
	wr_put(out, env->report_data, sizeof env->report_data);
	scale_wr_bytes(out, env->config);
}
