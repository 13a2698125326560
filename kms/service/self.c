#include "self.h"

#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/strings.h"

void self_init(struct self *s, const struct kms_config *c, struct trust *t, struct policy *p,
	       struct downloads *d)
{
	*s = (struct self){ .config = c, .trust = t, .policy = p, .downloads = d };
	pthread_mutex_init(&s->lock, NULL);
	err_code(&s->why, ERR_AGAIN, "kms.self_denied", "no evidence of this KMS yet");
}

void self_free(struct self *s)
{
	pthread_mutex_destroy(&s->lock);
}

static int judge(const struct self *s, struct span bytes, struct trust_result *out, struct err *e)
{
	static const uint8_t zeros[AGENT_REPORT_DATA];
	struct trust_expect x = { .report_data = zeros };

	return trust_check_envelope(s->trust, out, bytes, &x, e);
}

// Its own image is one like any other: fetched when it is not here.
int self_evidence(const struct self *s, struct trust_result *out, struct err *e)
{
	static const uint8_t zeros[AGENT_REPORT_DATA];
	auto_free uint8_t *bytes = NULL;
	size_t n = 0;

	if (agent_attest(s->config->agent, zeros, &bytes, &n, e))
		return -1;
	int rc = judge(s, span_of(bytes, n), out, e);
	if (rc && s->downloads && !strcmp(e->code, "measure.base_unverified") && out->machine.has_image_hash)
		rc = downloads_get(s->downloads, out->machine.os_image_hash, e) ||
				     judge(s, span_of(bytes, n), out, e)
			     ? -1
			     : 0;
	return rc ? err_wrap(e, "own evidence") : 0;
}

int self_check(struct self *s, struct err *e)
{
	auto_free struct trust_result *r = calloc(1, sizeof *r);
	int rc = r ? self_evidence(s, r, e) : err_set(e, ERR_SYSTEM, "out of memory");

	pthread_mutex_lock(&s->lock);
	s->known = !rc;
	if (rc)
		s->why = *e;
	else
		s->boot = r->boot;
	pthread_mutex_unlock(&s->lock);
	if (!rc)
		log_debug("kms", "own evidence holds mr_aggregated=%s", STR_HEX(r->boot.mr_aggregated, 32));
	return rc;
}

int self_boot(struct self *s, struct boot_info *out, struct err *e)
{
	pthread_mutex_lock(&s->lock);
	bool known = s->known;
	if (known)
		*out = s->boot;
	else
		*e = s->why;
	pthread_mutex_unlock(&s->lock);
	return known ? 0 : -1;
}

int self_refusal(struct err *e, const struct err *why)
{
	struct err was = *why;

	return err_code(e, was.class == ERR_AGAIN ? ERR_AGAIN : ERR_DENIED, "kms.self_denied",
			"KMS self authorization failed: KMS is not allowed: %s (%s)", was.text, was.code);
}

int self_allowed(struct self *s, struct err *e)
{
	struct boot_info boot;
	struct err why;

	if (!s->config->self_authorize)
		return 0;
	if (!self_boot(s, &boot, &why) && !policy_allow(s->policy, &boot, POLICY_KMS, &why))
		return 0;
	return self_refusal(e, &why);
}
