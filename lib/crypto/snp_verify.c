#include "crypto/engine.h"

#include <stdlib.h>

#include "base/cleanup.h"

int snp_verify(struct engine *g, const struct snp_input *in, struct snp_result *out, struct err *e)
{
	auto_free struct snp *s = malloc(sizeof *s);
	const struct snp_roots *roots = engine_snp_roots(g);
	enum reason furthest = REASON_OK;
	char text[300];

	*out = (struct snp_result){ 0 };
	if (!s)
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (size_t i = 0; i < roots->n || !i; i++) { // without any it still says what is wrong
		const struct snp_trusted *t = &roots->root[i];
		snp_begin(s, in, span_of(t->der, i < roots->n ? t->n : 0), t->anchor);
		enum reason why = snp_finish(s, engine_run(g, s->check, s->checks, s->reason), out);
		if (why == REASON_OK)
			return 0;
		if (i && why <= furthest)
			continue;
		furthest = why;
		snp_explain(s, why, text, sizeof text);
		err_code(e, ERR_UNTRUSTED, reason_text(why)->code, "%s", text);
	}
	return -1;
}
