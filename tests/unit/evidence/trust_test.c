// Trust as a whole: a software TEE's evidence with recorded boot logs, a development PKI and its PCCS on the
// loopback, an image folder; what holds, and what must be refused with which code.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <openssl/sha.h>

#include "base/file.h"
#include "core/attest/reportdata.h"
#include "core/hash/sha2.h"
#include "core/measure/measure.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "load.h"
#include "quote.h"
#include "ratls/trust.h"
#include "serve.h"

static char dir[] = "/tmp/trust-test-XXXXXX";
static struct pki pki, other;
static struct quote_signer signer;
static pid_t server;
static char url[64], root_file[64], image_dir[64];
static uint8_t image_hash[32];
static const char kernel_3g[] = "7ecdb6cc60c09d19a787dc73e2aedb56ac4233946fbdedb60c2623afff61f3d7"
				"f717d8c91937c41114de1e6ac5fc7a78";

static void must(int r, const struct err *e)
{
	if (r)
		fail_msg("%s [%s]", e->text, e->code);
}

static _Noreturn void serve(int fd)
{
	for (;;) {
		char head[8192];
		size_t n = 0;
		struct sb out = { 0 };
		int c = accept(fd, NULL, NULL);

		while (c >= 0 && n < sizeof head && !memmem(head, n, "\r\n\r\n", 4)) {
			ssize_t got = recv(c, head + n, sizeof head - n, 0);

			if (got <= 0)
				break;
			n += (size_t)got;
		}
		serve_answer(&pki, head, n, time(NULL), &out);
		if (send(c, out.p, out.n, MSG_NOSIGNAL) < 0)
			_exit(1);
		sb_free(&out);
		close(c);
	}
}

static void start_server(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(a.sin_port));
	server = fork();
	if (server == 0)
		serve(fd);
	close(fd);
}

static void put_file(struct sb *manifest, const char *name, const void *p, size_t n)
{
	char path[128];
	uint8_t hash[32];
	struct err e;

	snprintf(path, sizeof path, "%s/%s", image_dir, name);
	must(file_write(path, 0644, p, n, &e), &e);
	SHA256(p, n, hash);
	sb_hex(manifest, hash, 32);
	sb_fmt(manifest, "  %s\n", name);
}

static void measurement(struct measurement_tdx *m)
{
	struct span initrd = hex("4dd8178e00e0b6d4170a7bb4f1ee10e1eaf090c542d0ef8154bb1cc094414bff"
				 "0a04fcc61bb8015c1bca8a14d33971be");

	*m = (struct measurement_tdx){
		.hob = { .n = 1, .s = { { .type = TDVF_TD_HOB, .address = 0x809000, .size = 0x2000 } } }
	};
	memset(m->mrtd_single, 0x11, 48);
	memset(m->mrtd_two, 0x22, 48);
	memcpy(m->kernel, hex(kernel_3g).p, 48);
	memcpy(m->initrd, initrd.p, 48);
	measure_cmdline(m->cmdline, span_str("console=ttyS0 panic=-1 quiet"));
}

static void make_image(void)
{
	static const char meta[] =
		"{\"bios\":\"ovmf.fd\",\"kernel\":\"bzImage\",\"initrd\":\"initramfs.cpio.gz\","
		"\"cmdline\":\"console=ttyS0 panic=-1 quiet\",\"version\":\"0.0.1\",\"is_dev\":true}";
	struct sb manifest = { 0 };
	struct measurement_tdx m;
	uint8_t cbor[1024];
	struct wr w = wr_to(cbor, sizeof cbor);
	char path[128];
	struct err e;

	snprintf(image_dir, sizeof image_dir, "%s/images/one", dir);
	must(file_mkdirs(image_dir, 0755, &e), &e);
	measurement(&m);
	assert_int_equal(measurement_tdx_write(&w, &m), 0);
	put_file(&manifest, "bzImage", "kernel", 6);
	put_file(&manifest, "initramfs.cpio.gz", "initrd", 6);
	put_file(&manifest, "metadata.json", meta, sizeof meta - 1);
	put_file(&manifest, "measurement.tdx.cbor", cbor, w.n);
	snprintf(path, sizeof path, "%s/sha256sum.txt", image_dir);
	must(file_write(path, 0644, manifest.p, manifest.n, &e), &e);
	SHA256((uint8_t *)manifest.p, manifest.n, image_hash);
	sb_free(&manifest);
	snprintf(image_dir, sizeof image_dir, "%s/images", dir);
}

static int set_up(void **state)
{
	char path[64];
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/pki", dir);
	must(pki_make(path, time(NULL), &e) || pki_load(&pki, path, &e), &e);
	snprintf(root_file, sizeof root_file, "%s/pki/root.pem", dir);
	snprintf(path, sizeof path, "%s/other", dir);
	must(pki_make(path, time(NULL), &e) || pki_load(&other, path, &e), &e);
	must(quote_signer_init(&signer, &pki, &pki, &pki, 8, &e), &e);
	make_image();
	start_server();
	return 0;
}

static int tear_down(void **state)
{
	struct err e;

	(void)state;
	kill(server, SIGTERM);
	waitpid(server, NULL, 0);
	pki_free(&pki);
	pki_free(&other);
	return file_remove_tree(dir, &e);
}

// A guest's evidence, to be changed by a test before it is signed.
struct guest {
	struct event boot[64], runtime[16];
	struct eventlog log, events;
	struct quote_body body;
	char config[512];
	uint8_t report_data[64];
	uint8_t compose_hash[32], app_id[20], instance_id[20];
	char key_provider[128];
};

static void guest_new(struct guest *g)
{
	struct measurement_tdx m;
	struct fault f;

	memset(g, 0, sizeof *g);
	memset(g->compose_hash, 0xc0, 32);
	memset(g->app_id, 0xa0, 20);
	memset(g->instance_id, 0x10, 20);
	memset(g->report_data, 0x33, 64);
	snprintf(g->key_provider, sizeof g->key_provider, "{\"name\":\"kms\",\"id\":\"3059aabb\"}");
	g->log = (struct eventlog){ g->boot, 0, 64 };
	assert_int_equal(eventlog_read_tpm(&g->log, load("soft/tpm-3072-2cpu.bin"), &f), 0);
	g->runtime[0] = event_runtime(span_str("system-preparing"), span_str(""), 1);
	g->runtime[1] = event_runtime(span_str("app-id"), span_of(g->app_id, 20), 1);
	g->runtime[2] = event_runtime(span_str("compose-hash"), span_of(g->compose_hash, 32), 1);
	g->runtime[3] = event_runtime(span_str("instance-id"), span_of(g->instance_id, 20), 1);
	g->runtime[4] = event_runtime(span_str("boot-mr-done"), span_str(""), 1);
	g->runtime[5] = event_runtime(span_str("key-provider"), span_str(g->key_provider), 1);
	g->runtime[6] = event_runtime(span_str("system-ready"), span_str(""), 1);
	g->events = (struct eventlog){ g->runtime, 7, 16 };
	quote_body_init(&g->body);
	measurement(&m);
	memcpy(g->body.mr_td, m.mrtd_single, 48);
	mr_config_id_v1(g->body.mr_config_id, g->compose_hash);
	char text[65];
	struct wr w = wr_to(text, sizeof text);

	wr_hex(&w, image_hash, 32);
	snprintf(g->config, sizeof g->config,
		 "{\"os_image_hash\":\"%.64s\",\"memory_size\":%llu,\"cpu_count\":2,\"tee\":\"soft\","
		 "\"swtpm\":true,"
		 "\"qemu_version\":\"7.2.22\"}",
		 text, 3072ull << 20);
}

// Registers as the software TEE would have them, unless a test set them apart.
static void guest_measure(struct guest *g)
{
	struct fault f;

	assert_int_equal(eventlog_replay(g->body.rtmr, &g->log, &f), 0);
	assert_int_equal(eventlog_replay_runtime(g->body.rtmr[3], &g->events, false, &f), 0);
}

static struct span guest_sign(struct guest *g, const struct quote_signer *s, bool strip)
{
	static uint8_t quote[QUOTE_CAP], out[65536];
	struct event copy[64]; // stripping moves events
	struct envelope env = { .kind = ENVELOPE_TDX,
				.log = { copy, g->log.n, 64 },
				.runtime = g->events,
				.config = span_str(g->config) };
	struct wr w = wr_to(out, sizeof out);
	struct fault f;
	struct err e;
	size_t n;

	memcpy(copy, g->boot, sizeof copy);
	memcpy(g->body.report_data, g->report_data, 64);
	memcpy(env.report_data, g->report_data, 64);
	must(quote_sign(s, &g->body, quote, &n, &e), &e);
	env.quote = span_of(quote, n);
	if (strip)
		envelope_strip(&env);
	assert_int_equal(envelope_write(&w, &env, &f), 0);
	assert_false(w.bad);
	return span_of(out, w.n);
}

static struct trust *trust_open(const char *root, const char *images)
{
	struct trust_config c = {
		.pccs_url = url, .image_dir = images, .development_root = root, .insecure_development = root
	};
	struct err e = { 0 };
	struct trust *t = trust_new(&c, &e);

	if (!t)
		fail_msg("%s", e.text);
	return t;
}

static struct trust_result result;

static void accept_it(struct trust *t, struct guest *g, const struct trust_expect *x)
{
	struct err e = { 0 };

	must(trust_check_envelope(t, &result, guest_sign(g, &signer, true), x, &e), &e);
	assert_true(result.verdict.ok);
	assert_int_equal(result.verdict.anchor, ANCHOR_DEVELOPMENT);
}

static void refuse_it(struct trust *t, struct guest *g, const struct trust_expect *x, const char *code)
{
	struct err e = { 0 };

	assert_int_equal(trust_check_envelope(t, &result, guest_sign(g, &signer, false), x, &e), -1);
	assert_string_equal(e.code, code);
	assert_false(result.verdict.ok);
}

static void good_evidence_is_trusted(void **state)
{
	struct trust *t = trust_open(root_file, image_dir);
	struct trust_expect x = { 0 };
	struct guest g;

	(void)state;
	guest_new(&g);
	guest_measure(&g);
	accept_it(t, &g, &x);
	assert_string_equal(result.boot.anchor, "development");
	assert_string_equal(result.boot.tcb_status, "UpToDate");
	assert_memory_equal(result.boot.os_image_hash, image_hash, 32);
	assert_memory_equal(result.boot.app_id, g.app_id, 20);
	assert_true(result.boot.has_instance_id && result.boot.key_provider_info_n);

	uint8_t json[4096];
	struct wr w = wr_to(json, sizeof json);

	boot_info_write_json(&w, &result.boot);
	assert_false(w.bad);
	json[w.n] = 0;
	assert_non_null(strstr((char *)json, "\"teeVariant\":\"dstack-tdx\""));
	x = (struct trust_expect){ .app_id = g.app_id,
				   .compose_hash = g.compose_hash,
				   .os_image_hash = image_hash,
				   .report_data = g.report_data,
				   .key_provider_id = hex("3059aabb") };
	accept_it(t, &g, &x);
	trust_free(t);
}

static void expectations_are_compared(void **state)
{
	struct trust *t = trust_open(root_file, image_dir);
	uint8_t wrong[64] = { 1 };
	struct guest g;

	(void)state;
	guest_new(&g);
	guest_measure(&g);
	refuse_it(t, &g, &(struct trust_expect){ .app_id = wrong }, "app_id.mismatch");
	refuse_it(t, &g, &(struct trust_expect){ .compose_hash = wrong }, "compose_hash.mismatch");
	refuse_it(t, &g, &(struct trust_expect){ .os_image_hash = wrong }, "image.not_expected");
	refuse_it(t, &g, &(struct trust_expect){ .report_data = wrong }, "report_data.mismatch");
	refuse_it(t, &g, &(struct trust_expect){ .key_provider_id = span_of(wrong, 4) },
		  "key_provider.mismatch");
	g.events.n = 5; // before the key provider is known
	guest_measure(&g);
	refuse_it(t, &g, &(struct trust_expect){ .key_provider_id = span_of(wrong, 4) },
		  "key_provider.mismatch");
	accept_it(t, &g, &(struct trust_expect){ 0 });
	trust_free(t);
}

static void anchors_are_kept_apart(void **state)
{
	struct trust_config c = { .pccs_url = url, .development_root = root_file };
	struct trust *t = trust_open(NULL, image_dir);
	struct guest g;
	char path[64];
	struct err e = { 0 };

	(void)state;
	guest_new(&g);
	guest_measure(&g);
	refuse_it(t, &g, &(struct trust_expect){ 0 }, "root.not_trusted");
	trust_free(t);
	snprintf(path, sizeof path, "%s/other/root.der", dir);
	t = trust_open(path, image_dir);
	refuse_it(t, &g, &(struct trust_expect){ 0 }, "root.not_trusted");
	trust_free(t);
	assert_null(trust_new(&c, &e));
	assert_string_equal(e.code, "config.development_root");
}

static void nothing_is_trusted_without_its_base(void **state) // EL-19
{
	struct trust *t = trust_open(root_file, NULL);
	struct guest g;

	(void)state;
	guest_new(&g);
	guest_measure(&g);
	refuse_it(t, &g, &(struct trust_expect){ 0 }, "measure.base_unverified");
	trust_free(t);
	t = trust_open(root_file, image_dir);
	char config[512];

	memcpy(config, g.config, sizeof config);
	snprintf(g.config, sizeof g.config, "{}");
	refuse_it(t, &g, &(struct trust_expect){ 0 }, "measure.base_unverified");
	accept_it(t, &g, &(struct trust_expect){ .vm_config = span_str(config) }); // the request may bring it
	trust_free(t);
}

static void changed_machines_are_named(void **state)
{
	struct trust *t = trust_open(root_file, image_dir);
	struct fault f;
	struct guest g;

	(void)state;
	guest_new(&g);
	guest_measure(&g);
	g.body.mr_td[0] ^= 1;
	refuse_it(t, &g, &(struct trust_expect){ 0 }, "measure.mrtd");
	g.body.mr_td[0] ^= 1;
	g.body.mr_config_id[1] ^= 1;
	refuse_it(t, &g, &(struct trust_expect){ 0 }, "quote.config_id");
	g.body.mr_config_id[1] ^= 1;
	assert_int_equal(eventlog_read_tpm(&g.log, load("soft/tpm-2560.bin"), &f),
			 0); // really booted with less memory
	guest_measure(&g);
	refuse_it(t, &g, &(struct trust_expect){ 0 }, "measure.rtmr1");
	assert_non_null(strstr(verdict_find(&result.verdict, "rtmr1")->detail, "event 1 (kernel)"));
	guest_new(&g);
	for (size_t i = 0; i < g.log.n; i++)
		if (g.log.e[i].imr == 2) { // another command line
			static uint8_t digest[48];

			measure_cmdline(digest, span_str("console=ttyS0 init=/bin/sh"));
			g.log.e[i].digest = span_of(digest, 48);
			break;
		}
	guest_measure(&g);
	refuse_it(t, &g, &(struct trust_expect){ 0 }, "measure.rtmr2");
	assert_non_null(strstr(verdict_find(&result.verdict, "rtmr2")->detail, "command line"));
	trust_free(t);
}

static void event_lists_must_be_those_of_the_quote(void **state)
{
	struct trust *t = trust_open(root_file, image_dir);
	struct guest g;

	(void)state;
	guest_new(&g);
	guest_measure(&g);
	g.runtime[2].payload.n--; // EL-02
	refuse_it(t, &g, &(struct trust_expect){ 0 }, "events.rtmr3");
	g.runtime[2].payload.n++;
	g.boot[g.log.n++] = g.runtime[1]; // EL-01: a second list that says less
	refuse_it(t, &g, &(struct trust_expect){ 0 }, "events.disagree");
	guest_new(&g);
	g.runtime[6] = g.runtime[2]; // EL-03
	guest_measure(&g);
	refuse_it(t, &g, &(struct trust_expect){ 0 }, "events.duplicate");
	guest_new(&g);
	g.runtime[2].name = span_str("other");
	guest_measure(&g);
	refuse_it(t, &g, &(struct trust_expect){ 0 }, "events.compose_hash");
	trust_free(t);
}

static X509 *make_cert(struct guest *g, EVP_PKEY *key, bool bound, const uint8_t *app_id)
{
	struct cert_spec spec = { .cn = "test",
				  .not_before = time(NULL) - 10,
				  .not_after = time(NULL) + 1000,
				  .server_auth = true };
	struct cert_issuer self = { .key = key };
	uint8_t spki[CERT_SPKI_MAX];
	struct err e = { 0 };
	X509 *cert = cert_issue(&spec, key, &self, &e);
	size_t n = 0;

	if (!cert || cert_spki(cert, spki, &n, &e))
		fail_msg("%s", e.text);
	X509_free(cert);
	report_data_tagged(g->report_data, REPORT_RATLS_CERT, span_of(spki, n));
	g->report_data[0] ^= !bound;
	spec.attestation = guest_sign(g, &signer, true);
	spec.app_id = span_of(app_id, app_id ? 20 : 0);
	cert = cert_issue(&spec, key, &self, &e);
	if (!cert)
		fail_msg("%s", e.text);
	return cert;
}

static void certificates_are_bound_to_their_key(void **state)
{
	struct trust *t = trust_open(root_file, image_dir);
	struct trust_expect x = { 0 };
	struct err e = { 0 };
	EVP_PKEY *key = EVP_EC_gen("P-256");
	uint8_t wrong[20] = { 9 };
	struct guest g;

	(void)state;
	guest_new(&g);
	guest_measure(&g);
	X509 *cert = make_cert(&g, key, true, g.app_id);

	for (int i = 0; i < 2; i++) // the second time from what was kept
		must(trust_check_cert(t, &result, cert, &x, &e), &e);
	X509_free(cert);
	cert = make_cert(&g, key, false, NULL); // CH-01
	assert_int_equal(trust_check_cert(t, &result, cert, &x, &e), -1);
	assert_string_equal(e.code, "ratls.key_mismatch");
	X509_free(cert);
	cert = make_cert(&g, key, true, wrong); // CH-09
	assert_int_equal(trust_check_cert(t, &result, cert, &x, &e), -1);
	assert_string_equal(e.code, "ratls.app_id");
	X509_free(cert);
	struct cert_spec bare = { .cn = "test",
				  .not_before = time(NULL) - 10,
				  .not_after = time(NULL) + 1000 };

	cert = cert_issue(&bare, key, &(struct cert_issuer){ .key = key }, &e); // CH-13
	assert_int_equal(trust_check_cert(t, &result, cert, &x, &e), -1);
	assert_string_equal(e.code, "ratls.no_evidence");
	assert_int_equal(e.class, ERR_UNTRUSTED);
	X509_free(cert);
	EVP_PKEY_free(key);
	trust_free(t);
}

static void collateral_is_kept_on_disk(void **state)
{
	struct trust_config c = { .pccs_url = url,
				  .image_dir = image_dir,
				  .development_root = root_file,
				  .insecure_development = true };
	char cache[64], nowhere[] = "http://127.0.0.1:1";
	struct err e = { 0 };
	struct guest g;

	(void)state;
	snprintf(cache, sizeof cache, "%s/cache", dir);
	c.cache_dir = cache;
	guest_new(&g);
	guest_measure(&g);
	struct trust *t = trust_new(&c, &e);

	assert_non_null(t);
	accept_it(t, &g, &(struct trust_expect){ 0 });
	trust_free(t);
	c.pccs_url = nowhere; // what was verified before still serves
	t = trust_new(&c, &e);
	assert_non_null(t);
	accept_it(t, &g, &(struct trust_expect){ 0 });
	trust_free(t);
	c.cache_dir = NULL;
	t = trust_new(&c, &e);
	assert_non_null(t);
	assert_int_equal(trust_check_envelope(t, &result, guest_sign(&g, &signer, true),
					      &(struct trust_expect){ 0 }, &e),
			 -1);
	assert_string_equal(e.code, "collateral.fetch");
	assert_int_equal(e.class, ERR_AGAIN);
	trust_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_evidence_is_trusted),
		cmocka_unit_test(expectations_are_compared),
		cmocka_unit_test(anchors_are_kept_apart),
		cmocka_unit_test(nothing_is_trusted_without_its_base),
		cmocka_unit_test(changed_machines_are_named),
		cmocka_unit_test(event_lists_must_be_those_of_the_quote),
		cmocka_unit_test(certificates_are_bound_to_their_key),
		cmocka_unit_test(collateral_is_kept_on_disk),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
