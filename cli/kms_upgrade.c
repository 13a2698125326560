// kms upgrade - another KMS in the place of the one a stack asks: made beside it, onboarded from it, compared
// with it, and only then asked by the stack. The old one stays until it is to be removed.
//
// Each step can be run again: which KMS the stack asks is decided by one write of config.toml, the last step.
// Killed before it, the old KMS is the one; run again, it goes on with the VM that is there.
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "base/time.h"
#include "command.h"
#include "kms.h"
#include "kms_fetch.h"
#include "kms_onboard.h"
#include "policy/policy.h"

enum { OFF_MS = 60000 };

struct upgrade {
	struct kms_site site;
	struct kms_source from;
	bool remove_old, removed, switched;
	char log[PATH_MAX]; // of the old one, when it was removed
};

static int read_options(struct upgrade *u, int argc, char **argv, struct err *e)
{
	static const struct option options[] = { { "image", required_argument, NULL, 'i' },
						 { "remove-old", no_argument, NULL, 'r' },
						 { "memory", required_argument, NULL, 'm' },
						 { "json", no_argument, NULL, 'j' },
						 { 0 } };
	uint64_t memory = 1024;

	optind = 1;
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'i')
			u->site.image = optarg;
		else if (c == 'r')
			u->remove_old = true;
		else if (c == 'j')
			u->site.json = true;
		else if (c != 'm' || !str_uint(optarg, 512, 1 << 20, &memory))
			return err_set(e, ERR_INPUT, "see dstack kms --help");
	}
	snprintf(u->site.memory, sizeof u->site.memory, "%llu", (unsigned long long)memory);
	return optind == argc && (u->site.image || u->remove_old)
		       ? 0
		       : err_set(e, ERR_INPUT,
				 "dstack kms upgrade needs --image REFERENCE, or --remove-old alone");
}

// ---- the new one

static int rules_of(struct kms_site *j, const struct stack_kms *k, const char **document, struct err *e)
{
	Kms__KeyPolicy *p;

	if (kms_site_ask(j, k, false, "GetKeyPolicy", NULL, &kms__key_policy__descriptor, (void **)&p, e))
		return err_wrap(e, "epochs and revocations of %s", k->name);
	*document = p->document;
	return 0;
}

// Roots are compared when it is onboarded. What was rotated or revoked since must hold at the new one, too.
static int same_rules(struct kms_site *j, const struct stack_kms *old, struct err *e)
{
	const char *was = "", *is = "";

	if (rules_of(j, old, &was, e) || rules_of(j, j->kms, &is, e))
		return -1;
	return strcmp(was, is)
		       ? err_code(e, ERR_DENIED, "kms.rules_differ",
				  "%s and %s have different epochs or revocations", old->name, j->kms->name)
		       : 0;
}

static int restart_vmm(struct kms_site *j, struct err *e)
{
	bool was;

	for (size_t i = 0; i < j->conf.n; i++)
		if (!strcmp(j->conf.step[i].service.name, "vmm"))
			return stack_stop(j->conf.dir, "vmm", &was, e) ||
					       stack_start(j->conf.dir, &j->conf.step[i].service, e)
				       ? -1
				       : 0;
	return err_set(e, ERR_BUG, "the stack has no VMM");
}

// Guests that start from now on ask the new one first, then the old one. VMs outlive their VMM.
static int point_stack(struct upgrade *u, struct err *e)
{
	struct kms_site *j = &u->site;

	j->conf.kms = !j->conf.kms;
	if (stackconf_prepare(&j->conf, e) || restart_vmm(j, e) || stackconf_write_context(&j->conf, e))
		return -1;
	u->switched = true;
	vms_close(&j->vms);
	return vms_open(&j->vms, e);
}

static int make_new(struct upgrade *u, struct err *e)
{
	struct kms_site *j = &u->site;
	const struct stack_kms *old = kms_site_active(j);

	u->from.said = old->name;
	if (kms_onboard(j, &u->from, e))
		return -1;
	progress_stage(&j->progress, "%s: the same epochs and revocations", j->kms->name);
	if (same_rules(j, old, e))
		return -1;
	progress_stage(&j->progress, "the stack asks %s", j->kms->name);
	return point_stack(u, e);
}

// ---- the old one

static int deny(struct kms_site *j, const struct stack_kms *k, struct err *e)
{
	char path[PATH_MAX];
	auto_free char *mr = NULL;
	size_t n;

	kms_site_path(j, k, "/mr_aggregated", path);
	if (file_read(path, 256, &mr, &n, e))
		return e->class == ERR_ABSENT ? 0 : -1;
	return policy_file_deny_kms(context_get(&j->vms.ctx, "policy"), mr, e);
}

static int remove_vm(struct kms_site *j, const struct stack_kms *k, struct err *e)
{
	Vmm__VmInfo *vm;

	if (!kms_site_has_vm(j, k, &vm, e))
		return e->class ? -1 : 0;
	if (strcmp(vm->status, "stopped") && strcmp(vm->status, "exited") &&
	    vms_do(&j->vms, "StopVm", vm->id, e))
		return -1;
	for (uint64_t until = time_mono_ms() + OFF_MS; time_mono_ms() < until; time_sleep_ms(KMS_STEP_MS)) {
		progress_tick(&j->progress);
		if (kms_site_has_vm(j, k, &vm, e) && !strcmp(vm->status, "running"))
			continue;
		return e->class ? -1 : vms_do(&j->vms, "RemoveVm", vm->id, e);
	}
	return err_set(e, ERR_AGAIN, "the VM of %s does not stop", k->name);
}

// Denied first, so that nothing is released after the log was read.
static int remove_old(struct upgrade *u, struct err *e)
{
	struct kms_site *j = &u->site;
	const struct stack_kms *old = kms_site_other(j);
	Vmm__VmInfo *vm;

	if (!kms_site_has_vm(j, old, &vm, e))
		return e->class ? -1 : (deny(j, old, e) || kms_site_forget(j, old, e) ? -1 : 0);
	progress_stage(&j->progress, "%s: off the policy, its log kept here, removed", old->name);
	if (deny(j, old, e))
		return -1;
	if (kms_fetch_log(j, old, u->log, e))
		return err_wrap(e,
				"not removed: start it (dstack start %s), or remove it without its log "
				"(dstack rm --force %s)",
				old->name, old->name);
	if (remove_vm(j, old, e) || kms_site_forget(j, old, e))
		return -1;
	u->removed = true;
	return 0;
}

// ---- all

static int upgrade(struct upgrade *u, struct err *e)
{
	struct kms_site *j = &u->site;
	char now[512];

	if (kms_site_open(j, e) || kms_site_image(j, kms_site_active(j), now, e))
		return -1;
	if (j->image && strcmp(now, j->image) != 0 && make_new(u, e))
		return -1;
	return u->remove_old ? remove_old(u, e) : 0;
}

static void report(struct upgrade *u)
{
	const struct kms_site *j = &u->site;
	const char *name = kms_site_active(j)->name, *old = kms_site_other(j)->name;
	char url[64];

	kms_site_url(j, kms_site_active(j), "127.0.0.1", url);
	if (j->json) {
		printf("{\"ok\":true,\"name\":\"%s\",\"url\":\"%s\",\"switched\":%s,\"removed\":%s,\"log\":%"
		       "s%s%s}\n",
		       name, url, u->switched ? "true" : "false", u->removed ? "true" : "false",
		       *u->log ? "\"" : "", *u->log ? u->log : "null", *u->log ? "\"" : "");
		return;
	}
	printf("the stack asks %s at %s%s\n", name, url, u->switched ? "" : ", as before");
	if (u->switched && !u->removed)
		printf("%s still runs: apps that started with it renew their certificates there. Restart "
		       "them, "
		       "then: dstack kms upgrade --remove-old\n",
		       old);
	if (u->removed)
		printf("%s is removed; its log: dstack kms log verify %s\n", old, u->log);
}

int kms_upgrade(int argc, char **argv)
{
	struct upgrade u = { 0 };
	struct err e = { 0 };
	int status = read_options(&u, argc, argv, &e);

	progress_init(&u.site.progress, u.site.json);
	status = status || upgrade(&u, &e);
	progress_end(&u.site.progress, !status);
	if (!status)
		report(&u);
	kms_site_close(&u.site);
	return status ? command_fail(&e, u.site.json) : 0;
}
