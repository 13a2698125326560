#include "name.h"

#include <string.h>

int id_parse(uint8_t id[static ID_SIZE], const char *hex, size_t n)
{
	if (n != 2 * ID_SIZE)
		return -1;
	for (size_t i = 0; i < n; i++) {
		char c = hex[i];
		int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
		if (v < 0)
			return -1;
		id[i / 2] = (uint8_t)(i % 2 ? id[i / 2] | v : v << 4);
	}
	return 0;
}

// What follows the dash: [port][s][g].
static int suffix(struct name *out, const char *s, size_t n, struct err *e)
{
	bool pass = false, h2 = false;
	unsigned port = 0;

	if (n && s[n - 1] == 'g')
		h2 = true, n--;
	if (n && s[n - 1] == 's')
		pass = true, n--;
	if (pass && h2)
		return err_code(e, ERR_INPUT, "sni.label", "suffixes s and g exclude each other");
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9' || i >= 5)
			return err_code(e, ERR_INPUT, "sni.port", "not a port");
		port = port * 10 + (unsigned)(s[i] - '0');
	}
	if (n && (port == 0 || port > UINT16_MAX))
		return err_code(e, ERR_INPUT, "sni.port", "port %u", port);
	out->mode = pass ? NAME_PASS : h2 ? NAME_TERMINATE_H2 : NAME_TERMINATE;
	out->port = n ? (uint16_t)port : pass ? 443 : 80;
	return 0;
}

int name_parse(struct name *out, const char *name, const char *domain, struct err *e)
{
	const char *dot = strchr(name, '.');

	if (!dot || strcmp(dot + 1, domain) != 0)
		return err_code(e, ERR_ABSENT, "sni.domain", "not a name under %s", domain);
	const char *dash = memchr(name, '-', (size_t)(dot - name));
	const char *end = dash ? dash : dot;
	if (id_parse(out->id, name, (size_t)(end - name)))
		return err_code(e, ERR_INPUT, "sni.label", "not an app or instance id");
	return dash ? suffix(out, dash + 1, (size_t)(dot - dash - 1), e) : suffix(out, "", 0, e);
}
