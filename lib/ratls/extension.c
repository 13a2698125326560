#include "ratls/extension.h"

#include "core/codec/der.h"

bool extension_find(struct span tbs, uint8_t tag, struct span oid, struct rd *value)
{
	struct rd r = rd_span(tbs), in = der_enter(&r, DER_SEQUENCE);
	struct der last = { 0 };

	while (!in.bad && rd_left(&in))
		last = der_any(&in);
	if (in.bad || last.tag != tag)
		return false;
	struct rd outer = rd_span(last.body), list = der_enter(&outer, DER_SEQUENCE);

	while (!list.bad && rd_left(&list)) {
		struct rd one = der_enter(&list, DER_SEQUENCE);
		bool found = span_eq(der_take(&one, DER_OID), oid);

		(void)der_true(&one);
		*value = der_enter(&one, DER_OCTET_STRING);
		if (found)
			return !value->bad;
	}
	return false;
}
