// Explanations of codes about what a KMS gives out: audit log, epochs, revocations.
#include "core/verdict/reason_more.h"

// clang-format off
static const struct reason_text table[] = {
	{
		"audit.record", "A record of the audit log is malformed",
		"The file was changed, or damaged beyond an unfinished last record.",
		"Restore the file from a copy; compare the copy with a signed head (dstack kms log verify --head).",
	},
	{
		"audit.chain", "A record of the audit log does not follow from those before it",
		"Records were removed, changed, added or put in another order.",
		"Find out who could write the file. Restore a copy that a signed head confirms.",
	},
	{
		"audit.time", "A record of the audit log is older than the one before it",
		"The KMS never writes such a record: the file was changed.",
		"Restore a copy that a signed head confirms.",
	},
	{
		"audit.range", "The audit log has no such record or size",
		"The question is about more records than there are.",
		"Ask for a size that a tree head named.",
	},
	{
		"audit.head", "A tree head is malformed",
		"It is not the JSON object that a KMS gives.",
		"Use what GetAuditCheckpoint answered, or a line of audit.heads.",
	},
	{
		"audit.signature", "A tree head is not signed by the key it names",
		"It was changed, or made by somebody else.",
		"Do not rely on it; ask the KMS again.",
	},
	{
		"audit.signer", "A tree head is signed by another key than the KMS's root key",
		"Another KMS, or a false one, made it.",
		"Compare the root key with the one that was published for this KMS.",
	},
	{
		"audit.truncated", "The audit log is not the one whose head was signed",
		"Records that were once there are gone or changed: what was given out in them is hidden now.",
		"Restore the log. If it cannot be found, treat what it recorded as unknown and rotate the keys.",
	},
	{
		"audit.fork", "Two signed heads of one log contradict each other",
		"The KMS, or who holds its root key, showed different logs to different people. Both heads together prove it.",
		"Keep both heads. Stop trusting this KMS.",
	},
	{
		"audit.proof", "A proof of the audit log does not hold",
		"What the KMS answered does not lead to the head it signed.",
		"Keep head and proof. Ask again; if it stays, stop trusting this KMS.",
	},
	{
		"audit.other_log", "The head is of another log",
		"Each KMS has a log of its own, and a new one has begun here.",
		"Ask the KMS whose head this is, or find out why its log was replaced.",
	},
	{
		"audit.witness", "What a KMS keeps of another's log is malformed",
		"It is no answer of GetPeerCheckpoints and no file of STATE/audit.peers.",
		"Ask the KMS again; take a file as a KMS wrote it.",
	},
	{
		"audit.no_witness", "The KMS asked keeps no head of this log",
		"It does not follow this log, or this log is another than the one it follows.",
		"Add the KMS to its audit.peer, and compare the log ids that dstack kms log verify prints.",
	},
	{
		"audit.rolled_back", "A replica has a later signed head of this KMS's own log",
		"The state folder of this KMS was put back to an earlier one: records, and with them epochs and revocations, are lost.",
		"Restore the newest state folder. If it cannot be found, treat what it recorded as unknown.",
	},
	{
		"audit.locked", "The audit log is in use by another KMS",
		"Two writers would destroy it.",
		"Stop the other process, or give this one a state folder of its own.",
	},
	{
		"audit.full", "Too many records wait to be written",
		"The disk does not keep up.",
		"Try again; look at the disk of the KMS.",
	},
	{
		"audit.unavailable", "The audit log cannot be written",
		"Without a record no key is given out.",
		"Free space on, or replace, the disk of core.state_dir; restart the KMS when it ended.",
	},
	{
		"audit.rate", "Too many refusals of peers without evidence",
		"Their records would fill the disk, so the KMS answered nothing.",
		"Try again. If it stays, somebody floods the KMS.",
	},
	{
		"epoch.not_served", "The KMS does not serve this epoch for the app",
		"It is older than the oldest or newer than the current one.",
		"Ask for the current epoch (leave it out), or rotate.",
	},
	{
		"epoch.revoked", "The epoch was ended",
		"Keys of it are not given out any more.",
		"Ask for the current epoch; what is still locked by the old one needs a backup or the roots.",
	},
	{
		"epoch.root", "The app's epoch hangs on another root set than this address serves",
		"A KMS serves each root set at an address of its own; a guest that was sent to the wrong one, by its "
		"host or by an old configuration, gets nothing there.",
		"Use the address of the root set that the message names (dstack kms roots), and its CA as "
		"key_provider_id.",
	},
	{
		"roots.statement", "A root set is not proved to follow the one before it",
		"Each set after the first is signed by the K256 key of the set before it and by its own.",
		"Compare the files under roots/ of core.cert_dir with a backup; of a KMS on the network, trust none "
		"of its newer sets.",
	},
	{
		"revoked.app", "The app is revoked",
		"Whatever it runs, it gets no keys here.",
		"Ask the operator of the KMS why.",
	},
	{
		"revoked.compose", "The compose file is revoked",
		"This version of the app gets no keys here.",
		"Deploy another version.",
	},
	{
		"revoked.device", "The machine is revoked",
		"Nothing that runs on it gets keys here.",
		"Use another machine.",
	},
	{
		"revoked.image", "The guest image is revoked",
		"Nothing that boots it gets keys here.",
		"Use another image.",
	},
	{
		"revoked.cert", "The certificate is on its CA's list of revoked ones",
		"The KMS revoked it, or the app, code, machine, image or epoch it was signed for.",
		"A guest that is still allowed asks for a new one by itself; see dstack kms policy and docs/kms-epochs.md.",
	},
	{
		"crl.stale", "No valid list of revoked certificates could be had",
		"The KMS was not reached for longer than its last list is valid, so a certificate may have been revoked "
		"since.",
		"Let the gateway reach the addresses of revocation.kms_urls, each of which must answer.",
	},
	{
		"crl.invalid", "A list of revoked certificates does not hold",
		"It is malformed, not signed by the CA of the app's certificates, from the future, or older than one "
		"seen before.",
		"Check revocation.kms_urls: it is another KMS's, or somebody in between changes what it says.",
	},
	{
		"crl.rate", "Too many lists of revoked certificates were asked for",
		"Lists of apps that have no certificate here are only made at a slow rate.",
		"Ask again later.",
	},
	{
		"crl.full", "Too many certificates are alive",
		"Each one could have to be revoked, so the KMS signs only as many as it can keep count of.",
		"Ask for certificates that live shorter (certificates.max_days), and not for a new one each time.",
	},
	{
		"kms.seed", "The deployment seed is too long",
		"It has at most 64 bytes.",
		"Use a shorter deployment_seed in the compose file.",
	},
	{
		"keypolicy.syntax", "The document of epochs and revocations is malformed",
		"Until it can be read nothing is given out.",
		"Restore it, or let the KMS write it (dstack kms rotate, revoke).",
	},
	{
		"keypolicy.root", "The document of epochs names a root set that this KMS does not have",
		"The root set was never made here, its folder is gone, or the document is another KMS's.",
		"Restore roots/ of core.cert_dir from the backup, or onboard the replica anew.",
	},
	{
		"keypolicy.rollback", "The document of epochs and revocations is older than one seen before",
		"An old one would bring back what was ended.",
		"Restore the newer one.",
	},
	{
		"keypolicy.full", "No more can be kept in the document of epochs and revocations",
		"It has a limit for each kind.",
		"Remove what is obsolete.",
	},
	{
		"keypolicy.value", "A revocation or rotation makes no sense as asked",
		"A kind, length, epoch or time is wrong.",
		"Correct what the message names.",
	},
};
// clang-format on

const struct reason_group reason_release = { table, sizeof table / sizeof *table };
