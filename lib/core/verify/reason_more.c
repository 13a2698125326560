// The codes that the rest of the tree reports, for `dstack explain`. Sorted by what they are about.
#include "core/verify/reason_more.h"

// clang-format off
const struct reason_text reason_more[] = {
	{
		"verify.not_checked", "A required claim was not checked",
		"Nothing was given to compare it with, and what is not compared never passes.",
		"Give the missing expectation or evidence.",
	},
	{
		"verify.too_many", "More claims than a verdict holds",
		"The evidence makes more statements than any genuine one.",
		"Do not trust it.",
	},
	{
		"measure.mrtd", "MRTD differs from the image's",
		"The firmware that the machine started is not the image's.",
		"Check which image it was started from and that the right image folder is configured.",
	},
	{
		"measure.rtmr0", "RTMR0 differs from the image's",
		"The virtual hardware or the firmware's settings are not what the machine's configuration says.",
		"Compare CPU count, memory size and QEMU version; dstack explain --expected names the first event that differs.",
	},
	{
		"measure.rtmr1", "RTMR1 differs from the image's",
		"Another kernel was started than the image's.",
		"Check the image. QEMU patches the kernel's header, so its version matters, too.",
	},
	{
		"measure.rtmr2", "RTMR2 differs from the image's",
		"The kernel's command line or the initramfs is not the image's.",
		"Somebody changed how the image is booted: start it as it was built.",
	},
	{
		"measure.rtmr3", "RTMR3 does not follow from the event log",
		"The log handed over is not what the machine recorded.",
		"Do not trust it; the log was altered on its way.",
	},
	{
		"measure.base_unverified", "The base measurements were matched against no image",
		"No image with the stated hash is in the image folder.",
		"Put the image's folder there, or build it from its recipe, and verify again.",
	},
	{
		"measure.acpi", "The log does not give the ACPI digests",
		"Without them RTMR0 cannot be computed.",
		"Use evidence with the whole boot log.",
	},
	{
		"measure.qemu", "Unknown QEMU version",
		"How this QEMU patches the kernel is not known.",
		"Use a QEMU version that dstack doctor lists.",
	},
	{
		"measure.firmware", "The firmware cannot be measured",
		"It lacks the description that a TDX firmware carries.",
		"Use the firmware of the image.",
	},
	{
		"measure.kernel", "The kernel cannot be measured",
		"It is no kernel that boots directly.",
		"Use the kernel of the image.",
	},
	{
		"measure.soft_profile", "The measurements of the software TEE are accepted under a development root only",
		"A genuine quote claims to come from a machine without TDX.",
		"Do not trust it.",
	},
	{
		"image.unknown", "No image with this hash",
		"The evidence names an image that is not in the image folder.",
		"Add the image's folder, or use an image that is there.",
	},
	{
		"image.absent", "No such image",
		"The image's folder or one of its files is missing.",
		"Run dstack image or make image to build it.",
	},
	{
		"image.digest", "A file of the image was altered",
		"Its SHA-256 is not the one in the image's list.",
		"Fetch or build the image again.",
	},
	{
		"image.metadata", "metadata.json of the image is malformed",
		"The image cannot be used.",
		"Build the image again.",
	},
	{
		"image.hash", "The image changed while it was used",
		"Its files are not those that were checked at first.",
		"Build or fetch it again and keep others from writing to it.",
	},
	{
		"policy.empty", "The allow-list is empty",
		"Nothing is allowed until somebody allows it.",
		"Add the app (dstack deploy does) or the KMS to the allow-list.",
	},
	{
		"policy.app_not_allowed", "The app is not on the allow-list",
		"Its id may not get keys here.",
		"Allow the app id, if you meant to run it.",
	},
	{
		"policy.compose_not_allowed", "The compose file is not on the allow-list",
		"The app is known, this version of its compose file is not. It may have been edited after it was deployed.",
		"Deploy it again, or allow the new compose hash after reading the file.",
	},
	{
		"policy.image_not_allowed", "The image is not on the allow-list",
		"The guest image of this machine may not be used for the app.",
		"Use an allowed image, or allow its hash.",
	},
	{
		"policy.device_not_allowed", "The device is not on the allow-list",
		"This machine may not run the app.",
		"Allow its device id, or any device.",
	},
	{
		"policy.kms_not_allowed", "The KMS is not on the allow-list",
		"Another KMS asked for the root keys and is not known.",
		"Allow its mr_aggregated, if it is yours.",
	},
	{
		"policy.tcb_not_allowed", "The platform's TCB status is not allowed",
		"Its firmware is older than the policy demands.",
		"Update the machine, or allow the status and accept the advisories.",
	},
	{
		"policy.advisory_not_allowed", "A security advisory applies that the policy does not allow",
		"The platform has a known weakness.",
		"Update the machine, or allow the advisory.",
	},
	{
		"policy.development", "Evidence under a development root is not allowed",
		"It proves nothing about hardware.",
		"Use a TDX machine, or set insecure_development for tests.",
	},
	{
		"policy.boot_info", "The machine's identity is incomplete",
		"What the policy must judge is missing from the evidence.",
		"Update the guest image.",
	},
	{
		"policy.unavailable", "The policy could not be asked",
		"Without an answer nothing is allowed.",
		"See the KMS's log; restore the allow-list or its service.",
	},
	{
		"policy.syntax", "The allow-list is malformed",
		"It cannot be used as it is.",
		"Correct the line that the message names.",
	},
	{
		"ratls.no_evidence", "The certificate carries no evidence",
		"The peer did not show what code it runs.",
		"The peer must use a certificate from its guest agent.",
	},
	{
		"ratls.key_mismatch", "The certificate's key is not the attested one",
		"The evidence belongs to another key: somebody else may hold this one.",
		"Do not trust the connection.",
	},
	{
		"ratls.event_log", "The event log in the certificate is malformed",
		"The certificate is broken or altered.",
		"Get a new one from the guest agent.",
	},
	{
		"ratls.extension", "An extension of the certificate is malformed",
		"The certificate is broken or altered.",
		"Get a new one from the guest agent.",
	},
	{
		"ratls.time", "The certificate is not valid now",
		"Its time has passed or has not come.",
		"Check the clocks of both machines.",
	},
	{
		"ratls.usage", "The certificate is for another use",
		"It may not be used for this connection.",
		"Connect to the right service.",
	},
	{
		"ratls.app_id", "The certificate is another app's",
		"The app id in it is not the one expected.",
		"Check the address.",
	},
	{
		"report_data.mismatch", "report_data is not what was expected",
		"The quote was made for another key or challenge.",
		"Ask for evidence with a fresh nonce.",
	},
	{
		"quote.config_id", "MRCONFIGID does not hold the compose hash",
		"The machine was not started with this configuration.",
		"Start it again; the VMM sets MRCONFIGID.",
	},
	{
		"collateral.fetch", "Collateral could not be fetched",
		"Without it no quote can be judged.",
		"Check attestation.pccs_url and the network.",
	},
	{
		"events.format", "The event log is malformed",
		"It cannot be replayed.",
		"Fetch it again.",
	},
	{
		"events.digest", "An event's digest is not that of its content",
		"The log was altered.",
		"Do not trust it.",
	},
	{
		"events.duplicate", "An event is there twice",
		"What counts once must not be said twice.",
		"Do not trust it.",
	},
	{
		"events.name", "An event has a name that is not allowed",
		"It could be taken for another event.",
		"Rename the event.",
	},
	{
		"events.limit", "The event log is too long",
		"It has more events than a machine makes.",
		"Do not trust it.",
	},
	{
		"events.app_id", "The app id is not the one in the event log",
		"The evidence names another app than the machine recorded.",
		"Do not trust it.",
	},
	{
		"events.compose_hash", "The compose hash is not the one in the event log",
		"The evidence names another configuration than the machine recorded.",
		"Do not trust it.",
	},
	{
		"events.instance_id", "The instance id is not the one in the event log",
		"The evidence names another instance than the machine recorded.",
		"Do not trust it.",
	},
	{
		"events.key_provider", "The key provider is not the one in the event log",
		"The machine got its keys from somebody else.",
		"Check which KMS it was deployed with.",
	},
	{
		"events.rtmr3", "RTMR3 does not follow from the event log",
		"The log handed over is not what the machine recorded.",
		"Do not trust it; the log was altered on its way.",
	},
	{
		"envelope.format", "The evidence is malformed",
		"It is no attestation of a known form.",
		"Fetch it again.",
	},
	{
		"envelope.version", "The evidence has an unknown version",
		"It comes from newer software.",
		"Update this software.",
	},
	{
		"config.development_root", "A development root is configured without insecure_development",
		"Whoever holds its key could forge any evidence, so it is never used by accident.",
		"Set insecure_development = true for tests; in production remove attestation.development_root.",
	},
	{
		"config.development_only", "A setting for development is used without insecure_development",
		"It weakens what the program promises.",
		"Set insecure_development = true for tests, or remove the setting.",
	},
	{
		"config.unknown_key", "The configuration has an unknown key",
		"It may be a spelling mistake, so it is not ignored.",
		"See --help-config for all keys.",
	},
	{
		"config.missing", "A required key is missing in the configuration",
		"The program cannot choose it for you.",
		"Add it; see --help-config.",
	},
	{
		"config.syntax", "The configuration is no TOML",
		"It cannot be read.",
		"Correct the line that the message names.",
	},
	{
		"config.type", "A configuration value has the wrong type",
		"It cannot be used.",
		"See --help-config.",
	},
	{
		"config.range", "A configuration value is out of range",
		"It cannot be used.",
		"See --help-config.",
	},
	{
		"config.duplicate", "A configuration key is given twice",
		"It is not clear which one is meant.",
		"Remove one.",
	},
	{
		"kms.no_keys", "The KMS has no root keys",
		"It has not been bootstrapped.",
		"Set bootstrap, or restore the keys from a backup.",
	},
	{
		"kms.partial_keys", "Some of the KMS's key files are missing",
		"Keys made together must be kept together.",
		"Restore all of them from a backup.",
	},
	{
		"kms.env_key_signature", "The environment key is not signed by the KMS",
		"Sealing to it could give the secrets away.",
		"Check the KMS's address.",
	},
	{
		"kms.env_key_time", "The environment key was signed too long ago or in the future",
		"The answer may be an old one played back, or one of the clocks is wrong.",
		"Set the clocks of this machine and of the KMS; then ask again.",
	},
	{
		"kms.ca_mismatch", "The KMS's root certificate is not that of its root key",
		"A file of the key folder was replaced.",
		"Restore root-ca.crt from the same backup as root-ca.key.",
	},
	{
		"kms.dir_not_empty", "The key folder holds other files",
		"Root keys are made all at once by one rename, which needs a folder of their own.",
		"Give core.cert_dir a folder that is empty or does not exist.",
	},
	{
		"kms.key_process", "The KMS's key process ended",
		"The process that holds the root keys is gone, so nothing can be derived.",
		"See the log for why, and start the KMS again.",
	},
	{
		"kms.api_version", "The KMS does not know this version of the request",
		"The guest is newer than the KMS.",
		"Update the KMS.",
	},
	{
		"kms.app_id", "An app id is not 20 bytes",
		"App ids are 20 bytes, 40 hex digits.",
		"Check the request.",
	},
	{
		"csr.version", "The certificate request is of an unknown version",
		"Versions 1 and 2 are known.",
		"Update the KMS, or the guest.",
	},
	{
		"csr.format", "The certificate request cannot be read",
		"It is cut short or not one.",
		"Check who makes it.",
	},
	{
		"csr.confirm", "The certificate request does not begin with the confirm word",
		"The bytes were signed for another purpose.",
		"Do not sign them.",
	},
	{
		"csr.key", "The certificate request's key is not P-256",
		"Only P-256 keys are certified.",
		"Use a P-256 key.",
	},
	{
		"csr.signature", "The certificate request is not signed by its own key",
		"Who asks does not hold the key.",
		"Do not sign it.",
	},
	{
		"csr.text", "A text of the certificate request is not plain text",
		"Subject, organisation and names are UTF-8 without control characters, 253 bytes at most.",
		"Correct the request.",
	},
	{
		"csr.san", "A requested name is not allowed",
		"It is no host name or address, or it is one of the KMS's own.",
		"Ask for the app's own names.",
	},
	{
		"csr.validity", "The requested validity ends before it begins",
		"Nothing could be valid in that time.",
		"Correct the request.",
	},
	{
		"cert.extension", "A dstack extension of the certificate is malformed or there twice",
		"No dstack component writes such a certificate.",
		"Do not trust it.",
	},
	{
		"tls.peer_chain", "The peer's certificate does not chain to the pinned root",
		"It was issued by another authority, whatever its names say.",
		"Check the address and which root is configured.",
	},
	{
		"tls.peer_usage", "The peer's certificate is for another use",
		"For example an app's certificate where the KMS's is needed.",
		"Check the address; do not go on.",
	},
	{
		"seal.tag", "Sealed bytes do not open with this key",
		"They were sealed for another app or KMS, or changed.",
		"Deploy again, so that the environment is sealed anew.",
	},
	{
		"seal.size", "Sealed bytes are too short or too long",
		"They are not a sealed environment.",
		"Deploy again.",
	},
	{
		"key.scalar", "A private key is out of range",
		"Zero, or not below the order of the curve.",
		"The key file is damaged: restore it.",
	},
	{
		"config.names", "A configured name is no host name or address",
		"rpc.sans lists what clients use to reach the KMS.",
		"Correct the configuration.",
	},
	{
		"platform.tdx_unavailable", "This host cannot run TDX machines",
		"platform = tdx never falls back to emulation.",
		"See dstack doctor for what the host lacks.",
	},
	{
		"platform.qemu", "QEMU cannot be used",
		"It is not installed or does not run.",
		"Install qemu-system-x86.",
	},
	{
		"tee.absent", "No TEE is reachable",
		"The machine has no device to get a quote from.",
		"Run it as a confidential VM, or with the software TEE.",
	},
	{
		"tee.quote", "The quote could not be made",
		"The quoting service failed.",
		"See the host's log: QGS for TDX, dstack-softtee otherwise.",
	},
	{
		"tee.refused", "The TEE refused",
		"The request is not allowed.",
		"See the message.",
	},
	{
		"share.not_regular", "A shared file is no regular file",
		"Links and devices could lead the guest or the host astray.",
		"Put plain files only into the VM's share.",
	},
	{
		"share.too_large", "A shared file is too large",
		"The share is read once and whole.",
		"Make the file smaller.",
	},
	{
		"disk.header", "The disk's encryption header is not one of ours",
		"The host may have changed it to weaken the encryption.",
		"Use the machine's own disk; restore it from a backup if it is damaged.",
	},
	{
		"disk.key", "The key does not open the disk",
		"The disk belongs to another machine.",
		"Give the machine its own disk.",
	},
	{
		"init.verity", "The root image does not match its hash",
		"It was altered after it was built, or is damaged.",
		"Build or fetch the image again.",
	},
	{
		"init.cmdline", "The kernel's command line is malformed",
		"The guest does not know which root image to check.",
		"Start the image with the command line it was built with.",
	},
	{
		"init.root", "The root image's disk is missing",
		"The guest cannot start.",
		"Check the VM's disks.",
	},
	{
		"sni.domain", "The name asked for is not one of this gateway's",
		"Nothing is connected.",
		"Check the address.",
	},
	{
		"sni.label", "The name asked for names no app",
		"Nothing is connected.",
		"Use <app or instance id>[-<port>][s or g].<domain>.",
	},
	{
		"register.app_mismatch", "The app id is not the certificate's",
		"A machine may register only as what its certificate says.",
		"Use the certificate that the KMS gave it.",
	},
	{
		"register.no_certificate", "No client certificate was shown",
		"Only attested machines may register.",
		"Use the certificate that the KMS gave it.",
	},
	{
		"app_id.mismatch", "the guest is another app",
		"The app id that the guest measured at boot is not the expected one.",
		"Check the id that was given; `dstack ls` shows those of this stack.",
	},
	{
		"compose_hash.mismatch", "the guest runs another compose file",
		"The measured hash of app-compose.json is not the expected one: the file was edited after deployment, or another was expected.",
		"Compare the bytes of the two files; a single blank makes another app.",
	},
	{
		"csr.confirm", "signing request lacks its confirmation word",
		"A signing request begins with a fixed sentence, so that no other signature can be passed off as one.",
		"Make the request with a current client.",
	},
	{
		"csr.format", "signing request cannot be read",
		"The request is cut or of another version.",
		"Make the request with a current client.",
	},
	{
		"envelope.platform", "evidence is of a platform not verified here",
		"The envelope holds evidence of SEV-SNP, Nitro or GCP, or the quote is an enclave's.",
		"Use TDX, or the software TEE for development.",
	},
	{
		"envelope.size", "attestation is too large",
		"No genuine attestation has more than 10 MiB.",
		"Check what was sent.",
	},
	{
		"envelope.trailing", "bytes after the attestation",
		"Something was appended to the envelope.",
		"Pass the attestation alone.",
	},
	{
		"events.disagree", "two event lists differ",
		"The evidence carries the runtime events twice and they are not the same.",
		"Nothing can be shown that was not replayed: fetch the evidence again.",
	},
	{
		"events.imr", "event of a register that does not exist",
		"Registers are 0 to 3.",
		"Check the log's source.",
	},
	{
		"events.preimage", "preimage missing or not canonical",
		"A version-2 event must carry the canonical JSON of its name and payload.",
		"Fetch the log again.",
	},
	{
		"events.type", "boot event in the runtime register",
		"RTMR3 holds runtime events only.",
		"Check the log's source.",
	},
	{
		"events.version", "event version unknown",
		"Runtime events have version 1 or 2.",
		"Update this program.",
	},
	{
		"image.file", "image file differs from the manifest",
		"A file in the image folder is not the one that sha256sum.txt lists.",
		"Fetch or build the image again.",
	},
	{
		"image.manifest", "image manifest malformed",
		"A line is not \"<sha256>  <flat name>\", or a name occurs twice.",
		"Fetch or build the image again.",
	},
	{
		"image.not_expected", "the guest runs another image",
		"os_image_hash is not the expected one.",
		"Deploy with the expected image, or expect this one.",
	},
	{
		"image.unlisted", "file not in the image manifest",
		"The manifest does not list a file that is needed.",
		"Build the image with a current recipe.",
	},
	{
		"key_provider.mismatch", "keys come from another KMS",
		"The key provider that the guest measured is not the expected KMS root key.",
		"Check --kms-root; a guest whose keys come from elsewhere must not be trusted.",
	},
	{
		"measure.measurement", "measurement.tdx.cbor malformed",
		"The file is cut or of another version.",
		"Build the image again.",
	},
	{
		"ratls.app_info", "app info extension malformed",
		"It must be an array of nine.",
		"Check the issuer's version.",
	},
	{
		"report_data.envelope", "report data differs from the envelope's",
		"The envelope names other report data than its quote signs.",
		"Fetch the evidence again.",
	},
	{
		"report_data.hash", "unknown hash algorithm",
		"It is none of sha256, sha384, sha512, sha3-*, keccak*, raw.",
		"Use one of these.",
	},
	{
		"report_data.payload", "report data is not that of the payload",
		"The pod's payload is not what the quote signs.",
		"Fetch the evidence again.",
	},
	{
		"report_data.size", "report data has the wrong size",
		"raw takes exactly 64 bytes.",
		"Pad or hash it.",
	},
	{
		"vm_config.format", "vm_config cannot be read",
		"A member of the machine description has the wrong type.",
		"Check the VMM's version.",
	},
};
// clang-format on

const size_t reason_more_count = sizeof reason_more / sizeof *reason_more;
