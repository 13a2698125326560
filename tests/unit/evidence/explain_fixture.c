#include "explain_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/codec/json.h"
#include "load.h"

static struct event store[512], store2[512];
static uint8_t scratch[1 << 20];
static const char lite[] = "real/dstack/verifier/tdx-lite-getquote.json";

void read_td(struct td *t)
{
	struct wr s = wr_to(scratch, sizeof scratch);
	struct fault f = { 0 };

	t->log = (struct eventlog){ store, 0, 512 };
	memcpy(t->mrtd, load_hex_member(lite, "quote").p + 184, MEASURE_LEN);
	if (vm_config_read(&t->config, &s, load_text_member(lite, "vm_config"), &f) ||
	    eventlog_read_json(&t->log, &s, load_text_member(lite, "event_log"), &f) ||
	    measurement_tdx_read(&t->m, t->config.tdx_measurement, &f))
		fail_msg("%s %s", f.code, f.text);
}

void explain_td(struct explain *x, struct td *t)
{
	struct explain_facts facts = { .m = &t->m, .expected = &t->config, .mrtd = t->mrtd };
	struct measured want;
	struct fault f = { 0 };

	assert_int_equal(explain_expect(&want, &t->m, t->m.kernel, &t->config, &t->log, &f), 0);
	explain_logs(x, &want, &t->log, &facts);
}

struct event *nth(const struct eventlog *log, uint32_t imr, size_t n)
{
	for (size_t i = 0; i < log->n; i++)
		if (log->e[i].imr == imr && !n--)
			return &log->e[i];
	fail_msg("no such event");
	return NULL;
}

void assert_first(const struct explain *x, const char *cause, unsigned imr, const char *name,
		  const char *part)
{
	assert_true(x->n > 0);
	assert_string_equal(x->d[0].cause, cause);
	assert_int_equal(x->d[0].imr, imr);
	assert_string_equal(x->d[0].name, name);
	if (!strstr(x->d[0].text, part))
		fail_msg("\"%s\" lacks \"%s\"", x->d[0].text, part);
}

void insert(struct eventlog *log, size_t at, struct event e)
{
	memmove(log->e + at + 1, log->e + at, (log->n - at) * sizeof e);
	log->e[at] = e;
	log->n++;
}

void read_soft(struct eventlog *log, struct event *e, const char *file)
{
	struct fault f = { 0 };

	*log = (struct eventlog){ e, 0, 512 };
	assert_int_equal(eventlog_read_tpm(log, load(file), &f), 0);
	eventlog_name_acpi(log, true);
}

void explain_soft(struct explain *x, const char *expected, const char *got, const struct explain_facts *facts)
{
	struct eventlog a, b;
	struct measured want;
	struct fault f = { 0 };

	read_soft(&a, store, expected);
	read_soft(&b, store2, got);
	assert_int_equal(explain_reference(&want, &a, &f), 0);
	explain_logs(x, &want, &b, facts);
}
