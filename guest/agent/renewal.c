#include "renewal.h"

bool renewal_good(const struct renewal *r, uint64_t now)
{
	return r->end && now < r->end;
}

bool renewal_due(const struct renewal *r, uint64_t now, uint64_t mono_ms)
{
	if (mono_ms < r->retry_ms)
		return false;
	return !renewal_good(r, now) || now - r->made >= (r->end - r->made) / 3 * 2;
}

void renewal_made(struct renewal *r, uint64_t now, uint64_t end)
{
	*r = (struct renewal){ .made = now, .end = end };
}

void renewal_failed(struct renewal *r, uint64_t mono_ms)
{
	uint64_t wait = RENEWAL_RETRY_MS;

	for (unsigned i = 0; i < r->failures && wait < RENEWAL_RETRY_MAX_MS; i++)
		wait *= 2;
	r->failures++;
	r->retry_ms = mono_ms + (wait < RENEWAL_RETRY_MAX_MS ? wait : RENEWAL_RETRY_MAX_MS);
}
