#include "core/attest/show.h"

#include "core/codec/json.h"

enum { FIELD_WIDTH = 24 };

void show_group(struct show *s, const char *name)
{
	if (s->json) {
		wr_str(s->out, s->any_group ? "},\"" : "{\"");
		wr_str(s->out, name);
		wr_str(s->out, "\":{");
	} else {
		wr_str(s->out, s->any_group ? "\n" : "");
		wr_str(s->out, name);
		wr_u8(s->out, '\n');
	}
	s->any_group = true;
	s->any_field = false;
}

static void name(struct show *s, const char *field)
{
	if (s->json) {
		wr_str(s->out, s->any_field ? ",\"" : "\"");
		wr_str(s->out, field);
		wr_str(s->out, "\":");
	} else {
		wr_str(s->out, "  ");
		wr_str(s->out, field);
		for (size_t n = span_str(field).n; n <= FIELD_WIDTH; n++)
			wr_u8(s->out, ' ');
	}
	s->any_field = true;
}

static void end_field(struct show *s)
{
	if (!s->json)
		wr_u8(s->out, '\n');
}

void show_number(struct show *s, const char *field, uint64_t v)
{
	name(s, field);
	wr_dec(s->out, v);
	end_field(s);
}

void show_text(struct show *s, const char *field, struct span v)
{
	name(s, field);
	if (s->json)
		wr_json(s->out, v);
	else
		for (size_t i = 0; i < v.n; i++) // a name from a certificate must not steer a terminal
			wr_u8(s->out, v.p[i] < ' ' || v.p[i] == 0x7f ? '?' : v.p[i]);
	end_field(s);
}

void show_hex(struct show *s, const char *field, const void *p, size_t n)
{
	name(s, field);
	if (s->json)
		wr_json_hex(s->out, p, n);
	else
		wr_hex(s->out, p, n);
	end_field(s);
}

void show_bytes(struct show *s, const char *field, struct span v)
{
	show_hex(s, field, v.p, v.n);
}

void show_end(struct show *s)
{
	if (s->json)
		wr_str(s->out, "}}\n");
}
