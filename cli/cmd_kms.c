// kms - what the operator of a KMS and those who rely on it do: audit log, recovery, epochs, revocations.
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "kms.h"

static const struct kms_command parts[] = {
	{ "deploy", "--image REFERENCE@sha256:HEX [--from NAME|URL] [--memory MIB] [--json]", kms_deploy },
	{ "upgrade", "--image REFERENCE@sha256:HEX [--remove-old] [--memory MIB] [--json]", kms_upgrade },
	{ "handover", "--mr HEX [--for TIME] [--admin URL --token-file FILE]", kms_handover },
	{ "log",
	  "verify FILE|DIR|URL [--kms-root FILE | --unverified-tls] [--peer URL|FILE]... [--head FILE] "
	  "[--save FILE] [--record FILE] [--k256-pubkey HEX] [--dir DIR] [--json]",
	  kms_log },
	{ "derive",
	  "--cert-dir DIR --app-id HEX [--instance-id HEX] [--epoch N] [--seed HEX] "
	  "[--state DIR | --root R] [--json]",
	  kms_derive },
	{ "rotate",
	  "--admin URL --token-file FILE | --state DIR [--app-id HEX] [--overlap TIME] [--move-legacy] "
	  "[--root R] | --admin URL --token-file FILE --roots",
	  kms_rotate },
	{ "revoke",
	  "app|compose|device|image HEX | cert SERIAL --app-id HEX | epoch N [--app-id HEX] [--at UNIX] "
	  "[--reason TEXT] [--lift] "
	  "(--admin URL --token-file FILE | --state DIR)",
	  kms_revoke },
	{ "policy", "--admin URL --token-file FILE | --state DIR", kms_policy },
	{ "roots",
	  "URL [--k256-pubkey HEX] [--root R --save FILE] [--births [--image-dir DIR] [--pccs-url URL] "
	  "[--development-root FILE]] [--json]",
	  kms_roots },
};
enum { N = sizeof parts / sizeof *parts };

int kms_usage(const char *name)
{
	for (size_t i = 0; i < N; i++)
		if (!name || !strcmp(parts[i].name, name))
			fprintf(stderr, "usage: dstack kms %s %s\n", parts[i].name, parts[i].args);
	return 2;
}

int cmd_kms(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < N; i++)
		if (!strcmp(parts[i].name, argv[1]))
			return parts[i].run(argc - 1, argv + 1);
	return kms_usage(NULL);
}
