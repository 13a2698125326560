// Epochs and revocations as a document: what is served when, what is refused with which code, what can and
// cannot be changed, and that the file only reads back what was written.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/strings.h"
#include "core/verify/bootinfo.h"
#include "policy/keypolicy.h"
#include "policy/policy.h"

static const uint8_t app[20] = { 1 }, other[20] = { 2 };
enum { NOW = 1000 };

static void picked(const struct keypolicy *p, const uint8_t *a, const uint64_t *asked, uint64_t now,
		   uint64_t want)
{
	struct err e = { 0 };
	uint64_t got = UINT64_MAX;

	if (keypolicy_pick(p, a, asked, now, &got, &e))
		fail_msg("%s", e.text);
	assert_int_equal(got, want);
}

static void not_picked(const struct keypolicy *p, const uint8_t *a, const uint64_t *asked, uint64_t now,
		       const char *code)
{
	struct err e = { 0 };
	uint64_t got;

	assert_int_equal(keypolicy_pick(p, a, asked, now, &got, &e), -1);
	assert_string_equal(e.code, code);
}

static int rotate(struct keypolicy *p, const uint8_t *a, uint64_t now, uint64_t overlap_s, bool move_legacy,
		  struct err *e)
{
	struct keypolicy_turn t = {
		.app = a, .now = now, .overlap_s = overlap_s, .move_legacy = move_legacy
	};

	return keypolicy_rotate(p, &t, e);
}

static const uint64_t e0 = 0, e1 = 1, e2 = 2, e3 = 3;

// An old guest, which names no epoch, sees no difference until legacy is moved.
static void rotation_with_overlap(void **state)
{
	struct keypolicy *p = keypolicy_new();
	struct err e;
	uint64_t earlier[8];

	(void)state;
	picked(p, app, NULL, NOW, 0);
	picked(p, app, &e0, NOW, 0);
	not_picked(p, app, &e1, NOW, "epoch.not_served");
	assert_int_equal(rotate(p, app, NOW, 100, false, &e), 0);
	assert_int_equal(keypolicy_version(p), 1);
	picked(p, app, NULL, NOW, 0);
	picked(p, app, &e1, NOW, 1);
	picked(p, app, &e0, NOW + 99, 0);
	not_picked(p, app, &e0, NOW + 100, "epoch.revoked");
	not_picked(p, app, NULL, NOW + 100, "epoch.revoked");
	picked(p, other, &e0, NOW + 100, 0);
	not_picked(p, other, &e1, NOW, "epoch.not_served");
	assert_int_equal(keypolicy_end_of(p, app, 0), NOW + 100);
	assert_int_equal(keypolicy_end_of(p, app, 1), 0);
	assert_int_equal(rotate(p, app, NOW, 0, true, &e), 0);
	picked(p, app, NULL, NOW + 100, 2);
	assert_int_equal(keypolicy_earlier(p, app, 2, NOW, earlier, 8), 2);
	assert_int_equal(earlier[0], 1);
	assert_int_equal(earlier[1], 0);
	assert_int_equal(keypolicy_earlier(p, app, 2, NOW + 100, earlier, 8), 1);
	assert_int_equal(keypolicy_earlier(p, app, 2, NOW, earlier, 1), 1);
	keypolicy_free(p);
}

static int rotate_to(struct keypolicy *p, const uint8_t *a, uint32_t root, struct err *e)
{
	struct keypolicy_turn t = { .app = a, .now = NOW, .overlap_s = 100, .has_root = true, .root = root };

	return keypolicy_rotate(p, &t, e);
}

// A document that names no root set is what it was before there were any; an epoch hangs on the set of the
// last entry at or before it, and never on an older one than the epoch before.
static void epochs_on_root_sets(void **state)
{
	struct keypolicy *p = keypolicy_new();
	auto_sb one = { 0 }, two = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(keypolicy_root_max(p), 0);
	assert_true(keypolicy_serves_root(p, app, 0, NOW));
	assert_false(keypolicy_serves_root(p, app, 1, NOW));
	assert_int_equal(rotate_to(p, app, 0, &e), 0);
	keypolicy_write(&one, p);
	assert_null(strstr(one.p, "roots"));
	assert_int_equal(rotate_to(p, app, 1, &e), 0);
	assert_int_equal(rotate(p, app, NOW, 0, false, &e), 0);
	assert_int_equal(rotate_to(p, app, 3, &e), 0);
	assert_int_equal(keypolicy_root(p, app, 0), 0);
	assert_int_equal(keypolicy_root(p, app, 1), 0);
	assert_int_equal(keypolicy_root(p, app, 2), 1);
	assert_int_equal(keypolicy_root(p, app, 3), 1);
	assert_int_equal(keypolicy_root(p, app, 4), 3);
	assert_int_equal(keypolicy_root(p, other, 4), 0);
	assert_int_equal(keypolicy_root_max(p), 3);
	assert_int_equal(rotate_to(p, app, 2, &e), -1);
	assert_string_equal(e.code, "keypolicy.value");
	// 0 and 1 have ends at NOW + 100, 3 has, 2 has none.
	assert_true(keypolicy_serves_root(p, app, 0, NOW + 99));
	assert_false(keypolicy_serves_root(p, app, 0, NOW + 100));
	assert_true(keypolicy_serves_root(p, app, 1, NOW + 100));
	assert_false(keypolicy_serves_root(p, app, 2, NOW));
	assert_true(keypolicy_serves_root(p, app, 3, NOW + 100));
	assert_int_equal(keypolicy_end_epoch(p, app, 2, NOW + 5, &e), 0);
	assert_false(keypolicy_serves_root(p, app, 1, NOW + 100));
	keypolicy_write(&two, p);
	assert_non_null(strstr(two.p, ",\"roots\":[{\"epoch\":2,\"root\":1},{\"epoch\":4,\"root\":3}]}"));
	struct keypolicy *again = keypolicy_parse(span_of(two.p, two.n), &e);
	auto_sb three = { 0 };
	keypolicy_write(&three, again);
	assert_string_equal(two.p, three.p);
	keypolicy_free(again);
	keypolicy_free(p);
	// New apps follow the common rule.
	p = keypolicy_new();
	assert_int_equal(rotate_to(p, NULL, 1, &e), 0);
	assert_int_equal(keypolicy_root(p, other, 1), 1);
	assert_int_equal(rotate(p, app, NOW, 0, false, &e), 0);
	assert_int_equal(keypolicy_root(p, app, 2), 1);
	keypolicy_free(p);
}

// What the policy says of an app comes in steps, in another order on another replica: the sets are those of
// the default all the same.
static void learned_rules_on_root_sets(void **state)
{
	const struct policy_epochs low = { .given = true, .legacy = 0, .current = 1 },
				   high = { .given = true, .current = 4 };
	struct keypolicy *one = keypolicy_new(), *two = keypolicy_new();
	auto_sb text = { 0 };
	struct err e;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rotate(i ? two : one, NULL, NOW, 0, false, &e), 0);
		assert_int_equal(rotate(i ? two : one, NULL, NOW, 0, false, &e), 0);
		assert_int_equal(rotate_to(i ? two : one, NULL, 1, &e), 0); // from epoch 3 on
	}
	assert_int_equal(keypolicy_learn(one, app, &low, &e), 0);
	keypolicy_write(&text, one);
	keypolicy_free(one);
	one = keypolicy_parse(span_of(text.p, text.n), &e);
	assert_non_null(one);
	assert_int_equal(keypolicy_root(one, app, 1), 0);
	assert_int_equal(keypolicy_learn(one, app, &high, &e), 0);
	assert_int_equal(keypolicy_learn(two, app, &high, &e), 0);
	for (uint64_t epoch = 0; epoch <= 4; epoch++) {
		assert_int_equal(keypolicy_root(one, app, epoch), epoch >= 3);
		assert_int_equal(keypolicy_root(two, app, epoch), epoch >= 3);
	}
	keypolicy_free(two);
	// An operator who takes the app over at once writes what can be read.
	two = keypolicy_new();
	for (int i = 0; i < 4; i++)
		assert_int_equal(rotate(two, NULL, NOW, 0, false, &e), 0);
	assert_int_equal(rotate_to(two, NULL, 1, &e), 0); // from epoch 5 on
	assert_int_equal(keypolicy_learn(two, app, &low, &e), 0);
	assert_int_equal(rotate_to(two, app, 1, &e), 0);
	assert_int_equal(keypolicy_root(two, app, 2), 1);
	auto_sb after = { 0 };
	keypolicy_write(&after, two);
	keypolicy_free(two);
	two = keypolicy_parse(span_of(after.p, after.n), &e);
	assert_non_null(two);
	keypolicy_free(one);
	keypolicy_free(two);
}

static void malformed_roots(void **state)
{
	static const char *const roots[] = {
		"",
		"{}",
		"{\"epoch\":0,\"root\":1}",
		"{\"epoch\":1,\"root\":0}",
		"{\"epoch\":9,\"root\":1}",
		"{\"epoch\":1,\"root\":8}",
		"{\"epoch\":1,\"root\":1,\"x\":1}",
		"{\"epoch\":1,\"root\":1},{\"epoch\":1,\"root\":2}",
		"{\"epoch\":1,\"root\":2},{\"epoch\":2,\"root\":1}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
		char text[400];
		struct err e = { 0 };
		snprintf(text, sizeof text,
			 "{\"version\":1,\"default\":{\"current\":3,\"min\":0,\"legacy\":0,\"ends\":[],"
			 "\"roots\":[%s]},"
			 "\"apps\":[],\"revoked\":[]}",
			 roots[i]);
		assert_null(keypolicy_parse(span_str(text), &e));
		assert_string_equal(e.code, "keypolicy.syntax");
	}
}

static void ends_of_epochs(void **state)
{
	struct keypolicy *p = keypolicy_new();
	struct err e;

	(void)state;
	assert_int_equal(keypolicy_end_epoch(p, NULL, 0, NOW, &e), -1);
	assert_string_equal(e.code, "keypolicy.value");
	assert_int_equal(rotate(p, NULL, NOW, 0, false, &e), 0);
	assert_int_equal(keypolicy_end_epoch(p, NULL, 0, NOW + 5, &e), 0);
	assert_int_equal(keypolicy_end_epoch(p, NULL, 0, NOW + 50, &e), 0);
	assert_int_equal(keypolicy_end_of(p, other, 0), NOW + 5); // the earlier holds
	assert_int_equal(keypolicy_end_epoch(p, NULL, 0, NOW + 2, &e), 0);
	assert_int_equal(keypolicy_end_of(p, other, 0), NOW + 2);
	not_picked(p, other, NULL, NOW + 2, "epoch.revoked");
	assert_int_equal(keypolicy_end_epoch(p, NULL, 1, NOW, &e), -1); // the current one
	assert_int_equal(keypolicy_end_epoch(p, NULL, 7, NOW, &e), -1);
	// An app's own rule begins as a copy of the common one.
	assert_int_equal(rotate(p, app, NOW, 0, false, &e), 0);
	picked(p, app, &e2, NOW, 2);
	not_picked(p, other, &e2, NOW, "epoch.not_served");
	not_picked(p, app, &e0, NOW + 2, "epoch.revoked");
	not_picked(p, app, &e3, NOW, "epoch.not_served");
	keypolicy_free(p);
}

static struct boot_info guest(void)
{
	struct boot_info b = { .has_app_id = true, .has_compose_hash = true, .has_os_image_hash = true };

	memcpy(b.app_id, app, 20);
	memset(b.compose_hash, 3, 32);
	memset(b.device_id, 4, 32);
	memset(b.os_image_hash, 5, 32);
	return b;
}

static void revocations(void **state)
{
	static const char *const code[] = { "revoked.app", "revoked.compose", "revoked.device",
					    "revoked.image" };
	struct boot_info b = guest();
	const struct span part[] = { span_of(b.app_id, 20), span_of(b.compose_hash, 32),
				     span_of(b.device_id, 32), span_of(b.os_image_hash, 32) };
	struct err e;

	(void)state;
	for (size_t k = 0; k < KEYPOLICY_CERT; k++) {
		struct keypolicy *p = keypolicy_new();
		enum keypolicy_kind kind = (enum keypolicy_kind)k;

		assert_int_equal(keypolicy_until(p, &b), UINT64_MAX);
		assert_int_equal(keypolicy_revoke(p, kind, part[k], NOW + 60, "stolen\n\"x\"", &e), 0);
		assert_int_equal(keypolicy_check(p, &b, NOW + 59, &e), 0);
		assert_int_equal(keypolicy_until(p, &b), NOW + 60);
		assert_int_equal(keypolicy_check(p, &b, NOW + 60, &e), -1);
		assert_string_equal(e.code, code[k]);
		assert_int_equal(keypolicy_revoke(p, kind, part[k], NOW + 90, "", &e), 0);
		assert_int_equal(keypolicy_until(p, &b), NOW + 60);
		assert_int_equal(keypolicy_revoke(p, kind, part[k], NOW, "", &e), 0);
		assert_int_equal(keypolicy_check(p, &b, NOW, &e), -1);
		struct boot_info else_ = b;
		*(k == 0   ? else_.app_id
		  : k == 1 ? else_.compose_hash
		  : k == 2 ? else_.device_id
			   : else_.os_image_hash) ^= 1;
		assert_int_equal(keypolicy_check(p, &else_, NOW, &e), 0);
		assert_int_equal(keypolicy_restore(p, kind, part[k], &e), 0);
		assert_int_equal(keypolicy_check(p, &b, NOW, &e), 0);
		assert_int_equal(keypolicy_restore(p, kind, part[k], &e), -1);
		assert_int_equal(keypolicy_revoke(p, kind, span_of(b.compose_hash, 19), NOW, "", &e), -1);
		assert_string_equal(e.code, "keypolicy.value");
		assert_int_equal(keypolicy_revoke(p, kind, part[k], 0, "", &e), -1);
		keypolicy_free(p);
	}
}

static struct policy_epochs said(uint64_t current, uint64_t min, uint64_t legacy)
{
	return (struct policy_epochs){ .given = true, .current = current, .min = min, .legacy = legacy };
}

static void learns(struct keypolicy *p, const struct policy_epochs *x, uint64_t version)
{
	struct err e = { 0 };

	if (keypolicy_learn(p, app, x, &e))
		fail_msg("%s", e.text);
	assert_int_equal(keypolicy_version(p), version);
}

// The policy's rule is in force where no operator made one, and only goes forward: an answer of before,
// played again, brings nothing back.
static void learned_from_policy(void **state)
{
	struct keypolicy *p = keypolicy_new(), *again;
	struct policy_epochs first = said(2, 1, 1), older = said(1, 0, 0), silent = { 0 },
			     zero = said(0, 0, 0);
	struct sb text = { 0 };
	struct err e = { 0 };

	(void)state;
	learns(p, &silent, 0);
	learns(p, &zero, 0); // as it is anyway: nothing to write
	learns(p, &first, 1);
	picked(p, app, NULL, NOW, 1);
	picked(p, app, &e2, NOW, 2);
	not_picked(p, app, &e0, NOW, "epoch.not_served");
	picked(p, other, NULL, NOW, 0);
	learns(p, &first, 1);
	learns(p, &older, 1);
	learns(p, &zero, 1);
	picked(p, app, NULL, NOW, 1);
	not_picked(p, app, &e0, NOW, "epoch.not_served");
	// A revocation stays, and only comes earlier; also of the current one.
	first.n_revoked = 2;
	first.revoked[0].epoch = 1, first.revoked[0].at = NOW + 50;
	first.revoked[1].epoch = 2, first.revoked[1].at = NOW + 60;
	learns(p, &first, 2);
	first.revoked[0].at = NOW + 70;
	learns(p, &first, 2);
	learns(p, &older, 2);
	picked(p, app, &e1, NOW + 49, 1);
	not_picked(p, app, &e1, NOW + 50, "epoch.revoked");
	not_picked(p, app, &e2, NOW + 60, "epoch.revoked");
	assert_int_equal(keypolicy_epoch_until(p, app, 0), 1);
	assert_int_equal(keypolicy_epoch_until(p, app, 1), NOW + 50);
	// What an operator ends for all ends here, too.
	assert_int_equal(rotate(p, NULL, NOW, 10, false, &e), 0);
	assert_int_equal(rotate(p, NULL, NOW, 20, false, &e), 0);
	not_picked(p, app, &e1, NOW + 20, "epoch.revoked");
	assert_int_equal(keypolicy_end_of(p, app, 1), NOW + 20);
	assert_false(keypolicy_serves_root(p, app, 0, NOW + 60));
	assert_true(keypolicy_serves_root(p, app, 0, NOW + 59));
	// It is read as it was written.
	keypolicy_write(&text, p);
	assert_non_null(strstr(text.p, "\"learned\":true"));
	again = keypolicy_parse(span_of(text.p, text.n), &e);
	if (!again)
		fail_msg("%s", e.text);
	not_picked(again, app, &e2, NOW + 60, "epoch.revoked");
	assert_true(keypolicy_rule(again, app)->learned && !keypolicy_rule(again, other)->learned);
	// An operator who rotates the app takes it over: above all that was ended.
	assert_int_equal(rotate(again, app, NOW, 0, false, &e), 0);
	assert_false(keypolicy_rule(again, app)->learned);
	picked(again, app, &e3, NOW + 60, 3);
	struct policy_epochs more = said(9, 9, 9);
	uint64_t version = keypolicy_version(again);
	learns(again, &more, version);
	picked(again, app, &e3, NOW + 60, 3);
	text.n = 0;
	sb_free(&text);
	text = (struct sb){ 0 };
	keypolicy_write(&text, again);
	keypolicy_free(p);
	p = keypolicy_parse(span_of(text.p, text.n), &e);
	if (!p)
		fail_msg("%s", e.text);
	struct policy_epochs contradiction = said(1, 2, 0);
	assert_int_equal(keypolicy_learn(p, other, &contradiction, &e), -1);
	assert_string_equal(e.code, "epoch.not_served");
	sb_free(&text);
	keypolicy_free(again);
	keypolicy_free(p);
}

struct named {
	size_t n;
	uint8_t serial[20];
	uint64_t at;
};

static void take_cert(void *arg, const uint8_t serial[static 20], uint64_t at)
{
	struct named *x = arg;

	memcpy(x->serial, serial, 20);
	x->at = at;
	x->n++;
}

// One certificate, by its serial number as people write it: without the zeros in front.
static void certificates(void **state)
{
	static const uint8_t written[3] = { 0xab, 0, 1 }, whole[20] = { [17] = 0xab, [19] = 1 }, zero[20];
	struct keypolicy *p = keypolicy_new(), *again;
	uint8_t value[KEYPOLICY_VALUE_MAX];
	struct boot_info b = guest();
	struct named x = { 0 };
	struct sb text = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(keypolicy_cert_value(NULL, span_of(written, 3), value, &e), -1);
	assert_int_equal(keypolicy_cert_value(app, span_of(written, 0), value, &e), -1);
	assert_int_equal(keypolicy_cert_value(app, span_of(zero, 20), value, &e), -1);
	assert_int_equal(keypolicy_cert_value(app, span_of(written, 3), value, &e), 0);
	assert_int_equal(keypolicy_revoke(p, KEYPOLICY_CERT, span_of(value, sizeof value), NOW, "lost", &e),
			 0);
	assert_int_equal(keypolicy_check(p, &b, NOW, &e), 0); // the app itself is not revoked
	keypolicy_write(&text, p);
	again = keypolicy_parse(span_of(text.p, text.n), &e);
	assert_non_null(again);
	keypolicy_certs(again, app, take_cert, &x);
	keypolicy_certs(again, other, take_cert, &x);
	assert_int_equal(x.n, 1);
	assert_memory_equal(x.serial, whole, 20);
	assert_int_equal(x.at, NOW);
	assert_int_equal(keypolicy_restore(again, KEYPOLICY_CERT, span_of(value, sizeof value), &e), 0);
	keypolicy_certs(again, app, take_cert, &x);
	assert_int_equal(x.n, 1);
	// An epoch's certificates end with it.
	assert_int_equal(rotate(p, app, NOW, 60, false, &e), 0);
	assert_int_equal(keypolicy_epoch_until(p, app, 0), NOW + 60);
	assert_true(keypolicy_epoch_until(p, app, 1) == UINT64_MAX);
	assert_true(keypolicy_epoch_until(p, other, 0) == UINT64_MAX);
	sb_free(&text);
	keypolicy_free(again);
	keypolicy_free(p);
}

static void reads_what_it_wrote(void **state)
{
	struct keypolicy *p = keypolicy_new();
	struct boot_info b = guest();
	struct err e = { 0 };
	auto_sb one = { 0 }, two = { 0 };

	(void)state;
	assert_int_equal(rotate(p, app, NOW, 10, true, &e), 0);
	assert_int_equal(rotate(p, NULL, NOW, 0, false, &e), 0);
	assert_int_equal(
		keypolicy_revoke(p, KEYPOLICY_IMAGE, span_of(b.os_image_hash, 32), NOW, "a \"b\" \\", &e), 0);
	keypolicy_write(&one, p);
	struct keypolicy *again = keypolicy_parse(span_of(one.p, one.n), &e);
	if (!again)
		fail_msg("%s", e.text);
	keypolicy_write(&two, again);
	assert_string_equal(one.p, two.p);
	assert_int_equal(keypolicy_version(again), 3);
	keypolicy_free(p);
	keypolicy_free(again);
}

#define HEAD                                                                                                 \
	"{\"version\":1,\"default\":{\"current\":1,\"min\":0,\"legacy\":0,\"ends\":[]},\"apps\":[],"         \
	"\"revoked\":["
static void malformed_documents(void **state)
{
	static const char *const text[] = {
		"",
		"{}",
		"{\"version\":1}",
		HEAD "]}x",
		HEAD "{\"kind\":\"app\",\"value\":\"00\",\"at\":1,\"reason\":\"\"}]}",
		HEAD "{\"kind\":\"other\",\"value\":\"0101010101010101010101010101010101010101\",\"at\":1,"
		     "\"reason\":\"\"}]}",
		HEAD "{\"kind\":\"app\",\"value\":\"0101010101010101010101010101010101010101\",\"at\":0,"
		     "\"reason\":\"\"}]}",
		HEAD "{\"kind\":\"app\",\"value\":\"0101010101010101010101010101010101010101\",\"at\":1}]}",
		HEAD "],\"more\":1}",
		"{\"version\":1,\"default\":{\"current\":1,\"min\":2,\"legacy\":0,\"ends\":[]},\"apps\":[],"
		"\"revoked\":[]}",
		"{\"version\":1,\"default\":{\"current\":1,\"min\":0,\"legacy\":2,\"ends\":[]},\"apps\":[],"
		"\"revoked\":[]}",
		"{\"version\":-1,\"default\":{\"current\":1,\"min\":0,\"legacy\":0,\"ends\":[]},\"apps\":[],"
		"\"revoked\":[]}",
		"{\"version\":1,\"default\":{\"current\":1,\"min\":0,\"legacy\":0,\"ends\":[{\"epoch\":1,"
		"\"at\":5}]},\"apps\":[],"
		"\"revoked\":[]}",
		"{\"version\":1,\"default\":{\"current\":1,\"min\":0,\"legacy\":0,\"ends\":[{\"epoch\":0,"
		"\"at\":5},{\"epoch\":0,"
		"\"at\":6}]},\"apps\":[],\"revoked\":[]}",
	};
	struct err e;
	struct keypolicy *p = keypolicy_parse(span_str(HEAD "]}"), &e);

	(void)state;
	assert_non_null(p);
	keypolicy_free(p);
	for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
		if (keypolicy_parse(span_str(text[i]), &e))
			fail_msg("was not refused: %s", text[i]);
		assert_string_equal(e.code, "keypolicy.syntax");
	}
}

static int add_one(struct keypolicy *p, void *arg, struct err *e)
{
	return rotate(p, arg, NOW, 0, false, e);
}

static int refuse(struct keypolicy *p, void *arg, struct err *e)
{
	(void)p, (void)arg;
	return err_code(e, ERR_DENIED, "keypolicy.value", "no");
}

static void file_is_edited_whole(void **state)
{
	char dir[] = "/tmp/keypolicy-XXXXXX", path[64];
	struct keypolicy *p = NULL;
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/" KEYPOLICY_NAME, dir);
	assert_int_equal(keypolicy_load(path, &p, &e), 0);
	assert_int_equal(keypolicy_version(p), 0);
	keypolicy_free(p);
	assert_int_equal(keypolicy_edit(path, add_one, NULL, NULL, &e), 0);
	assert_int_equal(keypolicy_edit(path, refuse, NULL, NULL, &e), -1);
	assert_int_equal(keypolicy_edit(path, add_one, NULL, &p, &e), 0);
	assert_int_equal(keypolicy_version(p), 2);
	picked(p, other, &e2, NOW, 2);
	keypolicy_free(p);
	assert_int_equal(file_write_str(path, 0600, "{", &e), 0);
	assert_int_equal(keypolicy_edit(path, add_one, NULL, NULL, &e), -1);
	assert_string_equal(e.code, "keypolicy.syntax");
	assert_int_equal(file_remove_tree(dir, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rotation_with_overlap), cmocka_unit_test(epochs_on_root_sets),
		cmocka_unit_test(malformed_roots),       cmocka_unit_test(learned_rules_on_root_sets),
		cmocka_unit_test(ends_of_epochs),        cmocka_unit_test(revocations),
		cmocka_unit_test(certificates),          cmocka_unit_test(learned_from_policy),
		cmocka_unit_test(reads_what_it_wrote),   cmocka_unit_test(malformed_documents),
		cmocka_unit_test(file_is_edited_whole),
	};

	return cmocka_run_group_tests_name("keypolicy", tests, NULL, NULL);
}
