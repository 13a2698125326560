// kms_fetch - the audit log of a KMS in a CVM, brought to this machine: kms/logs/<log id>/ of the stack.
//
// What is fetched is checked by whoever verifies it: `dstack kms log verify DIR` (records against the head
// that was signed when it was fetched).
#pragma once
#include "kms_site.h"

int kms_fetch_log(struct kms_site *j, const struct stack_kms *k, char dir[static PATH_MAX], struct err *e);
