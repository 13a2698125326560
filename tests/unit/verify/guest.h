// guest - a software TEE's evidence for tests of the whole verdict, in every form: a recorded boot log,
// events of an app, and quote and collateral by softtee/forge under a development PKI whose keys come from a
// seed.
#pragma once
#include "core/attest/reportdata.h"
#include "forge/forge.h"
#include "guest_cert.h"
#include "ratls/verify.h"

enum { GUEST_EVENTS = 64, GUEST_RUNTIME = 64 };

struct guest {
	struct event boot[GUEST_EVENTS], events[GUEST_RUNTIME];
	struct eventlog log, runtime;
	uint8_t mr_td[48], rtmr[4][48], mr_config_id[48], mr_seam_signer[48];
	uint8_t report_data[64];
	bool forged_rtmr; // use rtmr as it is instead of replaying the logs
	char config[4096];
	uint8_t compose_hash[32], app_id[20], instance_id[20], image_hash[32], gpu_hash[32];
	char key_provider[128];
	struct forge forge; // altered by tests before guest_build
};

int guest_setup(void **state); // cmocka group
int guest_teardown(void **state);

void guest_new(struct guest *g); // a good one
void guest_build(struct guest *g);
struct span guest_quote(void); // of the last build; owned by the fixture until the next
struct span guest_collateral(void);
struct span guest_root(void);
// Forms of what was built. The bytes are the fixture's, good until sixteen more were made.
struct span guest_envelope(struct guest *g, bool strip);
struct span guest_log_json(struct guest *g); // one list, as GetQuote gives it
struct span guest_get_quote(struct guest *g);
struct span guest_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
struct span guest_hex(struct span bytes);
struct span guest_json_string(struct span text);
// Certificates of a fixed key; report data of the guest are set for it, then the guest is built.
void guest_bind(struct guest *g); // report data = that of the certificate's key; builds
struct span guest_pem(struct span der);

// What the image of the recorded boot measures to.
const struct verify_image *guest_image(void);
// The verdict, with the fixture's root and collateral and, unless `image` is NULL, that image; freed by the
// next.
struct verify *guest_judge(struct span evidence, const struct verify_input *with,
			   const struct verify_image *image);
void guest_accepts(struct span evidence, const struct verify_input *with);
void guest_refuses(struct span evidence, const struct verify_input *with, const char *code);
const char *guest_claim(const struct verify *v,
			const char *name); // its code, "" when it holds, NULL when absent
