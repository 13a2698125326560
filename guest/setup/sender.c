#include "sender.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"

enum { RECORD_MAX = 4096 };

int sender_judge(const struct compose *c, const uint8_t app[static ENVSIGN_APP], struct span file,
		 struct sender *out, struct err *e)
{
	struct envsign s;

	*out = (struct sender){ .box = file, .whole = file };
	if (!file.p)
		return c->n_env_signers
			       ? err_code(e, ERR_DENIED, "env.missing",
					  "environment: the app has signers for it, the host gave none")
			       : 0;
	if (!file.n)
		return err_code(e, ERR_INPUT, "env.empty", "environment: the file is empty");
	if (!c->n_env_signers)
		return 0;
	if (envsign_read(file, &s, e) || envsign_check(&s, app, c->env_signers, c->n_env_signers, e))
		return -1;
	out->box = s.box;
	out->version = s.version;
	return 0;
}

struct record {
	uint64_t version; // 0: none yet
	uint8_t hash[SHA256_DIGEST_LENGTH];
};

static int record_read(const char *path, struct record *out, struct err *e)
{
	auto_free char *text = NULL;
	struct json doc, version, hash;
	size_t n;

	*out = (struct record){ 0 };
	if (file_read(path, RECORD_MAX, &text, &n, e)) {
		if (e->class == ERR_ABSENT)
			return 0;
	} else if (!json_parse(&doc, span_of(text, n), NULL) && json_get(doc, "version", &version) &&
		   json_get(doc, "sha256", &hash) && !json_u64(version, UINT64_MAX, &out->version) &&
		   out->version && !json_hex(hash, out->hash, sizeof out->hash)) {
		return 0;
	}
	return err_code(e, ERR_UNTRUSTED, "env.record",
			"environment: what the disk remembers of its version cannot be read");
}

int sender_remember(const struct sender *s, const char *disk, struct err *e)
{
	auto_free char *dir = str_format("%s/var/lib/dstack", disk);
	auto_free char *path = str_format("%s/var/lib/dstack/environment.json", disk);
	uint8_t hash[SHA256_DIGEST_LENGTH];
	struct record was;

	if (!s->version)
		return 0;
	if (!dir || !path)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (record_read(path, &was, e))
		return -1;
	SHA256(s->whole.p, s->whole.n, hash);
	if (s->version < was.version)
		return err_code(e, ERR_DENIED, "env.replayed",
				"environment: version %" PRIu64 " is older than %" PRIu64
				", which this machine had",
				s->version, was.version);
	if (s->version == was.version)
		return !memcmp(hash, was.hash, sizeof hash)
			       ? 0
			       : err_code(e, ERR_DENIED, "env.replayed",
					  "environment: another one of version %" PRIu64
					  " than this machine had",
					  s->version);
	auto_free char *text = str_format("{\"version\":%" PRIu64 ",\"sha256\":\"%s\"}\n", s->version,
					  STR_HEX(hash, sizeof hash));
	if (!text)
		return err_set(e, ERR_SYSTEM, "out of memory");
	return file_mkdirs(dir, 0755, e) || file_write_str(path, 0600, text, e) ? -1 : 0;
}
