// envdump - tells what environment a container was given: one line `env NAME HEX` a variable whose name
// begins with T_ (of a long value its length and FNV-1a instead), then `env end`. Then waits to be ended. For
// tests only.
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SHOWN_MAX = 400 };

extern char **environ;

static void show(const char *s)
{
	uint64_t h = 0xcbf29ce484222325;
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++) {
		if (n <= SHOWN_MAX)
			printf("%02x", (unsigned char)s[i]);
		h = (h ^ (unsigned char)s[i]) * 0x100000001b3;
	}
	if (n > SHOWN_MAX)
		printf("%zu:%016llx", n, (unsigned long long)h);
}

int main(void)
{
	for (char **v = environ; *v; v++) {
		const char *eq = strchr(*v, '=');
		if (!eq || strncmp(*v, "T_", 2) != 0)
			continue;
		printf("env %.*s ", (int)(eq - *v), *v);
		show(eq + 1);
		putchar('\n');
	}
	puts("env end");
	fflush(stdout);
	pause();
	return 0;
}
