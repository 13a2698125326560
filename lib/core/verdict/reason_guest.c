// Explanations of codes about what happens inside the guest.
#include "core/verdict/reason_more.h"

// clang-format off
static const struct reason_text table[] = {
	{
		"simulator.attestation", "The simulator's attestation is of no use",
		"The file is not an attestation envelope of a TDX machine.",
		"Use one that Attest gave, or upstream's attestation.bin.",
	},
	{
		"localkey.host", "The local key provider's answer is empty",
		"The host answered without a sealed key or without the enclave's quote.",
		"See the log of the host's key provider.",
	},
	{
		"localkey.quote", "The local key provider's quote is no enclave's",
		"Its answer must come with a quote of an SGX enclave.",
		"Check what answers at the VMM's key_provider.address.",
	},
	{
		"localkey.binding", "The enclave's quote is not over this sealed key",
		"The host put together parts of two answers.",
		"Start the VM again. If it stays, the host is not to be trusted.",
	},
	{
		"localkey.box", "The sealed key does not open",
		"It was sealed to another guest's key.",
		"Start the VM again. If it stays, the host is not to be trusted.",
	},
	{
		"simulator.seed", "The simulator's seed is none",
		"mock_attestation_seed is not 32 bytes in hex.",
		"Give 64 hex digits, or leave it out: quotes are then not signed anew.",
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
		"tee.busy", "Another process asked for a quote at the same time",
		"The kernel's interface serves one at a time.",
		"Try again.",
	},
	{
		"tee.extend", "The register does not show the extension",
		"The kernel or the TEE lost it.",
		"Restart the VM; see the guest's kernel log.",
	},
	{
		"tee.override", "A path override is malformed",
		"DCAP_TDX_* variables take absolute paths.",
		"Correct or unset them.",
	},
	{
		"tee.unknown", "No such TEE driver",
		"It is one of auto, tdx, soft.",
		"Correct the configuration.",
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
		"share.absent", "A file of the share is missing",
		"The VMM writes it for every VM.",
		"Deploy again; check the VMM's version.",
	},
	{
		"share.mode", "A shared file has the wrong mode",
		"It is not as the VMM writes it.",
		"Deploy again.",
	},
	{
		"share.read", "A shared file cannot be read",
		"The share is damaged.",
		"Stop and start the VM: the share is made anew.",
	},
	{
		"share.ambiguous", "Several disks have the share's label",
		"The guest does not guess which is its own.",
		"Attach one share.",
	},
	{
		"share.instance_info", ".instance_info is malformed",
		"It holds the machine's ids and is written by the VMM and the guest.",
		"Restore it; a VM that never booted can be deployed again.",
	},
	{
		"share.missing", "No disk has the share's label",
		"The VMM attaches it to every VM.",
		"Check the VM's disks and the VMM's version.",
	},
	{
		"share.mount", "The share cannot be mounted",
		"Its file system is damaged.",
		"Stop and start the VM: the share is made anew.",
	},
	{
		"share.sys_config", ".sys-config.json is malformed",
		"The VMM writes it at every start.",
		"Check the VMM's version and configuration.",
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
		"disk.ambiguous", "Several disks could be the data disk",
		"The guest does not guess which is its own.",
		"Attach one data disk.",
	},
	{
		"disk.close", "The encrypted disk cannot be closed",
		"Something still uses it.",
		"See the guest's log; the data is safe once the machine is off.",
	},
	{
		"disk.filesystem", "The file system cannot be made or repaired",
		"mkfs or fsck reported an error.",
		"See the message; restore the disk from a backup if it is damaged.",
	},
	{
		"disk.foreign", "The data disk holds something else",
		"It is neither blank nor encrypted by this guest; it is not overwritten.",
		"Attach a blank disk or the VM's own.",
	},
	{
		"disk.format", "The encrypted disk cannot be made",
		"cryptsetup reported an error.",
		"See the message; the disk may be too small.",
	},
	{
		"disk.missing", "No data disk",
		"None of the disks is blank or encrypted.",
		"Check the VM's disks.",
	},
	{
		"disk.mount", "The data disk's file system cannot be mounted",
		"It is damaged, or of another kind.",
		"Restore it from a backup.",
	},
	{
		"disk.swap", "The swap size is unusable",
		"It is too small or too large.",
		"Correct swap_size in app-compose.json.",
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
		"init.module", "A kernel module cannot be loaded",
		"It is missing or for another kernel.",
		"Build the image again.",
	},
	{
		"init.mount", "A file system cannot be mounted",
		"The first stage cannot go on.",
		"See the message; build the image again if it was changed.",
	},
	{
		"init.switch", "The root cannot be entered",
		"The verified root lacks what the next stage needs.",
		"Build the image again.",
	},
	{
		"agent.algorithm", "The key algorithm is not known",
		"The agent derives secp256k1 and ed25519 keys.",
		"Ask for secp256k1 (k256) or ed25519.",
	},
	{
		"agent.busy", "Too many questions from outside are waiting",
		"The external listener asks the agent for quotes and lists, and a bounded number may wait.",
		"Ask again in a moment.",
	},
	{
		"agent.compose", "The agent cannot read app-compose.json",
		"The file that the set-up left is damaged or has a member of the wrong type.",
		"Start the VM again; if it stays, deploy again.",
	},
	{
		"agent.container", "The container's name is not one",
		"Letters, digits and _ . - only, at most 128, a letter or digit first.",
		"Take the name from the list of containers.",
	},
	{
		"agent.custody", "The process that holds the keys does not answer",
		"It ended, or was asked what it does not know; the agent ends with it.",
		"The supervisor starts the agent again; if it stays, see its log in the guest.",
	},
	{
		"agent.digest", "What is to be signed is no digest",
		"secp256k1_prehashed signs 32 bytes as they are.",
		"Pass a 32-byte digest, or sign the data itself with secp256k1.",
	},
	{
		"agent.engine", "The container engine did not list its containers",
		"Its socket is there, but it did not answer in time, or not with a list.",
		"Ask again; if it stays, see the engine's log in the guest.",
	},
	{
		"agent.event_name", "The event may not have this name",
		"Names of the system's own events are not for apps, and a name is never empty.",
		"Use a name of your own, for example with the app's name in front.",
	},
	{
		"agent.events_full", "The log has no room for another event of the app",
		"A log of more than 1024 events or 1 MiB would be refused by those who verify it.",
		"Emit a hash of many things instead of each; the log begins anew with the next boot.",
	},
	{
		"agent.hash", "The hash algorithm is not known",
		"TdxQuote hashes with sha256, sha384, sha512, sha3-*, keccak* or takes raw data.",
		"Use one of these names, in lower case.",
	},
	{
		"agent.keys", "The agent cannot read the app's keys",
		"The key file that the set-up left is damaged or incomplete.",
		"Start the VM again: its keys are fetched anew.",
	},
	{
		"agent.log_frame", "The container engine's log stream is damaged",
		"A frame was cut off, too large or of an unknown kind.",
		"Ask again; if it stays, see the engine's log in the guest.",
	},
	{
		"agent.logs_busy", "Too many readers of logs",
		"At most 32 are served at a time, and 8 of one address.",
		"Close one that follows, or ask again later.",
	},
	{
		"agent.logs_query", "A parameter of the log request is not understood",
		"Times are Unix seconds or a number with s, m, h or d; tail is a number or all.",
		"Correct the parameter that the text names.",
	},
	{
		"agent.name", "A name in the certificate request is too long, or there are too many",
		"Subject and alternative names have 253 bytes at most.",
		"Shorten the request.",
	},
	{
		"agent.no_container", "There is no such container",
		"The container engine does not know the name.",
		"Take the name from the list of containers.",
	},
	{
		"agent.no_answer", "The main process does not answer the external listener",
		"It is busy, or on its way out.",
		"Ask again; if it stays, see the agent's log in the guest.",
	},
	{
		"agent.not_host", "Only the host may ask this",
		"GuestApi on vsock serves the host (CID 2), not processes of the guest.",
		"Ask through the VMM.",
	},
	{
		"agent.part_ended", "A process of the agent ended by accident",
		"The agent is several processes, and serves with all of them or not at all.",
		"The supervisor starts it again; if it stays, see the agent's log in the guest.",
	},
	{
		"agent.path", "The key's path is too long",
		"A path is part of a key's derivation and is bounded.",
		"Use a shorter path, for example a hash of it.",
	},
	{
		"agent.poweroff", "The machine could not be powered off from inside",
		"The program that asks the init to is missing or failed.",
		"End the VM from outside (StopVm).",
	},
	{
		"agent.purpose", "The key's purpose is too long",
		"A purpose is signed with the key and has 60 KiB at most.",
		"Use a shorter purpose, for example a hash of it.",
	},
	{
		"agent.report_data", "The report data has the wrong length",
		"A quote carries 64 bytes; raw data must have just as many.",
		"Hash the data and pass the hash.",
	},
	{
		"agent.reserved", "The report data is the system's",
		"Report data that begins with dstack-system-1: would speak for the OS image, not for an app.",
		"Use other bytes, for example a hash of yours.",
	},
	{
		"agent.sys_config", "The agent cannot read the machine's description",
		".sys-config.json is damaged or lacks vm_config.",
		"Start the VM again; check the VMM's version.",
	},
	{
		"agent.sysinfo", "The agent cannot read the machine's state",
		"A file of /proc or /sys is missing or has an unknown form.",
		"See that /proc and /sys are mounted; report the kernel's version if they are.",
	},
	{
		"agent.validity", "The requested validity is not a time span",
		"not_before and not_after are seconds since 1970, the first before the second.",
		"Correct the request.",
	},
	{
		"binding.document", "The measured configuration document does not describe this boot",
		"The host gave an mr_config document that names another app, key provider or script.",
		"Deploy again; if it stays, do not trust the host.",
	},
	{
		"binding.key_provider", "The key provider is not the one that the app pins",
		"key_provider_id in app-compose.json names another; this one was not asked for keys.",
		"Use the key provider that the app names, or deploy it with this one's id.",
	},
	{
		"binding.mrconfigid", "The machine was launched for another app-compose.json",
		"MRCONFIGID holds the hash of what the VMM was given; the share has other bytes: the file was edited after deployment.",
		"Deploy the edited file as a new app; never edit it in place.",
	},
	{
		"boot.mounts", "The guest cannot make its file systems",
		"A mount of the first boot stage failed.",
		"See dstack logs; rebuild the image if it was changed.",
	},
	{
		"boot.registry", "The registry address has characters that no address has",
		"docker_registry of the VMM's configuration is not used.",
		"Correct cvm.docker_registry.",
	},
	{
		"boot.setup", "The guest's set-up failed",
		"dstack-setup ended with an error; the machine powers itself off.",
		"See the line before in dstack logs: it has its own code.",
	},
	{
		"boot.storage", "The container storage cannot be prepared",
		"The encrypted disk is full or damaged.",
		"See dstack logs; give the VM a larger disk.",
	},
	{
		"app.runner", "The image has no such runner",
		"It has docker-compose and bash.",
		"Correct runner in app-compose.json.",
	},
	{
		"app.agent", "The guest agent's socket did not appear",
		"The agent did not start in time.",
		"See dstack logs for its reason.",
	},
	{
		"app.podman", "The container engine's socket did not appear",
		"The engine did not start in time.",
		"See dstack logs; give the VM more memory or disk.",
	},
	{
		"app.init_script", "An init script of the app failed",
		"One of init_script in app-compose.json returned non-zero or exited, so nothing was started.",
		"See dstack logs; correct the script, or what it checks.",
	},
	{
		"boot.init_scripts", "The app's init scripts did not end well",
		"The reason is in the line before (app.init_script).",
		"See dstack logs.",
	},
	{
		"app.environment", "A variable of the environment cannot be set",
		"The guest's shell keeps the name for itself.",
		"Choose another name.",
	},
	{
		"app.pre_launch", "The pre-launch script ended the start",
		"It exited, or a command in it failed.",
		"See dstack logs; correct pre_launch_script.",
	},
	{
		"app.script", "The app's script failed",
		"bash_script ended with an error.",
		"See dstack logs; correct the script.",
	},
	{
		"app.compose", "The app's containers did not start",
		"docker compose up failed.",
		"See dstack logs: image digest, registry and compose file are the usual reasons.",
	},
	{
		"guest.panic", "The guest's kernel gave up",
		"Its own words follow the code.",
		"See dstack logs; memory that is too small is the usual reason.",
	},
	{
		"guest.verity", "The root image does not match the measured root hash",
		"A block that was read is not the one that was built: the image file was altered or is damaged.",
		"Build or fetch the image again.",
	},
	{
		"compose.acpi_tables", "The app wants the other TDX attestation variant",
		"requirements.tdx_measure_acpi_tables does not fit this machine.",
		"Start it on a host with that variant.",
	},
	{
		"compose.feature", "The compose file uses what its manifest_version does not have",
		"Or what this guest does not have.",
		"Raise manifest_version, or leave it out; see the message.",
	},
	{
		"compose.gpu", "The app wants attested GPUs",
		"This guest cannot attest them.",
		"Remove the GPUs, or the requirement.",
	},
	{
		"compose.key_provider", "The key provider is not known",
		"It is one of none, kms, local, tpm.",
		"Correct app-compose.json.",
	},
	{
		"compose.launch_token", "The launch token is missing or not the app's",
		"The app starts only for who knows the token.",
		"Give the token as user config.",
	},
	{
		"compose.manifest_version", "The manifest_version is not known",
		"The app was made for a newer guest.",
		"Use a newer image, or an older manifest_version.",
	},
	{
		"compose.os_version", "The guest's version does not satisfy the app",
		"requirements.os_version is not met, or cannot be compared.",
		"Deploy with another image, or change the requirement.",
	},
	{
		"compose.platform", "The app does not allow this platform",
		"requirements.platforms does not list it.",
		"Run it on one that it lists.",
	},
	{
		"compose.port_policy", "port_policy is malformed",
		"Each port is a number from 1 to 65535 with optional flags.",
		"Correct app-compose.json.",
	},
	{
		"compose.requirement", "A requirement cannot be checked by this guest",
		"What cannot be checked must not be taken as met.",
		"Remove it, or use an image that knows it.",
	},
	{
		"compose.runner", "The runner is not in this guest",
		"This guest has docker-compose.",
		"Use runner docker-compose.",
	},
	{
		"compose.storage_fs", "The file system is not in this guest",
		"This guest has ext4.",
		"Leave storage_fs out, or set it to ext4.",
	},
	{
		"compose.type", "A member of app-compose.json has the wrong type",
		"It is measured as it is, so it is not repaired.",
		"Correct the member that the message names.",
	},
	{
		"gateway.any", "The KMS lets any gateway in",
		"Its gateway_app_id is \"any\": whoever has a certificate of this KMS could be the gateway. This guest refuses that.",
		"Give the KMS's policy the gateway's app id, 40 hex digits.",
	},
	{
		"gateway.app_id", "The gateway is not the app that the KMS named",
		"Someone else answers at its address, or the gateway was deployed anew.",
		"Check the gateway's address, and the app id in the KMS's configuration.",
	},
	{
		"gateway.key", "The guest's WireGuard key is damaged",
		"The file in the guest was cut.",
		"Start the VM again.",
	},
	{
		"gateway.no_kms", "A gateway needs the key provider kms",
		"The guest proves itself to the gateway with the certificate that the KMS signs.",
		"Use key provider kms, or no gateway.",
	},
	{
		"gateway.no_url", "The app wants a gateway but the host named none",
		"cvm.gateway_urls of the VMM is empty.",
		"Configure it, or deploy without gateway.",
	},
	{
		"gateway.reply", "The gateway's answer is incomplete",
		"It lacks a certificate, key or address.",
		"Check the gateway's version and log.",
	},
	{
		"host.no_key_provider", "The host has no key provider",
		"The guest asked for keys of a local provider.",
		"Use the key provider kms.",
	},
	{
		"log.malformed", "The boot log is malformed",
		"The firmware's log is cut, or too large.",
		"Check the firmware; use the image's own.",
	},
	{
		"runtime.log", "The runtime event log is damaged",
		"A line is cut or altered, or the log is full.",
		"Restart the VM.",
	},
	{
		"runtime.name", "An event's name is not allowed",
		"Names are bounded, and some are the system's own.",
		"Use another name.",
	},
	{
		"runtime.out_of_step", "RTMR3 and the runtime event log disagree",
		"The machine was cut off between the two; what it reports could not be replayed.",
		"Restart the VM.",
	},
	{
		"runtime.too_large", "An event's payload is too large",
		"Payloads are bounded.",
		"Emit a hash of the data.",
	},
	{
		"runtime.version", "The file with the event log's version is damaged",
		"It lies on the guest's volatile disk.",
		"Restart the VM.",
	},
	{
		"runtime.version_unset", "The event log's version is not set yet",
		"Events can be emitted once the set-up has read the compose file.",
		"Wait for the boot to end.",
	},
	{
		"time.not_synchronised", "The clock is not synchronised",
		"The app asks for secure_time.",
		"Check that the guest reaches a time server, or leave secure_time out.",
	},
};
// clang-format on

const struct reason_group reason_guest = { table, sizeof table / sizeof *table };
