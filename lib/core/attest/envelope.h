// envelope - the attestation envelope ("VersionedAttestation"): V0 in SCALE, V1 in MessagePack; both ways,
// byte-exact.
//
// Decoding borrows: spans point into the input or into `scratch` (never more room needed than the input has).
// Nothing in an envelope is trusted before lib/ratls/trust or an equal has verified quote, replay and
// report_data.
#pragma once
#include "core/attest/eventlog.h"

enum { ENVELOPE_MAX = 10 << 20, ENVELOPE_CHAIN_MAX = 8, ENVELOPE_PCRS_MAX = 24 };

enum envelope_kind { ENVELOPE_TDX, ENVELOPE_GCP_TDX, ENVELOPE_NITRO, ENVELOPE_SNP, ENVELOPE_NITRO_TPM };

struct envelope_pcr {
	uint32_t index; // in the TPM log: the PCR
	struct span algorithm, value;
};

// The vTPM part of GCP TDX.
struct envelope_tpm {
	struct span message, signature, ak_cert;
	uint8_t platform; // 0 dstack, 1 gcp, 2 nitro, 3 aws-ec2
	struct envelope_pcr pcrs[ENVELOPE_PCRS_MAX];
	size_t n_pcrs;
	struct envelope_pcr log[EVENTLOG_MAX / 16];
	size_t n_log;
};

struct envelope {
	int version; // 0 or 1
	enum envelope_kind kind;
	struct span quote;   // TDX quote, SNP report, NSM quote or NitroTPM document
	struct eventlog log; // platform event log (TDX, GCP TDX); array given by the caller
	struct eventlog runtime;
	uint8_t report_data[64];
	struct span config;      // vm_config JSON text (or sys-config with such a member: envelope_vm_config)
	bool is_pod;             // V1 stack "dstack-pod"
	struct span pod_payload; // its report_data_payload
	struct span chain[ENVELOPE_CHAIN_MAX]; // SNP
	size_t n_chain;
	struct span mr_config;
	struct envelope_tpm
		*tpm; // GCP TDX; the caller gives the struct or NULL (then such envelopes are refused)
};

// `env->log`, `env->runtime` (e and cap) and `env->tpm` are set by the caller; everything else is filled in.
int envelope_read(struct envelope *env, struct wr *scratch, struct span bytes, struct fault *f);

// V0 unless an event has version 2 or the stack is a pod, then V1, whatever env->version says.
int envelope_write(struct wr *out, const struct envelope *env, struct fault *f);

// Keep what a certificate carries: runtime events without digest, ACPI DATA events; drops the rest, in place.
void envelope_strip(struct envelope *env);

// The vm_config text: env->config, or its string member `vm_config` (unescaped into scratch). "{}" when
// empty.
struct span envelope_vm_config(const struct envelope *env, struct wr *scratch);
