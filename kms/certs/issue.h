// issue - `dstack-kms issue`: an RPC certificate for a gateway that runs outside a CVM. Development only.
//
// Offline: opens the key folder itself. Such a certificate says "this is app ID" without evidence, so it is
// refused unless the configuration says insecure_development.
#pragma once

int issue_main(int argc, char **argv); // argv[0] is "issue"; the exit status
