// dstack app: who may have keys, changed on chain (DstackKms, DstackApp) or in a policy file.
#include "command.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/strings.h"
#include "chain.h"
#include "contracts.h"
#include "policy/abi.h"
#include "policy/policy.h"

enum { HASH = 32, CALL_MAX = 1024 };

struct app_args {
	struct chain_opts chain;
	const char *verb, *what, *policy, *artifacts;
	uint8_t app[ETH_ADDRESS], kms[ETH_ADDRESS], owner[ETH_ADDRESS], compose[HASH], device[HASH];
	bool has_app, has_kms, has_owner, has_compose, has_device;
	bool any_device, require_tcb, final, replace, json;
};

static bool read_id(const char *text, uint8_t *out, size_t n, bool *has)
{
	const char *digits = str_starts(text, "0x") ? text + 2 : text;

	*has = true;
	return hex_exact(out, n, digits);
}

static int parse(struct app_args *a, int argc, char **argv, struct err *e)
{
	static const struct option options[] = { { "rpc", 1, NULL, 'r' },
						 { "ca-file", 1, NULL, 'C' },
						 { "chain-id", 1, NULL, 'i' },
						 { "key-file", 1, NULL, 'k' },
						 { "kms", 1, NULL, 'K' },
						 { "policy", 1, NULL, 'p' },
						 { "compose-hash", 1, NULL, 'c' },
						 { "device", 1, NULL, 'd' },
						 { "any-device", 0, NULL, 'D' },
						 { "replace", 0, NULL, 'R' },
						 { "owner", 1, NULL, 'o' },
						 { "require-tcb", 0, NULL, 't' },
						 { "no-upgrades", 0, NULL, 'f' },
						 { "artifacts", 1, NULL, 'a' },
						 { "wait", 1, NULL, 'w' },
						 { "json", 0, NULL, 'j' },
						 { NULL, 0, NULL, 0 } };
	uint64_t number = 0;
	int c;

	*a = (struct app_args){ .chain.wait_s = 60 };
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		bool good = true;
		switch (c) {
		case 'r':
			a->chain.url = optarg;
			break;
		case 'C':
			a->chain.ca_file = optarg;
			break;
		case 'i':
			good = str_u64(optarg, &a->chain.chain_id) && a->chain.chain_id;
			break;
		case 'k':
			a->chain.key_file = optarg;
			break;
		case 'K':
			good = read_id(optarg, a->kms, ETH_ADDRESS, &a->has_kms);
			break;
		case 'p':
			a->policy = optarg;
			break;
		case 'c':
			good = read_id(optarg, a->compose, HASH, &a->has_compose);
			break;
		case 'd':
			good = read_id(optarg, a->device, HASH, &a->has_device);
			break;
		case 'D':
			a->any_device = true;
			break;
		case 'R':
			a->replace = true;
			break;
		case 'o':
			good = read_id(optarg, a->owner, ETH_ADDRESS, &a->has_owner);
			break;
		case 't':
			a->require_tcb = true;
			break;
		case 'f':
			a->final = true;
			break;
		case 'a':
			a->artifacts = optarg;
			break;
		case 'w':
			good = str_uint(optarg, 1, 3600, &number);
			a->chain.wait_s = (int)number;
			break;
		case 'j':
			a->json = true;
			break;
		default:
			return err_set(e, ERR_INPUT, "see dstack app --help");
		}
		if (!good)
			return err_set(e, ERR_INPUT, "'%s' is no possible value here; see dstack app --help",
				       optarg);
	}
	if (optind >= argc || argc - optind > 2)
		return err_set(e, ERR_INPUT, "see dstack app --help");
	a->verb = argv[optind];
	a->what = optind + 1 < argc ? argv[optind + 1] : NULL;
	return 0;
}

static int need(bool there, const char *what, const struct app_args *a, struct err *e)
{
	return there ? 0 : err_set(e, ERR_INPUT, "app %s needs %s; see dstack app --help", a->verb, what);
}

static int need_app(struct app_args *a, struct err *e)
{
	if (a->what && read_id(a->what, a->app, ETH_ADDRESS, &a->has_app))
		return 0;
	return need(false, "an app id of 40 hex digits", a, e);
}

static void told(const struct app_args *a, const char *did, const struct chain_receipt *r)
{
	if (a->json)
		printf("{\"ok\":true,\"done\":\"%s\",\"transaction\":\"0x%s\",\"block\":%llu,\"gas\":%llu}\n",
		       did, STR_HEX(r->hash, 32), (unsigned long long)r->block, (unsigned long long)r->gas);
	else
		printf("%s: block %llu, transaction 0x%s\n", did, (unsigned long long)r->block,
		       STR_HEX(r->hash, 32));
}

struct call {
	uint8_t data[CALL_MAX];
	struct wr w;
};

static struct wr *call_begin(struct call *c, const char *signature)
{
	c->w = wr_to(c->data, sizeof c->data);
	abi_selector(&c->w, signature);
	return &c->w;
}

static int send(struct chain *c, const struct app_args *a, const uint8_t *to, const struct call *call,
		const char *did, struct err *e)
{
	struct chain_receipt r;

	if (chain_send(c, to, span_of(call->data, call->w.n), &r, e))
		return err_wrap(e, "%s", did);
	told(a, did, &r);
	return 0;
}

static int send_hash(struct chain *c, const struct app_args *a, const uint8_t *to, const char *signature,
		     const uint8_t hash[static HASH], const char *did, struct err *e)
{
	struct call call;

	abi_right(call_begin(&call, signature), hash, HASH);
	return send(c, a, to, &call, did, e);
}

static int app_register(struct chain *c, struct app_args *a, struct err *e)
{
	struct chain_receipt r;
	struct call call;
	uint8_t id[32];

	if (need(a->has_kms, "--kms", a, e))
		return -1;
	if (a->what) {
		if (need_app(a, e))
			return -1;
		abi_right(call_begin(&call, "registerApp(address)"), a->app, ETH_ADDRESS);
		return send(c, a, a->kms, &call, "registered", e);
	}
	struct wr *w = call_begin(&call, "deployAndRegisterApp(address,bool,bool,bool,bytes32,bytes32)");
	abi_right(w, a->has_owner ? a->owner : chain_sender(c), ETH_ADDRESS);
	abi_u64(w, a->final);
	abi_u64(w, a->require_tcb);
	abi_u64(w, a->any_device);
	abi_right(w, a->device, a->has_device ? HASH : 0);
	abi_right(w, a->compose, a->has_compose ? HASH : 0);
	if (chain_send(c, a->kms, span_of(call.data, call.w.n), &r, e))
		return err_wrap(e, "register");
	if (chain_event(&r, a->kms, "AppDeployedViaFactory(address,address)", 1, id))
		return err_code(e, ERR_AGAIN, "chain.rpc", "the receipt names no app");
	if (a->json)
		printf("{\"ok\":true,\"app_id\":\"%s\",\"transaction\":\"0x%s\",\"block\":%llu}\n",
		       STR_HEX(id + 12, ETH_ADDRESS), STR_HEX(r.hash, 32), (unsigned long long)r.block);
	else
		printf("app %s: block %llu, transaction 0x%s\n", STR_HEX(id + 12, ETH_ADDRESS),
		       (unsigned long long)r.block, STR_HEX(r.hash, 32));
	return 0;
}

static int app_allow(struct chain *c, struct app_args *a, bool allow, struct err *e)
{
	struct call call;

	if (need_app(a, e) || need(a->has_compose || a->has_device || a->any_device,
				   "--compose-hash, --device or --any-device", a, e))
		return -1;
	if (a->has_compose) {
		const char *method = !allow       ? "removeComposeHash(bytes32)"
				     : a->replace ? "replaceComposeHash(bytes32)"
						  : "addComposeHash(bytes32)";
		const char *did = !allow       ? "compose hash removed"
				  : a->replace ? "compose hash replaced"
					       : "compose hash added";
		if (send_hash(c, a, a->app, method, a->compose, did, e))
			return -1;
	}
	if (a->has_device && send_hash(c, a, a->app, allow ? "addDevice(bytes32)" : "removeDevice(bytes32)",
				       a->device, allow ? "device added" : "device removed", e))
		return -1;
	if (!a->any_device)
		return 0;
	abi_u64(call_begin(&call, "setAllowAnyDevice(bool)"), allow);
	return send(c, a, a->app, &call, allow ? "any device allowed" : "only listed devices allowed", e);
}

// By the app's owner at the app, by the KMS's owner (--kms) at the KMS.
static int app_suspend(struct chain *c, struct app_args *a, bool suspend, struct err *e)
{
	struct call call;
	struct wr *w;

	if (need_app(a, e))
		return -1;
	w = call_begin(&call, a->has_kms ? "setAppSuspended(address,bool)" : "setSuspended(bool)");
	if (a->has_kms)
		abi_right(w, a->app, ETH_ADDRESS);
	abi_u64(w, suspend);
	return send(c, a, a->has_kms ? a->kms : a->app, &call, suspend ? "suspended" : "resumed", e);
}

static int app_image(struct chain *c, struct app_args *a, bool allow, struct err *e)
{
	uint8_t hash[HASH];
	bool has;

	if (need(a->has_kms, "--kms", a, e) ||
	    need(a->what && read_id(a->what, hash, HASH, &has), "an image hash of 64 hex digits", a, e))
		return -1;
	return send_hash(c, a, a->kms, allow ? "addOsImageHash(bytes32)" : "removeOsImageHash(bytes32)", hash,
			 allow ? "image allowed" : "image removed", e);
}

static int on_chain(struct app_args *a, struct err *e)
{
	if (need(a->chain.url && a->chain.chain_id && a->chain.key_file, "--rpc, --chain-id and --key-file",
		 a, e))
		return -1;
	struct chain *c = chain_open(&a->chain, e);
	int rc = -1;
	if (!c)
		return -1;
	if (!strcmp(a->verb, "register"))
		rc = app_register(c, a, e);
	else if (!strcmp(a->verb, "allow") || !strcmp(a->verb, "deny"))
		rc = app_allow(c, a, *a->verb == 'a', e);
	else if (!strcmp(a->verb, "suspend") || !strcmp(a->verb, "resume"))
		rc = app_suspend(c, a, *a->verb == 's', e);
	else if (!strcmp(a->verb, "allow-image") || !strcmp(a->verb, "deny-image"))
		rc = app_image(c, a, *a->verb == 'a', e);
	else if (!strcmp(a->verb, "contracts"))
		rc = contracts_deploy(c, a->artifacts, a->has_owner ? a->owner : chain_sender(c), a->json, e);
	else
		err_set(e, ERR_INPUT, "no such verb '%s'; see dstack app --help", a->verb);
	chain_close(c);
	return rc;
}

static int in_file(struct app_args *a, struct err *e)
{
	const char *compose = STR_HEX(a->compose, HASH), *did = "allowed";
	int rc;

	if (!strcmp(a->verb, "allow-image") && a->what) {
		rc = policy_file_allow_image(a->policy, a->what, e);
	} else if (need_app(a, e)) {
		return -1;
	} else if (!strcmp(a->verb, "allow") && !need(a->has_compose, "--compose-hash", a, e)) {
		rc = a->replace ? policy_file_replace(a->policy, a->what, compose, e)
				: policy_file_allow(a->policy, a->what, compose, e);
	} else if (!strcmp(a->verb, "suspend") || !strcmp(a->verb, "resume")) {
		did = *a->verb == 's' ? "suspended" : "resumed";
		rc = policy_file_suspend(a->policy, a->what, *a->verb == 's', e);
	} else {
		return err_set(e, ERR_INPUT, "app %s is not for a policy file", a->verb);
	}
	if (!rc)
		printf(a->json ? "{\"ok\":true,\"done\":\"%s\"}\n" : "%s\n", did);
	return rc;
}

int cmd_app(int argc, char **argv)
{
	struct app_args a;
	struct err e = { 0 };

	if (parse(&a, argc, argv, &e) || (a.policy ? in_file(&a, &e) : on_chain(&a, &e)))
		return command_fail(&e, a.json);
	return 0;
}
