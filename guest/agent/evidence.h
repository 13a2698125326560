// evidence - a fresh quote with the event log that explains it, and the forms in which the agent hands it
// out.
//
// Spec 10 sections 8.1 to 8.5. Nothing here is verified: who receives it does that.
#pragma once
#include "agent.h"
#include "core/attest/certext.h"
#include "core/attest/quote.h"

struct evidence {
	uint8_t report_data[TEE_REPORT_DATA];
	struct tee_quote quote;
	struct tee_log log; // firmware's events, then the runtime ones
	size_t runtime_at;
	const struct evidence_source *source; // of the agent
};

// In the arena; its log is freed by evidence_done. Takes a while: for workers.
struct evidence *evidence_get(struct agent *g, const uint8_t report_data[static TEE_REPORT_DATA],
			      struct arena *a, struct err *e);
// The same before any of those: for the agent itself, never at a client's wish.
struct evidence *evidence_get_first(struct agent *g, const uint8_t report_data[static TEE_REPORT_DATA],
				    struct arena *a, struct err *e);
void evidence_done(struct evidence *v);

// The versioned attestation; `strip` as certificates carry it.
int evidence_envelope(const struct evidence *v, const char *vm_config, bool strip, struct arena *a,
		      struct span *out, struct err *e);
// The same whole and in the form V1, whatever the events need.
int evidence_envelope_v1(const struct evidence *v, const char *vm_config, struct arena *a, struct span *out,
			 struct err *e);
// JSON array of the events. `boot_payloads`: with what the firmware measured, not only its digests.
char *evidence_events(const struct evidence *v, bool boot_payloads, struct arena *a, struct err *e);
// The events a certificate carries, for the legacy extension.
char *evidence_cert_events(const struct evidence *v, struct arena *a, struct err *e);

// What the evidence says about the app and its machine. Spans point into the evidence.
struct facts {
	struct td_report td;
	struct app_events app;
	uint8_t mr_system[32], mr_aggregated[32], device_id[32];
	uint8_t os_image_hash[32];
	bool has_os_image_hash;
};
int evidence_facts(const struct evidence *v, const char *vm_config, struct facts *out, struct err *e);
// The payload of the certificate's app info extension.
int evidence_app_info(const struct facts *f, struct arena *a, struct span *out, struct err *e);
