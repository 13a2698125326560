// certs - certificates that the gateway makes or serves itself: a development CA with a wildcard certificate.
//
// For local stacks only: browsers and `curl --cacert DIR/ca.pem` trust it when told to. Keys are written with
// mode 0600 and never leave the folder.
#pragma once
#include <stdbool.h>
#include "base/err.h"

// ca.pem, ca.key, cert.pem (leaf, CA), key.pem in `dir`. What is there and still good for 30 days stays.
// *made says whether anything was written.
int dev_cert(const char *domain, const char *dir, bool *made, struct err *e);
