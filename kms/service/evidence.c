#include "evidence.h"

#include <string.h>

#include "base/log.h"
#include "base/strings.h"
#include "rpc/client_key.h"

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

static struct trust_config trust_config(const struct kms_config *c)
{
	return (struct trust_config){
		.pccs_url = or_null(c->pccs_url),
		.cache_dir = or_null(c->cache_dir),
		.collateral_compat = c->allow_older_collateral,
		.intel_components = c->intel_components,
		.image_dir = c->image_dir,
		.image_cache = or_null(c->image_cache),
		.development_root = or_null(c->development_root),
		.insecure_development = c->insecure_development,
	};
}

struct trust *service_trust(const struct kms_config *c, struct judges *judges, struct err *e)
{
	struct trust_config t = trust_config(c);

	t.judge = judges ? judges_run : NULL;
	t.judge_arg = judges;
	return trust_new(&t, e);
}

struct engine *service_engine(const struct kms_config *c, struct err *e)
{
	struct trust_config t = trust_config(c);

	return judge_engine(&t, e);
}

static int check_once(struct trust *t, const struct evidence_of *w, const struct trust_expect *x,
		      struct trust_result *r, struct err *e)
{
	if (w->cert)
		return trust_check_cert(t, r, w->cert, x, e);
	if (w->quote.n)
		return trust_check_quote(t, r, w->quote, w->event_log, x, e);
	return trust_check_envelope(t, r, w->envelope, x, e);
}

// A quote that is not genuine costs no second look and no download.
static bool only_image_missing(const struct trust_result *r)
{
	const struct claim *c = verdict_find(&r->verdict, "os_image");

	return r->has_quote && !r->machine.has_image && c && !c->ok &&
	       !strcmp(c->code, "measure.base_unverified");
}

// All the claims that do not depend on the image are there and hold.
static bool holds_without_image(const struct trust_result *r)
{
	static const char *const needed[] = { "quote",     "tcb",    "collateral",  "binding",
					      "event_log", "app_id", "compose_hash" };

	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (!verdict_find(&r->verdict, needed[i]))
			return false;
	for (size_t i = 0; i < r->verdict.n; i++)
		if (!r->verdict.claim[i].ok && strcmp(r->verdict.claim[i].name, "os_image"))
			return false;
	return !r->verdict.full;
}

bool evidence_but_image(const struct trust_result *r)
{
	return only_image_missing(r) && holds_without_image(r);
}

bool evidence_blames_image(const struct err *e)
{
	return str_starts(e->code, "measure.") || str_starts(e->code, "image.");
}

int service_check_evidence(struct service *s, const struct evidence_of *w, struct trust_expect *x,
			   struct trust_result *r, struct err *e)
{
	uint8_t claimed[32];

	if (!check_once(s->trust, w, x, r, e))
		return 0;
	if (!only_image_missing(r))
		return -1;
	if (r->machine.has_image_hash && r->machine.lite) {
		memcpy(claimed, r->machine.os_image_hash, sizeof claimed);
		x->os_image_hash = claimed; // policy is asked about it
		int rc = check_once(s->trust, w, x, r, e);
		x->os_image_hash = NULL;
		if (!rc)
			return 0;
	}
	if (s->config->image_verify || !holds_without_image(r))
		return -1;
	r->boot.has_os_image_hash = false;
	memset(r->boot.os_image_hash, 0, sizeof r->boot.os_image_hash);
	return 0;
}

bool evidence_lacks_image(const struct service *s, const struct service_case *c)
{
	return s->downloads && !c->fetched && only_image_missing(&c->r) && c->r.machine.has_image_hash;
}

void evidence_fetch_failed(const struct service_case *c, struct err *e)
{
	if (c->fetch_error.class != ERR_NONE)
		*e = c->fetch_error;
}

static void fetch(void *arg)
{
	struct service_case *c = arg;
	struct service *s = rpc_arg(c->call);
	uint8_t hash[32];

	memcpy(hash, c->r.machine.os_image_hash, sizeof hash);
	if (downloads_get(s->downloads, hash, &c->fetch_error))
		atomic_fetch_add(&s->images_failed, 1);
	else
		atomic_fetch_add(&s->images_fetched, 1);
}

static void fetched(void *arg, enum pool_end end)
{
	struct service_case *c = arg;

	if (end != POOL_DONE)
		err_code(&c->fetch_error, ERR_AGAIN, "rpc.busy", "the image could not be fetched in time");
	rpc_continue(c->call, c->next);
}

int service_fetch_image(struct service *s, struct service_case *c, rpc_fn *again, struct err *e)
{
	uint8_t client[CLIENT_KEY];

	c->fetched = true;
	c->next = again;
	rpc_set_state(c->call, c);
	client_key(rpc_peer(c->call), client);
	if (!pool_queue(s->pool, LANE_IMAGES, client, fetch, fetched, c))
		return err_code(e, ERR_AGAIN, "rpc.busy", "too many calls wait for images");
	return RPC_LATER;
}
