// certext - what RA-TLS certificates and signing requests carry beside the key: payloads of the extensions
// under 1.3.6.1.4.1.62397.1 and the CSR V1/V2 body. Payload here is what is inside the inner OCTET STRING.
#pragma once
#include "core/attest/envelope.h"

#define OID_DSTACK_QUOTE       "1.3.6.1.4.1.62397.1.1" // legacy: raw TDX quote
#define OID_DSTACK_EVENT_LOG   "1.3.6.1.4.1.62397.1.2" // legacy: event log JSON, or "ELGZv1" + gzip
#define OID_DSTACK_APP_ID      "1.3.6.1.4.1.62397.1.3" // 20 bytes
#define OID_DSTACK_USAGE       "1.3.6.1.4.1.62397.1.4" // UTF-8: kms:rpc, app:ca, app:custom, ...
#define OID_DSTACK_ATTESTATION "1.3.6.1.4.1.62397.1.8" // stripped envelope
#define OID_DSTACK_APP_INFO    "1.3.6.1.4.1.62397.1.9" // struct app_info

enum { APP_INFO_SCRIPTS_MAX = APP_SCRIPTS_MAX };

// MessagePack array of nine, all BIN.
struct app_info {
	struct span app_id, compose_hash, instance_id, device_id, mr_system, mr_aggregated, os_image_hash,
		key_provider_info;
	bool has_scripts; // nil when not
	struct span scripts[APP_INFO_SCRIPTS_MAX];
	size_t n_scripts;
};
void app_info_write(struct wr *out, const struct app_info *info);
int app_info_read(struct app_info *info, struct wr *scratch, struct span bytes, struct fault *f);

// DER OCTET STRING around a payload, and back: extnValue's content.
void octet_string_write(struct wr *out, struct span payload);
int octet_string_read(struct span *payload, struct span der, struct fault *f);

// The legacy event log extension in its compressed form: "ELGZv1" and a gzip file (RFC 1952) of stored
// blocks, which every inflater reads. Decompressing is the caller's (at most 16 KiB come out of a genuine
// one).
enum { EVENT_LOG_EXT_MAX = 16 << 10 };
void event_log_pack(struct wr *out, struct span json);

// Body of a certificate signing request; the ECDSA signature over these bytes travels beside it.
enum { CSR_NAMES_MAX = 128 };
struct csr {
	int version;        // 1 or 2
	bool confirmed;     // it begins with the confirm word: the caller's to check, after the signature
	struct span pubkey; // DER SubjectPublicKeyInfo
	bool has_org;
	struct span org, subject;
	struct span names[CSR_NAMES_MAX]; // subject alternative names
	size_t n_names;
	bool server_auth, client_auth, ext_quote;
	struct span quote, event_log;                     // V1
	bool ext_app_info, has_not_before, has_not_after; // V2
	uint64_t not_before, not_after;
	struct span attestation; // V2: envelope bytes, to the end
};
int csr_read(struct csr *csr, struct span bytes, int version, struct fault *f);
void csr_write(struct wr *out, const struct csr *csr);
