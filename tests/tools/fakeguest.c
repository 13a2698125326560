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
#include "base/sb.h"
#include "base/strings.h"
#include "core/attest/certext.h"
#include "core/attest/envelope.h"
#include "core/hash/sha2.h"
#include "core/measure/measure.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "guest.pb-c.h"
#include "guestlike.h"
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
	"  csr WHO --key FILE --quote FILE --subject NAME [--san NAME] [--days N] [--v1 1]\n"
	"                                            a SignCert request as JSON\n"
	"  agent WHO --pki DIR --out ADDRESS         a guest agent that answers Attest and Info until "
	"killed\n"
	"WHO: --image DIR --app HEX --compose HEX [--instance HEX] [--ready 1]\n";

enum { EVIDENCE_MAX = GUESTLIKE_MAX };

struct options {
	struct guestlike_who who;
	const char *key, *ca, *ca_key, *quote, *out, *subject, *san, *pki;
	uint64_t days, v1;
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
	if (file_mkdirs(o->who.image, 0755, e) || put_file(o->who.image, "initrd", "initrd", 6, &s, e) ||
	    put_file(o->who.image, "measurement.tdx.cbor", cbor, w.n, &s, e) ||
	    put_file(o->who.image, "metadata.json", meta, sizeof meta - 1, &s, e) ||
	    put_file(o->who.image, "sha256sum.txt", sums, s.n, &none, e))
		return -1;
	SHA256((const uint8_t *)sums, s.n, h);
	printf("%s\n", STR_HEX(h, 32));
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
	static struct guestlike g;
	static struct quote_body b;
	uint8_t spki[P256_SPKI], rd[64];
	auto_pkey EVP_PKEY *k = key_of(o, e);

	guestlike_make(&g, &o->who);
	if (!k || p256_spki(k, spki, e))
		return -1;
	ratls_report_data(span_of(spki, sizeof spki), rd);
	if (guestlike_body(&g, &o->who, rd, &b, e))
		return -1;
	printf("--mrtd %s", STR_HEX(b.mr_td, 48));
	for (int i = 0; i < 4; i++)
		printf(" --rtmr%d %s", i, STR_HEX(b.rtmr[i], 48));
	printf(" --mrconfigid %s --report-data %s\n", STR_HEX(b.mr_config_id, 48), STR_HEX(rd, 64));
	return 0;
}

static int evidence(struct options *o, uint8_t out[static EVIDENCE_MAX], size_t *n, struct err *e)
{
	static struct guestlike g;
	auto_free char *quote = NULL;
	struct wr w = wr_to(out, EVIDENCE_MAX);
	size_t quote_n = 0;

	guestlike_make(&g, &o->who);
	if (file_read(o->quote, 65536, &quote, &quote_n, e) ||
	    guestlike_envelope(&g, span_of(quote, quote_n), true, &w, e))
		return -1;
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
	static struct guestlike g;
	struct agent *a = rpc_arg(call);
	const Guest__RawQuoteArgs *q = in;
	struct arena *mem = rpc_arena(call);
	uint8_t *quote = arena_alloc(mem, QUOTE_CAP), *room = arena_alloc(mem, EVIDENCE_MAX);
	struct wr w = wr_to(room, EVIDENCE_MAX);
	struct quote_body body;
	size_t n = 0;

	guestlike_make(&g, &a->o->who);
	if (q->report_data.len != 64 || !room)
		return err_set(e, ERR_INPUT, "no report data");
	if (guestlike_body(&g, &a->o->who, q->report_data.data, &body, e) ||
	    quote_sign(&a->signer, &body, quote, &n, e) ||
	    guestlike_envelope(&g, span_of(quote, n), false, &w, e))
		return -1;
	((Guest__AttestResponse *)out)->attestation = pb_bytes(mem, room, w.n);
	return 0;
}

static int info(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	static struct guestlike g;
	struct agent *a = rpc_arg(call);
	Guest__AppInfo *r = out;

	(void)in;
	guestlike_make(&g, &a->o->who);
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
	static struct guestlike g;
	static char log[EVIDENCE_MAX];
	auto_free char *quote = NULL;
	struct wr l = wr_to(log, sizeof log);
	if (o->v1) {
		guestlike_make(&g, &o->who);
		eventlog_write_json(&l, &g.log, false);
		if (l.bad || file_read(o->quote, 65536, &quote, &n, e))
			return -1;
		csr.version = 1;
		csr.quote = span_of(quote, n);
		csr.event_log = span_of(log, l.n);
		csr.ext_app_info = false;
	}
	csr.has_not_after = !o->v1 && o->days != 0;
	csr.not_after = (uint64_t)time(NULL) + o->days * 86400;
	struct wr w = wr_to(body, sizeof body);
	csr_write(&w, &csr);
	if (w.bad || p256_sign(k, span_of(body, w.n), sig, &sig_n, e))
		return -1;
	auto_free char *hex = hex_dup(body, w.n), *sig_hex = hex_dup(sig, sig_n);
	if (o->v1) {
		auto_sb config = { 0 };
		sb_json_str(&config, g.config);
		printf("{\"api_version\":1,\"csr\":\"%s\",\"signature\":\"%s\",\"vm_config\":%s}\n", hex,
		       sig_hex, config.p);
		return 0;
	}
	printf("{\"api_version\":2,\"csr\":\"%s\",\"signature\":\"%s\"}\n", hex, sig_hex);
	return 0;
}

static bool set_option(struct options *o, int which, const char *v)
{
	const char **const texts[] = { &o->who.image, &o->key,     &o->ca,  &o->ca_key, &o->quote,
				       &o->out,       &o->subject, &o->san, &o->pki };

	if (which < 9) {
		*texts[which] = v;
		return true;
	}
	o->who.has_instance |= which == 11;
	return which == 9    ? hex_exact(o->who.app, 20, v)
	       : which == 10 ? hex_exact(o->who.compose, 32, v)
	       : which == 11 ? hex_exact(o->who.instance, 20, v)
	       : which == 12 ? str_u64(v, &o->days)
	       : which == 14 ? (o->who.ready = true)
			     : str_u64(v, &o->v1);
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "image",   "key",      "ca",   "ca-key", "quote",
					     "out",     "subject",  "san",  "pki",    "app",
					     "compose", "instance", "days", "v1",     "ready" };
	struct option table[16] = { 0 };
	struct options o = { .subject = "guest" };
	struct err e = { 0 };
	int c, rc;

	for (int i = 0; i < 15; i++)
		table[i] = (struct option){ names[i], required_argument, NULL, 256 + i };
	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1)
		if (c < 256 || !set_option(&o, c - 256, optarg))
			return fprintf(stderr, "%s", usage), 2;
	const char *command = optind < argc ? argv[optind] : "";
	if (!o.who.image)
		return fprintf(stderr, "%s", usage), 2;
	if (!strcmp(command, "image"))
		rc = make_image(&o, &e);
	else if (!strcmp(command, "agent") && o.pki && o.out)
		rc = guestlike_image(&o.who, &e) || run_agent(&o, &e) ? -1 : 0;
	else if (!o.key || guestlike_image(&o.who, &e))
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
