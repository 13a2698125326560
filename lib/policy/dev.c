// dev - upstream's mode `dev`: everything is allowed. It judges evidence under a development root and no
// other, so that it opens nothing where a real TEE is.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "policy/backend.h"

struct dev {
	struct policy base;
	char gateway[POLICY_GATEWAY_MAX];
};

static void dev_ask(struct policy *base, const struct boot_info *b, enum policy_kind kind, policy_done *done,
		    void *arg)
{
	const struct dev *d = (struct dev *)base;
	struct policy_answer a = { .source = "dev" };

	(void)kind;
	snprintf(a.gateway, sizeof a.gateway, "%s", d->gateway);
	if (strcmp(b->anchor, "development") != 0)
		a.rc = err_code(
			&a.err, ERR_DENIED, "policy.dev_only",
			"a policy that allows everything judges development evidence only, not evidence "
			"of a real TEE");
	done(arg, &a);
}

static void dev_info(struct policy *base, struct policy_info *out)
{
	snprintf(out->gateway, sizeof out->gateway, "%s", ((struct dev *)base)->gateway);
	out->allows_all = true;
}

static void dev_free(struct policy *base)
{
	free(base);
}

struct policy *policy_dev_new(const char *gateway, struct err *e)
{
	struct dev *d = strlen(gateway) < POLICY_GATEWAY_MAX ? calloc(1, sizeof *d) : NULL;

	if (!d) {
		err_code(e, ERR_INPUT, "config.policy", "gateway_app_id is too long");
		return NULL;
	}
	d->base = (struct policy){ .ask = dev_ask, .info = dev_info, .free = dev_free };
	snprintf(d->gateway, sizeof d->gateway, "%s", gateway);
	log_warn("policy", "INSECURE: everything under a development root is allowed (type dev)");
	return &d->base;
}
