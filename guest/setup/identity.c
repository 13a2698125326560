// Identity of the app and of this instance, and the events that tell it to verifiers (spec 60 sections 6e,
// 6f).
#include <dirent.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/strings.h"
#include "core/attest/quote.h"
#include "core/hash/keccak.h"
#include "setup.h"
#include "tee/attest.h"

enum { MRCONFIGID = 48 };

int setup_write(struct setup *s, const char *name, mode_t mode, const void *p, size_t n, struct err *e)
{
	auto_free char *path = str_format("%s/%s", s->shared, name);

	return path ? file_write(path, mode, p, n, e) : err_set(e, ERR_SYSTEM, "out of memory");
}

int setup_emit(struct setup *s, const char *name, const void *p, size_t n, struct err *e)
{
	return runtime_emit(s->tee, s->run_dir, name, p, n, e);
}

int setup_attest(void *setup, const uint8_t report_data[static 64], uint8_t **out, size_t *n, struct err *e)
{
	struct setup *s = setup;

	return tee_attest(s->tee, s->run_dir, report_data, span_str(s->sys.vm_config), true, out, n, e);
}

int setup_identity(struct setup *s, struct err *e)
{
	struct instance *in = &s->instance;
	uint8_t both[2 * ID_SIZE], hash[32];

	if (!in->has_app_id)
		memcpy(in->app_id, s->compose.hash, ID_SIZE);
	// without a provider the disk does not survive a boot, so neither does the instance
	if (!in->has_seed || s->compose.provider == PROVIDER_NONE)
		if (RAND_bytes(in->seed, ID_SIZE) != 1)
			return err_set(e, ERR_SYSTEM, "no random numbers");
	in->has_app_id = in->has_seed = true;
	s->has_instance_id = !s->compose.no_instance_id;
	memcpy(both, in->seed, ID_SIZE);
	memcpy(both + ID_SIZE, in->app_id, ID_SIZE);
	SHA256(both, sizeof both, hash);
	memcpy(s->instance_id, hash, ID_SIZE);
	return 0;
}

// Display controllers of NVIDIA: nobody here can attest them.
static int check_gpus(const struct setup *s, struct err *e)
{
	DIR *d = opendir("/sys/bus/pci/devices");
	size_t gpus = 0;

	for (struct dirent *ent; d && (ent = readdir(d));) {
		char path[320], class[16] = "", vendor[16] = "";
		const char *const names[] = { "class", "vendor" };
		char *const to[] = { class, vendor };

		for (int i = 0; i < 2; i++) {
			snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/%s", ent->d_name, names[i]);
			auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
			ssize_t n = fd < 0 ? -1 : read(fd, to[i], 15);
			to[i][n < 0 ? 0 : n] = 0;
		}
		gpus += (str_starts(class, "0x0300") || str_starts(class, "0x0302")) &&
			str_starts(vendor, "0x10de");
	}
	if (d)
		closedir(d);
	if (gpus && s->compose.attest_gpu)
		return err_code(e, ERR_DENIED, "compose.gpu", "%zu GPUs, but this guest cannot attest them",
				gpus);
	return 0;
}

int setup_early_events(struct setup *s, struct err *e)
{
	const struct compose *c = &s->compose;
	uint8_t hash[32];

	if (setup_emit(s, "system-preparing", NULL, 0, e) ||
	    setup_emit(s, "app-id", s->instance.app_id, ID_SIZE, e) ||
	    setup_emit(s, "compose-hash", c->hash, sizeof c->hash, e))
		return -1;
	for (size_t i = 0; i < c->init_scripts.n; i++) {
		SHA256((const uint8_t *)c->init_scripts.v[i], strlen(c->init_scripts.v[i]), hash);
		if (setup_emit(s, "init-script-hash", hash, sizeof hash, e))
			return -1;
	}
	if (setup_emit(s, "gpu-policy-hash", c->gpu_policy_hash, sizeof c->gpu_policy_hash, e) ||
	    check_gpus(s, e))
		return -1;
	return setup_emit(s, "instance-id", s->instance_id, s->has_instance_id ? ID_SIZE : 0, e) ||
			       setup_emit(s, "boot-mr-done", NULL, 0, e)
		       ? -1
		       : 0;
}

// The three forms of spec 50 section 7.4. `kind` is the provider's byte: none 0, local 1, kms 2, tpm 3.
static void expect_v2(const struct setup *s, uint8_t want[static MRCONFIGID])
{
	static const uint8_t kind[] = {
		[PROVIDER_NONE] = 0, [PROVIDER_LOCAL] = 1, [PROVIDER_KMS] = 2, [PROVIDER_TPM] = 3
	};
	uint8_t text[32 + ID_SIZE + 1 + PROVIDER_ID_MAX];
	struct wr w = wr_to(text, sizeof text);

	wr_put(&w, s->compose.hash, 32);
	wr_put(&w, s->instance.app_id, ID_SIZE);
	wr_u8(&w, kind[s->compose.provider]);
	wr_put(&w, s->keys.provider_id, s->keys.provider_id_n);
	keccak256(text, w.n, want + 1);
}

static bool hex_is(struct json doc, const char *name, const void *want, size_t n)
{
	struct json v;
	uint8_t got[PROVIDER_ID_MAX];

	return !json_get(doc, name, &v) || (!json_hex(v, got, n) && !memcmp(got, want, n));
}

static bool scripts_are(const struct setup *s, struct json doc)
{
	struct json list, item;
	uint8_t got[32], want[32];
	size_t i = 0;

	if (!json_get(doc, "init_script_hashes", &list))
		return true;
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &item); i++) {
		if (i == s->compose.init_scripts.n || json_hex(item, got, sizeof got))
			return false;
		SHA256((const uint8_t *)s->compose.init_scripts.v[i], strlen(s->compose.init_scripts.v[i]),
		       want);
		if (memcmp(got, want, sizeof want) != 0)
			return false;
	}
	return i == s->compose.init_scripts.n;
}

// Every member that the document has must be what this boot found.
static int expect_v3(const struct setup *s, uint8_t want[static MRCONFIGID], struct err *e)
{
	static const char *const names[] = { [PROVIDER_NONE] = "none",
					     [PROVIDER_LOCAL] = "local",
					     [PROVIDER_KMS] = "kms",
					     [PROVIDER_TPM] = "tpm" };
	struct json doc, v;
	auto_sb text = { 0 };

	if (json_parse(&doc, span_str(s->sys.mr_config), NULL) || !json_get(doc, "compose_hash", &v) ||
	    !hex_is(doc, "compose_hash", s->compose.hash, 32) || !json_get(doc, "key_provider", &v) ||
	    !json_is(v, names[s->compose.provider]) || !hex_is(doc, "app_id", s->instance.app_id, ID_SIZE) ||
	    !hex_is(doc, "instance_id", s->instance_id, s->has_instance_id ? ID_SIZE : 0) ||
	    !hex_is(doc, "gpu_policy_hash", s->compose.gpu_policy_hash, 32) ||
	    !hex_is(doc, "key_provider_id", s->keys.provider_id, s->keys.provider_id_n) ||
	    !scripts_are(s, doc))
		return err_code(e, ERR_DENIED, "binding.document", "mr_config does not describe this boot");
	sb_str(&text, "dstack-mr-config-v3:");
	sb_put(&text, "", 1);
	sb_str(&text, s->sys.mr_config);
	if (text.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	SHA256((const uint8_t *)text.p, text.n, want + 1);
	return 0;
}

static int check_mrconfigid(struct setup *s, struct err *e)
{
	static const uint8_t zero[64];
	auto_free struct tee_quote *q = malloc(sizeof *q);
	uint8_t want[MRCONFIGID] = { 0 };
	struct quote parsed;
	struct td_report td;

	if (!q || tee_quote(s->tee, zero, q, e))
		return q ? -1 : err_set(e, ERR_SYSTEM, "out of memory");
	if (quote_parse(&parsed, span_of(q->bytes, q->n)) || quote_td(&parsed, &td))
		return err_code(e, ERR_SYSTEM, "tee.quote", "own quote cannot be read");
	want[0] = td.mr_config_id[0];
	if (want[0] == 1)
		memcpy(want + 1, s->compose.hash, 32);
	else if (want[0] == 2)
		expect_v2(s, want);
	else if (want[0] == 3 && expect_v3(s, want, e))
		return -1;
	if (memcmp(want, td.mr_config_id, sizeof want) != 0)
		return err_code(
			e, ERR_DENIED, "binding.mrconfigid",
			"MRCONFIGID (version %u) was made for another app-compose.json: expected %s, got %s",
			want[0], STR_HEX(want, 34), STR_HEX(td.mr_config_id, 34));
	return 0;
}

int setup_check_binding(struct setup *s, struct err *e)
{
	const char *pin = s->compose.provider_id;
	char id[2 * PROVIDER_ID_MAX + 1];

	if (check_mrconfigid(s, e))
		return -1;
	hex_encode(id, s->keys.provider_id, s->keys.provider_id_n);
	if (*pin && strcasecmp(pin, id) != 0)
		return err_code(e, ERR_DENIED, "binding.key_provider",
				"the key provider is not the one that key_provider_id pins");
	auto_free char *text =
		str_format("{\"name\":\"%s\",\"id\":\"%s\"}", provider_name(s->compose.provider), id);
	return text ? setup_emit(s, "key-provider", text, strlen(text), e)
		    : err_set(e, ERR_SYSTEM, "out of memory");
}
