// Any header lines at the admin listener's door: nobody who does not know the token gets in.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../kms/admin/admin_auth.h"
#include "base/secret.h"
#include "base/strings.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

static struct admin_auth *door(void)
{
	char path[] = "/tmp/kmsadmin-XXXXXX";
	struct secret *token = secret_random(32); // another one in each process: no seed can know it
	int fd = mkstemp(path);
	struct err e = { 0 };

	if (!token || fd < 0 || dprintf(fd, "%s\n", STR_HEX(token->b, 32)) < 0)
		abort();
	close(fd);
	struct admin_auth *a = admin_auth_new(path, "", &e);
	unlink(path);
	secret_free(token);
	if (!a)
		abort();
	return a;
}

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	static const char first[] = "GET / HTTP/1.1\r\nHost: kms\r\n";
	static struct admin_auth *a;
	static struct http_head h;
	char text[HTTP_HEAD_MAX];

	if (!a)
		a = door();
	if (n > sizeof text - sizeof first - 4)
		return 0;
	memcpy(text, first, sizeof first - 1);
	memcpy(text + sizeof first - 1, d, n);
	memcpy(text + sizeof first - 1 + n, "\r\n\r\n", 4);
	if (!http_head_parse(&h, text, sizeof first - 1 + n + 4) && admin_auth_allows(a, &h))
		abort();
	return 0;
}
