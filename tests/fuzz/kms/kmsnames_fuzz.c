// Any text as a name for a certificate: what is allowed is a name, and none of the KMS's or of another app's.
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../../kms/certs/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

static const char app[] = "00112233445566778899aabbccddeeff00112233";

// A label that is 40 hex digits, whole or before a hyphen, and not the app's.
static int names_another(const char *name)
{
	for (const char *p = name; *p; p += strcspn(p, "."), p += *p == '.') {
		size_t hex = strspn(p, "0123456789abcdefABCDEF");
		if (hex == 40 && (p[40] == '.' || p[40] == '-' || !p[40]) && strncasecmp(p, app, 40))
			return 1;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	static const char *const own[] = { "kms.example.org", "10.0.2.2" };
	const struct name_rules any = { .own = own, .n_own = 2, .domains = { "apps.test" }, .n_domains = 1 },
				few = { .own = own,
					.n_own = 2,
					.allowed = { "*.shop.test", "{app_id}.x.test" },
					.n_allowed = 2 };
	struct name_owner who = { .instance = "" };
	struct err e = { 0 };
	char name[600];

	if (n >= sizeof name)
		return 0;
	memcpy(name, d, n);
	name[n] = 0;
	memcpy(who.app, app, sizeof app);
	if (!name_check(&any, name, &who, &e)) {
		const char *rest = strncmp(name, "*.", 2) ? name : name + 2;
		if (!name_is_valid(rest) || !strcasecmp(name, own[0]) || !strcmp(name, own[1]) ||
		    !strcasecmp(name, "*.example.org") || !strcasecmp(name, "*.apps.test") ||
		    names_another(name))
			abort();
	}
	if (!name_check(&few, name, &who, &e) &&
	    (strlen(name) < 7 || strcasecmp(name + strlen(name) - 7, "op.test")) &&
	    strcasecmp(name, "00112233445566778899aabbccddeeff00112233.x.test"))
		abort();
	(void)name_check_subject(&any, name, &who, &e);
	return 0;
}
