#include "procfs.h"

#include <arpa/inet.h>
#include <string.h>
#include "base/strings.h"

enum { ROUTE_UP = 1, ROUTE_GATEWAY = 2, FIELDS_MAX = 20, CPUS_MAX = 65536 };

static bool next_line(struct span *rest, struct span *line)
{
	if (!rest->n)
		return false;
	const uint8_t *nl = memchr(rest->p, '\n', rest->n);
	size_t n = nl ? (size_t)(nl - rest->p) : rest->n;
	*line = span_of(rest->p, n);
	n += nl != NULL;
	*rest = span_of(rest->p + n, rest->n - n);
	return true;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct span trim(struct span s)
{
	while (s.n && is_blank(s.p[0]))
		s = span_of(s.p + 1, s.n - 1);
	while (s.n && (is_blank(s.p[s.n - 1]) || s.p[s.n - 1] == '\r'))
		s.n--;
	return s;
}

// The blank-separated words of a line, at most `max`; how many there are.
static size_t words(struct span line, struct span *out, size_t max)
{
	size_t n = 0;

	for (line = trim(line); line.n && n < max; line = trim(line)) {
		size_t k = 0;
		while (k < line.n && !is_blank(line.p[k]))
			k++;
		out[n++] = span_of(line.p, k);
		line = span_of(line.p + k, line.n - k);
	}
	return n;
}

static bool number(struct span s, uint64_t *out)
{
	return str_u64_n((const char *)s.p, s.n, out);
}

// Text for a message: UTF-8 without control characters.
static bool copy(struct span s, char *out, size_t cap)
{
	out[0] = 0;
	if (s.n >= cap || !str_is_utf8(s.p, s.n))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7F)
			return false;
	if (s.n)
		memcpy(out, s.p, s.n);
	out[s.n] = 0;
	return true;
}

int proc_meminfo(struct span text, struct proc_memory *out)
{
	const struct {
		const char *name;
		uint64_t *to;
	} want[] = {
		{ "MemTotal:", &out->total },         { "MemFree:", &out->free },
		{ "MemAvailable:", &out->available }, { "SwapTotal:", &out->swap_total },
		{ "SwapFree:", &out->swap_free },
	};
	struct span line, w[3];
	unsigned seen = 0;

	*out = (struct proc_memory){ 0 };
	while (next_line(&text, &line)) {
		size_t n = words(line, w, 3);
		for (unsigned i = 0; n && i < sizeof want / sizeof *want; i++) {
			if (!span_is(w[0], want[i].name))
				continue;
			if (n != 3 || !span_is(w[2], "kB") || !number(w[1], want[i].to) ||
			    *want[i].to > UINT64_MAX / 1024 || seen & 1u << i)
				return -1;
			*want[i].to *= 1024;
			seen |= 1u << i;
		}
	}
	return seen == 31 && out->available <= out->total && out->swap_free <= out->swap_total ? 0 : -1;
}

// "12.91": digits, a point, two digits, as the kernel prints loads and times.
static bool hundredths(struct span s, uint64_t max, uint64_t *out)
{
	uint64_t whole;

	if (s.n < 4 || s.p[s.n - 3] != '.' || !number(span_of(s.p, s.n - 3), &whole) || whole > max)
		return false;
	uint8_t tens = (uint8_t)(s.p[s.n - 2] - '0'), ones = (uint8_t)(s.p[s.n - 1] - '0');
	*out = whole * 100 + tens * 10u + ones;
	return tens <= 9 && ones <= 9;
}

int proc_loadavg(struct span text, uint32_t out[static 3])
{
	struct span line, w[5];
	uint64_t v;

	if (!next_line(&text, &line) || words(line, w, 5) != 5)
		return -1;
	for (unsigned i = 0; i < 3; i++) {
		if (!hundredths(w[i], UINT32_MAX / 100 - 1, &v))
			return -1;
		out[i] = (uint32_t)v;
	}
	return 0;
}

int proc_uptime(struct span text, uint64_t *seconds)
{
	struct span line, w[2];
	uint64_t v;

	if (!next_line(&text, &line) || words(line, w, 2) != 2 || !hundredths(w[0], UINT64_MAX / 100 - 1, &v))
		return -1;
	*seconds = v / 100;
	return 0;
}

int proc_cpus(struct span text, uint32_t *n)
{
	struct span line;
	uint64_t sum = 0;

	if (!next_line(&text, &line) || !line.n)
		return -1;
	for (size_t at = 0; at <= line.n;) {
		const uint8_t *p = line.p + at, *comma = memchr(p, ',', line.n - at);
		size_t k = comma ? (size_t)(comma - p) : line.n - at;
		const uint8_t *dash = memchr(p, '-', k);
		size_t first = dash ? (size_t)(dash - p) : k;
		uint64_t a, b;

		if (!number(span_of(p, first), &a) || a >= CPUS_MAX)
			return -1;
		b = a;
		if (dash && (!number(span_of(dash + 1, k - first - 1), &b) || b < a || b >= CPUS_MAX))
			return -1;
		sum += b - a + 1;
		at += k + 1;
	}
	if (sum > CPUS_MAX)
		return -1;
	*n = (uint32_t)sum;
	return 0;
}

void proc_value(struct span text, const char *name, char sep, char *out, size_t cap)
{
	struct span line;

	out[0] = 0;
	while (next_line(&text, &line)) {
		const uint8_t *at = line.n ? memchr(line.p, sep, line.n) : NULL;
		if (!at || !span_is(trim(span_of(line.p, (size_t)(at - line.p))), name))
			continue;
		struct span v = trim(span_of(at + 1, line.n - (size_t)(at - line.p) - 1));
		if (v.n >= 2 && (v.p[0] == '"' || v.p[0] == '\'') && v.p[v.n - 1] == v.p[0])
			v = span_of(v.p + 1, v.n - 2);
		copy(v, out, cap);
		return;
	}
}

// Blanks, line ends and backslashes are octal in a mount table. False when it does not fit.
static bool unescape(struct span s, char *out, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];
		if (c == '\\' && s.n - i > 3) {
			unsigned v = 0;
			for (unsigned k = 1; k <= 3; k++) {
				if (s.p[i + k] < '0' || s.p[i + k] > '7')
					return false;
				v = v * 8 + (unsigned)(s.p[i + k] - '0');
			}
			if (!v || v > 255)
				return false;
			c = (uint8_t)v;
			i += 3;
		}
		if (n + 1 >= cap || !c)
			return false;
		out[n++] = (char)c;
	}
	out[n] = 0;
	return true;
}

bool proc_mount(struct span text, const char *at, char *device, size_t cap)
{
	struct span line, w[3];
	char where[4096], from[4096];
	bool found = false;

	while (next_line(&text, &line)) {
		if (words(line, w, 3) != 3 || !unescape(w[1], where, sizeof where) || strcmp(where, at))
			continue;
		found = true;
		if (!unescape(w[0], from, sizeof from) || !copy(span_str(from), device, cap))
			device[0] = 0;
	}
	return found;
}

static bool interface_name(struct span s, char out[static PROC_NAME])
{
	if (!s.n || s.n >= PROC_NAME)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7F || s.p[i] == '/' || s.p[i] == ':')
			return false;
	memcpy(out, s.p, s.n);
	out[s.n] = 0;
	return true;
}

bool proc_next_interface(struct span *rest, struct proc_interface *out)
{
	struct span line, w[FIELDS_MAX];

	while (next_line(rest, &line)) {
		const uint8_t *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
		if (!colon)
			continue;
		size_t head = (size_t)(colon - line.p);
		// receive: bytes packets errs drop fifo frame compressed multicast, transmit: bytes packets
		// errs ...
		if (interface_name(trim(span_of(line.p, head)), out->name) &&
		    words(span_of(colon + 1, line.n - head - 1), w, FIELDS_MAX) >= 16 &&
		    number(w[0], &out->rx_bytes) && number(w[2], &out->rx_errors) &&
		    number(w[8], &out->tx_bytes) && number(w[10], &out->tx_errors))
			return true;
	}
	return false;
}

static bool flags_are(struct span s, size_t digits, uint32_t want)
{
	uint8_t b[4];
	size_t n;

	if (s.n != digits || hex_read(b, sizeof b, (const char *)s.p, s.n, &n))
		return false;
	return (b[n - 1] & want) == want;
}

// Iface Destination Gateway Flags RefCnt Use Metric Mask ...; addresses as the words lie in memory.
bool proc_next_gateway(struct span *rest, char name[static PROC_NAME], char address[static 46])
{
	struct span line, w[8];
	uint8_t b[4];
	size_t n;

	while (next_line(rest, &line)) {
		if (words(line, w, 8) != 8 || !span_is(w[1], "00000000") || !span_is(w[7], "00000000") ||
		    !flags_are(w[3], 4, ROUTE_UP | ROUTE_GATEWAY) || !interface_name(w[0], name) ||
		    w[2].n != 8 || hex_read(b, sizeof b, (const char *)w[2].p, 8, &n))
			continue;
		uint8_t net[4] = { b[3], b[2], b[1], b[0] }; // little-endian host
		return inet_ntop(AF_INET, net, address, 46) != NULL;
	}
	return false;
}

// destination length source length next-hop metric references uses flags device
bool proc_next_gateway6(struct span *rest, char name[static PROC_NAME], char address[static 46])
{
	static const char zero[] = "00000000000000000000000000000000";
	struct span line, w[10];
	uint8_t b[16];
	size_t n;

	while (next_line(rest, &line)) {
		if (words(line, w, 10) != 10 || !span_is(w[0], zero) || !span_is(w[1], "00") ||
		    !flags_are(w[8], 8, ROUTE_UP | ROUTE_GATEWAY) || !interface_name(w[9], name) ||
		    w[4].n != 32 || hex_read(b, sizeof b, (const char *)w[4].p, 32, &n))
			continue;
		return inet_ntop(AF_INET6, b, address, 46) != NULL;
	}
	return false;
}

bool proc_next_nameserver(struct span *rest, char address[static 64])
{
	struct span line, w[2];

	while (next_line(rest, &line))
		if (words(line, w, 2) == 2 && span_is(w[0], "nameserver") && copy(w[1], address, 64))
			return true;
	return false;
}
