// setup - what one boot knows, from the share to the last step. One struct, passed down.
//
// Steps are in main.c in the order of spec 60 section 6; each is a file of its own. Everything allocated lies
// in `arena`, which is wiped when the process ends.
#pragma once
#include <sys/types.h>

#include "compose.h"
#include "core/measure/mrconfig.h"
#include "keys.h"
#include "sender.h"
#include "share.h"
#include "sysconf.h"
#include "tee/runtime.h"

struct setup {
	const char *work_dir, *mount_point, *run_dir;
	char *shared; // W/.host-shared
	struct arena *arena;
	struct share share;
	struct compose compose;
	struct sysconf sys;
	struct instance instance; // as it will be stored: app_id and seed set
	bool has_instance_id;
	uint8_t instance_id[ID_SIZE];
	struct sender sender; // of the sealed environment
	struct tee *tee;
	struct guest_keys keys;
	uint8_t kms_leaf[32]; // SHA-256 of the KMS's certificate whose evidence was verified
};

// A file in W/.host-shared.
int setup_write(struct setup *s, const char *name, mode_t mode, const void *p, size_t n, struct err *e);

int setup_identity(struct setup *s, struct err *e);     // app id, instance id (section 6e)
int setup_early_events(struct setup *s, struct err *e); // up to boot-mr-done (section 6f)
int setup_emit(struct setup *s, const char *name, const void *p, size_t n, struct err *e);
int setup_check_binding(struct setup *s, struct err *e); // MRCONFIGID, key provider pin (section 6h)
// Was the machine launched for this boot? Its MRCONFIGID against what was found (measure/mrconfig.h).
int setup_judge_config_id(const struct setup *s, const uint8_t id[static MR_CONFIG_LEN], struct err *e);

// The evidence of this guest over `report_data`; fits ratls_attest_fn with the setup as its argument.
int setup_attest(void *setup, const uint8_t report_data[static 64], uint8_t **out, size_t *n, struct err *e);
