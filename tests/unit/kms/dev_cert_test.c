// IssueDevelopmentCert over the real admin listener: refused, with its code, unless insecure_development is
// on. Security case KM-15: what only development may do.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../../kms/admin/admin.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "kms.pb-c.h"
#include "rpc/client.h"

#define TOKEN "0123456789abcdef0123456789abcdef"

static struct listener {
	char dir[64], address[96], token_file[96];
	struct kms_config config;
	struct service service;
	struct admin admin;
	struct event_base *base;
	struct event *on_stop;
	int stop[2];
	pthread_t loop;
} l;

static void *loop(void *arg)
{
	event_base_loop(arg, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

static void start(bool insecure_development)
{
	struct err e = { 0 };

	l.config = (struct kms_config){ .insecure_development = insecure_development,
					.admin_address = l.address,
					.admin_token_file = l.token_file,
					.admin_htpasswd_file = "" };
	l.service = (struct service){ .config = &l.config }; // no key process: nothing could be signed
	l.base = event_base_new();
	assert_int_equal(admin_start(&l.admin, &l.service, -1, l.base, &e), 0);
	assert_int_equal(pipe(l.stop), 0);
	l.on_stop = event_new(l.base, l.stop[0], EV_READ, on_stop, l.base);
	event_add(l.on_stop, NULL);
	assert_int_equal(pthread_create(&l.loop, NULL, loop, l.base), 0);
}

static void end(void)
{
	assert_int_equal(write(l.stop[1], "x", 1), 1);
	pthread_join(l.loop, NULL);
	event_free(l.on_stop);
	admin_free(&l.admin);
	event_base_free(l.base);
	close(l.stop[0]);
	close(l.stop[1]);
	unlink(l.address + 5);
}

static void ask(const char *token, size_t app_id, struct err *e)
{
	Kms__DevelopmentCertRequest q = KMS__DEVELOPMENT_CERT_REQUEST__INIT;
	Kms__SignCertResponse *out = NULL;
	uint8_t spki[P256_SPKI], app[32] = { 0 };
	auto_pkey EVP_PKEY *key = p256_new(e);
	auto_arena *a = arena_new(0);
	char header[80], url[128];

	assert_int_equal(p256_spki(key, spki, e), 0);
	q.public_key = (ProtobufCBinaryData){ sizeof spki, spki };
	q.app_id = (ProtobufCBinaryData){ app_id, app };
	q.name = "gateway";
	snprintf(header, sizeof header, "X-Admin-Token: %s", token);
	snprintf(url, sizeof url, "%s:/prpc", l.address);
	auto_rpc_client *c = rpc_client_new(url, &(struct rpc_client_opts){ .header = header }, e);
	assert_non_null(c);
	*e = (struct err){ 0 };
	assert_int_equal(rpc_client_call(c, "IssueDevelopmentCert", &q.base,
					 &kms__sign_cert_response__descriptor, a, (void **)&out, e),
			 -1);
}

static void km_15_issue_development_cert_refused(void **state)
{
	struct err e = { 0 };

	(void)state;
	start(false);
	ask(TOKEN, 20, &e);
	assert_string_equal(e.code, "config.development_only");
	ask("another", 20, &e); // the door is before it
	assert_string_equal(e.code, "admin.unauthorized");
	end();
}

// The same request where development is on is refused for its own fault only.
static void km_15_issue_development_cert_in_development(void **state)
{
	struct err e = { 0 };

	(void)state;
	start(true);
	ask(TOKEN, 19, &e);
	assert_string_equal(e.code, "kms.app_id");
	end();
}

static int setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	snprintf(l.dir, sizeof l.dir, "/tmp/dev_cert_test.XXXXXX");
	if (!mkdtemp(l.dir))
		return -1;
	snprintf(l.address, sizeof l.address, "unix:%s/admin.sock", l.dir);
	snprintf(l.token_file, sizeof l.token_file, "%s/token", l.dir);
	return file_write_str(l.token_file, 0600, TOKEN, &e) || rpc_client_setup();
}

static int teardown(void **state)
{
	struct err e;

	(void)state;
	return file_remove_tree(l.dir, &e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(km_15_issue_development_cert_refused),
		cmocka_unit_test(km_15_issue_development_cert_in_development),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
