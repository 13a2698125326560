// fakemachine - writes what tests/unit/verifier/machine.h makes into a folder, for tests/e2e/17-verifier.sh.
//   fakemachine DIR EVIDENCE     DIR/{pki,image}, a request a file, certificates; prints the image's hash
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/verifier/machine.h"
#include "base/file.h"
#include "base/strings.h"

static void put(const char *dir, const char *name, char *text)
{
	char path[300];
	struct err e;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	if (!text || file_write_str(path, 0644, text, &e))
		exit(1);
	free(text);
}

int main(int argc, char **argv)
{
	static const char *const names[] = {
		[MACHINE_QUOTE] = "quote.json",
		[MACHINE_ENVELOPE] = "envelope.json",
		[MACHINE_OTHER_BASE] = "other-base.json",
		[MACHINE_OTHER_EVENT] = "other-event.json",
		[MACHINE_LITE] = "lite.json",
		[MACHINE_LEGACY] = "legacy.json",
	};
	struct machine m;

	if (argc != 3)
		return 2;
	machine_make(&m, argv[1], argv[2]);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		put(argv[1], names[i], machine_request(&m, (enum machine_kind)i));
	put(argv[1], "cert.pem", machine_certificate(&m, true));
	put(argv[1], "unbound.pem", machine_certificate(&m, false));
	printf("%s\n", STR_HEX(m.image_hash, 32));
	return 0;
}
