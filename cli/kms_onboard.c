#include "kms_onboard.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strings.h"
#include "base/time.h"
#include "command.h"
#include "kms.h"
#include "kms_link.h"
#include "prpc.pb-c.h"

enum { HANDOVER_S = 300 };
static const char guests_host[] = "10.0.2.2"; // this machine, as guests see it

int kms_source_read(const struct kms_site *j, struct kms_source *s, struct err *e)
{
	static const char *const hosts[] = { guests_host, "127.0.0.1", "localhost" };
	int named = stackconf_kms_find(s->said);
	unsigned port;
	char host[64];

	if (named >= 0) {
		s->own = &stackconf_kms[named];
	} else if (!str_starts(s->said, "https://") || strlen(s->said) >= sizeof s->url) {
		return err_code(e, ERR_INPUT, "onboard.url",
				"--from takes %s, %s or https://HOST[:PORT] of another KMS",
				stackconf_kms[0].name, stackconf_kms[1].name);
	} else if (sscanf(s->said, "https://%63[^:/]:%u", host, &port) == 2) {
		for (size_t i = 0; i < STACK_KMS_MAX; i++)
			for (size_t k = 0; k < 3; k++)
				if (!strcmp(host, hosts[k]) && port == j->conf.port + stackconf_kms[i].rpc)
					s->own = &stackconf_kms[i];
	}
	if (s->own)
		kms_site_url(j, s->own, guests_host, s->url);
	else
		snprintf(s->url, sizeof s->url, "%s", s->said);
	return 0;
}

// ---- the source

static int set_handover(struct kms_site *j, const struct kms_source *s, unsigned seconds, struct err *e)
{
	Kms__OpenHandoverRequest q = KMS__OPEN_HANDOVER_REQUEST__INIT;

	if (!s->own)
		return 0;
	q.mr_aggregated = (ProtobufCBinaryData){ sizeof j->mr, j->mr };
	q.seconds = seconds;
	return kms_site_ask(j, s->own, false, "OpenHandover", &q.base, NULL, NULL, e);
}

// What only the owner of the other KMS can do, in words.
static int explain_denial(const struct kms_site *j, const struct kms_source *s, struct err *e)
{
	static const char *const theirs[] = { "policy.kms_not_allowed", "kms.handover_closed",
					      "kms.no_handover", "policy.image_not_allowed" };
	struct err why = *e;

	for (size_t i = 0; !s->own && i < sizeof theirs / sizeof *theirs; i++)
		if (!strcmp(why.code, theirs[i]))
			return err_code(
				e, why.class, why.code,
				"%s; its owner lets this one in with mr_aggregated = [\"%s\"] in the "
				"policy and dstack kms handover --mr of the same; then run this again",
				why.text, STR_HEX(j->mr, 32));
	if (!strcmp(why.code, "onboard.source_denied"))
		return err_code(e, why.class, why.code, "%s; if it is the one you mean, allow it in %s",
				why.text, context_get((struct context *)(uintptr_t)&j->vms.ctx, "policy"));
	return -1;
}

// ---- the new one

static bool is_set_up(struct kms_site *j)
{
	Kms__GetMetaResponse *meta;
	struct err e;

	return kms_site_meta(j, j->kms, NULL, &meta, &e) == 0;
}

// Its container starts after its VM says so. True: it waits for its set-up; false: it serves already.
static int wait_for_setup(struct kms_site *j, bool *waits, struct err *e)
{
	Kms__AttestationInfoResponse *info;

	for (uint64_t until = time_mono_ms() + KMS_READY_MS;; time_sleep_ms(KMS_STEP_MS)) {
		*waits = !kms_site_ask(j, j->kms, true, "Onboard.GetAttestationInfo", NULL,
				       &kms__attestation_info_response__descriptor, (void **)&info, e);
		if (*waits || is_set_up(j))
			return 0;
		if (time_mono_ms() > until)
			return err_wrap(e, "the set-up of %s", j->kms->name);
		progress_tick(&j->progress);
	}
}

static int ask_onboard(struct kms_site *j, const struct kms_source *s, struct err *e)
{
	Kms__OnboardRequest q = KMS__ONBOARD_REQUEST__INIT;
	Kms__OnboardResponse *a;

	q.source_url = (char *)(uintptr_t)s->url;
	q.domain = "localhost";
	int rc = kms_site_ask(j, j->kms, true, "Onboard.Onboard", &q.base, &kms__onboard_response__descriptor,
			      (void **)&a, e);
	return rc && strcmp(e->code, "kms.bootstrapped") ? -1 : 0; // a run before this one got so far
}

static int take_over(struct kms_site *j, const struct kms_source *s, struct err *e)
{
	struct err ignored;
	bool waits;

	if (wait_for_setup(j, &waits, e))
		return -1;
	if (!waits)
		return 0;
	if (set_handover(j, s, HANDOVER_S, e))
		return err_wrap(e, "open the handover of %s", s->own->name);
	int rc = ask_onboard(j, s, e);
	if (set_handover(j, s, 0, rc ? &ignored : e))
		return -1; // it ends by itself, too
	if (rc)
		return explain_denial(j, s, e);
	return kms_site_ask(j, j->kms, true, "Onboard.Finish", NULL, NULL, NULL, e);
}

// Both answer under the stack's root, and name the same keys.
static int same_roots(struct kms_site *j, const struct kms_source *s, struct err *e)
{
	const char *root = context_get(&j->vms.ctx, "kms_root");
	Kms__GetMetaResponse *a, *b;

	if (!s->own)
		return 0;
	if (kms_site_meta(j, s->own, root, &a, e))
		return err_wrap(e, "%s", s->own->name);
	if (kms_site_meta(j, j->kms, root, &b, e))
		return err_wrap(e, "%s", j->kms->name);
	if (a->k256_pubkey.len != b->k256_pubkey.len ||
	    memcmp(a->k256_pubkey.data, b->k256_pubkey.data, a->k256_pubkey.len) != 0)
		return err_code(e, ERR_UNTRUSTED, "kms.other_roots", "%s and %s have different roots",
				s->own->name, j->kms->name);
	return 0;
}

// The other place of the stack is free, or holds what an earlier run of this began.
static int take_place(struct kms_site *j, struct err *e)
{
	Vmm__VmInfo *vm;
	char image[512];

	j->kms = kms_site_other(j);
	j->onboards = true;
	if (!kms_site_has_vm(j, j->kms, &vm, e))
		return e->class ? -1 : kms_site_forget(j, j->kms, e);
	if (kms_site_image(j, j->kms, image, e))
		return -1;
	if (j->image && strcmp(image, j->image) != 0)
		return err_code(
			e, ERR_DENIED, "kms.place_taken",
			"%s is there already, with image %s: go on with that one, or remove it (dstack kms "
			"upgrade --remove-old)",
			j->kms->name, image);
	return 0;
}

int kms_onboard(struct kms_site *j, struct kms_source *s, struct err *e)
{
	if (kms_source_read(j, s, e) || take_place(j, e))
		return -1;
	if (s->own == j->kms)
		return err_code(e, ERR_INPUT, "onboard.url", "%s is the one that would be made", s->said);
	if (kms_site_deploy(j, e))
		return -1;
	progress_stage(&j->progress, "%s: evidence of its VM, and its place in the policy", j->kms->name);
	if (kms_site_allow(j, e))
		return -1;
	progress_stage(&j->progress, "%s: the roots of %s", j->kms->name, s->own ? s->own->name : s->url);
	if (take_over(j, s, e))
		return -1;
	progress_stage(&j->progress, "%s: its attested certificate, the same roots", j->kms->name);
	return kms_site_check(j, e) || same_roots(j, s, e) ? -1 : 0;
}

// ---- dstack kms handover

struct handover_args {
	struct kms_link link;
	uint8_t mr[32];
	uint64_t seconds;
};

static int read_handover(struct handover_args *a, int argc, char **argv)
{
	static const struct option options[] = { { "mr", required_argument, NULL, 'm' },
						 { "for", required_argument, NULL, 'f' },
						 { "admin", required_argument, NULL, 'u' },
						 { "token-file", required_argument, NULL, 't' },
						 { 0 } };
	bool has_mr = false;

	a->seconds = HANDOVER_S;
	optind = 1;
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'u')
			a->link.url = optarg;
		else if (c == 't')
			a->link.token_file = optarg;
		else if (c == 'm' && hex_exact(a->mr, sizeof a->mr, optarg))
			has_mr = true;
		else if (c != 'f' || !str_seconds(optarg, &a->seconds) || a->seconds > UINT32_MAX)
			return -1;
	}
	return has_mr && optind == argc ? 0 : -1;
}

int kms_handover(int argc, char **argv)
{
	struct handover_args a = { 0 };
	Kms__OpenHandoverRequest q = KMS__OPEN_HANDOVER_REQUEST__INIT;
	struct kms_own own;
	struct err e = { 0 };

	if (read_handover(&a, argc, argv))
		return kms_usage("handover");
	q.mr_aggregated = (ProtobufCBinaryData){ sizeof a.mr, a.mr };
	q.seconds = (uint32_t)a.seconds;
	if (!a.link.url) { // the KMS of this stack
		if (kms_site_own(&own, &e))
			return command_fail(&e, false);
		a.link = (struct kms_link){ .url = own.url, .token_file = own.token };
	}
	if (kms_link_call(&a.link, "OpenHandover", &q.base, NULL, NULL, NULL, &e))
		return command_fail(&e, false);
	if (a.seconds)
		printf("open for %s for %llu s, once\n", STR_HEX(a.mr, 32), (unsigned long long)a.seconds);
	else
		puts("closed");
	return 0;
}
