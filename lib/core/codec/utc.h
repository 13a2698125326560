// utc - calendar time as Unix seconds: the forms that certificates and signed JSON documents use, strictly.
#pragma once
#include "core/codec/buf.h"

struct utc {
	int year, month, day, hour, minute, second;
};

MUST_USE int utc_seconds(const struct utc *t,
			 uint64_t *out);                // -1 when there is no such second, or before 1970
MUST_USE int utc_rfc3339(struct span s, uint64_t *out); // "YYYY-MM-DDThh:mm:ssZ" only
MUST_USE int utc_asn1(uint8_t tag, struct span s,
		      uint64_t *out);        // UTCTime or GeneralizedTime of RFC 5280 4.1.2.5
void wr_utc(struct wr *w, uint64_t seconds); // the RFC 3339 form
void wr_utc_period(struct wr *w, uint64_t from, uint64_t to); // "FROM to TO"
