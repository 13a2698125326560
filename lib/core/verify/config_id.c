// MRCONFIGID, fixed by the host at launch: when it names a compose file, an app or a key provider, they must
// be those that the guest measured (measure/mrconfig.h).
#include "core/measure/mrconfig.h"
#include "core/verify/parts.h"

void config_id_judge(struct verify *v, const struct app_events *app)
{
	const uint8_t *id = v->quote.td.mr_config_id;
	struct span got = span_of(id, MR_CONFIG_LEN);
	enum anchor a = v->quote.anchor;
	uint8_t want[MR_CONFIG_LEN];
	struct mr_config facts;
	struct fault f = { 0 };

	if (mr_config_facts(&facts, &v->scratch, app, &f)) {
		fail_fault(&v->verdict, "config_id", a, &f);
		return;
	}
	switch (mr_config_judge(want, id, &facts, v->config.mr_config, &v->scratch, &f)) {
	case MR_CONFIG_UNBOUND:
	case MR_CONFIG_BOUND:
		verdict_pass_hex(&v->verdict, "config_id", got.p, got.n, a);
		return;
	case MR_CONFIG_OPEN:
		if (!app->key_provider.n) { // asked for keys, so it cannot have measured from whom
			struct claim *c = verdict_pass_hex(&v->verdict, "config_id", got.p, got.n, a);

			TEXT_PUT(c->detail, span_str("not compared: it covers a key provider that is not "
						     "measured yet"));
			return;
		}
		break;
	case MR_CONFIG_BAD:
		break;
	}
	struct span wanted = span_of(want, MR_CONFIG_LEN);

	if (want[0] && span_is(span_str(f.code), "quote.config_id")) {
		verdict_equal(&v->verdict, "config_id", got, &wanted, a, f.code);
		return;
	}
	struct claim *c = fail_fault(&v->verdict, "config_id", a, &f);
	char text[2 * MR_CONFIG_LEN];
	struct wr w = wr_to(text, sizeof text);

	wr_hex(&w, got.p, got.n);
	TEXT_PUT(c->value, text_done(&w));
}
