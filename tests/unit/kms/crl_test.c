// Lists of revoked certificates as the KMS makes them: what is on them and when, how often they are signed,
// what is known again after a restart, and the bounds. The key process and the clock are the test's.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../../kms/certs/crl.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "core/codec/x509.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"

enum { START = 1790000000, VALID = 600 };

static EVP_PKEY *ca_key;
static uint64_t now;
static unsigned signed_;
static uint32_t last_root;
static struct audit_entry last;
static char dir[64];

X509 *keyproc_app_ca(struct keyproc *k, uint32_t root, const uint8_t app[static APP_ID], struct err *e)
{
	struct cert_spec s = {
		.org = "Dstack", .cn = "Dstack App CA", .is_ca = true, .not_before = 1, .not_after = START
	};

	(void)k, (void)root, (void)app;
	return cert_issue(&s, ca_key, &(struct cert_issuer){ .key = ca_key }, e);
}

int keyproc_sign_crl(struct keyproc *k, uint32_t root, const struct audit_entry *x,
		     const uint8_t digest[static 32], uint8_t *sig, size_t *sig_len, struct err *e)
{
	(void)k;
	last_root = root;
	signed_++;
	last = *x;
	return p256_sign_digest(ca_key, digest, sig, sig_len, e);
}

uint64_t kms_audit_now(struct kms_audit *a)
{
	(void)a;
	return now;
}

int kms_audit_change(struct kms_audit *a, enum audit_event event, const uint8_t *digest, const char *what,
		     uint64_t *seq, struct err *e)
{
	(void)a, (void)event, (void)digest, (void)what, (void)e;
	*seq = 1;
	return 0;
}

static struct kms_audit audit;
static struct keyproc keys;
static struct keyrules rules;
static struct crls crls;
static atomic_uint sets = 2;
static const struct issued_key app = { { 1 }, 0 }, other = { { 2 }, 0 }, later_set = { { 1 }, 1 };

static void must(int rc, const struct err *e)
{
	if (rc)
		fail_msg("%s code=%s", e->text, e->code);
}

static struct audit_entry entry(const struct issued_key *k, uint8_t serial, uint8_t device, uint64_t epoch)
{
	struct audit_entry x = {
		.event = AUDIT_CERT,
		.ok = 1,
		.has_boot = 1,
		.has_serial = 1,
		.serial = { 0x40, [19] = serial },
		.not_after = now + 1000,
		.n_epochs = 1,
		.epochs = { epoch },
		.boot = { .has_app_id = true, .has_compose_hash = true, .has_os_image_hash = true }
	};

	memcpy(x.boot.app_id, k->app, 20);
	memset(x.boot.device_id, device, 32);
	return x;
}

static void count(const struct issued_key *k, uint8_t serial, uint8_t device)
{
	struct audit_entry x = entry(k, serial, device, 0);
	struct err e = { 0 };

	must(crls_count(&crls, k->root, &x, &e), &e);
}

// Which of the serials 1 to 9 are on the list of `k`, as digits in order.
static const char *listed(const struct issued_key *k)
{
	static char text[48];
	static const uint8_t client[RATE_KEY];
	struct x509_crl c;
	struct err e = { 0 };
	uint8_t *der = NULL;
	size_t n = 0, at = 0;

	if (crls_get(&crls, k, client, &der, &n, &e))
		return strcpy(text, e.code);
	assert_int_equal(x509_crl_parse(&c, span_of(der, n)), 0);
	assert_true(c.this_update <= now && now < c.next_update);
	for (uint8_t i = 1; i < 10; i++) {
		const uint8_t serial[20] = { 0x40, [19] = i };
		if (x509_crl_has(&c, span_of(serial, 20)))
			text[at++] = (char)('0' + i);
	}
	text[at] = 0;
	free(der);
	return text;
}

struct ending {
	enum keypolicy_kind kind;
	uint8_t value[KEYPOLICY_VALUE_MAX];
	uint64_t at;
	bool lift;
};

static int end(struct keypolicy *p, void *arg, struct err *e)
{
	const struct ending *x = arg;
	struct span value = span_of(x->value, keypolicy_value_size(x->kind));

	return x->lift ? keypolicy_restore(p, x->kind, value, e)
		       : keypolicy_revoke(p, x->kind, value, x->at, "", e);
}

static void revoke_device(uint8_t device, uint64_t at, bool lift)
{
	struct ending x = { .kind = KEYPOLICY_DEVICE, .at = at, .lift = lift };
	struct err e = { 0 };

	memset(x.value, device, 32);
	must(keyrules_change(&rules, end, &x, "test", &e), &e);
}

static int rotate(struct keypolicy *p, void *arg, struct err *e)
{
	struct keypolicy_turn t = { .app = app.app, .now = now, .overlap_s = 50 };

	(void)arg;
	return keypolicy_rotate(p, &t, e);
}

static void what_is_revoked(void **state)
{
	struct ending cert = { .kind = KEYPOLICY_CERT, .value = { 1, [20] = 0x40, [39] = 9 }, .at = START };
	struct err e = { 0 };

	(void)state;
	count(&app, 1, 7);
	count(&app, 2, 8);
	count(&other, 3, 7);
	count(&later_set, 4, 7);
	assert_string_equal(listed(&app), "");
	assert_int_equal(signed_, 1);
	assert_string_equal(last.boot.anchor, "none");
	assert_memory_equal(last.boot.app_id, app.app, 20);
	assert_string_equal(listed(&app), "");
	assert_int_equal(signed_, 1); // the same list
	count(&app, 5, 8);
	assert_string_equal(listed(&app), "");
	assert_int_equal(signed_, 1); // nothing is on it that was not
	revoke_device(7, now, false);
	assert_string_equal(listed(&app), "1");
	assert_string_equal(listed(&other), "3");
	assert_int_equal(last_root, 0);
	assert_string_equal(listed(&later_set), "4");
	assert_int_equal(last_root, 1);
	count(&app, 6, 7); // decided before the change, signed behind it
	assert_string_equal(listed(&app), "16");
	revoke_device(7, now, true);
	assert_string_equal(listed(&app), "");
	revoke_device(8, now + 100, false); // announced
	assert_string_equal(listed(&app), "");
	now += 100;
	assert_string_equal(listed(&app), "25");
	must(keyrules_change(&rules, end, &cert, "test", &e), &e); // also one that is not known here
	assert_string_equal(listed(&app), "259");
	assert_string_equal(listed(&other), "");
	must(keyrules_change(&rules, rotate, NULL, "test", &e), &e);
	assert_string_equal(listed(&app), "259");
	now += 50; // epoch 0 ends, and with it what was signed in its time
	assert_string_equal(listed(&app), "12569");
	assert_string_equal(listed(&other), "");
}

static void how_often(void **state)
{
	(void)state;
	listed(&app);
	unsigned before = signed_;
	now += VALID / 2 - 1;
	listed(&app);
	assert_int_equal(signed_, before);
	now += 1; // half its life is over
	listed(&app);
	assert_int_equal(signed_, before + 1);
	now += 1000 + ISSUED_AFTER_S + 1; // what is over is not listed; what was named is
	assert_string_equal(listed(&app), "9");
	assert_string_equal(listed(&app), "9");
	assert_int_equal(signed_, before + 2);
	// Of apps that nothing is known of lists are made at a slow rate, and kept.
	bool refused = false;
	for (uint8_t i = 0; i < 200 && !refused; i++) {
		const struct issued_key unknown = { { 99, i }, 0 };
		refused = !strcmp(listed(&unknown), "crl.rate");
		assert_true(refused || !*listed(&unknown));
	}
	assert_true(refused);
	assert_string_equal(listed(&app), "9"); // of those that are known they are made
}

static void crl_numbers_and_trouble(void **state)
{
	struct err e = { 0 };
	char *path = str_format("%s/" KEYPOLICY_NAME, dir);

	(void)state;
	uint64_t before = crls.number;
	now += VALID;
	listed(&app);
	assert_true(crls.number > before);
	before = crls.number;
	must(file_write_str(path, 0600, "{", &e), &e); // no document, no list
	assert_string_equal(listed(&app), "keypolicy.syntax");
	assert_int_equal(crls.number, before);
	free(path);
}

static void append(const char *path, const struct audit_entry *x, uint64_t seq)
{
	static char text[AUDIT_RECORD_MAX];
	struct audit_record r = { .seq = seq, .time = 1, .entry = *x };
	struct wr w = wr_to(text, sizeof text);
	FILE *f = fopen(path, "a");

	audit_entry_clean(&r.entry);
	audit_record_write(&w, &r);
	wr_u8(&w, '\n');
	assert_int_equal(fwrite(text, 1, w.n, f), w.n);
	fclose(f);
}

static void from_the_log(void **state)
{
	char *path = str_format("%s/some.log", dir);
	struct audit_entry x = entry(&app, 1, 7, 3), refused = x, keys_ = x, before = x, over = x;
	struct issued *i = issued_new();
	struct err e = { 0 };

	(void)state;
	refused.ok = 0;
	keys_.event = AUDIT_KEYS;
	before.has_serial = 0; // as records were before serial numbers were in them
	over.not_after = now - ISSUED_AFTER_S - 1;
	append(path, &before, 0);
	append(path, &refused, 1);
	append(path, &keys_, 2);
	append(path, &over, 3);
	append(path, &x, 4);
	x.n_roots = 1;
	x.roots[0] = 1;
	append(path, &x, 5);
	must(issued_load(i, path, now, &e), &e);
	assert_int_equal(issued_count(i), 2);
	const struct issued_app *a = issued_find(i, &app);
	assert_int_equal(a->n_certs, 1);
	assert_memory_equal(a->cert[0].serial, x.serial, 20);
	assert_int_equal(a->cert[0].not_after, x.not_after);
	assert_true(a->origin[0].has_epoch && a->origin[0].epoch == 3 && a->origin[0].device[0] == 7);
	assert_non_null(issued_find(i, &later_set));
	assert_null(issued_find(i, &other));
	FILE *f = fopen(path, "a");
	fputs("{\"seq\":6,\"time\":1,\"event\":\"sign-cert\"}\n", f);
	fclose(f);
	assert_int_equal(issued_load(i, path, now, &e), -1);
	issued_free(i);
	unlink(path);
	free(path);
}

// Beyond what can be kept count of nothing is signed; what is over makes room.
static void bounds(void **state)
{
	struct issued *i = issued_new();
	struct err e = { 0 };

	(void)state;
	for (uint32_t k = 0; k < ISSUED_APP_MAX; k++) {
		struct audit_entry x = entry(&app, 0, (uint8_t)(k & 3), 0);
		memcpy(x.serial + 12, &k, sizeof k);
		must(issued_add(i, 0, &x, now, &e), &e);
	}
	struct audit_entry x = entry(&app, 1, 9, 0), y = entry(&other, 1, 9, 0);
	assert_int_equal(issued_add(i, 0, &x, now, &e), -1);
	assert_string_equal(e.code, "crl.full");
	must(issued_add(i, 0, &y, now, &e), &e);
	assert_int_equal(issued_find(i, &app)->n_origins, 4);
	now += 1000 + ISSUED_AFTER_S + 1;
	x.not_after = y.not_after = now + 1;
	must(issued_add(i, 0, &x, now, &e), &e);
	assert_int_equal(issued_find(i, &app)->n_certs, 1);
	assert_int_equal(issued_find(i, &app)->n_origins, 1);
	for (size_t k = 0; k < 1000; k++) { // the same again and again takes no room
		must(issued_add(i, 0, &x, now, &e), &e);
		assert_true(issued_find(i, &app)->n_certs <= ISSUED_APP_MAX);
	}
	for (uint16_t k = 0; k < 1000; k++) { // many apps
		memcpy(y.boot.app_id, &k, sizeof k);
		must(issued_add(i, 0, &y, now, &e), &e);
	}
	struct issued_key key = { { 0xe7, 3 }, 0 }; // 999
	assert_non_null(issued_find(i, &key));
	issued_free(i);
}

static int set_up(void **state)
{
	struct err e = { 0 };
	char *log;

	(void)state;
	now = START;
	strcpy(dir, "/tmp/kms-crl-XXXXXX");
	ca_key = p256_new(&e);
	if (!mkdtemp(dir))
		return -1;
	log = str_format("%s/audit.log", dir);
	int rc = file_write_str(log, 0600, "", &e) || keyrules_open(&rules, dir, &audit, &sets, &e) ||
		 crls_open(&crls, dir, VALID, &keys, &audit, &rules, &e);
	free(log);
	return rc;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "audit.log", KEYPOLICY_NAME, KEYPOLICY_NAME ".lock",
					     "keypolicy.seen" };

	(void)state;
	crls_close(&crls);
	keyrules_close(&rules);
	EVP_PKEY_free(ca_key);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char *path = str_format("%s/%s", dir, names[i]);
		unlink(path);
		free(path);
	}
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_revoked),
		cmocka_unit_test(how_often),
		cmocka_unit_test(crl_numbers_and_trouble),
		cmocka_unit_test(from_the_log),
		cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
