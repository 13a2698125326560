// driver - what a TEE driver is to lib/tee; private to this folder.
//
// A driver is a table of functions over its own state. tee.c serialises the calls, so drivers hold no lock.
// Test doubles are the real drivers pointed at other paths by the environment (spec 50 section 14.1).
#pragma once
#include <stdbool.h>
#include "tee/tee.h"

struct tee_driver {
	const char *name;
	int (*quote)(void *state, const uint8_t report_data[static TEE_REPORT_DATA], struct tee_quote *out,
		     struct err *e);
	int (*extend)(void *state, const uint8_t digest[static TEE_DIGEST], struct err *e);
	int (*rtmr3)(void *state, uint8_t out[static TEE_DIGEST], struct err *e);
	int (*boot_log)(void *state, struct tee_log *out, struct err *e);
	// NULL: none but Intel's
	int (*root)(void *state, uint8_t out[static TEE_ROOT_MAX], size_t *n, struct err *e);
	void (*close)(void *state);
};

// Each gives its state, or NULL: `tee.absent` when the machine has no such TEE.
void *tdx_open(struct err *e);
void *soft_open(struct err *e);
extern const struct tee_driver tdx_driver, soft_driver;

// True when anything says that this is a TD: device, TSM provider, or an override in the environment.
bool tdx_is_here(void);
