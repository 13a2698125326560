// Explanations of codes about keys, certificates, policy, the KMS.
#include "core/verdict/reason_more.h"

// clang-format off
static const struct reason_text table[] = {
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
		"policy.app_suspended", "The app is suspended",
		"Its owner or the policy stopped it for now; nothing else is affected.",
		"Resume it where it was suspended (dstack app resume), after finding out why.",
	},
	{
		"policy.denied", "The policy service said no",
		"It was asked and answered; its reason is in the message.",
		"Allow the app, image or device at that service, if you meant to.",
	},
	{
		"policy.dev_only", "A policy that allows everything was asked about a real TEE",
		"Type dev is for development: it judges evidence under a development root and denies all other.",
		"Configure a policy: a file, a webhook or a chain (docs/policy.md).",
	},
	{
		"policy.timeout", "The policy service did not answer in time",
		"Without an answer nothing is allowed.",
		"Look at the service's log and load; the times are connect_timeout and timeout of its source.",
	},
	{
		"policy.connect", "The policy service cannot be reached",
		"Without an answer nothing is allowed.",
		"Start it, or correct the url of its source.",
	},
	{
		"policy.tls", "The policy service's certificate does not hold",
		"Somebody else may have answered in its place.",
		"Renew its certificate, or correct ca_file, client_cert and client_key of its source.",
	},
	{
		"policy.seal", "The policy service's answer is not sealed for this question",
		"Somebody in between changed it or answered in its place, or its key is another.",
		"Give both sides the same hmac_key_file; look at what is between them.",
	},
	{
		"policy.status", "The policy service answered with another HTTP status than 200",
		"Errors and redirects are not an answer to the question.",
		"Look at the service's log for the request.",
	},
	{
		"auth.seal", "The question to the policy server is not sealed with its key",
		"Somebody else asked, the question was changed on its way, or the clocks are more than a minute apart.",
		"Give the KMS's source the hmac_key_file of the server; set both clocks.",
	},
	{
		"auth.request", "The policy server was asked with a malformed boot info",
		"A member is missing or has another size than it must have.",
		"See the text for the member. Check that a KMS asks, in JSON, at /bootAuth/app or /bootAuth/kms.",
	},
	{
		"kms.issuer", "The KMS's certificate is by another root",
		"Another KMS answers at that address, or it was set up anew.",
		"Find out which KMS the app's evidence names as key provider, and ask that one.",
	},
	{
		"kms.other_image", "The KMS would become another",
		"Its compose file is its identity: with another image it has another disk key, and so other roots.",
		"Keep the image, or make a new stack. To move the roots, onboard a second KMS (docs/kms.md).",
	},
	{
		"kms.reply", "The KMS's answer is not what was asked for",
		"It has another number of parts than it must have.",
		"Check that the address is that of the KMS, and that its version is this program's.",
	},
	{
		"policy.reply", "The policy service's answer is malformed",
		"Only a whole, well-formed answer can allow something.",
		"Update the service, or see docs/policy.md for what it must answer.",
	},
	{
		"policy.reply_too_large", "The policy service's answer is too long",
		"Answers are bounded, whoever sends them.",
		"Find out what answers at this address.",
	},
	{
		"policy.busy", "Too many questions to the policy service are waiting",
		"The service is slower than the guests that ask.",
		"Try again; make the service faster.",
	},
	{
		"policy.stopping", "The service is being stopped",
		"The question was not answered before.",
		"Try again.",
	},
	{
		"policy.quorum", "Too few policy sources allow it",
		"Each source's reason is in the message.",
		"Allow it at the sources that said no, or repair those that did not answer.",
	},
	{
		"policy.quorum_gateway", "The policy sources name different gateways",
		"No gateway has enough sources behind it.",
		"Set the same gateway app id at every source.",
	},
	{
		"policy.chain_id", "The node is on another chain",
		"What it says about the contract is about another contract.",
		"Connect to a node of the chain, or correct chain_id.",
	},
	{
		"policy.chain_code", "There is no contract at the address",
		"An address without code allows nothing.",
		"Correct the contract's address.",
	},
	{
		"policy.chain_stale", "The chain's head is too old",
		"The node is not synchronised, or somebody keeps newer blocks from it: a revocation may be missing.",
		"Repair the node; the bound is head_max_age.",
	},
	{
		"policy.chain_reorg", "The chain was reorganised deeper than its confirmations",
		"What was taken as final is not part of the chain any more.",
		"Find out why; it heals itself when the new branch is confirmed. Consider more confirmations.",
	},
	{
		"policy.chain_revert", "The contract's answer is an error",
		"The app's contract reverted, or has no such method.",
		"Repair or upgrade the app's contract.",
	},
	{
		"policy.chain_reply", "The node's answer is malformed",
		"Only a whole, well-formed answer can allow something.",
		"Find out what answers at this address.",
	},
	{
		"config.policy", "The policy sources are not configured right",
		"Nothing is served without a policy.",
		"Correct the entry that the message names; see docs/policy.md.",
	},
	{
		"config.policy_channel", "The way to the policy service is open to others",
		"Whoever sits in between could allow anything.",
		"Use a unix socket, loopback, or https with a client certificate; see docs/policy.md.",
	},
	{
		"chain.rpc", "The node refused or its answer is malformed",
		"Nothing is known to have changed on the chain.",
		"See what the node says; check address, key and funds.",
	},
	{
		"chain.reverted", "The transaction was reverted",
		"It is in a block and changed nothing.",
		"Sign with the owner's key, and see the contract's reason at the node.",
	},
	{
		"chain.no_receipt", "The transaction is in no block yet",
		"It may still be taken later.",
		"Look it up by its hash before you send it again.",
	},
	{
		"chain.key", "The key file holds no key",
		"It must be 64 hex digits.",
		"Write the key as hex into a file with mode 0600.",
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
		"ratls.app_info", "app info extension malformed",
		"It must be an array of nine.",
		"Check the issuer's version.",
	},
	{
		"ratls.certificate", "The certificate cannot be encoded",
		"It is damaged.",
		"Fetch it again.",
	},
	{
		"ratls.no_app_id", "The certificate names no app id",
		"It was not issued by a KMS to an app.",
		"Use an app's certificate.",
	},
	{
		"ratls.no_usage", "The certificate names no special usage",
		"It was not issued for this purpose.",
		"Check who answers at the address.",
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
		"The process that holds the root keys ended while it was asked; another one is started at once.",
		"Ask again. If it comes again, see the KMS's log.",
	},
	{
		"kms.judge_ended", "The evidence ended the processes that judge evidence",
		"It was asked of two of them, and both ended or took too long. It is not looked at for ten minutes.",
		"No good evidence does this: report it. If the machine was out of memory, ask again later.",
	},
	{
		"kms.no_judge", "No process is free to judge the evidence",
		"All of them were busy for half a minute, or could not be started.",
		"Ask again later. See limits.workers, and the KMS's log.",
	},
	{
		"kms.crash_loop", "The KMS's processes end again and again",
		"More than ten ended within a minute, so the KMS ended as a whole.",
		"See the log above for the first of them.",
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
		"kms.cache_key", "A cache key is not hexadecimal",
		"Entries are named by hashes; anything else could name another file.",
		"Give the hash in hex, or `all`.",
	},
	{
		"kms.no_agent", "No guest agent gives evidence of this KMS",
		"A KMS shows that it runs in a TEE as every app does, through the guest agent of its VM.",
		"Run it inside a confidential VM and give core.agent the agent's socket.",
	},
	{
		"kms.own_evidence", "The evidence of the KMS itself cannot be used",
		"It does not fit into a certificate.",
		"Check the guest agent's version.",
	},
	{
		"kms.self_denied", "The policy does not allow this KMS itself",
		"Its own evidence does not hold, or the policy does not list its measurement and device.",
		"Compare the log's reason with the policy; GetAttestationInfo shows the values.",
	},
	{
		"kms.bootstrapped", "The KMS has keys already",
		"Roots are made or taken over once and never replaced.",
		"Finish the set-up, or give a new KMS an empty key folder.",
	},
	{
		"kms.domain", "The domain is not a DNS name",
		"It becomes the name of the KMS's certificate.",
		"Give labels of letters, digits and hyphens, at most 63 each and 253 in all.",
	},
	{
		"kms.no_handover", "This KMS gives its roots to no other",
		"core.handover is not set, and the key process keeps the roots.",
		"Set core.handover = true on the KMS that replicas are made from.",
	},
	{
		"kms.no_root_set", "This KMS has no such root set",
		"An epoch or a request names a root set that was never made here, or was not handed over.",
		"See which there are (dstack kms roots); a replica made before a rotation is onboarded anew.",
	},
	{
		"kms.roots_full", "This KMS has as many root sets as it can",
		"Each root rotation adds one; none is ever removed, for what hangs on it would be lost.",
		"Set up a new KMS and move the apps to it.",
	},
	{
		"kms.root_listener", "Not at this address",
		"The address serves a root set after the first; the roots are handed over at the address of the "
		"first one only.",
		"Onboard from rpc.address of the source.",
	},
	{
		"kms.place_taken", "The stack's second place for a KMS is taken",
		"A stack has two: the KMS it asks, and one that is made or was replaced. The other one has another image.",
		"Finish with its image, or remove it: dstack kms upgrade --remove-old keeps its log.",
	},
	{
		"kms.other_roots", "Two KMSs have different roots",
		"An app would get other keys from the one than from the other.",
		"Do not use the new one; remove it, and onboard it again from the KMS you mean.",
	},
	{
		"kms.rules_differ", "Two KMSs serve different epochs or revocations",
		"Something was rotated or revoked at one of them since the other took the roots over.",
		"Make the same change at the other one (dstack kms policy shows both), then run the command again.",
	},
	{
		"kms.handover_closed", "The handover of the roots is closed",
		"core.handover_closed is set, and no administrator has opened it for this KMS, or the time is over.",
		"Open it: dstack kms handover --mr HEX, with the new KMS's measurement; dstack kms deploy --from does.",
	},
	{
		"kms.handover_request", "The handover cannot be opened like that",
		"It is opened for one measurement of 32 bytes, for an hour at most.",
		"Give the new KMS's mr_aggregated, which its set-up page shows.",
	},
	{
		"config.attestation_off", "A KMS without evidence of itself",
		"Guests and auditors could not tell it from a copy outside of a TEE.",
		"Remove the two switches, or set insecure_development = true for development.",
	},
	{
		"config.image", "The image settings contradict each other",
		"Without the image check a guest may say of its image what it likes.",
		"Keep image.verify, or set image.insecure_skip_verify with it; give a download URL with {OS_IMAGE_HASH}.",
	},
	{
		"setup.token", "The set-up has no token",
		"Whoever reaches the set-up listener decides whose keys this KMS has.",
		"Write a long random token into a file of mode 0600 and name it in core.onboard.token_file, or a bcrypt of it in core.onboard.htpasswd_file.",
	},
	{
		"setup.no_keys", "There is nothing to finish",
		"The set-up ends only when there are keys.",
		"Bootstrap or onboard first.",
	},
	{
		"setup.unfinished", "The set-up was stopped",
		"It got a signal before it was told to finish.",
		"Start the KMS again.",
	},
	{
		"onboard.url", "The address of the other KMS cannot be used",
		"Roots are only taken over TLS.",
		"Give https://HOST:PORT.",
	},
	{
		"onboard.source_denied", "The policy does not allow the other KMS",
		"Its evidence holds, but this KMS's policy does not list its measurement and device.",
		"Allow it in this KMS's policy if it is the one you mean.",
	},
	{
		"onboard.peer_changed", "Another key answers than the attested one",
		"Somebody between the two KMSs answers the second connection: the keys would be theirs.",
		"Find out who controls the network between them; nothing was taken over.",
	},
	{
		"onboard.keys", "The other KMS's answer has not one set of keys",
		"It is of another version, or not a KMS.",
		"Check its version.",
	},
	{
		"onboard.keys_mismatch", "The keys handed over are not the announced ones",
		"The private keys do not belong to the root the attested connection announced.",
		"Do not use that KMS; nothing was taken over.",
	},
	{
		"admin.no_auth", "The admin listener has no secret",
		"Without a token or passwords anyone who reaches it would be an admin.",
		"Set core.admin.token_file or core.admin.htpasswd_file, or remove core.admin.address.",
	},
	{
		"admin.token", "The admin token is empty",
		"An empty token would let anyone in.",
		"Write a long random token into core.admin.token_file.",
	},
	{
		"admin.htpasswd", "The file of admin passwords is not bcrypt only",
		"Weaker hashes are not accepted, and an empty file is not the same as no passwords.",
		"Make its lines with `htpasswd -B`.",
	},
	{
		"admin.unauthorized", "No valid admin credentials",
		"The admin listener answers holders of its token or of a password only.",
		"Send X-Admin-Token, or Authorization with the token or name and password.",
	},
	{
		"kms.env_key_form", "The KMS's environment key has the wrong form",
		"It is of another version, or not a KMS.",
		"Check the KMS's address and version.",
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
		"csr.subject", "The requested subject is not allowed",
		"It reads as a name of the KMS, of one of its CAs or of another app.",
		"Choose another common name.",
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
		"key.public", "The public key is malformed",
		"It is no point of the algorithm's curve: 33 or 65 bytes for secp256k1, 32 for ed25519.",
		"Pass the public key as the signer gave it.",
	},
	{
		"key.signature", "The signature is malformed",
		"secp256k1 wants r || s and ed25519 R || s, 64 bytes, each number in range.",
		"Pass the signature as the signer gave it, without a recovery byte.",
	},
	{
		"key.scalar", "A private key is out of range",
		"Zero, or not below the order of the curve.",
		"The key file is damaged: restore it.",
	},
	{
		"dev_cert.name", "The development certificate's folder or domain is too long",
		"They name the files of the local development CA.",
		"Use shorter ones.",
	},
	{
		"forge.edit", "An edit does not fit the layer",
		"The offset, text or place in DER that it names is not in the bytes made so far.",
		"Look at the layer with --layers DIR and correct offset, text or path.",
	},
	{
		"forge.recipe", "The recipe cannot be followed",
		"It has an unknown name, a value of the wrong form, or too many edits.",
		"See dstack-softtee forge --fields for the names and the form of each value.",
	},
	{
		"forge.size", "The layer is too large",
		"Certificates and revocation lists are made in 4 KiB.",
		"Use fewer or smaller extensions, or give the whole layer as `der`.",
	},
	{
		"pki.incomplete", "The development PKI's folder has files but no root",
		"Making a new one would mix two.",
		"Give an empty folder, or restore the old one.",
	},
};
// clang-format on

const struct reason_group reason_keys = { table, sizeof table / sizeof *table };
