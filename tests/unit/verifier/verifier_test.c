// The verifier: configuration, requests, downloads, answers; evidence of machines made for it.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <pthread.h>

#include "../evidence/pccs_server.h"
#include "base/file.h"
#include "base/strings.h"
#include "base/time.h"
#include "certificate.h"
#include "check.h"
#include "core/codec/json.h"
#include "machine.h"
#include "tarball.h"

static char dir[] = "/tmp/verifier-test-XXXXXX";
static struct machine machine;
static struct pccs_server pccs;
static struct sb archive;

// ---- a place to download from

static struct {
	int fd;
	uint16_t port;
	atomic_int requests, delay_ms;
	_Atomic(const char *) status; // NULL: the archive
	atomic_bool endless;
} source;

static void *serve(void *arg)
{
	(void)arg;
	for (;;) {
		int c = accept4(source.fd, NULL, NULL, SOCK_CLOEXEC);
		char head[4096];
		struct sb out = { 0 };
		const char *status;

		source.requests++;
		if (recv(c, head, sizeof head, 0) <= 0) { // it has given up
			close(c);
			continue;
		}
		time_sleep_ms((uint64_t)source.delay_ms);
		status = source.status;
		sb_fmt(&out, "HTTP/1.1 %s\r\nConnection: close\r\n", status ? status : "200 OK");
		if (!source.endless)
			sb_fmt(&out, "Content-Length: %zu\r\n", status ? 0 : archive.n);
		sb_str(&out, "\r\n");
		if (!status)
			sb_put(&out, archive.p, archive.n);
		ssize_t sent = send(c, out.p, out.n, MSG_NOSIGNAL);

		if (sent > 0 && source.endless) // until the client gives up
			while (recv(c, head, sizeof head, 0) > 0)
				;
		close(c);
		sb_free(&out);
	}
	return NULL;
}

static void start_source(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	pthread_t t;

	source.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(source.fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(source.fd, 16), 0);
	assert_int_equal(getsockname(source.fd, (struct sockaddr *)&a, &n), 0);
	source.port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&t, NULL, serve, NULL), 0);
	pthread_detach(t);
}

static void make_archive(void)
{
	static const char *const names[] = { "sha256sum.txt",        "bzImage",
					     "initramfs.cpio.gz",    "metadata.json",
					     "measurement.tdx.cbor", "unlisted.bin" };
	struct sb tar = { 0 };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char path[300], *text;
		struct err e;
		size_t n;

		snprintf(path, sizeof path, "%s/image/%s", dir, names[i]);
		if (file_read(path, 1 << 20, &text, &n, &e))
			fail_msg("%s", e.text);
		tar_add(&tar, &(struct tar_entry){ .name = names[i], .type = '0', .data = text, .n = n });
		free(text);
	}
	tar_end(&tar);
	tar_gzip(&archive, &tar);
	sb_free(&tar);
}

static int set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_non_null(mkdtemp(dir));
	machine_make(&machine, dir, getenv("DSTACK_EVIDENCE"));
	pccs_server_start(&pccs, &machine.pki);
	make_archive();
	start_source();
	return 0;
}

static int tear_down(void **state)
{
	struct err e;

	(void)state;
	sb_free(&archive);
	return file_remove_tree(dir, &e);
}

// ---- a verifier

struct fixture {
	struct verifier_config config;
	struct checker checker;
	char images[100];
};

static int download_seconds = 2;

// `more`: lines of configuration.
static struct fixture *open_verifier(const char *more)
{
	static int serial;
	struct fixture *f = calloc(1, sizeof *f);
	char text[2000], path[200];
	struct err e;

	snprintf(f->images, sizeof f->images, "%s/images%d", dir, serial++);
	snprintf(text, sizeof text,
		 "image_cache_dir = \"%s\"\nimage_download_timeout_secs = %d\ninsecure_development = true\n"
		 "image_download_url = \"http://127.0.0.1:%u/{OS_IMAGE_HASH}.tar.gz\"\n%s\n"
		 "[attestation]\ndevelopment_root = \"%s/pki/root.der\"\n[attestation.urls]\npccs = \"%s\"\n",
		 f->images, download_seconds, source.port, more, dir, pccs.url);
	snprintf(path, sizeof path, "%s/config.toml", dir);
	if (file_write_str(path, 0600, text, &e) || verifier_config_read(&f->config, path, NULL, &e) ||
	    checker_init(&f->checker, &f->config, &e))
		fail_msg("%s [%s]", e.text, e.code);
	source.status = NULL;
	source.endless = false;
	source.delay_ms = 0;
	return f;
}

static void close_verifier(struct fixture *f)
{
	checker_free(&f->checker);
	verifier_config_free(&f->config);
	free(f);
}

static struct json at(struct json v, const char *path)
{
	char name[64];

	while (*path) {
		size_t n = strcspn(path, ".");

		snprintf(name, sizeof name, "%.*s", (int)n, path);
		path += n + (path[n] == '.');
		if (!json_get(v, name, &v))
			return (struct json){ 0 };
	}
	return v;
}

static char *ask(struct fixture *f, enum machine_kind kind, struct json *root)
{
	char *request = machine_request(&machine, kind);
	struct sb out = { 0 };
	struct err e;
	bool valid;

	assert_int_equal(check_body(&f->checker, span_str(request), &out, &valid, &e), 0);
	free(request);
	assert_false(out.bad);
	assert_int_equal(json_parse(root, span_of(out.p, out.n), NULL), 0);
	assert_true(span_is(at(*root, "is_valid").text, valid ? "true" : "false"));
	return sb_take(&out);
}

static bool says(struct json root, const char *path, const char *text)
{
	struct json v = at(root, path);

	return span_is(v.text, text) || json_is(v, text);
}

static bool begins(struct json v, const char *text)
{
	char got[600];

	return !json_cstr(v, got, sizeof got) && str_starts(got, text);
}

static void good_evidence_is_valid(void **state)
{
	static const enum machine_kind kinds[] = { MACHINE_QUOTE, MACHINE_ENVELOPE };
	struct fixture *f = open_verifier("");
	int before = source.requests;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct json r;
		char *text = ask(f, kinds[i], &r);

		if (!says(r, "is_valid", "true"))
			fail_msg("%s", text);
		assert_true(says(r, "details.quote_verified", "true"));
		assert_true(says(r, "details.event_log_verified", "true"));
		assert_true(says(r, "details.os_image_hash_verified", "true"));
		assert_true(says(r, "details.acpi_tables_verified", "false"));
		assert_true(says(r, "details.os_image_is_dev", "true"));
		assert_true(says(r, "details.os_image_version", "0.0.1"));
		assert_true(says(r, "details.tee_variant", "dstack-tdx"));
		assert_true(says(r, "details.tcb_status", "UpToDate"));
		assert_true(says(r, "details.advisory_ids", "[]"));
		assert_true(says(r, "details.key_provider.name", "kms"));
		assert_true(says(r, "details.key_provider.id", "3059aabb"));
		assert_true(says(r, "details.app_info.app_id", "a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0"));
		assert_true(says(r, "details.boot_info.tcbStatus", "UpToDate"));
		assert_true(says(r, "details.app_info.os_image_hash", STR_HEX(machine.image_hash, 32)));
		assert_true(says(r, "reason", "null"));
		assert_true(says(r, "verdict.ok", "true"));
		assert_true(says(r, "verdict.anchor", "development"));
		free(text);
	}
	assert_int_equal(source.requests, before + 1); // the image, once
	close_verifier(f);
}

static void refused(struct fixture *f, enum machine_kind kind, const char *reason, const char *code)
{
	struct json r;
	char *text = ask(f, kind, &r);

	if (!says(r, "is_valid", "false") || !begins(at(r, "reason"), reason) ||
	    (code && !says(r, "verdict.code", code)))
		fail_msg("%s", text);
	assert_true(says(r, "details.app_info", "null"));
	assert_true(says(r, "details.boot_info", ""));
	free(text);
}

static void bad_evidence_says_where(void **state)
{
	struct fixture *f = open_verifier("");
	struct json r;
	char *text;

	(void)state;
	refused(f, MACHINE_OTHER_BASE, "OS image hash verification failed: ", "measure.mrtd");
	refused(f, MACHINE_OTHER_EVENT, "Event log verification failed: ", "events.rtmr3");
	text = ask(f, MACHINE_OTHER_BASE, &r);
	assert_true(says(r, "details.quote_verified", "true"));
	assert_true(says(r, "details.event_log_verified", "true"));
	assert_true(says(r, "details.os_image_hash_verified", "false"));
	assert_true(says(r, "details.tcb_status", "UpToDate"));
	free(text);
	close_verifier(f);
	struct verifier_config intel = { 0 };
	struct checker k;
	struct err e;
	char *request = machine_request(&machine, MACHINE_QUOTE);
	struct sb out = { 0 };
	bool valid;

	assert_int_equal(verifier_config_read(&intel, NULL, NULL, &e), 0);
	intel.pccs_url = pccs.url; // another root than Intel's
	intel.image_dir = dir;
	assert_int_equal(checker_init(&k, &intel, &e), 0);
	assert_int_equal(check_body(&k, span_str(request), &out, &valid, &e), 0);
	assert_false(valid);
	assert_non_null(strstr(out.p, "\"reason\":\"Quote verification failed: "));
	assert_non_null(strstr(out.p, "root.not_trusted"));
	checker_free(&k);
	verifier_config_free(&intel);
	sb_free(&out);
	free(request);
}

// dstack#1266: a measurement that the evidence brings, and the image hash minted for it, prove nothing.
static void minted_images_are_not_verified(void **state)
{
	struct fixture *f = open_verifier("");
	char more[200];

	(void)state;
	source.status = "404 Not Found";
	refused(f, MACHINE_LITE, "OS image hash verification failed: ", "measure.base_unverified");
	close_verifier(f);
	snprintf(more, sizeof more, "allowed_images = [\"%s\"]", STR_HEX(machine.lite_hash, 32));
	f = open_verifier(more);
	source.status = "404 Not Found";
	struct json r;
	char *text = ask(f, MACHINE_LITE, &r);

	if (!says(r, "is_valid", "true"))
		fail_msg("%s", text);
	free(text);
	refused(f, MACHINE_LEGACY, "OS image hash verification failed: the machine's vm_config", NULL);
	refused(f, MACHINE_QUOTE, "OS image hash verification failed: ", "measure.base_unverified");
	close_verifier(f);
}

// Offline sample of a genuine machine: its certificates are valid for some years.
static void snp_by_its_launch_measurement(void **state)
{
	static const char measurement[] = "7f51e17f72a04d5422cb2c00998166536019a217376f3aa4"
					  "5a630e59c805a599847ff250dbffcd07e1ba639771d6f05d";
	char more[300], path[300], *text;
	time_t now = time(NULL);
	bool in_time = now > 1781658304 && now < 2002582804, valid;
	struct sb out = { 0 };
	struct err e;
	size_t n;

	(void)state;
	snprintf(path, sizeof path, "%s/real/dstack/verifier/sev-snp-attestation.json",
		 getenv("DSTACK_EVIDENCE"));
	assert_int_equal(file_read(path, 1 << 20, &text, &n, &e), 0);
	for (int allowed = 0; allowed < 2; allowed++) {
		snprintf(more, sizeof more, "allowed_snp_measurements = [\"%s\"]",
			 allowed ? measurement : STR_HEX((uint8_t[48]){ 1 }, 48));
		struct fixture *f = open_verifier(more);
		struct json r;

		assert_int_equal(check_body(&f->checker, span_of(text, n), &out, &valid, &e), 0);
		if (valid != (in_time && allowed))
			fail_msg("%s", out.p);
		assert_int_equal(json_parse(&r, span_of(out.p, out.n), NULL), 0);
		assert_true(!in_time || says(r, "details.tee_variant", "dstack-amd-sev-snp"));
		assert_true(!valid || says(r, "details.boot_info.teeVariant", "dstack-amd-sev-snp"));
		assert_true(!valid || says(r, "verdict.anchor", "amd"));
		assert_true(!in_time ||
			    says(r, "details.os_image_hash_verified", allowed ? "true" : "false"));
		sb_free(&out);
		out = (struct sb){ 0 };
		close_verifier(f);
	}
	free(text);
}

static void *one_get(void *arg)
{
	struct err e = { 0 };

	return (void *)(intptr_t)(downloads_get(arg, machine.image_hash, &e) ? 1 : 0);
}

static void one_download_for_many(void **state)
{
	struct fixture *f = open_verifier("");
	int before = source.requests;
	pthread_t t[6];
	void *r;

	(void)state;
	source.delay_ms = 50;
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(pthread_create(&t[i], NULL, one_get, f->checker.downloads), 0);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(pthread_join(t[i], &r), 0);
		assert_null(r);
	}
	assert_int_equal(source.requests, before + 1);
	close_verifier(f);
}

static void downloads_are_bounded(void **state)
{
	static const struct {
		const char *status, *code;
	} cases[] = { { "404 Not Found", "image.unknown" },
		      { "500 Broken", "image.download" },
		      { "302 Found\r\nLocation: ftp://127.0.0.1/x", "image.download" },
		      { "302 Found\r\nLocation: /again", "image.download" } };
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fixture *f = open_verifier("");
		int before = source.requests;

		source.status = cases[i].status;
		assert_int_equal(downloads_get(f->checker.downloads, machine.image_hash, &e), -1);
		assert_string_equal(e.code, cases[i].code);
		assert_true(source.requests - before <= 4);
		before = source.requests;
		source.status = NULL; // a failure is kept for a while
		assert_int_equal(downloads_get(f->checker.downloads, machine.image_hash, &e), -1);
		assert_int_equal(source.requests, before);
		close_verifier(f);
	}
	struct fixture *f = open_verifier("");

	source.endless = true;
	uint64_t from = time_mono_ms();

	assert_int_equal(downloads_get(f->checker.downloads, machine.image_hash, &e), -1);
	assert_string_equal(e.code, "image.download");
	assert_true(time_mono_ms() - from < 6000);
	close_verifier(f);
	f = open_verifier(""); // the archive is another image's
	assert_int_equal(downloads_get(f->checker.downloads, machine.lite_hash, &e), -1);
	assert_string_equal(e.code, "image.hash");
	close_verifier(f);
}

static void downloads_are_broken_off(void **state)
{
	download_seconds = 60;
	struct fixture *f = open_verifier("");
	int before = source.requests;
	uint64_t from = time_mono_ms();
	pthread_t t;
	void *r;

	(void)state;
	source.endless = true;
	assert_int_equal(pthread_create(&t, NULL, one_get, f->checker.downloads), 0);
	while (source.requests == before)
		time_sleep_ms(1);
	downloads_stop(f->checker.downloads);
	assert_int_equal(pthread_join(t, &r), 0);
	assert_non_null(r);
	assert_true(time_mono_ms() - from < 30000);
	download_seconds = 2;
	close_verifier(f);
}

static void certificates_are_judged_whole(void **state)
{
	struct fixture *f = open_verifier("");
	struct sb out = { 0 };
	struct json r;
	char *pem = machine_certificate(&machine, true);

	(void)state;
	if (!certificate_check(&f->checker, span_str(pem), &out))
		fail_msg("%s", out.p);
	assert_int_equal(json_parse(&r, span_of(out.p, out.n), NULL), 0);
	assert_true(says(r, "certificate.self_signed", "true"));
	assert_true(says(r, "certificate.attestation_bound", "true"));
	assert_true(says(r, "is_valid", "true"));
	sb_free(&out);
	free(pem);
	out = (struct sb){ 0 };
	pem = machine_certificate(&machine, false);
	assert_false(certificate_check(&f->checker, span_str(pem), &out));
	assert_non_null(strstr(out.p, "ratls.key_mismatch"));
	sb_free(&out);
	free(pem);
	static const char *const files[] = { "pki/root.pem", "pki/pck.der", "config.toml" };

	for (size_t i = 0; i < 3; i++) {
		char path[200], *text;
		struct err e;
		size_t n;

		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		assert_int_equal(file_read(path, 1 << 16, &text, &n, &e), 0);
		out = (struct sb){ 0 };
		assert_false(certificate_check(&f->checker, span_of(text, n), &out));
		assert_int_equal(json_parse(&r, span_of(out.p, out.n), NULL), 0);
		assert_true(begins(at(r, "reason"), "Certificate verification failed: "));
		assert_true(says(r, "is_valid", "false"));
		sb_free(&out);
		free(text);
	}
	close_verifier(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_evidence_is_valid),
		cmocka_unit_test(bad_evidence_says_where),
		cmocka_unit_test(minted_images_are_not_verified),
		cmocka_unit_test(snp_by_its_launch_measurement),
		cmocka_unit_test(one_download_for_many),
		cmocka_unit_test(downloads_are_bounded),
		cmocka_unit_test(downloads_are_broken_off),
		cmocka_unit_test(certificates_are_judged_whole),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
