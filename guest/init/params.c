#include "params.h"

#include <string.h>

enum { BLOCK = 4096 };

static const uint64_t ROOT_SIZE_MAX = 1ULL << 40;
static const char DEFAULT_LABEL[] = "dstack-rootfs";

struct word {
	const char *p;
	size_t n;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// The next word of `text`; n = 0 at the end. Quotes are not understood: none of our parameters needs them.
static struct word next_word(const char **text, const char *end)
{
	const char *p = *text;

	while (p < end && is_blank(*p))
		p++;
	const char *start = p;
	while (p < end && !is_blank(*p))
		p++;
	*text = p;
	return (struct word){ start, (size_t)(p - start) };
}

// Is `w` "key=value"? `value` gets what follows the sign.
static bool word_key(struct word w, const char *key, struct word *value)
{
	size_t k = strlen(key);

	if (w.n <= k || memcmp(w.p, key, k) != 0 || w.p[k] != '=')
		return false;
	*value = (struct word){ w.p + k + 1, w.n - k - 1 };
	return true;
}

static bool is_label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
	       c == '_' || c == '.';
}

static int set_hash(struct params *out, struct word v, struct err *e)
{
	if (v.n != PARAMS_HASH_HEX)
		return err_code(e, ERR_INPUT, "init.cmdline", "dstack.rootfs_hash has %zu characters, not 64",
				v.n);
	for (size_t i = 0; i < v.n; i++)
		if (!(v.p[i] >= '0' && v.p[i] <= '9') && !(v.p[i] >= 'a' && v.p[i] <= 'f'))
			return err_code(e, ERR_INPUT, "init.cmdline",
					"dstack.rootfs_hash is not lower case hex");
	memcpy(out->root_hash, v.p, v.n);
	return 0;
}

static int set_size(struct params *out, struct word v, struct err *e)
{
	uint64_t size = 0;

	if (v.n == 0 || v.n > 13)
		return err_code(e, ERR_INPUT, "init.cmdline", "dstack.rootfs_size is not a size in bytes");
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return err_code(e, ERR_INPUT, "init.cmdline", "dstack.rootfs_size is not a number");
		size = size * 10 + (uint64_t)(v.p[i] - '0');
	}
	if (size == 0 || size % BLOCK || size > ROOT_SIZE_MAX)
		return err_code(e, ERR_INPUT, "init.cmdline",
				"dstack.rootfs_size is not a multiple of 4096 up to 1 TiB");
	out->root_size = size;
	return 0;
}

static int set_device(struct params *out, struct word v, struct err *e)
{
	static const char by_label[] = "PARTLABEL=", by_path[] = "/dev/";
	size_t l = sizeof by_label - 1, d = sizeof by_path - 1;
	bool is_path = v.n > d && memcmp(v.p, by_path, d) == 0;
	size_t skip = is_path ? d : l;

	if (!is_path && !(v.n > l && memcmp(v.p, by_label, l) == 0))
		return err_code(e, ERR_INPUT, "init.cmdline",
				"dstack.rootfs_device is neither PARTLABEL=name nor /dev/name");
	if (v.n > PARAMS_DEVICE_MAX)
		return err_code(e, ERR_INPUT, "init.cmdline", "dstack.rootfs_device is too long");
	for (size_t i = skip; i < v.n; i++)
		if (!is_label_char(v.p[i]))
			return err_code(e, ERR_INPUT, "init.cmdline",
					"dstack.rootfs_device has a byte 0x%02x", (unsigned char)v.p[i]);
	if (is_path)
		memcpy(out->root_path, v.p, v.n);
	else
		memcpy(out->root_label, v.p + l, v.n - l);
	return 0;
}

int params_parse(struct params *out, const char *text, size_t n, struct err *e)
{
	const char *end = text + n;
	bool seen[3] = { false };
	struct word w, v = { 0 };

	*out = (struct params){ 0 };
	while ((w = next_word(&text, end)).n) {
		static const char *const keys[] = { "dstack.rootfs_hash", "dstack.rootfs_size",
						    "dstack.rootfs_device" };
		int which = -1;

		for (int i = 0; i < 3; i++)
			if (word_key(w, keys[i], &v))
				which = i;
		if (which < 0)
			continue;
		if (seen[which])
			return err_code(e, ERR_INPUT, "init.cmdline", "%s is given twice", keys[which]);
		seen[which] = true;
		if ((which == 0   ? set_hash(out, v, e)
		     : which == 1 ? set_size(out, v, e)
				  : set_device(out, v, e)) < 0)
			return -1;
	}
	if (!seen[0] || !seen[1])
		return err_code(e, ERR_INPUT, "init.cmdline", "the command line has no %s",
				seen[0] ? "dstack.rootfs_size" : "dstack.rootfs_hash");
	if (!seen[2])
		memcpy(out->root_label, DEFAULT_LABEL, sizeof DEFAULT_LABEL);
	return 0;
}

bool uevent_has_label(const char *text, size_t n, const char *label, char *dev, size_t cap)
{
	const char *end = text + n;
	bool match = false;
	struct word name = { 0 };

	while (text < end) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		struct word line = { text, (size_t)((eol ? eol : end) - text) }, v = { 0 };

		if (word_key(line, "PARTNAME", &v))
			match = v.n == strlen(label) && memcmp(v.p, label, v.n) == 0;
		else if (word_key(line, "DEVNAME", &v))
			name = v;
		text = eol ? eol + 1 : end;
	}
	if (!match || name.n == 0 || name.n >= cap)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!is_label_char(name.p[i]))
			return false;
	memcpy(dev, name.p, name.n);
	dev[name.n] = 0;
	return true;
}
