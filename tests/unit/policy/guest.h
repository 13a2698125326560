// guest - a boot info and the check of a decision, shared by the policy tests.
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/verify/bootinfo.h"
#include "policy/policy.h"

#define ID  "00112233445566778899aabbccddeeff00112233"
#define ID2 "ff112233445566778899aabbccddeeff00112233"
#define H1  "1111111111111111111111111111111111111111111111111111111111111111"
#define H2  "2222222222222222222222222222222222222222222222222222222222222222"
#define H3  "3333333333333333333333333333333333333333333333333333333333333333"

static inline void unhex(uint8_t *out, const char *hex)
{
	for (; *hex; hex += 2) {
		unsigned byte;
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		*out++ = (uint8_t)byte;
	}
}

static inline struct boot_info guest(void)
{
	struct boot_info b = { .has_app_id = true, .has_compose_hash = true, .has_os_image_hash = true };

	strcpy(b.tee_variant, "dstack-tdx");
	strcpy(b.anchor, "intel");
	strcpy(b.tcb_status, "UpToDate");
	unhex(b.app_id, ID);
	unhex(b.compose_hash, H1);
	unhex(b.os_image_hash, H2);
	unhex(b.device_id, H3);
	unhex(b.mr_aggregated, H3);
	return b;
}

// code NULL: allowed.
static inline void expect(struct policy *p, const struct boot_info *b, enum policy_kind kind,
			  const char *code)
{
	struct err e = { 0 };
	int rc = policy_allow(p, b, kind, &e);

	if (code ? !rc || strcmp(e.code, code) : rc)
		fail_msg("wanted %s, got %d %s %s", code ? code : "allowed", rc, e.code, e.text);
}
