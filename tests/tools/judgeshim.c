// judgeshim - evidence that crashes or stops who reads it, for a program that has no such fault.
//
//   LD_PRELOAD=judgeshim.so program
// Who receives the bytes CRASH-THE-JUDGE falls over, as a parser with a fault does; who receives
// STOP-THE-JUDGE goes on no more.
#undef _FORTIFY_SOURCE // its inline functions are not to be overridden
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#define REAL(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

// Not static: recv is an inline function of the C library's headers.
int judgeshim_has(const void *p, ssize_t n, const char *what);
int judgeshim_has(const void *p, ssize_t n, const char *what)
{
	return n > 0 && memmem(p, (size_t)n, what, strlen(what)) != NULL;
}

ssize_t recv(int fd, void *p, size_t max, int flags)
{
	static __typeof__(&recv) real; // found before system calls are limited: the first one is to come
	char c;

	if (!real)
		real = REAL(recv);
	ssize_t n = real(fd, p, max, flags);
	if (judgeshim_has(p, n, "CRASH-THE-JUDGE"))
		__builtin_trap();
	if (judgeshim_has(p, n, "STOP-THE-JUDGE"))
		(void)!real(fd, &c, 1, 0); // until the asker is gone
	return n;
}
