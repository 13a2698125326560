// notify - what the host is told: progress, errors, the instance's ids. Best effort, never a secret.
#pragma once
#include "sysconf.h"

// The host API's address; set once the share was read. Until then the usual one.
void notify_address(const char *url);
void notify(const char *event, const char *payload);
void notify_progress(const char *what);
void notify_error(const struct err *e); // boot.error "code: text"
