#include "signer.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/secret.h"
#include "base/strings.h"

enum { FILE_MAX = 256, HEX = 2 * ED25519_SEED };

static int make(const char *path, struct err *e)
{
	auto_secret *fresh = secret_random(ED25519_SEED);
	char text[HEX + 2];

	if (!fresh)
		return err_set(e, ERR_SYSTEM, "out of memory");
	hex_encode(text, fresh->b, fresh->n);
	text[HEX] = '\n';
	int rc = file_write_new(path, 0600, text, HEX + 1, e);
	secret_wipe(text, sizeof text);
	return rc && e->class == ERR_DENIED ? 0 : rc; // another deploy was first: its key is as good
}

static int load(struct signer *s, const char *path, struct err *e)
{
	auto_secret *text = NULL;
	size_t n;

	if (file_read_secret(path, FILE_MAX, &text, e))
		return err_wrap(e, "the deployer's key");
	size_t len = text->n > HEX && text->b[HEX] == '\n' && text->n == HEX + 1 ? HEX : text->n;
	if (hex_read(s->seed, sizeof s->seed, (const char *)text->b, len, &n) || n != ED25519_SEED)
		return err_code(e, ERR_INPUT, "cli.env_signer", "%s does not hold 64 hex digits", path);
	return ed25519_public(s->seed, s->pub, e);
}

int signer_open(struct signer *s, const char *dir, const char *file, struct err *e)
{
	char path[PATH_MAX];

	*s = (struct signer){ .on = !file || strcmp(file, "none") != 0 };
	if (!s->on)
		return 0;
	if (file)
		return load(s, file, e);
	if ((size_t)snprintf(path, sizeof path, "%s/deployer.key", dir) >= sizeof path)
		return err_set(e, ERR_INPUT, "%s: too long a path", dir);
	return (!file_exists(path) && make(path, e)) || load(s, path, e) ? -1 : 0;
}

void signer_wipe(struct signer *s)
{
	secret_wipe(s, sizeof *s);
}
