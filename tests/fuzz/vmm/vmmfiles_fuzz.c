// Texts of callers and guests: an app-compose.json, addresses, names, a query, a console log.
#include <stdlib.h>
#include <string.h>

#include "compose.h"
#include "net/address.h"
#include "manifest.h"
#include "qemu.h"
#include "words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct compose c;
	struct address a;
	struct urls u = { 0 };
	char app[41], mac[MAC_TEXT], *text = malloc(n + 1);
	struct err e = { 0 };

	if (!text)
		return 0;
	memcpy(text, data, n);
	text[n] = 0;
	if (compose_read(&c, data, n, &e) == 0 && strlen(c.app_id) != 40)
		__builtin_trap();
	if (address_parse(&a, text, &e) == 0 && a.n == 0)
		__builtin_trap();
	if (check_image_name(text, &e) == 0 && (strchr(text, '/') || strstr(text, "..")))
		__builtin_trap();
	if (check_vm_id(text, &e) == 0 && strpbrk(text, "/., "))
		__builtin_trap();
	if (check_app_id(app, text, &e) == 0 && strlen(app) != 40)
		__builtin_trap();
	if (qemu_mac(mac, "x", text, &e) == 0 && strlen(mac) != 17)
		__builtin_trap();
	if (urls_add(&u, text, &e) == 0 && strpbrk(u.v[0], " \n,\"") && strpbrk(u.v[0], " \n"))
		__builtin_trap();
	char words[200];
	if (words_last(words, sizeof words, (const char *)data, n) && !strstr(words, ": "))
		__builtin_trap();
	if (words_param(data, n, "id", words, 20) && strlen(words) > 19)
		__builtin_trap();
	enum words_strip state = STRIP_PLAIN;
	if (memchr(text, 27, words_strip(&state, text, n)))
		__builtin_trap();
	free(text);
	return 0;
}
