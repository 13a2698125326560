// fakeguest - stands in for a confidential VM in tests: an image nobody boots, the registers it would have,
// and a certificate that carries the evidence. The quote itself is signed by `dstack-softtee quote`. For
// tests only.
#include <fcntl.h>
#include <getopt.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "core/attest/certext.h"
#include "core/attest/envelope.h"
#include "core/hash/sha2.h"
#include "core/measure/measure.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "guest.pb-c.h"
#include "prpc.pb-c.h"
#include "quote.h"
#include "ratls/issue.h"
#include "rpc/server.h"

static const char usage[] =
	"usage: fakeguest COMMAND options\n"
	"  image --image DIR                         write an image folder; prints its hash\n"
	"  quote-args WHO --key FILE                 options for `dstack-softtee quote`; makes the key if "
	"absent\n"
	"  cert WHO --key FILE --ca FILE --ca-key FILE [--quote FILE] --out FILE\n"
	"                                            RA-TLS client certificate, with evidence if there is a "
	"quote\n"
	"  csr WHO --key FILE --quote FILE --subject NAME [--san NAME] [--days N]\n"
	"                                            a SignCert request as JSON\n"
	"  agent WHO --pki DIR --out ADDRESS         a guest agent that answers Attest and Info until "
	"killed\n"
	"WHO: --image DIR --app HEX --compose HEX [--instance HEX]\n";

enum { EVENTS = 32, EVIDENCE_MAX = 64 * 1024 };

struct options {
	const char *image, *key, *ca, *ca_key, *quote, *out, *subject, *san, *pki;
	uint8_t app[20], compose[32], instance[20], hash[32];
	bool has_instance;
	uint64_t days;
};

struct guest {
	char config[512];
	uint8_t acpi[4][48];
	struct event log_events[EVENTS], runtime_events[EVENTS];
	struct eventlog log, runtime;
};

static int put_file(const char *dir, const char *name, const void *p, size_t n, struct wr *sums,
		    struct err *e)
{
	auto_free char *path = str_format("%s/%s", dir, name);
	uint8_t h[32];

	SHA256(p, n, h);
	wr_hex(sums, h, sizeof h);
	wr_str(sums, "  ");
	wr_str(sums, name);
	wr_u8(sums, '\n');
	return path ? file_write(path, 0644, p, n, e) : err_set(e, ERR_SYSTEM, "out of memory");
}

// measurement.tdx.cbor says what firmware, kernel and initrd would measure to; nothing else of them is
// needed.
static int make_image(const struct options *o, struct err *e)
{
	static const char meta[] =
		"{\"bios\":\"bios\",\"kernel\":\"kernel\",\"initrd\":\"initrd\",\"cmdline\":\"quiet\","
		"\"rootfs\":\"rootfs\",\"version\":\"0.0.1\",\"is_dev\":true}";
	struct measurement_tdx m = {
		.mrtd_single = { 1 },
		.mrtd_two = { 2 },
		.kernel = { 3 },
		.hob = { .n = 1, .s = { { .type = TDVF_TD_HOB, .address = 0x809000, .size = 0x2000 } } },
	};
	uint8_t cbor[1024];
	char sums[1024] = "";
	struct wr w = wr_to(cbor, sizeof cbor), s = wr_to(sums, sizeof sums);
	struct wr none = wr_to(NULL, 0);
	uint8_t h[32];

	sha384("initrd", 6, m.initrd);
	measure_cmdline(m.cmdline, span_str("quiet"));
	if (measurement_tdx_write(&w, &m) || w.bad)
		return err_set(e, ERR_BUG, "write measurement");
	if (file_mkdirs(o->image, 0755, e) || put_file(o->image, "initrd", "initrd", 6, &s, e) ||
	    put_file(o->image, "measurement.tdx.cbor", cbor, w.n, &s, e) ||
	    put_file(o->image, "metadata.json", meta, sizeof meta - 1, &s, e) ||
	    put_file(o->image, "sha256sum.txt", sums, s.n, &none, e))
		return -1;
	SHA256((const uint8_t *)sums, s.n, h);
	printf("%s\n", STR_HEX(h, 32));
	return 0;
}

static int read_image_hash(struct options *o, struct err *e)
{
	auto_free char *path = str_format("%s/sha256sum.txt", o->image), *text = NULL;
	size_t n = 0;

	if (!path || file_read(path, 4096, &text, &n, e))
		return -1;
	SHA256((const uint8_t *)text, n, o->hash);
	return 0;
}

static void add_runtime(struct guest *g, const char *name, const void *p, size_t n)
{
	struct event ev = event_runtime(span_str(name), span_of(p, n), 1);

	g->runtime_events[g->runtime.n++] = ev;
	g->log_events[g->log.n++] = ev;
}

static void make_guest(struct guest *g, struct options *o)
{
	static const uint8_t zeros[65536];

	*g = (struct guest){ .log = { g->log_events, 0, EVENTS },
			     .runtime = { g->runtime_events, 0, EVENTS } };
	snprintf(g->config, sizeof g->config,
		 "{\"os_image_hash\":\"%s\",\"cpu_count\":1,\"memory_size\":%u,\"qemu_version\":\"7.2.0\","
		 "\"num_nics\":1,"
		 "\"swtpm\":true,\"tee\":\"soft\"}",
		 STR_HEX(o->hash, 32), 1u << 31);
	for (int i = 0; i < 4; i++) {
		memset(g->acpi[i], 0x40 + i, 48);
		if (i == 2)
			sha384(zeros, sizeof zeros, g->acpi[i]);
		g->log_events[g->log.n++] = (struct event){ .imr = 0,
							    .type = 10,
							    .version = 1,
							    .payload = span_str("ACPI DATA"),
							    .digest = span_of(g->acpi[i], 48) };
	}
	eventlog_name_acpi(&g->log, true);
	add_runtime(g, "system-preparing", "", 0);
	add_runtime(g, "app-id", o->app, sizeof o->app);
	add_runtime(g, "compose-hash", o->compose, sizeof o->compose);
	add_runtime(g, "instance-id", o->instance, o->has_instance ? sizeof o->instance : 0);
	add_runtime(g, "boot-mr-done", "", 0);
}

static int registers(const struct guest *g, const struct options *o, struct measured *out, uint8_t rtmr3[48],
		     struct err *e)
{
	auto_free char *path = str_format("%s/measurement.tdx.cbor", o->image), *cbor = NULL;
	static uint8_t room[65536];
	struct wr scratch = wr_to(room, sizeof room);
	struct measurement_tdx m;
	struct vm_config c;
	struct fault f = { 0 };
	size_t n = 0;

	if (!path || file_read(path, 4096, &cbor, &n, e))
		return -1;
	if (measurement_tdx_read(&m, span_of(cbor, n), &f) ||
	    vm_config_read(&c, &scratch, span_str(g->config), &f) ||
	    measure_expect(out, &m, m.kernel, &c, &g->log, &f) ||
	    eventlog_replay_runtime(rtmr3, &g->runtime, false, &f))
		return err_set(e, ERR_INPUT, "registers: %s", f.text);
	return 0;
}

static EVP_PKEY *key_of(const struct options *o, struct err *e)
{
	auto_free char *pem = NULL;
	char fresh[P256_PEM_MAX];
	size_t n = 0;

	if (!file_read(o->key, 4096, &pem, &n, e))
		return p256_from_pem(span_of(pem, n), e);
	auto_pkey EVP_PKEY *k = p256_new(e);
	if (!k || p256_to_pem(k, fresh, e) || file_write_str(o->key, 0600, fresh, e))
		return NULL;
	return TAKE_SSL(k);
}

static int quote_args(struct options *o, struct err *e)
{
	static struct guest g;
	static struct measured m;
	uint8_t rtmr3[48], spki[P256_SPKI], rd[64], config_id[48];
	auto_pkey EVP_PKEY *k = key_of(o, e);

	make_guest(&g, o);
	if (!k || p256_spki(k, spki, e) || registers(&g, o, &m, rtmr3, e))
		return -1;
	ratls_report_data(span_of(spki, sizeof spki), rd);
	mr_config_id_v1(config_id, o->compose);
	printf("--mrtd %s", STR_HEX(m.mrtd, 48));
	for (int i = 0; i < 3; i++)
		printf(" --rtmr%d %s", i, STR_HEX(m.rtmr[i].value, 48));
	printf(" --rtmr3 %s --mrconfigid %s", STR_HEX(rtmr3, 48), STR_HEX(config_id, 48));
	printf(" --report-data %s\n", STR_HEX(rd, 64));
	return 0;
}

// The envelope says the report data that the quote has, whatever key stands beside it.
static int evidence(struct options *o, uint8_t out[static EVIDENCE_MAX], size_t *n, struct err *e)
{
	static struct guest g;
	auto_free char *quote = NULL;
	struct wr w = wr_to(out, EVIDENCE_MAX);
	struct fault f = { 0 };
	size_t quote_n = 0;

	make_guest(&g, o);
	if (file_read(o->quote, 65536, &quote, &quote_n, e))
		return -1;
	struct envelope env = { .kind = ENVELOPE_TDX,
				.quote = span_of(quote, quote_n),
				.log = g.log,
				.runtime = g.runtime,
				.config = span_str(g.config) };
	if (quote_n < 48 + 584)
		return err_set(e, ERR_INPUT, "no quote in %s", o->quote);
	memcpy(env.report_data, quote + 48 + 520, 64);
	envelope_strip(&env);
	if (envelope_write(&w, &env, &f) || w.bad)
		return err_set(e, ERR_INPUT, "envelope: %s", w.bad ? "too large" : f.text);
	*n = w.n;
	return 0;
}

// ---- a guest agent

struct agent {
	struct options *o;
	struct pki pki;
	struct quote_signer signer;
};

static int attest(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	static struct guest g;
	static struct measured m;
	struct agent *a = rpc_arg(call);
	const Guest__RawQuoteArgs *q = in;
	struct arena *mem = rpc_arena(call);
	uint8_t *quote = arena_alloc(mem, QUOTE_CAP), *room = arena_alloc(mem, EVIDENCE_MAX);
	struct wr w = wr_to(room, EVIDENCE_MAX);
	struct quote_body body;
	struct fault f = { 0 };
	size_t n = 0;

	quote_body_init(&body);
	make_guest(&g, a->o);
	if (q->report_data.len != 64 || !room || registers(&g, a->o, &m, body.rtmr[3], e))
		return err_set(e, ERR_INPUT, "no report data");
	memcpy(body.mr_td, m.mrtd, sizeof body.mr_td);
	for (int i = 0; i < 3; i++)
		memcpy(body.rtmr[i], m.rtmr[i].value, sizeof body.rtmr[i]);
	mr_config_id_v1(body.mr_config_id, a->o->compose);
	memcpy(body.report_data, q->report_data.data, 64);
	if (quote_sign(&a->signer, &body, quote, &n, e))
		return -1;
	struct envelope env = { .kind = ENVELOPE_TDX,
				.quote = span_of(quote, n),
				.log = g.log,
				.runtime = g.runtime,
				.config = span_str(g.config) };
	memcpy(env.report_data, body.report_data, 64);
	if (envelope_write(&w, &env, &f) || w.bad)
		return err_set(e, ERR_BUG, "envelope");
	((Guest__AttestResponse *)out)->attestation = pb_bytes(mem, room, w.n);
	return 0;
}

static int info(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	static struct guest g;
	struct agent *a = rpc_arg(call);
	Guest__AppInfo *r = out;

	(void)in;
	make_guest(&g, a->o);
	r->vm_config = arena_str(rpc_arena(call), g.config);
	return r->vm_config ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

static int run_agent(struct options *o, struct err *e)
{
	static const struct rpc_method methods[] = {
		{ "Attest", &guest__raw_quote_args__descriptor, &guest__attest_response__descriptor, attest,
		  .body_max = 4096 },
		{ "Info", &prpc__empty__descriptor, &guest__app_info__descriptor, info, .body_max = 4096 },
	};
	static struct agent a;
	struct event_base *base = event_base_new();
	struct rpc_server *s = base ? rpc_server_new(base) : NULL;

	a.o = o;
	if (!s || pki_load(&a.pki, o->pki, e) || quote_signer_init(&a.signer, &a.pki, &a.pki, &a.pki, 4, e) ||
	    rpc_server_mount(s, "", "DstackGuest.", methods, 2, &a) ||
	    rpc_server_listen(s, o->out, NULL, 0, e))
		return -1;
	event_base_dispatch(base);
	return 0;
}

// ---- certificates

static X509 *read_cert(const char *path, struct err *e)
{
	auto_free char *pem = NULL;
	size_t n = 0;

	return file_read(path, 65536, &pem, &n, e) ? NULL : cert_from_pem(span_of(pem, n), e);
}

static int make_cert(struct options *o, struct err *e)
{
	static uint8_t bytes[EVIDENCE_MAX];
	static char out[2 * EVIDENCE_MAX];
	auto_free char *ca_key_pem = NULL;
	size_t n = 0, key_n = 0;
	auto_pkey EVP_PKEY *k = key_of(o, e);
	auto_x509 X509 *ca = k ? read_cert(o->ca, e) : NULL;

	if (!ca || file_read(o->ca_key, 4096, &ca_key_pem, &key_n, e) ||
	    (o->quote && evidence(o, bytes, &n, e)))
		return -1;
	auto_pkey EVP_PKEY *ca_key = p256_from_pem(span_of(ca_key_pem, key_n), e);
	struct cert_issuer by = { .cert = ca, .key = ca_key };
	struct cert_spec spec = { .cn = "RA-TLS TEMP Cert",
				  .not_before = time(NULL) - 60,
				  .not_after = time(NULL) + 3600,
				  .attestation = span_of(bytes, n) };
	auto_x509 X509 *c = ca_key ? cert_issue(&spec, k, &by, e) : NULL;
	return c && !cert_to_pem(c, out, sizeof out, e) ? file_write_str(o->out, 0644, out, e) : -1;
}

static int make_csr(struct options *o, struct err *e)
{
	static uint8_t bytes[EVIDENCE_MAX], body[EVIDENCE_MAX];
	uint8_t spki[P256_SPKI], sig[P256_SIG_MAX];
	size_t n = 0, sig_n = 0;
	auto_pkey EVP_PKEY *k = key_of(o, e);

	if (!k || p256_spki(k, spki, e) || evidence(o, bytes, &n, e))
		return -1;
	struct csr csr = { .version = 2,
			   .pubkey = span_of(spki, sizeof spki),
			   .subject = span_str(o->subject),
			   .server_auth = true,
			   .client_auth = true,
			   .ext_quote = true,
			   .ext_app_info = true,
			   .attestation = span_of(bytes, n) };
	if (o->san)
		csr.names[csr.n_names++] = span_str(o->san);
	csr.has_not_after = o->days != 0;
	csr.not_after = (uint64_t)time(NULL) + o->days * 86400;
	struct wr w = wr_to(body, sizeof body);
	csr_write(&w, &csr);
	if (w.bad || p256_sign(k, span_of(body, w.n), sig, &sig_n, e))
		return -1;
	auto_free char *hex = hex_dup(body, w.n), *sig_hex = hex_dup(sig, sig_n);
	printf("{\"api_version\":2,\"csr\":\"%s\",\"signature\":\"%s\"}\n", hex, sig_hex);
	return 0;
}

static bool set_option(struct options *o, int which, const char *v)
{
	const char **const texts[] = { &o->image, &o->key,     &o->ca,  &o->ca_key, &o->quote,
				       &o->out,   &o->subject, &o->san, &o->pki };

	if (which < 9) {
		*texts[which] = v;
		return true;
	}
	o->has_instance |= which == 11;
	return which == 9    ? hex_exact(o->app, 20, v)
	       : which == 10 ? hex_exact(o->compose, 32, v)
	       : which == 11 ? hex_exact(o->instance, 20, v)
			     : str_u64(v, &o->days);
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "image", "key", "ca",  "ca-key",  "quote",    "out", "subject",
					     "san",   "pki", "app", "compose", "instance", "days" };
	struct option table[14] = { 0 };
	struct options o = { .subject = "guest" };
	struct err e = { 0 };
	int c, rc;

	for (int i = 0; i < 13; i++)
		table[i] = (struct option){ names[i], required_argument, NULL, 256 + i };
	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1)
		if (c < 256 || !set_option(&o, c - 256, optarg))
			return fprintf(stderr, "%s", usage), 2;
	const char *command = optind < argc ? argv[optind] : "";
	if (!o.image)
		return fprintf(stderr, "%s", usage), 2;
	if (!strcmp(command, "image"))
		rc = make_image(&o, &e);
	else if (!strcmp(command, "agent") && o.pki && o.out)
		rc = read_image_hash(&o, &e) || run_agent(&o, &e) ? -1 : 0;
	else if (!o.key || read_image_hash(&o, &e))
		rc = o.key ? -1 : err_set(&e, ERR_INPUT, "--key is needed");
	else if (!strcmp(command, "quote-args"))
		rc = quote_args(&o, &e);
	else if (!strcmp(command, "cert") && o.ca && o.ca_key && o.out)
		rc = make_cert(&o, &e);
	else if (!strcmp(command, "csr") && o.quote)
		rc = make_csr(&o, &e);
	else
		return fprintf(stderr, "%s", usage), 2;
	if (rc)
		fprintf(stderr, "fakeguest: %s\n", e.text);
	return rc ? 1 : 0;
}
