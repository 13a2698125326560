// Any bytes as a sequence of MessagePack values: every reader stays inside, ends, and what the small writers
// write reads back as it was.
#include <stdlib.h>

#include "core/codec/msgpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

static void read_one(struct rd *r)
{
	static uint8_t room[4096];
	struct wr scratch = wr_to(room, sizeof room);

	switch (mp_peek(r)) {
	case MP_MAP:
		mp_rd_map(r);
		break;
	case MP_ARRAY:
		mp_rd_array(r);
		break;
	case MP_STR:
		mp_rd_str(r);
		break;
	case MP_BIN:
		mp_rd_bytes(r, &scratch);
		break;
	case MP_UINT:
		mp_rd_uint(r, UINT64_MAX);
		break;
	case MP_NIL:
		mp_rd_nil(r);
		break;
	default:
		mp_skip(r);
	}
}

static void round_trip(struct span s)
{
	static uint8_t room[9 * 65536 + 64], back[65536];
	struct wr w = wr_to(room, sizeof room), scratch = wr_to(back, sizeof back);

	if (s.n > 65536)
		return;
	mp_wr_ints(&w, s);
	mp_wr_bin(&w, s);
	mp_wr_uint(&w, s.n);
	struct rd r = rd_from(room, w.n);
	if (w.bad || !span_eq(mp_rd_bytes(&r, &scratch), s) || !span_eq(mp_rd_bytes(&r, &scratch), s) ||
	    mp_rd_uint(&r, UINT64_MAX) != s.n || r.bad || rd_left(&r))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	struct rd r = rd_from(d, n), whole = r;

	while (rd_left(&r)) {
		size_t before = rd_left(&r);
		read_one(&r);
		if (!r.bad && rd_left(&r) >= before)
			abort(); // a value has at least one byte
	}
	mp_skip(&whole);
	round_trip(span_of(d, n));
	return 0;
}
