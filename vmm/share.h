// share - the files a guest is given: shared/ in the VM's folder, rewritten at each start.
//
// The guest trusts none of them: it measures app-compose.json and treats the rest as hints. Names, members
// and who writes what: spec 40 section 9, spec 50 section 7.3.
#pragma once
#include <stddef.h>

#include "compose.h"
#include "config.h"
#include "image.h"
#include "manifest.h"

struct platform_facts; // platform.h

// shared/.sys-config.json for the next boot.
int share_write_config(const char *vm_dir, const struct vmm_config *c, const struct manifest *m,
		       const struct image *im, const struct compose *app, const struct platform_facts *p,
		       struct err *e);
// A VM's first files: the compose text, {"app_id"}, sealed environment and user config where there are any.
int share_create(const char *vm_dir, const struct manifest *m, const void *compose, size_t compose_n,
		 const void *env, size_t env_n, const char *user_config, struct err *e);
// New contents for the next start; what is empty stays as it is.
int share_update(const char *vm_dir, const void *env, size_t env_n, const char *user_config, struct err *e);
// Store what a guest said of itself: two or three hexadecimal ids of 20 bytes, or refused.
int share_write_instance(const char *vm_dir, const char *payload, struct err *e);
// The instance id stored there, "" when there is none yet.
void share_instance_id(const char *vm_dir, char out[static 41]);
// Read a file of shared/, which others may have laid there: no link, not too large. Codes share.not_regular,
// share.too_large.
int share_read(const char *vm_dir, const char *name, size_t max, char **out, size_t *n, struct err *e);
// Build shared.img from shared/.
int share_build_disk(const char *vm_dir, struct err *e);
