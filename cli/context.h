// context - which stack this command talks to: addresses, roots and folders from its config.toml.
//
// Looked up as --dir, $DSTACK_HOME, .dstack/ in this folder or the nearest one above, else /etc/dstack.
// Written by `dstack up`, or by hand for a remote host. Paths in it are absolute or relative to it.
#pragma once
#include <limits.h>

#include "base/config.h"
#include "base/err.h"

struct context {
	char dir[PATH_MAX];
	struct config *config;
};

// ERR_ABSENT when there is no such folder, or it has no config.toml.
int context_open(struct context *c, const char *dir, struct err *e);
void context_close(struct context *c);

// The value of a key of config.toml ("vmm", "kms", "kms_root", "kms_app", "kms_compose", "kms_admin",
// "policy", "domain", "gateway_address", "gateway_ca", "image", "images", "pccs", "development_root",
// "registry"), "" when unset; files are made absolute. Valid until context_close.
const char *context_get(struct context *c, const char *key);
int context_port(struct context *c); // the gateway's HTTPS port
