#include "service.h"

#include <string.h>

enum {
	OP_EXTEND = 1,
	OP_QUOTE = 2,
	OP_REGISTERS = 3,
	OP_ROOT = 4,
	STATUS_OK = 0,
	STATUS_ERROR = 1,
	RTMR3 = 3
};

static void refuse(struct wr *out, const char *why)
{
	wr_u8(out, STATUS_ERROR);
	wr_str(out, why);
}

static void extend(struct registers *r, struct rd *in, struct wr *out)
{
	uint8_t index = rd_u8(in);
	struct span digest = rd_bytes(in, MR);

	if (in->bad || rd_left(in)) {
		refuse(out, "extend takes an index and 48 bytes");
	} else if (index != RTMR3) {
		refuse(out, "only RTMR3 can be extended by the guest");
	} else {
		registers_extend(r, RTMR3, digest.p);
		wr_u8(out, STATUS_OK);
	}
}

static void quote(const struct registers *r, const struct quote_signer *s, struct rd *in, struct wr *out)
{
	struct quote_body body = r->body;
	uint8_t bytes[QUOTE_CAP];
	struct err why;
	size_t n;

	rd_copy(in, body.report_data, sizeof body.report_data);
	if (in->bad || rd_left(in)) {
		refuse(out, "quote takes 64 bytes of report data");
	} else if (r->broken) {
		refuse(out, "a TPM command could not be followed: no quotes until the machine is restarted");
	} else if (quote_sign(s, &body, bytes, &n, &why)) {
		refuse(out, "signing failed");
	} else {
		wr_u8(out, STATUS_OK);
		wr_put(out, bytes, n);
	}
}

void service_answer(struct registers *r, const struct quote_signer *s, struct span request, struct wr *out)
{
	struct rd in = rd_span(request);

	switch (rd_u8(&in)) {
	case OP_EXTEND:
		extend(r, &in, out);
		break;
	case OP_QUOTE:
		quote(r, s, &in, out);
		break;
	case OP_REGISTERS:
		if (rd_left(&in) || in.bad) {
			refuse(out, "registers takes nothing");
			break;
		}
		wr_u8(out, STATUS_OK);
		wr_put(out, r->body.mr_td, MR);
		wr_put(out, r->body.rtmr, sizeof r->body.rtmr);
		break;
	case OP_ROOT:
		if (rd_left(&in) || in.bad) {
			refuse(out, "root takes nothing");
			break;
		}
		wr_u8(out, STATUS_OK);
		wr_put(out, s->root->der, s->root->n);
		break;
	default:
		refuse(out, "unknown request");
	}
}
