// dstack-kms - gives apps their keys when their evidence and the policy allow it. spec: docs/kms.md.
#include <malloc.h>
#include <string.h>

#include "admin/admin_auth.h"
#include "base/log.h"
#include "base/secret.h"
#include "certs/issue.h"
#include "keys/keyfiles.h"
#include "process/net.h"
#include "policy/config.h"
#include "setup/setup.h"
#include "process/supervise.h"

enum { ARENAS = 2 };

static int prepare_keys(struct kms_config *c, struct err *e)
{
	if ((c->attest_rpc || c->self_authorize) && !*c->agent)
		return err_code(
			e, ERR_ABSENT, "kms.no_agent",
			"no guest agent gives evidence of this KMS: it runs inside a confidential VM, or "
			"with insecure_development = true");
	switch (keyfiles_state(c->keys.dir, e)) {
	case KEYFILES_BAD:
		return -1;
	case KEYFILES_ALL:
		return kms_config_names(c, e);
	case KEYFILES_NONE:
		break;
	}
	return setup_run(c, e) ? -1 : kms_config_names(c, e);
}

// The exit status.
static int run(struct kms_config *c, struct err *e)
{
	if (c->insecure_development)
		log_warn("kms", "INSECURE DEVELOPMENT is on: use no real secret here development_root=%s",
			 *c->development_root ? c->development_root : "none");
	return prepare_keys(c, e) || secret_process(e) ? -1 : supervise(c, net_process, e);
}

static int check_only(const struct kms_config *c, struct err *e)
{
	struct policy *p = policy_from_config(c->file, e);

	policy_free(p);
	if (p && *c->admin_address) {
		struct admin_auth *a = admin_auth_new_env(c->admin_token_file, c->admin_htpasswd_file, e);
		admin_auth_free(a);
		if (!a)
			return -1;
	}
	if (!p)
		return -1;
	enum keyfiles_state state = keyfiles_state(c->keys.dir, e);
	if (state == KEYFILES_NONE && !c->bootstrap && !*c->onboard_address)
		return err_code(e, ERR_ABSENT, "kms.no_keys",
				"%s has no keys, and neither bootstrap nor onboarding is configured",
				c->keys.dir);
	return state == KEYFILES_BAD ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct kms_config c;
	struct err e = { 0 };
	bool check = false;
	int status = 0;

	if (argc > 1 && !strcmp(argv[1], "issue"))
		return issue_main(argc - 1, argv + 1);
	struct config *file = config_start(argc, argv, "dstack-kms", "Key management service of dstack.",
					   kms_config_keys, kms_config_n_keys, &check, &status);
	if (!file)
		return status;
	if (kms_config_load(&c, file, &e)) {
		log_error("kms", "%s code=%s", e.text, e.code);
		return err_exit(&e);
	}
	mallopt(M_ARENA_MAX, ARENAS); // else each thread keeps what it once needed
	int rc = check ? check_only(&c, &e) : run(&c, &e);
	kms_config_free(&c);
	if (rc < 0) {
		log_error("kms", "%s code=%s", e.text, *e.code ? e.code : "none");
		return err_exit(&e);
	}
	return rc;
}
