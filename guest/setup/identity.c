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
#include "base/strings.h"
#include "core/attest/quote.h"
#include "setup.h"
#include "tee/attest.h"

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
	if (c->deployment_seed_n) {
		SHA256(c->deployment_seed, c->deployment_seed_n, hash);
		if (setup_emit(s, "deployment-seed", hash, sizeof hash, e))
			return -1;
	}
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

// What this boot found, as MRCONFIGID would have it. `hashes` keeps those of the init scripts.
static int boot_facts(struct mr_config *c, uint8_t hashes[static APP_SCRIPTS_MAX][32], const struct setup *s,
		      struct err *e)
{
	static const enum key_provider_kind kind[] = { [PROVIDER_NONE] = KEY_PROVIDER_NONE,
						       [PROVIDER_LOCAL] = KEY_PROVIDER_LOCAL,
						       [PROVIDER_KMS] = KEY_PROVIDER_KMS,
						       [PROVIDER_TPM] = KEY_PROVIDER_TPM };
	const struct texts *scripts = &s->compose.init_scripts;

	if (scripts->n > APP_SCRIPTS_MAX)
		return err_code(e, ERR_DENIED, "events.limit", "more than %d init scripts", APP_SCRIPTS_MAX);
	*c = (struct mr_config){
		.has = MR_CONFIG_APP_ID | MR_CONFIG_GPU_POLICY | MR_CONFIG_SCRIPTS | MR_CONFIG_PROVIDER |
		       MR_CONFIG_PROVIDER_ID | (s->has_instance_id ? MR_CONFIG_INSTANCE_ID : 0),
		.compose_hash = span_of(s->compose.hash, 32),
		.app_id = span_of(s->instance.app_id, ID_SIZE),
		.gpu_policy_hash = span_of(s->compose.gpu_policy_hash, 32),
		.instance_id = span_of(s->instance_id, s->has_instance_id ? ID_SIZE : 0),
		.key_provider = kind[s->compose.provider],
		.key_provider_id = span_of(s->keys.provider_id, s->keys.provider_id_n),
		.n_scripts = scripts->n,
	};
	for (size_t i = 0; i < scripts->n; i++) {
		SHA256((const uint8_t *)scripts->v[i], strlen(scripts->v[i]), hashes[i]);
		c->scripts[i] = span_of(hashes[i], 32);
	}
	return 0;
}

// The document of form 3: mr_config of the sys-config, else of its vm_config.
static struct span config_document(const struct setup *s, struct wr *scratch)
{
	struct vm_config c;
	struct fault f;

	if (*s->sys.mr_config)
		return span_str(s->sys.mr_config);
	return vm_config_read(&c, scratch, span_str(s->sys.vm_config), &f) ? (struct span){ 0 } : c.mr_config;
}

int setup_judge_config_id(const struct setup *s, const uint8_t id[static MR_CONFIG_LEN], struct err *e)
{
	size_t room = strlen(s->sys.vm_config) + strlen(s->sys.mr_config) + MR_CONFIG_DOCUMENT_MAX;
	uint8_t hashes[APP_SCRIPTS_MAX][32], want[MR_CONFIG_LEN];
	auto_free uint8_t *text = malloc(room);
	struct wr scratch = wr_to(text, text ? room : 0);
	struct mr_config facts;
	struct fault f;

	if (!text)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (boot_facts(&facts, hashes, s, e))
		return -1;
	struct span document = config_document(s, &scratch);

	switch (mr_config_judge(want, id, &facts, document, &scratch, &f)) {
	case MR_CONFIG_UNBOUND:
	case MR_CONFIG_BOUND:
		return 0;
	case MR_CONFIG_OPEN:
	case MR_CONFIG_BAD:
		break;
	}
	if (!strcmp(f.code, "quote.config_id"))
		return err_code(
			e, ERR_DENIED, "binding.mrconfigid",
			"MRCONFIGID (version %u) was made for another app-compose.json: expected %s, got %s",
			id[0], STR_HEX(want, 34), STR_HEX(id, 34));
	return err_code(e, ERR_DENIED, "binding.document", "mr_config does not describe this boot: %s",
			f.text);
}

static int check_mrconfigid(struct setup *s, struct err *e)
{
	static const uint8_t zero[64];
	auto_free struct tee_quote *q = malloc(sizeof *q);
	struct quote parsed;
	struct td_report td;

	if (!q || tee_quote(s->tee, zero, q, e))
		return q ? -1 : err_set(e, ERR_SYSTEM, "out of memory");
	if (quote_parse(&parsed, span_of(q->bytes, q->n)) || quote_td(&parsed, &td))
		return err_code(e, ERR_SYSTEM, "tee.quote", "own quote cannot be read");
	return setup_judge_config_id(s, td.mr_config_id, e);
}

int setup_check_binding(struct setup *s, struct err *e)
{
	char id[2 * PROVIDER_ID_MAX + 1];

	if (check_mrconfigid(s, e) ||
	    keys_check_pin(&s->compose, s->keys.provider_id, s->keys.provider_id_n, e))
		return -1;
	hex_encode(id, s->keys.provider_id, s->keys.provider_id_n);
	auto_free char *text =
		str_format("{\"name\":\"%s\",\"id\":\"%s\"}", provider_name(s->compose.provider), id);
	return text ? setup_emit(s, "key-provider", text, strlen(text), e)
		    : err_set(e, ERR_SYSTEM, "out of memory");
}
