// dstack-softtee forge: a recipe in, evidence out.
#include <getopt.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "core/attest/envelope.h"
#include "forge/recipe.h"

static const char usage[] =
	"dstack-softtee forge: evidence made wrong on purpose, under a development PKI\n"
	"\n"
	"  --dir D             sign with the PKI in D; without it keys come from the seed\n"
	"  --seed TEXT         (default \"forge\")\n"
	"  --recipe FILE       JSON; may be given more than once, like --set, in this order\n"
	"  --set NAME=VALUE    one field; VALUE is JSON, or else a text\n"
	"  --quote FILE, --collateral FILE, --root FILE.der\n"
	"                      where the evidence goes\n"
	"  --event-log FILE    the runtime events of the recipe as JSON\n"
	"  --envelope FILE     quote and events as an attestation envelope\n"
	"  --layers DIR        every layer as it went out, for looking at\n"
	"  --fields            names of all fields and the form of their values\n";

struct options {
	const char *dir, *seed, *file[6];
};
enum { OUT_QUOTE, OUT_COLLATERAL, OUT_ROOT, OUT_EVENTS, OUT_ENVELOPE, OUT_LAYERS };

static int write_sb(const char *path, const struct sb *b, struct err *e)
{
	return b->bad ? err_set(e, ERR_SYSTEM, "out of memory") : file_write(path, 0644, b->p, b->n, e);
}

static int write_envelope(struct recipe *r, const struct forge_out *out, const char *path, struct err *e)
{
	enum { CAP = 1 << 17 };
	static uint8_t bytes[CAP];
	struct wr w = wr_to(bytes, sizeof bytes);
	struct fault f = { 0 };
	struct envelope env = {
		.kind = ENVELOPE_TDX,
		.quote = span_of(out->layer[FORGE_WHOLE].p, out->layer[FORGE_WHOLE].n),
		.log = { r->event, r->events, RECIPE_EVENTS },
		.runtime = { r->event, r->events, RECIPE_EVENTS },
		.config = r->vm_config,
	};

	memcpy(env.report_data, r->f.quote.td + TD_REPORT_DATA, sizeof env.report_data);
	if (envelope_write(&w, &env, &f) || w.bad)
		return err_code(e, ERR_INPUT, "forge.size", "envelope: %s", f.text ? f.text : "too large");
	return file_write(path, 0644, bytes, w.n, e);
}

static int write_events(const struct recipe *r, const char *path, struct err *e)
{
	static uint8_t text[1 << 17];
	struct wr w = wr_to(text, sizeof text);
	struct eventlog log = { (struct event *)(uintptr_t)r->event, r->events, RECIPE_EVENTS };

	eventlog_write_json(&w, &log, false);
	return w.bad ? err_code(e, ERR_INPUT, "forge.size", "event log is too large")
		     : file_write(path, 0644, text, w.n, e);
}

static int write_layers(const struct forge_out *out, const char *dir, struct err *e)
{
	char path[512];

	if (mkdir(dir, 0755) && !file_exists(dir))
		return err_errno(e, "make %s", dir);
	for (int l = 0; l < FORGE_LAYERS; l++) {
		snprintf(path, sizeof path, "%s/%s", dir, forge_layer_name[l]);
		if (write_sb(path, &out->layer[l], e))
			return -1;
	}
	return 0;
}

static int write_all(struct recipe *r, const struct options *o, struct err *e)
{
	static const enum forge_layer layer[] = { FORGE_WHOLE, FORGE_COLLATERAL, FORGE_ROOT };
	struct forge_out out = { 0 };
	int rc = forge_build(&r->f, &out, e);

	for (int i = 0; i < 3 && !rc; i++)
		rc = o->file[i] ? write_sb(o->file[i], &out.layer[layer[i]], e) : 0;
	if (!rc && o->file[OUT_EVENTS])
		rc = write_events(r, o->file[OUT_EVENTS], e);
	if (!rc && o->file[OUT_ENVELOPE])
		rc = write_envelope(r, &out, o->file[OUT_ENVELOPE], e);
	if (!rc && o->file[OUT_LAYERS])
		rc = write_layers(&out, o->file[OUT_LAYERS], e);
	forge_out_free(&out);
	return rc;
}

static int set(struct recipe *r, char *argument, struct err *e)
{
	char *value = strchr(argument, '=');

	if (!value)
		return err_set(e, ERR_INPUT, "--set takes NAME=VALUE");
	*value++ = 0;
	return recipe_set(r, argument, value, e);
}

static int read_recipe(struct recipe *r, const char *path, struct err *e)
{
	auto_free char *text = NULL;
	size_t n;

	if (file_read(path, RECIPE_ROOM, &text, &n, e))
		return -1;
	return recipe_apply(r, span_of(text, n), e) ? err_wrap(e, "%s", path) : 0;
}

enum {
	OPT_DIR = 'd',
	OPT_SEED = 's',
	OPT_RECIPE = 'r',
	OPT_SET = 'S',
	OPT_FIELDS = 'f',
	OPT_HELP = 'h',
	OPT_FILE = 256
};
static const struct option table[] = {
	{ "quote", required_argument, NULL, OPT_FILE + OUT_QUOTE },
	{ "collateral", required_argument, NULL, OPT_FILE + OUT_COLLATERAL },
	{ "root", required_argument, NULL, OPT_FILE + OUT_ROOT },
	{ "event-log", required_argument, NULL, OPT_FILE + OUT_EVENTS },
	{ "envelope", required_argument, NULL, OPT_FILE + OUT_ENVELOPE },
	{ "layers", required_argument, NULL, OPT_FILE + OUT_LAYERS },
	{ "dir", required_argument, NULL, OPT_DIR },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "recipe", required_argument, NULL, OPT_RECIPE },
	{ "set", required_argument, NULL, OPT_SET },
	{ "fields", no_argument, NULL, OPT_FIELDS },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

// Twice over the arguments: keys first, then what is to be altered, in its order.
static int run(struct recipe *r, int argc, char **argv, struct err *e)
{
	struct options o = { .seed = "forge" };
	int c, rc = 0;

	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (c == '?')
			return err_set(e, ERR_INPUT, "see forge --help");
		if (c >= OPT_FILE)
			o.file[c - OPT_FILE] = optarg;
		else if (c == OPT_DIR)
			o.dir = optarg;
		else if (c == OPT_SEED)
			o.seed = optarg;
	}
	if (optind < argc)
		return err_set(e, ERR_INPUT, "unexpected argument %s", STR_QZ(argv[optind]));
	if (recipe_init(r, o.dir, o.seed, (int64_t)time_now(), e))
		return -1;
	optind = 1;
	while (!rc && (c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (c == OPT_RECIPE)
			rc = read_recipe(r, optarg, e);
		else if (c == OPT_SET)
			rc = set(r, optarg, e);
	}
	return rc ? rc : write_all(r, &o, e);
}

int forge_command(int argc, char **argv)
{
	static struct recipe r;
	struct err e = { 0 };

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help")) {
			fputs(usage, stdout);
			return 0;
		}
		if (!strcmp(argv[i], "--fields")) {
			recipe_fields(stdout);
			return 0;
		}
	}
	int rc = run(&r, argc, argv, &e);
	recipe_free(&r);
	if (rc)
		log_error("softtee", "%s code=%s", e.text, e.code[0] ? e.code : "-");
	return rc ? err_exit(&e) : 0;
}
