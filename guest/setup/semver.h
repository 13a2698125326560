// semver - version requirements as app-compose files write them: ">=0.5.4, <0.7", "^0.6", "1.2.*", "=0.6.0".
//
// Comparators joined by commas must all hold; no operator means "^" (Cargo's rules). Build metadata is not
// compared; a version with a pre-release is only matched by an "=" of the same text.
#pragma once
#include <stdbool.h>

// -1: not a requirement. *ok says whether `version` fulfils it.
int semver_match(const char *requirement, const char *version, bool *ok);
