// config_upstream - the keys of upstream's kms.toml that have another name or form here, and which.
// Upstream's file is refused, each key with what to write instead: no key of it shall mean something else
// than its operator thinks. spec 20 section 4.2.
#pragma once
#include "base/config.h"

// clang-format off
#define KMS_UPSTREAM_KEYS \
	{ "default.*", CONFIG_ELSEWHERE, .doc = "limits.*, --log and --log-level: leave it out" }, \
	{ "rpc.port", CONFIG_ELSEWHERE, .doc = "a part of rpc.address: \"tcp:0.0.0.0:8000\"" }, \
	{ "rpc.tls.key", CONFIG_ELSEWHERE, .doc = "always rpc.key in core.cert_dir: leave it out" }, \
	{ "rpc.tls.certs", CONFIG_ELSEWHERE, .doc = "always rpc.crt in core.cert_dir: leave it out" }, \
	{ "rpc.tls.mutual.ca_certs", CONFIG_ELSEWHERE, .doc = "always tmp-ca.crt in core.cert_dir: leave it out" }, \
	{ "rpc.tls.mutual.mandatory", CONFIG_ELSEWHERE, .doc = "always false: a client certificate is asked for, not demanded" }, \
	{ "core.subject_postfix", CONFIG_ELSEWHERE, .doc = "unused, as it was: leave it out" }, \
	{ "core.sev_snp_key_release", CONFIG_ELSEWHERE, .doc = "always false: leave it out" }, \
	{ "core.aws_nitro_tpm_key_release", CONFIG_ELSEWHERE, .doc = "always false: leave it out" }, \
	{ "core.attestation.insecure_allow_external_trust_anchors", CONFIG_ELSEWHERE, .doc = "insecure_development" }, \
	{ "core.attestation.urls.pccs", CONFIG_ELSEWHERE, .doc = "attestation.pccs_url" }, \
	{ "core.attestation.urls.amd_kds", CONFIG_ELSEWHERE, .doc = "nothing, keys are for TDX guests: leave it out" }, \
	{ "core.attestation.amd_kds_base_url", CONFIG_ELSEWHERE, .doc = "nothing, keys are for TDX guests: leave it out" }, \
	{ "core.attestation.root_ca.*", CONFIG_ELSEWHERE, .doc = "attestation.development_root, with insecure_development" }, \
	{ "core.image.verify", CONFIG_ELSEWHERE, .doc = "image.verify; false needs image.insecure_skip_verify" }, \
	{ "core.image.cache_dir", CONFIG_ELSEWHERE, .doc = "image.cache_dir (downloads) and image.dir (images put there)" }, \
	{ "core.image.download_url", CONFIG_ELSEWHERE, .doc = "image.download_url" }, \
	{ "core.image.download_timeout", CONFIG_ELSEWHERE, .doc = "image.download_timeout_s, in seconds" }, \
	{ "core.admin.enabled", CONFIG_ELSEWHERE, .doc = "core.admin.address: empty is off" }, \
	{ "core.admin.port", CONFIG_ELSEWHERE, .doc = "a part of core.admin.address: \"tcp:127.0.0.1:8001\"" }, \
	{ "core.admin.auth_token", CONFIG_ELSEWHERE, .doc = "core.admin.token_file, a file of mode 0600" }, \
	{ "core.admin.insecure_no_auth", CONFIG_ELSEWHERE, .doc = "not to be had: there is no admin listener without a secret" }, \
	{ "core.auth_api.type", CONFIG_ELSEWHERE, .doc = "policy.source[].type, or policy.file" }, \
	{ "core.auth_api.webhook.url", CONFIG_ELSEWHERE, .doc = "policy.source[].url, of type \"webhook\"" }, \
	{ "core.auth_api.dev.gateway_app_id", CONFIG_ELSEWHERE, .doc = "policy.source[].gateway_app_id, of type \"dev\"" }, \
	{ "core.onboard.enabled", CONFIG_ELSEWHERE, .doc = "core.onboard.address: empty is off" }, \
	{ "core.onboard.port", CONFIG_ELSEWHERE, .doc = "a part of core.onboard.address: \"tcp:127.0.0.1:8002\"" }
// clang-format on
