#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/strings.h"

int address_of(struct address *out, const char *ip, uint16_t port, struct err *e)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	*out = (struct address){ 0 };
	if (inet_pton(AF_INET, ip, &v4.sin_addr) == 1) {
		memcpy(&out->at, &v4, out->n = sizeof v4);
		return 0;
	}
	if (inet_pton(AF_INET6, ip, &v6.sin6_addr) == 1) {
		memcpy(&out->at, &v6, out->n = sizeof v6);
		return 0;
	}
	return err_code(e, ERR_INPUT, "vmm.address", "%s is not an IP address", STR_QZ(ip));
}

int address_parse(struct address *out, const char *text, struct err *e)
{
	char ip[64];
	const char *colon = strrchr(text, ':');
	uint64_t port;

	if (!colon || !str_uint(colon + 1, 1, 65535, &port))
		return err_code(e, ERR_INPUT, "vmm.address", "%s is not ADDRESS:PORT", STR_QZ(text));
	size_t n = (size_t)(colon - text);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n >= sizeof ip)
		return err_code(e, ERR_INPUT, "vmm.address", "address %s is too long", STR_QZ(text));
	memcpy(ip, text, n);
	ip[n] = 0;
	return address_of(out, ip, (uint16_t)port, e);
}
