#include "core/codec/utc.h"

enum { ASN1_UTC_TIME = 0x17, ASN1_GENERALIZED_TIME = 0x18, DAYS_TO_1970 = 719468 };

// Days since 0000-03-01 of the proleptic Gregorian calendar, whose 400-year cycle has 146,097 days.
static uint64_t days_of(int year, int month, int day)
{
	int y = year - (month <= 2), cycle = y / 400, in_cycle = y - cycle * 400;
	int in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return (uint64_t)cycle * 146097 +
	       (uint64_t)(in_cycle * 365 + in_cycle / 4 - in_cycle / 100 + in_year);
}

int utc_seconds(const struct utc *t, uint64_t *out)
{
	static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (t->year % 4 == 0 && t->year % 100) || t->year % 400 == 0;

	*out = 0;
	if (t->year < 1970 || t->year > 9999 || t->month < 1 || t->month > 12 || t->day < 1 ||
	    t->day > days[t->month - 1] + (t->month == 2 && leap))
		return -1;
	if (t->hour < 0 || t->hour > 23 || t->minute < 0 || t->minute > 59 || t->second < 0 || t->second > 59)
		return -1;
	*out = (days_of(t->year, t->month, t->day) - DAYS_TO_1970) * 86400 +
	       (uint64_t)(t->hour * 3600 + t->minute * 60 + t->second);
	return 0;
}

// Two digits, or a number so negative that every range check refuses it.
static int two(const uint8_t *p)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return -100000;
	return (p[0] - '0') * 10 + p[1] - '0';
}

int utc_rfc3339(struct span s, uint64_t *out)
{
	const uint8_t *p = s.p;

	*out = 0;
	if (s.n != 20 || p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' || p[16] != ':' ||
	    p[19] != 'Z')
		return -1;
	struct utc t = {
		two(p) * 100 + two(p + 2), two(p + 5), two(p + 8), two(p + 11), two(p + 14), two(p + 17)
	};
	return utc_seconds(&t, out);
}

int utc_asn1(uint8_t tag, struct span s, uint64_t *out)
{
	const uint8_t *p = s.p;
	int year;

	*out = 0;
	if (tag == ASN1_UTC_TIME && s.n == 13) {
		year = two(p);
		year += year < 50 ? 2000 : 1900;
		p += 2;
	} else if (tag == ASN1_GENERALIZED_TIME && s.n == 15) {
		year = two(p) * 100 + two(p + 2);
		if (year < 2050) // RFC 5280 section 4.1.2.5: has its UTCTime
			return -1;
		p += 4;
	} else {
		return -1;
	}
	if (p[10] != 'Z')
		return -1;
	struct utc t = { year, two(p), two(p + 2), two(p + 4), two(p + 6), two(p + 8) };
	return utc_seconds(&t, out);
}

static void wr_two(struct wr *w, unsigned v)
{
	wr_u8(w, (uint8_t)('0' + v / 10 % 10));
	wr_u8(w, (uint8_t)('0' + v % 10));
}

void wr_utc(struct wr *w, uint64_t seconds)
{
	static const char between[6] = { '-', '-', 'T', ':', ':', 'Z' };
	uint64_t day = seconds / 86400, in_day = seconds % 86400;
	int year = 1970;

	for (; year < 9999 && day + DAYS_TO_1970 >= days_of(year + 1, 1, 1); year++)
		;
	int month = 1;
	while (month < 12 && day + DAYS_TO_1970 >= days_of(year, month + 1, 1))
		month++;
	uint64_t left = day + DAYS_TO_1970 - days_of(year, month, 1);
	unsigned part[6] = { (unsigned)year,
			     (unsigned)month,
			     (unsigned)left + 1,
			     (unsigned)(in_day / 3600),
			     (unsigned)(in_day / 60 % 60),
			     (unsigned)(in_day % 60) };
	wr_two(w, part[0] / 100);
	for (int i = 0; i < 6; i++) {
		wr_two(w, part[i]);
		wr_u8(w, (uint8_t)between[i]);
	}
}

void wr_utc_period(struct wr *w, uint64_t from, uint64_t to)
{
	wr_utc(w, from);
	wr_str(w, " to ");
	wr_utc(w, to);
}
