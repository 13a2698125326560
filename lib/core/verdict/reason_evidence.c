// Explanations of codes about what evidence shows: verdicts, measurements, events, envelopes, images.
#include "core/verdict/reason_more.h"

// clang-format off
static const struct reason_text table[] = {
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
		"measure.snp", "The launch measurement is not an allowed one",
		"Another firmware, kernel, command line or number of processors was launched.",
		"Start the guest as it was released, or allow its measurement after looking into it.",
	},
	{
		"snp.host_data", "The host data are not the hash of the configuration document",
		"The document that came along is not the one the guest was launched with.",
		"Do not trust it; the document was altered on its way.",
	},
	{
		"snp.app_id", "The configuration document names no app",
		"Without an app id nothing says whose guest this is.",
		"Launch it with a document that has app_id.",
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
		"measure.measurement", "measurement.tdx.cbor malformed",
		"The file is cut or of another version.",
		"Build the image again.",
	},
	{
		"image.download", "The image could not be downloaded",
		"Without it the base of the machine is matched against nothing.",
		"Check image_download_url and the network, or put the image's folder into the image folder.",
	},
	{
		"image.archive", "The image archive holds what none may hold",
		"Links, devices, names that lead elsewhere, files twice, or it is damaged or cut short.",
		"Do not use that source; download the image from where it is published.",
	},
	{
		"image.too_large", "The image is larger than any genuine one",
		"Unpacking it was stopped.",
		"Do not use that source.",
	},
	{
		"image.cache_full", "The image folder holds as many images as it may",
		"Images are never removed by themselves.",
		"Remove images that are no longer needed from image_cache_dir.",
	},
	{
		"verifier.request", "The request is malformed",
		"It is no JSON object of the form that POST /verify takes, or too long.",
		"See docs/verifier.md.",
	},
	{
		"verifier.evidence", "The request holds no evidence",
		"Neither attestation nor quote with event_log, or they are not hex.",
		"Send what the guest agent's GetQuote or Attest answered.",
	},
	{
		"verifier.legacy", "The machine's ACPI tables would have to be computed",
		"Its vm_config is not of the lite variant. The verdict shows that all else holds, with the ACPI digests of the log.",
		"Start the machine with tdx_attestation_variant lite, or judge by the verdict.",
	},
	{
		"verifier.certificate", "The certificate is not one of RA-TLS",
		"It must be signed by its own key, be valid now, and be made for digital signatures of a named server or client.",
		"Fetch the certificate from the connection again.",
	},
	{
		"verifier.busy", "Too many verifications are waiting",
		"The queue is bounded.",
		"Try again, or raise workers and queue.",
	},
	{
		"verifier.memory", "Out of memory", "The answer could not be written.", "Try again.",
	},
	{
		"verifier.method", "The path has another method", "POST /verify, GET /health, GET /.", "Use that method.",
	},
	{
		"verifier.path", "There is nothing at this path", "POST /verify, GET /health, GET /.", "Use one of these.",
	},
	{
		"config.root_ca", "A trust anchor is not acceptable",
		"It is no CA certificate, two are set, or the flag is missing by which foreign anchors are allowed.",
		"Set attestation.insecure_allow_external_trust_anchors for development only.",
	},
	{
		"config.image_url", "image_download_url is not usable",
		"It must be an http or https URL with {OS_IMAGE_HASH} in it.",
		"Write {OS_IMAGE_HASH} where the hash belongs.",
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
		"report_data.mismatch", "report_data is not what was expected",
		"The quote was made for another key or challenge.",
		"Ask for evidence with a fresh nonce.",
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
		"quote.config_id", "MRCONFIGID does not hold the compose hash",
		"The machine was not started with this configuration.",
		"Start it again; the VMM sets MRCONFIGID.",
	},
	{
		"config_id.document", "The document behind MRCONFIGID is malformed",
		"MRCONFIGID is of form 3 and the document given for it is not canonical JSON of version 3 with known members.",
		"Pass the exact text that the machine was started with (mr_config of its sys-config).",
	},
	{
		"config_id.differs", "The document behind MRCONFIGID describes another app",
		"The machine measured other values at boot than the host bound it to.",
		"Do not trust it; start the machine again with the configuration meant for it.",
	},
	{
		"config_id.open", "MRCONFIGID could not be compared",
		"It covers a key provider or a document that is not known here.",
		"Give vm_config with its mr_config member, or the expected key provider.",
	},
	{
		"collateral.fetch", "Collateral could not be fetched",
		"Without it no quote can be judged.",
		"Check attestation.pccs_url and the network.",
	},
	{
		"collateral.answer", "The collateral service gave no acceptable answer",
		"It answered, but too long, with a redirect, without an issuer chain, or with something else than asked for.",
		"Check attestation.pccs_url: it must be the base URL of a PCCS or of Intel's PCS.",
	},
	{
		"collateral.unknown_platform", "The collateral service does not know the platform",
		"It has no TCB info for the FMSPC that the quote's certificate names.",
		"Use another collateral service, or register the platform with this one.",
	},
	{
		"collateral.busy", "Too many questions about unknown platforms",
		"Quotes of platforms not seen before cost requests, which are limited.",
		"Try again in a few seconds.",
	},
	{
		"collateral.downgrade", "Collateral older than collateral seen before",
		"Somebody may be hiding what became known since: a vulnerability, a revocation.",
		"Ask why the collateral service went back. To start anew remove newest.json from the cache folder.",
	},
	{
		"collateral.newest", "The record of the newest collateral is damaged",
		"Older collateral could not be told from newer.",
		"Find out who changed it, then remove newest.json from the cache folder.",
	},
	{
		"events.format", "The event log is malformed",
		"It cannot be replayed.",
		"Fetch it again.",
	},
	{
		"events.boot", "The boot events do not fold to the quoted registers",
		"The log handed over is not what the firmware measured, whatever the registers are compared with.",
		"Do not trust it; the log was altered or cut on its way. Evidence without boot events is judged by its registers alone.",
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
		"events.bank", "The log does not have the digests asked for",
		"A TPM log holds digests of the banks that were active at boot only.",
		"Replay one of the banks it has.",
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
		"key_provider.mismatch", "keys come from another KMS",
		"The key provider that the guest measured is not the expected KMS root key.",
		"Check --kms-root; a guest whose keys come from elsewhere must not be trusted.",
	},
	{
		"vm_config.format", "vm_config cannot be read",
		"A member of the machine description has the wrong type.",
		"Check the VMM's version.",
	},
	{
		"engine.disagreement", "two cryptographic engines differ about a signature",
		"One of them is wrong, so nothing can be said about the evidence.",
		"Verify with the command line, try another browser, and report it with the evidence.",
	},
};
// clang-format on

const struct reason_group reason_evidence = { table, sizeof table / sizeof *table };
