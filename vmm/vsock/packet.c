#include "packet.h"

#include "core/codec/buf.h"

bool vpkt_read(struct vpkt *out, const void *p, size_t n)
{
	struct rd r = rd_from(p, n);

	out->src_cid = rd_le64(&r);
	out->dst_cid = rd_le64(&r);
	out->src_port = rd_le32(&r);
	out->dst_port = rd_le32(&r);
	out->len = rd_le32(&r);
	out->type = rd_le16(&r);
	out->op = rd_le16(&r);
	out->flags = rd_le32(&r);
	out->buf_alloc = rd_le32(&r);
	out->fwd_cnt = rd_le32(&r);
	return !r.bad;
}

void vpkt_write(uint8_t out[static VPKT_HEAD], const struct vpkt *in)
{
	struct wr w = wr_to(out, VPKT_HEAD);

	wr_le64(&w, in->src_cid);
	wr_le64(&w, in->dst_cid);
	wr_le32(&w, in->src_port);
	wr_le32(&w, in->dst_port);
	wr_le32(&w, in->len);
	wr_le16(&w, in->type);
	wr_le16(&w, in->op);
	wr_le32(&w, in->flags);
	wr_le32(&w, in->buf_alloc);
	wr_le32(&w, in->fwd_cnt);
}
