// The quoting service's answer, and its configuration file.
#include <stdlib.h>
#include <string.h>

#include "tee/qgs.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct tee_quote q;
	struct err e;
	char *text = malloc(n + 1);

	if (!text)
		return 0;
	if (!qgs_parse(p, n, &q, &e) && q.n > sizeof q.bytes)
		abort();
	memcpy(text, p, n);
	text[n] = 0;
	(void)qgs_conf_port(text);
	free(text);
	return 0;
}
