#include "core/measure/mrconfig.h"
#include "core/codec/json.h"
#include "core/hash/sha2.h"

static const char *const provider_names[] = { [KEY_PROVIDER_NONE] = "none",
					      [KEY_PROVIDER_LOCAL] = "local",
					      [KEY_PROVIDER_KMS] = "kms",
					      [KEY_PROVIDER_TPM] = "tpm" };

static int bad(struct fault *f, const char *text, size_t at)
{
	return fault_set(f, "config_id.document", text, at);
}

// A hex string as bytes in `scratch`.
static int hex_in(struct json v, struct wr *scratch, struct span *out)
{
	size_t n = json_string_size(v) / 2;

	if (json_kind(v) != JSON_STRING || scratch->bad || n > scratch->cap - scratch->n ||
	    json_hex(v, scratch->p + scratch->n, n))
		return -1;
	*out = span_of(scratch->p + scratch->n, n);
	scratch->n += n;
	return 0;
}

static int scripts_in(struct mr_config *c, struct json list, struct wr *scratch)
{
	struct json v;

	if (json_kind(list) != JSON_ARRAY)
		return -1;
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &v); c->n_scripts++)
		if (c->n_scripts == APP_SCRIPTS_MAX || hex_in(v, scratch, &c->scripts[c->n_scripts]) ||
		    c->scripts[c->n_scripts].n != 32)
			return -1;
	return 0;
}

static int provider_in(enum key_provider_kind *out, struct json v)
{
	for (unsigned i = 0; i < 4; i++)
		if (json_is(v, provider_names[i])) {
			*out = (enum key_provider_kind)i;
			return 0;
		}
	return -1;
}

static int member_in(struct mr_config *c, struct json key, struct json v, struct wr *scratch)
{
	const struct {
		const char *name;
		struct span *to;
		unsigned bit;
		size_t size; // 0: any
	} members[] = {
		{ "compose_hash", &c->compose_hash, 0, 32 },
		{ "app_id", &c->app_id, MR_CONFIG_APP_ID, 20 },
		{ "gpu_policy_hash", &c->gpu_policy_hash, MR_CONFIG_GPU_POLICY, 32 },
		{ "instance_id", &c->instance_id, MR_CONFIG_INSTANCE_ID, 20 },
		{ "key_provider_id", &c->key_provider_id, MR_CONFIG_PROVIDER_ID, 0 },
	};
	uint64_t version;

	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		if (json_is(key, members[i].name)) {
			c->has |= members[i].bit;
			return hex_in(v, scratch, members[i].to) ||
					       (members[i].size && members[i].to->n != members[i].size)
				       ? -1
				       : 0;
		}
	if (json_is(key, "init_script_hashes")) {
		c->has |= MR_CONFIG_SCRIPTS;
		return scripts_in(c, v, scratch);
	}
	if (json_is(key, "key_provider")) {
		c->has |= MR_CONFIG_PROVIDER;
		return provider_in(&c->key_provider, v);
	}
	return json_is(key, "version") && !json_u64(v, 3, &version) && version == 3 ? 0 : -1;
}

// Text that is read and written again unchanged is canonical; then the version is there, too.
static bool canonical(const struct mr_config *c, struct span document)
{
	uint8_t text[MR_CONFIG_DOCUMENT_MAX];
	struct wr w = wr_to(text, sizeof text);

	mr_config_write(&w, c);
	return !w.bad && span_eq(span_of(text, w.n), document);
}

int mr_config_read(struct mr_config *c, struct wr *scratch, struct span document, struct fault *f)
{
	struct json root, key, v;

	*c = (struct mr_config){ 0 };
	if (document.n > MR_CONFIG_DOCUMENT_MAX)
		return bad(f, "configuration document is too long", document.n);
	if (json_parse(&root, document, NULL) || json_kind(root) != JSON_OBJECT)
		return bad(f, "configuration document is not a JSON object", 0);
	for (struct json_iter it = json_iter(root); json_next(&it, &key, &v);)
		if (member_in(c, key, v, scratch))
			return bad(f, "configuration document has an unknown or malformed member",
				   (size_t)(key.text.p - document.p));
	if (c->compose_hash.n != 32 || !(c->has & MR_CONFIG_PROVIDER))
		return bad(f, "configuration document lacks compose_hash or key_provider", 0);
	if (!canonical(c, document))
		return bad(f, "configuration document is not canonical JSON of version 3", 0);
	return 0;
}

static void hex_out(struct wr *out, const char *key, struct span s)
{
	wr_str(out, key);
	wr_json_hex(out, s.p, s.n);
}

// Members in the order of their names, as RFC 8785 wants it.
void mr_config_write(struct wr *out, const struct mr_config *c)
{
	wr_u8(out, '{');
	if (c->has & MR_CONFIG_APP_ID) {
		hex_out(out, "\"app_id\":", c->app_id);
		wr_u8(out, ',');
	}
	hex_out(out, "\"compose_hash\":", c->compose_hash);
	if (c->has & MR_CONFIG_GPU_POLICY)
		hex_out(out, ",\"gpu_policy_hash\":", c->gpu_policy_hash);
	if (c->has & MR_CONFIG_SCRIPTS) {
		wr_str(out, ",\"init_script_hashes\":[");
		for (size_t i = 0; i < c->n_scripts; i++)
			hex_out(out, i ? "," : "", c->scripts[i]);
		wr_u8(out, ']');
	}
	if (c->has & MR_CONFIG_INSTANCE_ID)
		hex_out(out, ",\"instance_id\":", c->instance_id);
	wr_str(out, ",\"key_provider\":\"");
	wr_str(out, provider_names[c->key_provider]);
	wr_u8(out, '"');
	if (c->has & MR_CONFIG_PROVIDER_ID)
		hex_out(out, ",\"key_provider_id\":", c->key_provider_id);
	wr_str(out, ",\"version\":3}");
}

// The payload of the key-provider event: {"name":"none|local-sgx|tpm|kms","id":"<hex>"}.
static int provider_event(struct mr_config *c, struct wr *scratch, struct span text)
{
	static const char *const names[] = { [KEY_PROVIDER_NONE] = "none",
					     [KEY_PROVIDER_LOCAL] = "local-sgx",
					     [KEY_PROVIDER_KMS] = "kms",
					     [KEY_PROVIDER_TPM] = "tpm" };
	struct json root, name, id;

	if (json_parse(&root, text, NULL) || !json_get(root, "name", &name) || !json_get(root, "id", &id))
		return -1;
	for (unsigned i = 0; i < 4; i++)
		if (json_is(name, names[i])) {
			c->key_provider = (enum key_provider_kind)i;
			c->has |= MR_CONFIG_PROVIDER | MR_CONFIG_PROVIDER_ID;
			return hex_in(id, scratch, &c->key_provider_id);
		}
	return -1;
}

int mr_config_facts(struct mr_config *c, struct wr *scratch, const struct app_events *app, struct fault *f)
{
	*c = (struct mr_config){ .has = MR_CONFIG_SCRIPTS,
				 .compose_hash = app->compose_hash,
				 .app_id = app->app_id,
				 .gpu_policy_hash = app->gpu_policy_hash,
				 .instance_id = app->instance_id,
				 .n_scripts = app->n_init_scripts };
	for (size_t i = 0; i < c->n_scripts; i++)
		c->scripts[i] = app->init_scripts[i];
	if (app->app_id.n)
		c->has |= MR_CONFIG_APP_ID;
	if (app->gpu_policy_hash.n)
		c->has |= MR_CONFIG_GPU_POLICY;
	if (app->instance_id.n)
		c->has |= MR_CONFIG_INSTANCE_ID;
	if (app->key_provider.n && provider_event(c, scratch, app->key_provider))
		return fault_set(f, "events.key_provider", "key-provider event is not {name, id}", 0);
	return 0;
}

static bool scripts_agree(const struct mr_config *d, const struct mr_config *x)
{
	if (!(d->has & MR_CONFIG_SCRIPTS))
		return true;
	for (size_t i = 0; i < d->n_scripts && d->n_scripts == x->n_scripts; i++)
		if (!span_eq(d->scripts[i], x->scripts[i]))
			return false;
	return d->n_scripts == x->n_scripts;
}

int mr_config_agrees(const struct mr_config *d, const struct mr_config *x, struct fault *f)
{
	static const char code[] = "config_id.differs";
	bool provider = x->has & MR_CONFIG_PROVIDER;

	if (!span_eq(d->compose_hash, x->compose_hash))
		return fault_set(f, code, "configuration document is of another compose file", 0);
	if (d->has & MR_CONFIG_APP_ID && !span_eq(d->app_id, x->app_id))
		return fault_set(f, code, "configuration document is of another app", 0);
	if (d->has & MR_CONFIG_INSTANCE_ID && !span_eq(d->instance_id, x->instance_id))
		return fault_set(f, code, "configuration document is of another instance", 0);
	if (d->has & MR_CONFIG_GPU_POLICY && !span_eq(d->gpu_policy_hash, x->gpu_policy_hash))
		return fault_set(f, code, "configuration document has another GPU policy", 0);
	if (!scripts_agree(d, x))
		return fault_set(f, code, "configuration document lists other init scripts", 0);
	if (provider &&
	    (d->key_provider != x->key_provider ||
	     (d->has & MR_CONFIG_PROVIDER_ID && !span_eq(d->key_provider_id, x->key_provider_id))))
		return fault_set(f, code, "configuration document names another key provider", 0);
	return 0;
}

static bool is_id(const uint8_t a[MR_CONFIG_LEN], const uint8_t b[MR_CONFIG_LEN])
{
	return span_eq(span_of(a, MR_CONFIG_LEN), span_of(b, MR_CONFIG_LEN));
}

static enum mr_config_result mismatch(struct fault *f)
{
	fault_set(f, "quote.config_id", "MRCONFIGID is not that of this app", 0);
	return MR_CONFIG_BAD;
}

// Without the document: any of the documents that would describe these facts.
static enum mr_config_result rebuild(uint8_t want[MR_CONFIG_LEN], const uint8_t id[MR_CONFIG_LEN],
				     const struct mr_config *facts, struct fault *f)
{
	static const unsigned optional = MR_CONFIG_PROVIDER - 1;
	uint8_t text[MR_CONFIG_DOCUMENT_MAX];
	struct mr_config c = *facts;

	for (unsigned choice = 0; facts->has & MR_CONFIG_PROVIDER && choice <= optional; choice++) {
		struct wr w = wr_to(text, sizeof text);

		if (choice & ~facts->has)
			continue;
		c.has = choice | MR_CONFIG_PROVIDER;
		mr_config_write(&w, &c);
		if (w.bad)
			continue;
		mr_config_id_v3(want, span_of(text, w.n));
		if (is_id(want, id))
			return MR_CONFIG_BOUND;
	}
	for (size_t i = 0; i < MR_CONFIG_LEN; i++)
		want[i] = 0;
	fault_set(f, "config_id.open", "MRCONFIGID is of form 3 and its document is not at hand", 0);
	return MR_CONFIG_OPEN;
}

static enum mr_config_result judge_document(uint8_t want[MR_CONFIG_LEN], const uint8_t id[MR_CONFIG_LEN],
					    const struct mr_config *facts, struct span document,
					    struct wr *scratch, struct fault *f)
{
	struct mr_config c;

	if (!document.n)
		return rebuild(want, id, facts, f);
	mr_config_id_v3(want, document);
	if (!is_id(want, id))
		return mismatch(f);
	return mr_config_read(&c, scratch, document, f) || mr_config_agrees(&c, facts, f) ? MR_CONFIG_BAD
											  : MR_CONFIG_BOUND;
}

static enum mr_config_result judge_v2(uint8_t want[MR_CONFIG_LEN], const uint8_t id[MR_CONFIG_LEN],
				      const struct mr_config *facts, struct fault *f)
{
	if (!(facts->has & MR_CONFIG_PROVIDER)) {
		fault_set(f, "config_id.open", "MRCONFIGID holds a key provider that is not known yet", 0);
		return MR_CONFIG_OPEN;
	}
	if (facts->app_id.n != 20)
		return mismatch(f);
	mr_config_id_v2(want, facts->compose_hash.p, facts->app_id.p, facts->key_provider,
			facts->key_provider_id);
	return is_id(want, id) ? MR_CONFIG_BOUND : mismatch(f);
}

enum mr_config_result mr_config_judge(uint8_t want[MR_CONFIG_LEN], const uint8_t id[MR_CONFIG_LEN],
				      const struct mr_config *facts, struct span document, struct wr *scratch,
				      struct fault *f)
{
	for (size_t i = 0; i < MR_CONFIG_LEN; i++)
		want[i] = 0;
	if (is_id(want, id))
		return MR_CONFIG_UNBOUND;
	if (id[0] < 1 || id[0] > 3) {
		fault_set(f, "quote.config_id", "MRCONFIGID is of an unknown form", id[0]);
		return MR_CONFIG_BAD;
	}
	if (facts->compose_hash.n != 32)
		return mismatch(f);
	if (id[0] == 2)
		return judge_v2(want, id, facts, f);
	if (id[0] == 3)
		return judge_document(want, id, facts, document, scratch, f);
	mr_config_id_v1(want, facts->compose_hash.p);
	return is_id(want, id) ? MR_CONFIG_BOUND : mismatch(f);
}
