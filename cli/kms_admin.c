// kms rotate, revoke, policy - epochs and revocations: asked of a running KMS over its admin listener, or
// changed in its state folder, which it reads again at once.
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "base/time.h"
#include "command.h"
#include "kms.h"
#include "kms_link.h"
#include "kms_roots.h"
#include "kms.pb-c.h"
#include "kms_site.h"
#include "policy/keypolicy.h"
#include "rpc/client.h"

enum { VALUE_MAX = 32 };

struct admin_args {
	const char *admin, *token_file, *state, *kind, *reason;
	uint8_t app[20], value[VALUE_MAX];
	size_t value_n;
	uint64_t epoch, overlap_s, at, root;
	bool has_app, move_legacy, lift, roots, has_root;
};

static const struct option opts[] = {
	{ "admin", required_argument, NULL, 'u' },   { "token-file", required_argument, NULL, 't' },
	{ "state", required_argument, NULL, 's' },   { "app-id", required_argument, NULL, 'a' },
	{ "overlap", required_argument, NULL, 'o' }, { "move-legacy", no_argument, NULL, 'm' },
	{ "at", required_argument, NULL, 'w' },      { "reason", required_argument, NULL, 'r' },
	{ "lift", no_argument, NULL, 'l' },          { "root", required_argument, NULL, 'R' },
	{ "roots", no_argument, NULL, 'n' },         { NULL, 0, NULL, 0 }
};

static bool take(struct admin_args *a, int c)
{
	switch (c) {
	case 'u':
		a->admin = optarg;
		return true;
	case 't':
		a->token_file = optarg;
		return true;
	case 's':
		a->state = optarg;
		return true;
	case 'a':
		return a->has_app = hex_exact(a->app, sizeof a->app, optarg);
	case 'o':
		return str_seconds(optarg, &a->overlap_s);
	case 'm':
		return a->move_legacy = true;
	case 'w':
		return str_u64(optarg, &a->at);
	case 'r':
		a->reason = optarg;
		return true;
	case 'l':
		return a->lift = true;
	case 'R':
		return a->has_root = str_u64(optarg, &a->root) && a->root < ROOT_SETS_MAX;
	case 'n':
		return a->roots = true;
	default:
		return false;
	}
}

static bool parse(int argc, char **argv, struct admin_args *a)
{
	a->reason = "";
	optind = 1;
	for (int c; (c = getopt_long(argc, argv, "", opts, NULL)) != -1;)
		if (!take(a, c))
			return false;
	return !a->admin || !a->state; // one of the two, or this stack's
}

// KIND VALUE
static bool parse_what(int argc, char **argv, struct admin_args *a)
{
	if (argc - optind != 2)
		return false;
	a->kind = argv[optind];
	const char *value = argv[optind + 1];
	if (!strcmp(a->kind, "epoch"))
		return str_u64(value, &a->epoch);
	return !hex_read(a->value, sizeof a->value, value, strlen(value), &a->value_n);
}

static int ask(const struct admin_args *a, const char *method, const ProtobufCMessage *in,
	       const ProtobufCMessageDescriptor *type, struct arena *arena, void **out, struct err *e)
{
	struct kms_own own;

	if (!a->admin && kms_site_own(&own, e))
		return -1;
	const struct kms_link l = { .url = a->admin ? a->admin : own.url,
				    .token_file = a->admin ? a->token_file : own.token };
	return kms_link_call(&l, method, in, type, arena, out, e);
}

static int call(const struct admin_args *a, const char *method, const ProtobufCMessage *in, struct err *e)
{
	auto_arena *arena = arena_new(0);
	Kms__KeyPolicy *out = NULL;

	if (!arena)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (ask(a, method, in, &kms__key_policy__descriptor, arena, (void **)&out, e))
		return -1;
	fputs(out->document, stdout);
	return 0;
}

static int new_roots(const struct admin_args *a, struct err *e)
{
	auto_arena *arena = arena_new(0);
	Kms__RootRotation *out = NULL;
	struct rotation r;

	if (!arena)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (ask(a, "RotateRoots", NULL, &kms__root_rotation__descriptor, arena, (void **)&out, e) ||
	    kms_root_read(out, &r, e))
		return -1;
	kms_root_print(&r, out->attestation.len != 0);
	putchar('\n');
	return 0;
}

static int change_file(const struct admin_args *a, int (*change)(struct keypolicy *, void *, struct err *),
		       struct err *e)
{
	auto_free char *path = str_format("%s/" KEYPOLICY_NAME, a->state);
	struct admin_args copy = *a;
	struct keypolicy *p = NULL;
	auto_sb b = { 0 };

	if (!path)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (change ? keypolicy_edit(path, change, &copy, &p, e) : keypolicy_load(path, &p, e))
		return -1;
	keypolicy_write(&b, p);
	keypolicy_free(p);
	if (!b.bad)
		fputs(b.p, stdout);
	return b.bad ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

static int done(int rc, const struct err *e)
{
	return rc ? command_fail(e, false) : 0;
}

static int change_rotate(struct keypolicy *p, void *arg, struct err *e)
{
	const struct admin_args *a = arg;
	struct keypolicy_turn t = { .app = a->has_app ? a->app : NULL,
				    .now = time_now(),
				    .overlap_s = a->overlap_s,
				    .move_legacy = a->move_legacy };

	return keypolicy_rotate(p, &t, e);
}

int kms_rotate(int argc, char **argv)
{
	struct admin_args a = { 0 };
	struct err e = { 0 };

	// Only the KMS knows which root sets there are.
	if (!parse(argc, argv, &a) || optind != argc || (a.state && (a.roots || a.has_root)) ||
	    (a.roots && (a.has_app || a.has_root || a.overlap_s || a.move_legacy)))
		return kms_usage("rotate");
	if (a.roots)
		return done(new_roots(&a, &e), &e);
	if (a.state)
		return done(change_file(&a, change_rotate, &e), &e);
	Kms__RotateEpochRequest q = KMS__ROTATE_EPOCH_REQUEST__INIT;
	q.app_id = (ProtobufCBinaryData){ a.has_app ? sizeof a.app : 0, a.app };
	q.overlap_s = a.overlap_s;
	q.move_legacy = a.move_legacy;
	if (a.has_root) {
		q.opt_root_case = KMS__ROTATE_EPOCH_REQUEST__OPT_ROOT_ROOT;
		q.root = (uint32_t)a.root;
	}
	return done(call(&a, "RotateEpoch", &q.base, &e), &e);
}

static int change_revoke(struct keypolicy *p, void *arg, struct err *e)
{
	const struct admin_args *a = arg;
	uint64_t at = a->at ? a->at : time_now();
	enum keypolicy_kind kind;

	if (!strcmp(a->kind, "epoch"))
		return keypolicy_end_epoch(p, a->has_app ? a->app : NULL, a->epoch, at, e);
	if (!keypolicy_kind_read(a->kind, &kind))
		return err_code(e, ERR_INPUT, "keypolicy.value",
				"kind %s is none of app, compose, device, image, cert, epoch",
				STR_QZ(a->kind));
	uint8_t cert[KEYPOLICY_VALUE_MAX];
	struct span value = span_of(a->value, a->value_n);
	if (kind == KEYPOLICY_CERT) {
		if (keypolicy_cert_value(a->has_app ? a->app : NULL, value, cert, e))
			return -1;
		value = span_of(cert, sizeof cert);
	}
	return a->lift ? keypolicy_restore(p, kind, value, e)
		       : keypolicy_revoke(p, kind, value, at, a->reason, e);
}

int kms_revoke(int argc, char **argv)
{
	struct admin_args a = { 0 };
	struct err e = { 0 };

	if (!parse(argc, argv, &a) || !parse_what(argc, argv, &a))
		return kms_usage("revoke");
	if (a.state)
		return done(change_file(&a, change_revoke, &e), &e);
	Kms__RevokeRequest q = KMS__REVOKE_REQUEST__INIT;
	q.kind = (char *)(uintptr_t)a.kind;
	q.value = (ProtobufCBinaryData){ a.value_n, a.value };
	q.app_id = (ProtobufCBinaryData){ a.has_app ? sizeof a.app : 0, a.app };
	q.epoch = a.epoch;
	q.reason = (char *)(uintptr_t)a.reason;
	q.lift = a.lift;
	if (a.at) {
		q.opt_at_case = KMS__REVOKE_REQUEST__OPT_AT_AT;
		q.at = a.at;
	}
	return done(call(&a, "Revoke", &q.base, &e), &e);
}

int kms_policy(int argc, char **argv)
{
	struct admin_args a = { 0 };
	struct err e = { 0 };

	if (!parse(argc, argv, &a) || optind != argc)
		return kms_usage("policy");
	return done(a.state ? change_file(&a, NULL, &e) : call(&a, "GetKeyPolicy", NULL, &e), &e);
}
