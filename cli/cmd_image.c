// dstack image measure DIR: what an image measures to, and its measurement.tdx.cbor. pack and serve: the
// archive of it that a KMS downloads.
#include "command.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/strings.h"
#include "image_pack.h"
#include "ratls/images.h"

static void print(const struct measurement_tdx *m, bool json)
{
	const struct {
		const char *name;
		const uint8_t *digest;
	} rows[] = { { "mrtd_single_pass", m->mrtd_single },
		     { "mrtd_two_pass", m->mrtd_two },
		     { "cmdline_sha384", m->cmdline },
		     { "kernel_authenticode", m->kernel },
		     { "initrd_sha384", m->initrd } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *text = STR_HEX(rows[i].digest, MEASURE_LEN);

		if (json)
			printf("%s\"%s\":\"%s\"", i ? "," : "{", rows[i].name, text);
		else
			printf("%-20s %s\n", rows[i].name, text);
	}
	if (json)
		puts("}");
}

static int measure(const char *dir, bool json, bool write, struct err *e)
{
	struct measurement_tdx m;
	uint8_t cbor[1024];
	char path[4096];
	struct wr w = wr_to(cbor, sizeof cbor);

	if (image_measure(dir, &m, e))
		return -1;
	if (measurement_tdx_write(&w, &m))
		return err_code(e, ERR_INPUT, "measure.firmware", "the firmware of %s has no TD HOB ranges",
				dir);
	if (snprintf(path, sizeof path, "%s/measurement.tdx.cbor", dir) >= (int)sizeof path)
		return err_set(e, ERR_INPUT, "path is too long");
	if (write && file_write(path, 0644, cbor, w.n, e))
		return -1;
	print(&m, json);
	return 0;
}

static int cmd_measure(int argc, char **argv)
{
	const char *dir = NULL;
	bool json = false, write = true;
	struct err e;

	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			json = true;
		else if (!strcmp(argv[i], "--no-write"))
			write = false;
		else if (argv[i][0] == '-' || dir)
			return command_usage("image");
		else
			dir = argv[i];
	}
	if (!dir)
		return command_usage("image");
	return measure(dir, json, write, &e) ? command_fail(&e, json) : 0;
}

int cmd_image(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct err e;
	int rc;

	if (!strcmp(verb, "measure"))
		return cmd_measure(argc, argv);
	if (!strcmp(verb, "pack") && argc == 4)
		rc = image_pack(argv[2], argv[3], &e);
	else if (!strcmp(verb, "serve") && argc == 4)
		rc = image_serve(argv[2], argv[3], &e);
	else
		return command_usage("image");
	return rc ? command_fail(&e, false) : 0;
}
