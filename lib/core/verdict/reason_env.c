// Explanations of codes about what a guest gets: its keys, the sealed environment with its sender and
// version.
#include "core/verdict/reason_more.h"

// clang-format off
static const struct reason_text table[] = {
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
		"keys.ca_changed", "The KMS's CA certificate changed between two calls",
		"Two different KMS answered, or one was replaced.",
		"Try again; check the KMS's addresses.",
	},
	{
		"keys.file", "The guest's key file is malformed",
		"The file in the guest was cut.",
		"Start the VM again.",
	},
	{
		"keys.kms_evidence", "The KMS's certificate has evidence that this guest cannot verify",
		"It says that the KMS runs in a CVM, but in a form that this guest does not read. A KMS without evidence is taken by its root alone.",
		"Check the KMS's version; use one whose evidence is a TDX quote.",
	},
	{
		"keys.no_url", "The app needs a KMS but the host named none",
		"cvm.kms_urls of the VMM is empty.",
		"Configure it, or deploy with key provider none.",
	},
	{
		"keys.provider", "The key provider is not in this guest",
		"It has kms and none.",
		"Use one of these.",
	},
	{
		"keys.reply", "The KMS's answer has a value of the wrong size",
		"It is of another version, or not a KMS.",
		"Check the KMS's address and version.",
	},
	{
		"cli.app_unknown", "This VM's app was not deployed from here",
		"What the app is, is read from the file that deploy kept; the VMM's word is not enough to send secrets.",
		"Use the stack folder that deployed it, or deploy it again.",
	},
	{
		"cli.env_not_allowed", "The app does not take a variable of that name",
		"The names are measured: they are part of what the app is.",
		"Deploy the app anew with that variable.",
	},
	{
		"cli.env_signer", "The deployer's key cannot be used",
		"It is 64 hex digits in a file that only its owner can read.",
		"Name the right file with --env-signer.",
	},
	{
		"env.decrypt", "The sealed environment does not open",
		"It was sealed for another app or KMS, or was changed on its way.",
		"Deploy again, so that it is sealed anew.",
	},
	{
		"env.empty", "The file with the sealed environment is empty",
		"The host cut it: a deployer sends none, or a whole one.",
		"Set it again (dstack env). If it stays, the host is not to be trusted.",
	},
	{
		"env.envelope", "The signed environment cannot be read",
		"It is cut short, or of no version.",
		"Set it again (dstack env). If it stays, the host is not to be trusted.",
	},
	{
		"env.json", "The environment is not the expected JSON",
		"It is {env: [{key, value}, ...]} with texts only.",
		"Deploy again with a current client.",
	},
	{
		"env.missing", "The app has signers for its environment, and there is none",
		"The host left it out, or it was never sent.",
		"Set it (dstack env).",
	},
	{
		"env.name", "A variable's name is not allowed",
		"Names are letters, digits and underscores, and are listed in allowed_envs.",
		"Correct the name and deploy again.",
	},
	{
		"env.no_key", "There is an environment but no key to open it",
		"Only a KMS gives a key for it.",
		"Use key provider kms, or deploy without variables.",
	},
	{
		"env.record", "What the disk remembers of the environment's version is damaged",
		"So an older one could not be told from the newest.",
		"Restore the disk from a backup, or deploy with a new one.",
	},
	{
		"env.replayed", "The environment is an older one",
		"This machine already had one of a later version, signed by the app's deployer.",
		"Set it again (dstack env). If it was not you, the host is not to be trusted.",
	},
	{
		"env.signature", "The environment's signature does not hold",
		"It was made for another app, or changed on its way.",
		"Set it again (dstack env). If it stays, the host is not to be trusted.",
	},
	{
		"env.signer", "The environment is signed by somebody else",
		"The app takes it from the keys that requirements.env_signers lists.",
		"Sign with the deployer's key (--env-signer).",
	},
	{
		"env.too_large", "The environment's values are too large",
		"A variable with its name has 128 KiB at most, all together sealed 256 KiB.",
		"Put large data into a volume.",
	},
	{
		"env.truncated", "The sealed environment is cut short",
		"It is smaller than its key, nonce and tag, or larger than any.",
		"Set it again (dstack env). If it stays, the host is not to be trusted.",
	},
	{
		"env.unsigned", "The environment is not signed",
		"Anybody who has the app's public key can make one; this app takes it from its signers only.",
		"Sign with the deployer's key (--env-signer).",
	},
	{
		"env.value", "A variable has a NUL in it",
		"No program could be given it whole.",
		"Encode such data, for example as base64.",
	},
	{
		"compose.allowed_envs", "allowed_envs names a variable that steers programs",
		"Names such as LD_PRELOAD or PATH would let whoever sets them take over the guest's programs; others, such as UID, its shell keeps for itself.",
		"Choose other names; the compose file can map them to these inside a container.",
	},
	{
		"compose.env_signers", "requirements.env_signers is no list of keys",
		"Each is an Ed25519 public key, 64 hex digits; up to 16.",
		"Correct it, or leave it out: then anybody may send the environment.",
	},
};
// clang-format on

const struct reason_group reason_env = { table, sizeof table / sizeof *table };
