// names - which names an app may have in a certificate of the KMS.
//
// Never one of the KMS's own; never another app's, where names show whose they are: a label of 40 hex digits,
// and everything under the configured app domains, belongs to the app or instance of that id. Beyond that any
// name, or those that match certificates.allowed_names. The app is told apart by its evidence, so this only
// keeps verifiers safe that look at names alone. spec 70 KM-10, CH-06.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { NAMES_MAX = 64 };

struct name_rules {
	const char *const *own; // of the KMS: DNS names and addresses
	size_t n_own;
	const char *domains[NAMES_MAX]; // of apps: "apps.example.org"
	size_t n_domains;
	const char *allowed[NAMES_MAX]; // "app.example.org", "*.example.org", with {app_id}, {instance_id}
	size_t n_allowed;               // 0: any
};

struct name_owner {
	char app[41], instance[41]; // hex; instance "" when there is none
};

bool name_is_valid(const char *name); // a DNS name or an IP address
// A name a certificate can carry at all: DNS, with a wildcard for the first label, or an address.
int name_check_form(const char *name, struct err *e);
// Code csr.san.
int name_check(const struct name_rules *r, const char *name, const struct name_owner *who, struct err *e);
// The subject's common name: free text, unless it reads as a name, or as one of the KMS's CAs. csr.subject.
int name_check_subject(const struct name_rules *r, const char *cn, const struct name_owner *who,
		       struct err *e);
