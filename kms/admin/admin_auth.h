// admin_auth - who may use the admin listener: holders of the token, or of a name and password.
//
// Trusts two files: a token (0600), an htpasswd file of bcrypt lines only. Secrets are compared as SHA-256
// digests in constant time; nothing configured, an empty token, or a file that holds anything but bcrypt
// lines refuses to start: no secret is never the same as no check. spec 20 section 1.6.
#pragma once
#include "base/err.h"
#include "rpc/http.h"

struct admin_auth;

// Either path may be "". Codes: admin.no_auth, admin.token, admin.htpasswd.
// For the admin listener: without a token file the token may be in the environment, as upstream's may
// (DSTACK_KMS_ADMIN_TOKEN, else ADMIN_API_TOKEN).
struct admin_auth *admin_auth_new_env(const char *token_file, const char *htpasswd_file, struct err *e);
struct admin_auth *admin_auth_new(const char *token_file, const char *htpasswd_file, struct err *e);
void admin_auth_free(struct admin_auth *a);
// X-Admin-Token, else Authorization: Bearer TOKEN, Basic USER:PASSWORD, Basic ANY:TOKEN, Basic TOKEN:.
// One thread at a time.
bool admin_auth_allows(struct admin_auth *a, const struct http_head *h);
