#include "guest_cert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "crypto/issue.h"

static X509 *issue(const struct cert_extras *x)
{
	struct cert_spec spec = { .cn = "test",
				  .not_before = GUEST_NOW - 1000,
				  .not_after = GUEST_NOW + 1000,
				  .server_auth = true,
				  .attestation = x->attestation,
				  .quote = x->quote,
				  .event_log = x->event_log,
				  .app_id = x->app_id,
				  .app_info = x->app_info };
	struct err e = { 0 };
	X509 *cert = cert_issue(&spec, guest_key(), &(struct cert_issuer){ .key = guest_key() }, &e);

	if (!cert)
		fail_msg("%s", e.text);
	return cert;
}

struct span guest_cert(const struct cert_extras *x)
{
	X509 *cert = issue(x);
	uint8_t *p = guest_room(), *at = p;
	int n = i2d_X509(cert, NULL);

	assert_true(n > 0 && n < GUEST_ROOM);
	n = i2d_X509(cert, &at);
	X509_free(cert);
	return span_of(p, (size_t)n);
}
