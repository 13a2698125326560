// Documents of epochs and revocations: what is accepted is written again and reads back the same, and can be
// judged and changed without ever serving an epoch beyond the current one.
#include <stdlib.h>
#include <string.h>

#include "core/verify/bootinfo.h"
#include "policy/keypolicy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const struct keypolicy *p)
{
	static const struct boot_info guest = { .has_app_id = true };
	static const uint8_t app[20] = { 0 };
	const struct keypolicy_rule *r = keypolicy_rule(p, app);
	uint64_t got, earlier[8];
	struct err e;

	if (!keypolicy_pick(p, app, NULL, 1000, &got, &e) && (got < r->min || got > r->current))
		abort();
	if (!keypolicy_pick(p, app, &(uint64_t){ r->current }, UINT64_MAX, &got, &e) && got != r->current)
		abort();
	size_t n = keypolicy_earlier(p, app, r->current, 1000, earlier, 8);
	for (size_t i = 0; i < n; i++)
		if (earlier[i] >= r->current || earlier[i] < r->min)
			abort();
	uint32_t root = keypolicy_root(p, app, r->current);
	if (root > keypolicy_root_max(p) || keypolicy_root(p, app, r->min) > root ||
	    !keypolicy_serves_root(p, app, root, 0)) // nothing has ended at 0
		abort();
	if (keypolicy_check(p, &guest, 1000, &e) && !*e.code)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e;
	struct keypolicy *p = keypolicy_parse(span_of(data, size), &e);
	auto_sb one = { 0 }, two = { 0 };

	if (!p)
		return 0;
	keypolicy_write(&one, p);
	struct keypolicy *again = keypolicy_parse(span_of(one.p, one.n), &e);
	if (!again)
		abort();
	keypolicy_write(&two, again);
	if (strcmp(one.p, two.p) != 0)
		abort();
	judge(p);
	uint64_t version = keypolicy_version(p);
	struct keypolicy_turn turn = {
		.now = 1000, .overlap_s = 5, .move_legacy = true, .has_root = true, .root = 7
	};
	if (!keypolicy_rotate(p, &turn, &e) && keypolicy_version(p) != version + 1)
		abort();
	judge(p);
	keypolicy_free(p);
	keypolicy_free(again);
	return 0;
}
