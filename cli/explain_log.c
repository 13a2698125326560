#include "explain_log.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "core/attest/eventlog_show.h"
#include "core/codec/json.h"
#include "core/measure/explain.h"
#include "ratls/images.h"

enum { FILE_MAX = 21 << 20, IMAGE_FILE_MAX = 512 << 20, TEXT_MAX = 1 << 20 };

struct blob {
	char *p;
	size_t n;
};

// One side: a log with what came along, or an image.
struct side {
	struct blob file, config_file, kernel;
	uint8_t *text, *config_text;
	struct event *store;
	struct envelope_tpm *tpm;
	struct event_replay r;
	struct measurement_tdx m;
	struct vm_config config;
	uint64_t initrd_size;
	bool has_log, has_image, has_config;
};

static void side_free(struct side *s)
{
	free(s->file.p);
	free(s->config_file.p);
	free(s->kernel.p);
	free(s->text);
	free(s->config_text);
	free(s->store);
	free(s->tpm);
}
#define auto_side AUTO(side_free) struct side

static int read_config(struct side *s, struct span text, struct err *e)
{
	struct json root, v;
	struct fault f;
	struct span inner;
	size_t n;

	s->config_text = malloc(2 * text.n + 1);
	if (!s->config_text)
		return err_set(e, ERR_SYSTEM, "out of memory");
	struct wr scratch = wr_to(s->config_text, 2 * text.n + 1);

	// a whole sys-config has it as a string
	if (!json_parse(&root, text, NULL) && json_get(root, "vm_config", &v) &&
	    json_kind(v) == JSON_STRING && !json_string(v, scratch.p, scratch.cap, &n)) {
		inner = span_of(scratch.p, n);
		scratch = wr_to(scratch.p + n, scratch.cap - n);
		text = inner;
	}
	if (vm_config_read(&s->config, &scratch, text, &f))
		return err_fault(e, ERR_INPUT, &f);
	s->has_config = true;
	return 0;
}

static int read_log(struct side *s, const char *path, struct err *e)
{
	struct fault f = { 0 };

	s->text = malloc(2 * s->file.n + 1);
	s->store = calloc(2 * EVENTLOG_MAX, sizeof *s->store);
	s->tpm = calloc(1, sizeof *s->tpm);
	if (!s->text || !s->store || !s->tpm)
		return err_set(e, ERR_SYSTEM, "out of memory");
	struct wr scratch = wr_to(s->text, 2 * s->file.n + 1);

	s->r.log = (struct eventlog){ s->store, 0, EVENTLOG_MAX };
	s->r.runtime = (struct eventlog){ s->store + EVENTLOG_MAX, 0, EVENTLOG_MAX };
	s->r.tpm = s->tpm;
	if (event_replay_read(&s->r, &scratch, span_of(s->file.p, s->file.n), &f))
		return err_fault(e, ERR_INPUT, &f), err_wrap(e, "%s", path);
	if (s->r.is_pcrs || s->r.no_registers)
		return err_code(e, ERR_INPUT, "events.bank",
				"%s: no SHA-384 measurements of registers 0 to 2", path);
	s->has_log = true;
	return s->r.vm_config.n && !span_is(s->r.vm_config, "{}") ? read_config(s, s->r.vm_config, e) : 0;
}

static int read_named(struct blob *out, const char *dir, struct span name, struct err *e)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s/%.*s", dir, (int)name.n, (const char *)name.p) >=
	    (int)sizeof path)
		return err_set(e, ERR_INPUT, "path of an image file is too long");
	return file_read(path, IMAGE_FILE_MAX, &out->p, &out->n, e);
}

// The folder's measurement, its kernel and how large its initrd is.
static int read_image(struct side *s, const char *dir, struct err *e)
{
	struct image_metadata meta;
	struct blob initrd = { 0 };
	struct fault f;

	if (image_measure(dir, &s->m, e) || read_named(&s->file, dir, span_str("metadata.json"), e))
		return -1;
	s->text = malloc(s->file.n + 1);
	struct wr scratch = wr_to(s->text, s->text ? s->file.n : 0);

	if (!s->text || image_metadata_read(&meta, &scratch, span_of(s->file.p, s->file.n), &f))
		return err_code(e, ERR_INPUT, "image.metadata", "%s/metadata.json cannot be read", dir);
	if (read_named(&s->kernel, dir, meta.kernel, e) || read_named(&initrd, dir, meta.initrd, e))
		return -1;
	s->initrd_size = initrd.n;
	free(initrd.p);
	s->has_image = true;
	return 0;
}

// A measurement that came with a machine's description must be that of its image.
static int take_measurement(struct side *s, struct err *e)
{
	const struct vm_config *c = &s->config;
	struct fault f;

	if (!s->has_config || !c->tdx_measurement.n)
		return 0;
	if ((c->has_image_hash &&
	     measurement_bound(c->os_image_hash, c->tdx_checksum_file, c->tdx_measurement, &f)) ||
	    measurement_tdx_read(&s->m, c->tdx_measurement, &f))
		return err_fault(e, ERR_UNTRUSTED, &f);
	s->has_image = true;
	return 0;
}

static int read_expected(struct side *s, const char *path, struct err *e)
{
	struct fault f;
	struct stat st;

	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return read_image(s, path, e);
	if (file_read(path, FILE_MAX, &s->file.p, &s->file.n, e))
		return -1;
	if (s->file.n && (uint8_t)s->file.p[0] >> 5 == 5 && // a CBOR map; an envelope's is MessagePack, 8x
	    !measurement_tdx_read(&s->m, span_of(s->file.p, s->file.n), &f)) {
		s->has_image = true;
		return 0;
	}
	return read_log(s, path, e) ? -1 : take_measurement(s, e);
}

// The kernel's digest for this memory: of the file when there is one.
static int kernel_digest(uint8_t out[MEASURE_LEN], const struct side *s, const struct vm_config *c,
			 struct err *e)
{
	struct fault f;

	if (s->kernel.n) {
		if (measure_kernel(out, span_of(s->kernel.p, s->kernel.n), s->initrd_size, c->memory_size,
				   &f))
			return err_fault(e, ERR_INPUT, &f);
		return 0;
	}
	if (!measure_memory_ok(c))
		return err_code(e, ERR_INPUT, "measure.kernel",
				"the kernel's digest depends on this memory size: give the image folder");
	memcpy(out, s->m.kernel, MEASURE_LEN);
	return 0;
}

static int compute(struct measured *want, struct explain_facts *facts, const struct side *expected,
		   struct vm_config *c, const struct side *log, struct err *e)
{
	uint8_t kernel[MEASURE_LEN];
	struct fault f;

	if (!strcmp(log->r.kind, "tpm")) // there is no TD: this is the software TEE
		c->profile = MEASURE_SOFT;
	if (kernel_digest(kernel, expected, c, e))
		return -1;
	if (explain_expect(want, &expected->m, kernel, c, &log->r.log, &f))
		return err_fault(e, ERR_INPUT, &f);
	facts->m = &expected->m;
	facts->expected = c;
	facts->kernel = span_of(expected->kernel.p, expected->kernel.n);
	facts->initrd_size = expected->initrd_size;
	facts->mrtd = log->r.has_quote ? log->r.quoted_mrtd : NULL;
	return 0;
}

static int print(const struct explain *x, bool json, struct err *e)
{
	void (*const write)(struct wr *, const struct explain *) = json ? explain_json : explain_text;
	struct wr size = { 0 };

	write(&size, x);
	auto_free char *text = malloc(size.n + 1);
	struct wr out = wr_to(text, text ? size.n : 0);

	write(&out, x);
	if (!text || out.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	fwrite(text, 1, out.n, stdout);
	if (json)
		putchar('\n');
	return 0;
}

static int compare(const struct explain_args *a, struct side *expected, struct side *log, struct err *e)
{
	auto_free struct measured *want = malloc(sizeof *want);
	auto_free struct explain *x = malloc(sizeof *x);
	struct explain_facts facts = { .actual = log->has_config ? &log->config : NULL };
	struct fault f;

	if (!want || !x)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (expected->has_image) {
		if (!expected->has_config && !log->has_config)
			return err_code(e, ERR_INPUT, "vm_config.format",
					"no description of the machine: give --vm-config FILE");
		if (compute(want, &facts, expected, expected->has_config ? &expected->config : &log->config,
			    log, e))
			return -1;
	} else {
		facts.expected = expected->has_config ? &expected->config : NULL;
		if (explain_reference(want, &expected->r.log, &f))
			return err_fault(e, ERR_INPUT, &f);
	}
	explain_logs(x, want, &log->r.log, &facts);
	if (print(x, a->json, e))
		return -1;
	return x->n ? err_exit(&(struct err){ .class = ERR_UNTRUSTED }) : 0;
}

int explain_log(const struct explain_args *a, struct err *e)
{
	auto_side expected = { 0 };
	auto_side log = { 0 };

	if (read_expected(&expected, a->expected, e) ||
	    file_read(a->log, FILE_MAX, &log.file.p, &log.file.n, e) || read_log(&log, a->log, e))
		return -1;
	if (a->vm_config) {
		free(expected.config_text);
		expected.config_text = NULL;
		if (file_read(a->vm_config, TEXT_MAX, &expected.config_file.p, &expected.config_file.n, e) ||
		    read_config(&expected, span_of(expected.config_file.p, expected.config_file.n), e))
			return -1;
	}
	return compare(a, &expected, &log, e);
}
