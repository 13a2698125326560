// The admin listener's credentials (spec 70 OP-06): what opens it, and that nothing else does.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../kms/admin/admin_auth.h"
#include "base/file.h"
#include "core/codec/base64.h"

static char dir[] = "/tmp/admin-auth-XXXXXX", token[64], passwords[64];
// "correct horse" with a salt that is easy to read; cost 5.
static const char alice[] = "alice:$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2";

static void put(const char *path, mode_t mode, const char *text)
{
	struct err e;

	unlink(path);
	assert_int_equal(file_write_str(path, mode, text, &e), 0);
}

static bool allows(struct admin_auth *a, const char *lines)
{
	static struct http_head h;
	char text[1024];
	int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", lines);

	assert_int_equal(http_head_parse(&h, text, (size_t)n), 0);
	return admin_auth_allows(a, &h);
}

static bool basic(struct admin_auth *a, const char *both)
{
	char text[512], line[600];
	struct wr w = wr_to(text, sizeof text - 1);

	wr_base64(&w, span_str(both));
	snprintf(line, sizeof line, "Authorization: Basic %.*s\r\n", (int)w.n, text);
	return allows(a, line);
}

static void refused(const char *token_file, const char *htpasswd, const char *code)
{
	struct err e = { 0 };

	assert_null(admin_auth_new(token_file, htpasswd, &e));
	assert_string_equal(e.code, code);
}

static void op_06_nothing_configured_is_refused(void **state)
{
	(void)state;
	refused("", "", "admin.no_auth");
	put(token, 0600, "");
	refused(token, "", "admin.token");
	put(token, 0600, " \n");
	refused(token, "", "admin.token");
	refused("/dev/null/none", "", "");
	put(token, 0644, "secret");
	struct err e = { 0 };
	assert_null(admin_auth_new(token, "", &e)); // others may read it
}

static void op_06_only_bcrypt(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"\n",
		"alice\n",
		":$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n",
		"alice:password\n",
		"alice:$apr1$abcdefgh$0123456789abcdefghijkl\n",
		"alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n",
		"alice:$6$salt$hash\n",
		"alice:$2x$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n",
		"alice:$2y$31$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n",
		"alice:$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy\n",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		put(passwords, 0600, bad[i]);
		refused("", passwords, "admin.htpasswd");
	}
	char text[256]; // one line that is not bcrypt spoils the file
	snprintf(text, sizeof text, "%s\nbob:plain\n", alice);
	put(passwords, 0600, text);
	refused("", passwords, "admin.htpasswd");
}

static void op_06_token(void **state)
{
	struct err e = { 0 };

	(void)state;
	put(token, 0600, "  t0ken\n");
	struct admin_auth *a = admin_auth_new(token, "", &e);
	if (!a)
		fail_msg("%s", e.text);
	assert_true(allows(a, "X-Admin-Token: t0ken\r\n"));
	assert_true(allows(a, "Authorization: Bearer t0ken\r\n"));
	assert_true(allows(a, "authorization: bearer t0ken\r\n"));
	assert_true(allows(a, "X-Admin-Token: wrong\r\nAuthorization: Bearer t0ken\r\n"));
	assert_true(basic(a, "anyone:t0ken"));
	assert_true(basic(a, "t0ken:"));
	assert_false(allows(a, ""));
	assert_false(allows(a, "X-Admin-Token: t0ke\r\n"));
	assert_false(allows(a, "X-Admin-Token: t0kenn\r\n"));
	assert_false(allows(a, "X-Admin-Token:\r\n"));
	assert_false(allows(a, "Authorization: Bearer\r\n"));
	assert_false(allows(a, "Authorization: t0ken\r\n"));
	assert_false(allows(a, "Authorization: Basic t0ken\r\n"));
	assert_false(allows(a, "Authorization: Basic ####\r\n"));
	assert_false(basic(a, "t0ken:x"));
	assert_false(basic(a, "t0ken"));
	assert_false(basic(a, ":"));
	admin_auth_free(a);
}

static void op_06_passwords(void **state)
{
	struct err e = { 0 };

	(void)state;
	put(passwords, 0600, alice);
	struct admin_auth *a = admin_auth_new("", passwords, &e);
	if (!a)
		fail_msg("%s", e.text);
	assert_true(basic(a, "alice:correct horse"));
	assert_false(basic(a, "alice:wrong"));
	assert_false(basic(a, "bob:correct horse"));
	assert_false(basic(a, "alice:"));
	assert_false(basic(a, ":correct horse"));
	assert_false(allows(a, "X-Admin-Token: correct horse\r\n"));
	// Tries are bounded: bcrypt is paid by the loop. What was right before stays right.
	for (int i = 0; i < 50; i++)
		assert_false(basic(a, "alice:guess"));
	assert_true(basic(a, "alice:correct horse"));
	admin_auth_free(a);
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(token, sizeof token, "%s/token", dir);
	snprintf(passwords, sizeof passwords, "%s/htpasswd", dir);
	return 0;
}

static int remove_dir(void **state)
{
	struct err e;

	(void)state;
	return file_remove_tree(dir, &e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(op_06_nothing_configured_is_refused),
		cmocka_unit_test(op_06_only_bcrypt),
		cmocka_unit_test(op_06_token),
		cmocka_unit_test(op_06_passwords),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
