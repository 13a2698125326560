// sender - who made the sealed environment, judged before any key is asked for, and that it is the newest.
//
// The host can put any bytes there. An app whose compose file names signers (requirements.env_signers) takes
// it from these only, with a version that never goes back on this data disk; one that names none takes
// upstream's anonymous box. A file that is there and empty is never an environment without variables.
#pragma once
#include "compose.h"
#include "crypto/envsign.h"

struct sender {
	struct span box;   // to be opened with the app's key; p NULL: there is none
	struct span whole; // as it lay on the share
	uint64_t version;  // 0: anonymous
};

// `file` has p NULL when it is not there. Codes: env.missing, env.empty, env.unsigned, env.envelope,
// env.signer, env.signature.
int sender_judge(const struct compose *c, const uint8_t app[static ENVSIGN_APP], struct span file,
		 struct sender *out, struct err *e);

// Held against what the data disk mounted on `disk` remembers, then remembered there, durably, before it is
// used. An anonymous one is not compared. Codes: env.replayed, env.record.
int sender_remember(const struct sender *s, const char *disk, struct err *e);
