// V1: a MessagePack map with string keys. Members may come in any order; unknown ones are skipped, twice the
// same is refused. "data" may stand before "kind": it is kept as a reader and looked at when the kind is
// known.
#include "core/attest/envelope_forms.h"
#include "core/codec/msgpack.h"
#include "core/attest/reportdata.h"

static const char *const kinds[] = { "tdx", "gcp-tdx", "nitro-enclave", "sev-snp", "aws-nitro-tpm" };

// Mark bit `i` of what was seen; twice is bad.
static void once(struct rd *in, uint32_t *seen, unsigned i)
{
	if (*seen & 1u << i)
		in->bad = true;
	*seen |= 1u << i;
}

static int key_of(struct rd *in, const char *const *names, size_t n, uint32_t *seen)
{
	struct span key = mp_rd_str(in);

	for (unsigned i = 0; i < n && !in->bad; i++)
		if (span_is(key, names[i])) {
			once(in, seen, i);
			return (int)i;
		}
	return -1;
}

static struct span string_or_nil(struct rd *in)
{
	if (mp_peek(in) != MP_NIL)
		return mp_rd_str(in);
	mp_rd_nil(in);
	return (struct span){ 0 };
}

static struct span bytes_or_nil(struct rd *in, struct wr *scratch)
{
	if (mp_peek(in) != MP_NIL)
		return mp_rd_bytes(in, scratch);
	mp_rd_nil(in);
	return (struct span){ 0 };
}

// An event of either list: runtime events are {event, payload}, platform events have the longer names.
static void read_event(struct rd *in, struct eventlog *log, bool runtime, struct wr *scratch)
{
	static const char *const names[] = { "imr",           "event_type", "digest",   "event",
					     "event_payload", "version",    "preimage", "payload" };
	struct event e = runtime ? event_runtime((struct span){ 0 }, (struct span){ 0 }, 1)
				 : (struct event){ .version = 1 };
	uint32_t n = mp_rd_map(in), seen = 0;

	for (uint32_t i = 0; i < n && !in->bad; i++) {
		int key = key_of(in, names, 8, &seen);

		if (key == 0 && !runtime)
			e.imr = (uint32_t)mp_rd_uint(in, 3);
		else if (key == 1 && !runtime)
			e.type = (uint32_t)mp_rd_uint(in, UINT32_MAX);
		else if (key == 2 && !runtime)
			e.digest = mp_rd_bytes(in, scratch);
		else if (key == 3)
			e.name = mp_rd_str(in);
		else if (key == (runtime ? 7 : 4))
			e.payload = mp_rd_bytes(in, scratch);
		else if (key == 5)
			e.version = (uint8_t)mp_rd_uint(in, 2);
		else if (key == 6)
			e.preimage = bytes_or_nil(in, scratch);
		else
			mp_skip(in);
	}
	const uint32_t need = runtime ? 8 : 1 | 2 | 8; // a name, and which register and type

	if (e.version < 1 || log->n == log->cap || (seen & need) != need)
		in->bad = true;
	if (!in->bad)
		log->e[log->n++] = e;
}

static void read_events(struct rd *in, struct eventlog *log, bool runtime, struct wr *scratch)
{
	uint32_t n = mp_rd_array(in);

	for (uint32_t i = 0; i < n && !in->bad; i++)
		read_event(in, log, runtime, scratch);
}

static uint8_t read_tpm_platform(struct rd *in)
{
	static const char *const names[] = { "dstack", "gcp", "nitro", "aws-ec2" };

	if (mp_peek(in) == MP_UINT)
		return (uint8_t)mp_rd_uint(in, 3);
	struct span s = mp_rd_str(in);

	for (uint8_t i = 0; i < 4; i++)
		if (span_is(s, names[i]))
			return i;
	in->bad = true;
	return 0;
}

static void read_pcrs(struct rd *in, struct envelope_pcr *p, size_t max, size_t *n, struct wr *scratch)
{
	static const char *const names[] = { "index", "algorithm", "value", "pcr_index", "digest" };
	uint32_t count = mp_rd_array(in);

	if (count > max)
		in->bad = true;
	for (*n = 0; *n < count && !in->bad; (*n)++, p++) {
		uint32_t pairs = mp_rd_map(in), seen = 0;

		*p = (struct envelope_pcr){ 0 };
		for (uint32_t i = 0; i < pairs && !in->bad; i++) {
			int key = key_of(in, names, 5, &seen);

			if (key == 0 || key == 3)
				p->index = (uint32_t)mp_rd_uint(in, UINT32_MAX);
			else if (key == 1)
				p->algorithm = mp_rd_str(in);
			else if (key == 2 || key == 4)
				p->value = mp_rd_bytes(in, scratch);
			else
				mp_skip(in);
		}
	}
}

static void read_tpm(struct rd *in, struct envelope_tpm *t, struct wr *scratch)
{
	static const char *const names[] = { "message", "signature", "pcr_values",
					     "ak_cert", "platform",  "event_log" };
	uint32_t n = mp_rd_map(in), seen = 0;

	if (!t)
		in->bad = true;
	for (uint32_t i = 0; i < n && !in->bad; i++) {
		switch (key_of(in, names, 6, &seen)) {
		case 0:
			t->message = mp_rd_bytes(in, scratch);
			break;
		case 1:
			t->signature = mp_rd_bytes(in, scratch);
			break;
		case 2:
			read_pcrs(in, t->pcrs, ENVELOPE_PCRS_MAX, &t->n_pcrs, scratch);
			break;
		case 3:
			t->ak_cert = mp_rd_bytes(in, scratch);
			break;
		case 4:
			t->platform = read_tpm_platform(in);
			break;
		case 5:
			read_pcrs(in, t->log, sizeof t->log / sizeof *t->log, &t->n_log, scratch);
			break;
		default:
			mp_skip(in);
		}
	}
	if (seen != 0x3f) // each member is there
		in->bad = true;
}

// One member of the platform's data; what belongs to another kind is skipped like any unknown one.
static void read_member(struct rd *in, int key, struct envelope *env, struct wr *scratch)
{
	switch (key) {
	case 0:
	case 3:
	case 4:
	case 5:
		env->quote = mp_rd_bytes(in, scratch);
		break;
	case 1:
		read_events(in, &env->log, false, scratch);
		break;
	case 2:
		read_tpm(in, env->tpm, scratch);
		break;
	case 6:
		env->n_chain = mp_rd_array(in);
		if (env->n_chain > ENVELOPE_CHAIN_MAX)
			in->bad = true;
		for (size_t k = 0; !in->bad && k < env->n_chain; k++)
			env->chain[k] = mp_rd_bytes(in, scratch);
		break;
	case 7:
		env->mr_config = string_or_nil(in);
		break;
	default:
		mp_skip(in);
	}
}

static void read_platform(struct rd *in, struct envelope *env, struct wr *scratch)
{
	static const char *const names[] = { "quote",           "event_log", "tpm_quote",  "nsm_quote",
					     "attestation_doc", "report",    "cert_chain", "mr_config" };
	// bit n: names[n] belongs to the kind; the first row is what must be there
	static const uint8_t need[] = { 1 | 2, 1 | 2 | 4, 8, 32, 16 };
	static const uint8_t may[] = { 1 | 2, 1 | 2 | 4, 8, 32 | 64 | 128, 16 };
	uint32_t n = mp_rd_map(in), seen = 0;

	for (uint32_t i = 0; i < n && !in->bad; i++) {
		int key = key_of(in, names, 8, &seen);

		read_member(in, key >= 0 && may[env->kind] >> key & 1 ? key : -1, env, scratch);
	}
	if ((seen & need[env->kind]) != need[env->kind])
		in->bad = true;
}

static void read_stack(struct rd *in, struct envelope *env, struct wr *scratch)
{
	static const char *const names[] = { "report_data", "runtime_events", "config",
					     "report_data_payload" };
	uint32_t n = mp_rd_map(in), seen = 0;
	struct span rd = { 0 };

	for (uint32_t i = 0; i < n && !in->bad; i++) {
		switch (key_of(in, names, 4, &seen)) {
		case 0:
			rd = mp_rd_bytes(in, scratch);
			break;
		case 1:
			read_events(in, &env->runtime, true, scratch);
			break;
		case 2:
			env->config = mp_rd_str(in);
			break;
		case 3:
			env->pod_payload = mp_rd_str(in);
			break;
		default:
			mp_skip(in);
		}
	}
	if ((seen & 7) != 7 || rd.n != sizeof env->report_data || (env->is_pod && !(seen & 8)))
		in->bad = true;
	for (size_t i = 0; !in->bad && i < rd.n; i++)
		env->report_data[i] = rd.p[i];
}

// {kind, data}: the kind's text and a reader over the data.
static struct span read_tagged(struct rd *in, struct rd *data)
{
	static const char *const names[] = { "kind", "data" };
	uint32_t n = mp_rd_map(in), seen = 0;
	struct span kind = { 0 };

	for (uint32_t i = 0; i < n && !in->bad; i++) {
		int key = key_of(in, names, 2, &seen);
		const uint8_t *at = in->p;

		if (key == 0)
			kind = mp_rd_str(in);
		else
			mp_skip(in);
		if (key == 1 && !in->bad)
			*data = rd_from(at, (size_t)(in->p - at));
	}
	if ((seen & 3) != 3)
		in->bad = true;
	return kind;
}

static void read_body(struct rd *in, struct envelope *env, struct span platform, struct rd pdata,
		      struct span stack, struct rd sdata, struct wr *scratch)
{
	unsigned k = 0;

	while (k < 5 && !span_is(platform, kinds[k]))
		k++;
	env->is_pod = span_is(stack, "dstack-pod");
	if (in->bad || k == 5 || (!env->is_pod && !span_is(stack, "dstack"))) {
		in->bad = true;
		return;
	}
	env->kind = (enum envelope_kind)k;
	read_platform(&pdata, env, scratch);
	read_stack(&sdata, env, scratch);
	if (pdata.bad || sdata.bad || scratch->bad)
		in->bad = true;
}

int envelope_read_v1(struct envelope *env, struct wr *scratch, struct span bytes, struct fault *f)
{
	static const char *const names[] = { "version", "platform", "stack" };
	struct rd in = rd_span(bytes), pdata = { 0 }, sdata = { 0 };
	struct span platform = { 0 }, stack = { 0 };
	uint32_t n = mp_rd_map(&in), seen = 0;

	env->version = 1;
	for (uint32_t i = 0; i < n && !in.bad; i++) {
		int key = key_of(&in, names, 3, &seen);

		if (key == 0 && mp_rd_uint(&in, UINT32_MAX) != 1 && !in.bad)
			return fault_set(f, "envelope.version", "attestation is of an unknown version", 0);
		if (key == 1)
			platform = read_tagged(&in, &pdata);
		else if (key == 2)
			stack = read_tagged(&in, &sdata);
		else if (key < 0)
			mp_skip(&in);
	}
	if (seen != 7)
		in.bad = true;
	read_body(&in, env, platform, pdata, stack, sdata, scratch);
	if (in.bad)
		return fault_set(f, "envelope.format", "malformed attestation (V1)",
				 (size_t)(in.p - bytes.p));
	if (rd_left(&in))
		return fault_set(f, "envelope.trailing", "bytes after the attestation",
				 bytes.n - rd_left(&in));
	return 0;
}

static void write_event(struct wr *out, const struct event *e)
{
	bool v2 = e->version == 2;

	mp_wr_map(out, 5 + (v2 ? 1u : 0u) + (e->preimage.n ? 1u : 0u));
	mp_wr_key(out, "imr");
	mp_wr_uint(out, e->imr);
	mp_wr_key(out, "event_type");
	mp_wr_uint(out, e->type);
	mp_wr_key(out, "digest");
	mp_wr_bin(out, e->digest);
	mp_wr_key(out, "event");
	mp_wr_str(out, e->name);
	mp_wr_key(out, "event_payload");
	mp_wr_bin(out, e->payload);
	if (v2) {
		mp_wr_key(out, "version");
		mp_wr_uint(out, 2);
	}
	if (e->preimage.n) {
		mp_wr_key(out, "preimage");
		mp_wr_bin(out, e->preimage);
	}
}

static void write_pcrs(struct wr *out, const struct envelope_pcr *p, size_t n, bool log)
{
	mp_wr_array(out, n);
	for (size_t i = 0; i < n; i++) {
		mp_wr_map(out, log ? 2 : 3);
		mp_wr_key(out, log ? "pcr_index" : "index");
		mp_wr_uint(out, p[i].index);
		if (!log) {
			mp_wr_key(out, "algorithm");
			mp_wr_str(out, p[i].algorithm);
		}
		mp_wr_key(out, log ? "digest" : "value");
		mp_wr_bin(out, p[i].value);
	}
}

static void write_tpm(struct wr *out, const struct envelope_tpm *t)
{
	static const char *const names[] = { "dstack", "gcp", "nitro", "aws-ec2" };

	mp_wr_key(out, "tpm_quote");
	mp_wr_map(out, 6);
	mp_wr_key(out, "message");
	mp_wr_bin(out, t->message);
	mp_wr_key(out, "signature");
	mp_wr_bin(out, t->signature);
	mp_wr_key(out, "pcr_values");
	write_pcrs(out, t->pcrs, t->n_pcrs, false);
	mp_wr_key(out, "ak_cert");
	mp_wr_bin(out, t->ak_cert);
	mp_wr_key(out, "platform");
	mp_wr_key(out, names[t->platform & 3]);
	mp_wr_key(out, "event_log");
	write_pcrs(out, t->log, t->n_log, true);
}

static void write_platform(struct wr *out, const struct envelope *env)
{
	static const char *const quote_key[] = { "quote", "quote", "nsm_quote", "report", "attestation_doc" };
	static const uint8_t members[] = { 2, 3, 1, 3, 1 };

	mp_wr_map(out, members[env->kind]);
	mp_wr_key(out, quote_key[env->kind]);
	mp_wr_ints(out, env->quote);
	if (env->kind == ENVELOPE_TDX || env->kind == ENVELOPE_GCP_TDX) {
		mp_wr_key(out, "event_log");
		mp_wr_array(out, env->log.n);
		for (size_t i = 0; i < env->log.n; i++)
			write_event(out, &env->log.e[i]);
	}
	if (env->kind == ENVELOPE_GCP_TDX)
		write_tpm(out, env->tpm);
	if (env->kind == ENVELOPE_SNP) {
		mp_wr_key(out, "cert_chain");
		mp_wr_array(out, env->n_chain);
		for (size_t i = 0; i < env->n_chain; i++)
			mp_wr_ints(out, env->chain[i]);
		mp_wr_key(out, "mr_config");
		mp_wr_str(out, env->mr_config);
	}
}

static void write_stack(struct wr *out, const struct envelope *env)
{
	mp_wr_map(out, env->is_pod ? 4 : 3);
	mp_wr_key(out, "report_data");
	mp_wr_ints(out, span_of(env->report_data, sizeof env->report_data));
	mp_wr_key(out, "runtime_events");
	mp_wr_array(out, env->runtime.n);
	for (size_t i = 0; i < env->runtime.n; i++) {
		const struct event *e = &env->runtime.e[i];

		mp_wr_map(out, e->version == 2 ? 3 : 2);
		mp_wr_key(out, "event");
		mp_wr_str(out, e->name);
		mp_wr_key(out, "payload");
		mp_wr_bin(out, e->payload);
		if (e->version == 2) {
			mp_wr_key(out, "version");
			mp_wr_uint(out, 2);
		}
	}
	mp_wr_key(out, "config");
	mp_wr_str(out, env->config);
	if (env->is_pod) {
		mp_wr_key(out, "report_data_payload");
		mp_wr_str(out, env->pod_payload);
	}
}

void envelope_write_v1(struct wr *out, const struct envelope *env)
{
	mp_wr_map(out, 3);
	mp_wr_key(out, "version");
	mp_wr_uint(out, 1);
	mp_wr_key(out, "platform");
	mp_wr_map(out, 2);
	mp_wr_key(out, "kind");
	mp_wr_key(out, kinds[env->kind]);
	mp_wr_key(out, "data");
	write_platform(out, env);
	mp_wr_key(out, "stack");
	mp_wr_map(out, 2);
	mp_wr_key(out, "kind");
	mp_wr_key(out, env->is_pod ? "dstack-pod" : "dstack");
	mp_wr_key(out, "data");
	write_stack(out, env);
}
