// kms - the parts of `dstack kms`; each takes its own arguments, argv[0] is its name.
#pragma once
#include <openssl/types.h>

#include "base/err.h"

struct kms_command {
	const char *name, *args;
	int (*run)(int argc, char **argv);
};

int kms_deploy(int argc, char **argv);
int kms_handover(int argc, char **argv);
int kms_upgrade(int argc, char **argv);
int kms_log(int argc, char **argv);
int kms_derive(int argc, char **argv);
int kms_rotate(int argc, char **argv);
int kms_revoke(int argc, char **argv);
int kms_policy(int argc, char **argv);
int kms_roots(int argc, char **argv);
int kms_usage(const char *name); // one line on stderr about how it is called; exit code of bad input
