// env - a new environment for an app that was deployed from here: sealed, signed with a higher version, given
// to its VM for the next start.
//
// What the app is - its id, the names it allows, who may sign - is read from the file that `deploy` kept,
// never from the VMM: a host that says "this VM is that app" must not be sent that app's secrets.
#include "command.h"

#include <getopt.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "core/codec/json.h"
#include "crypto/envsign.h"
#include "sealenv.h"

enum { KEPT_MAX = 4 << 20 };

struct job {
	struct vms vms;
	struct env_list envs;
	struct signer signer;
	const char *what, *signer_file;
	Vmm__VmInfo *vm;
	char *kept; // app-compose.json
	size_t kept_n;
	uint8_t hash[SHA256_DIGEST_LENGTH];
	uint64_t version;
	bool json;
};

static int read_options(struct job *j, int argc, char **argv, struct err *e)
{
	static const struct option options[] = { { "env", required_argument, NULL, 'e' },
						 { "env-file", required_argument, NULL, 'E' },
						 { "env-signer", required_argument, NULL, 's' },
						 { "json", no_argument, NULL, 'j' },
						 { 0 } };

	for (int c; (c = getopt_long(argc, argv, "e:", options, NULL)) != -1;) {
		if (c == 'e' ? env_add(&j->envs, optarg, e) : c == 'E' && env_add_file(&j->envs, optarg, e))
			return -1;
		else if (c == 's')
			j->signer_file = optarg;
		else if (c == 'j')
			j->json = true;
		else if (c != 'e' && c != 'E')
			return err_set(e, ERR_INPUT, "see dstack env --help");
	}
	if (optind + 1 != argc || !j->envs.n)
		return err_set(e, ERR_INPUT,
			       "dstack env wants one VM and its variables; see dstack env --help");
	j->what = argv[optind];
	return 0;
}

static int find_app(struct job *j, struct err *e)
{
	char path[PATH_MAX];
	Vmm__VmInfo *listed;

	if (vms_find(&j->vms, j->what, &listed, e) || vms_info(&j->vms, listed->id, &j->vm, e))
		return -1;
	if (!*j->vm->name || strchr(j->vm->name, '/') ||
	    (size_t)snprintf(path, sizeof path, "%s/apps/%s.json", j->vms.ctx.dir, j->vm->name) >=
		    sizeof path)
		return err_code(e, ERR_INPUT, "cli.app_unknown", "a VM named %s was not deployed from here",
				STR_QZ(j->vm->name));
	if (file_read(path, KEPT_MAX, &j->kept, &j->kept_n, e))
		return err_wrap(e, "what dstack deploy kept of %s", j->vm->name);
	SHA256((const uint8_t *)j->kept, j->kept_n, j->hash);
	return !strcmp(STR_HEX(j->hash, APP_ID), j->vm->app_id)
		       ? 0
		       : err_code(e, ERR_UNTRUSTED, "cli.app_unknown",
				  "the VM named %s is app %.40s, the one deployed from here is %s",
				  j->vm->name, j->vm->app_id, STR_HEX(j->hash, APP_ID));
}

static bool lists(struct json list, const char *text)
{
	struct json item;

	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &item);)
		if (json_is(item, text))
			return true;
	return false;
}

static int check_names(const struct job *j, struct json app, struct err *e)
{
	struct json allowed = { 0 }, name;

	(void)json_get(app, "allowed_envs", &allowed);
	for (size_t i = 0; i < j->envs.n; i++)
		if (!lists(allowed, j->envs.at[i].key))
			return err_code(
				e, ERR_INPUT, "cli.env_not_allowed",
				"the app does not take a variable %s: its names are part of what it is",
				j->envs.at[i].key);
	for (struct json_iter it = json_iter(allowed); json_next(&it, NULL, &name);) {
		bool given = false;

		for (size_t i = 0; i < j->envs.n; i++)
			given |= json_is(name, j->envs.at[i].key);
		if (!given)
			fprintf(stderr, "note: %.*s is not given and will not be set\n", (int)name.text.n,
				(const char *)name.text.p);
	}
	return 0;
}

// The same signer as before: the compose file says which.
static int check_app(struct job *j, struct err *e)
{
	struct json app, part, signers = { 0 };

	if (json_parse(&app, span_of(j->kept, j->kept_n), NULL))
		return err_set(e, ERR_INPUT, "what dstack deploy kept of %s is no JSON", j->vm->name);
	if (json_get(app, "requirements", &part))
		(void)json_get(part, "env_signers", &signers);
	const char *file = json_count(signers) ? j->signer_file : "none";
	if (check_names(j, app, e) || signer_open(&j->signer, j->vms.ctx.dir, file, e))
		return -1;
	if (j->signer.on == (json_count(signers) != 0) &&
	    (!j->signer.on || lists(signers, STR_HEX(j->signer.pub, ED25519_PUB))))
		return 0;
	return err_code(e, ERR_DENIED, "env.signer",
			"the app takes its environment from other keys than this one");
}

static int update(struct job *j, struct err *e)
{
	Vmm__UpdateVmRequest in;
	Vmm__Id *answer;
	struct envsign was = { 0 };
	struct err ignored;
	struct sealenv how = { .app = j->hash, .signer = &j->signer };

	vmm__update_vm_request__init(&in);
	in.id = j->vm->id;
	if (j->signer.on && j->vm->configuration &&
	    !envsign_read(span_of(j->vm->configuration->encrypted_env.data,
				  j->vm->configuration->encrypted_env.len),
			  &was, &ignored) &&
	    !envsign_check(&was, j->hash, (const uint8_t(*)[ED25519_PUB]) & j->signer.pub, 1, &ignored))
		how.after = was.version;
	return sealenv(&j->vms, &how, &j->envs, &in.encrypted_env, &j->version, e) ||
			       rpc_client_call(j->vms.rpc, "UpdateVm", &in.base, &vmm__id__descriptor,
					       j->vms.arena, (void **)&answer, e)
		       ? -1
		       : 0;
}

int cmd_env(int argc, char **argv)
{
	struct err e = { 0 };
	struct job j = { 0 };
	int status = read_options(&j, argc, argv, &e) || vms_open(&j.vms, &e) || find_app(&j, &e) ||
		     check_app(&j, &e) || update(&j, &e);

	if (!status && j.json)
		printf("{\"ok\":true,\"id\":\"%s\",\"version\":%" PRIu64 "}\n", j.vm->id, j.version);
	else if (!status)
		printf("%s  has its new environment when it starts next\n", j.vm->id);
	signer_wipe(&j.signer);
	free(j.kept);
	vms_close(&j.vms);
	env_free(&j.envs);
	return status ? command_fail(&e, j.json) : 0;
}
