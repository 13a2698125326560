#include "base/secret.h"

#include <sodium.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include "base/strings.h"

struct secret *secret_new(size_t n)
{
	// libsodium puts the end of a block against its guard page; a size that is a multiple of 16 keeps the
	// start aligned.
	size_t whole = (sizeof(struct secret) + n + 15) & ~(size_t)15;

	if (n > SIZE_MAX / 2 || sodium_init() < 0)
		return NULL;
	struct secret *s = sodium_malloc(whole);
	if (!s)
		return NULL;
	memset(s, 0, whole);
	s->n = n;
	return s;
}

struct secret *secret_dup(const void *p, size_t n)
{
	struct secret *s = secret_new(n);

	if (s && n)
		memcpy(s->b, p, n);
	return s;
}

struct secret *secret_random(size_t n)
{
	struct secret *s = secret_new(n);

	if (s)
		randombytes_buf(s->b, n);
	return s;
}

struct secret *secret_from_hex(const char *hex, size_t n)
{
	struct secret *s = secret_new(n / 2);
	size_t len;

	if (s && hex_read(s->b, s->n, hex, n, &len)) {
		secret_free(s);
		return NULL;
	}
	return s;
}

void secret_free(struct secret *s)
{
	sodium_free(s); // wipes; NULL is fine
}

bool secret_eq(const struct secret *a, const struct secret *b)
{
	return a->n == b->n && !sodium_memcmp(a->b, b->b, a->n);
}

void secret_wipe(void *p, size_t n)
{
	sodium_memzero(p, n);
}

int secret_process(struct err *e)
{
	struct rlimit none = { 0, 0 };

	if (sodium_init() < 0)
		return err_set(e, ERR_SYSTEM, "start libsodium");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return err_errno(e, "make the process not dumpable");
	if (setrlimit(RLIMIT_CORE, &none))
		return err_errno(e, "switch core files off");
	return 0;
}
