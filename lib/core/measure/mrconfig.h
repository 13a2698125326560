// mrconfig - what the host bound a machine to before it started: TDX's MRCONFIGID (48 bytes) and SEV-SNP's
// host data.
//
// Form 1 holds the compose hash, form 2 a Keccak-256 over compose hash, app id and key provider, form 3 the
// SHA-256 of a document (RFC 8785 JSON). All zeros: not bound. Nothing here is trusted: the id comes out of a
// verified quote, the facts out of the replayed runtime events, the document from anywhere.
#pragma once
#include "core/measure/measure.h"

enum { MR_CONFIG_LEN = 48, MR_CONFIG_DOCUMENT_MAX = 8192, MR_CONFIG_PROVIDER_ID_MAX = 1024 };

// Which of the members are there; compose_hash always is.
enum {
	MR_CONFIG_APP_ID = 1,
	MR_CONFIG_GPU_POLICY = 2,
	MR_CONFIG_SCRIPTS = 4,
	MR_CONFIG_INSTANCE_ID = 8,
	MR_CONFIG_PROVIDER_ID = 16,
	MR_CONFIG_PROVIDER = 32, // key_provider; always in a document, not always among the facts
};

struct mr_config {
	unsigned has;
	struct span compose_hash, app_id, gpu_policy_hash, instance_id, key_provider_id; // bytes
	struct span scripts[APP_SCRIPTS_MAX];
	size_t n_scripts;
	enum key_provider_kind key_provider;
};

// The document of form 3: version 3, known members only, lower-case hex, canonical to the byte. Code
// config_id.document. Decoded members lie in `scratch` (half the document's size is enough).
int mr_config_read(struct mr_config *c, struct wr *scratch, struct span document, struct fault *f);
void mr_config_write(struct wr *out, const struct mr_config *c);
// SHA-256 of tag and document: SEV-SNP's host data, and what form 3 holds.
void mr_config_digest(uint8_t out[32], struct span document);

// The same members as the runtime events tell them. Without a key-provider event (it comes after
// boot-mr-done) MR_CONFIG_PROVIDER is not set; who knows the provider otherwise sets it. `scratch`: size of
// that event. Code events.key_provider when that event is not {name, id}.
int mr_config_facts(struct mr_config *c, struct wr *scratch, const struct app_events *app, struct fault *f);
// Does every member that `document` has say the same as the facts? Code config_id.differs. A provider that
// the facts do not know is not compared.
int mr_config_agrees(const struct mr_config *document, const struct mr_config *facts, struct fault *f);

enum mr_config_result {
	MR_CONFIG_UNBOUND, // all zeros: says nothing
	MR_CONFIG_BOUND,   // made for exactly these facts
	MR_CONFIG_OPEN, // cannot be computed: form 2 or 3 without a provider, or form 3 without its document
	MR_CONFIG_BAD,  // another id than `want`; `f` has the code (quote.config_id, config_id.*)
};
// Judge the id of a quote. `document` may be empty: form 3 is then rebuilt from the facts, every choice of
// optional members. `want` is what the id should be, zeros when that is not known. `scratch` as for
// mr_config_read.
enum mr_config_result mr_config_judge(uint8_t want[MR_CONFIG_LEN], const uint8_t id[MR_CONFIG_LEN],
				      const struct mr_config *facts, struct span document, struct wr *scratch,
				      struct fault *f);
