// judge_wire - what the network process and a process that judges evidence say to each other, over a stream
// socket; both are one program, so plain structs. A message is its struct and `n` bytes. The judge's are
// checked before they are used: who reads strangers' bytes is not believed about lengths.
#pragma once
#include <stdint.h>

#include "ratls/judge.h"

enum judge_kind {
	JUDGE_ASK,        // evidence, event log, vm_config, expectations, collateral
	JUDGE_COLLATERAL, // the judge asks, and gets a text or an error
	JUDGE_REFUSED,    // what became of it; no answer
	JUDGE_VERIFIED,
	JUDGE_OFFERED, // and the text that came with the evidence
	JUDGE_IMAGE,
	JUDGE_ANSWER, // a struct judge_answer
	JUDGE_KINDS
};
enum { JUDGE_PARTS = 5, JUDGE_PART_MAX = 2 << 20, JUDGE_BYTES_MAX = JUDGE_PARTS * JUDGE_PART_MAX };

struct judge_msg {
	uint32_t kind, n;
	int32_t rc; // of what was asked
	struct err err;
	union {
		struct {
			uint32_t part[JUDGE_PARTS];
			enum verify_form form;
			enum verify_binding binding;
			uint64_t now;
			bool boottime, any_tcb, allow_service_td, intel_components, has_images;
		} ask;
		struct dcap_platform platform;
		struct {
			uint64_t expires;
			bool older;
		} verified;
		struct dcap_result offered;
		struct {
			uint8_t hash[32];
			uint64_t memory;
		} wanted;
		struct verify_image found;
	};
};

// All of it, or -1: the other side is gone, or `*left_ms` are used up. NULL: waits for ever.
int judge_wire_send(int fd, const void *p, size_t n, int *left_ms);
int judge_wire_take(int fd, void *p, size_t n, int *left_ms);

// The process from its fork to its end, with its socket; never returns.
void judge_process(int fd, struct engine *g) __attribute__((noreturn));
