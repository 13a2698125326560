#include "policy/config.h"

#include <string.h>

enum { SOURCES_MAX = 16, SERVERS_MAX = 8 };

static struct policy_webhook_opts channel_of(const struct config *c, size_t i)
{
	return (struct policy_webhook_opts){
		.name = config_str(c, "policy.source[%zu].name", i),
		.url = config_str(c, "policy.source[%zu].url", i),
		.ca_file = config_str(c, "policy.source[%zu].ca_file", i),
		.client_cert = config_str(c, "policy.source[%zu].client_cert", i),
		.client_key = config_str(c, "policy.source[%zu].client_key", i),
		.hmac_key_file = config_str(c, "policy.source[%zu].hmac_key_file", i),
		.connect_ms = config_int(c, "policy.source[%zu].connect_timeout", i) * 1000,
		.total_ms = config_int(c, "policy.source[%zu].timeout", i) * 1000,
		.one_sided_tls = config_bool(c, "policy.source[%zu].allow_one_sided_tls", i),
		.insecure_http = config_bool(c, "policy.source[%zu].insecure_plain_http", i),
	};
}

static struct policy *chain(const struct config *c, size_t i, const struct policy_webhook_opts *node,
			    struct err *e)
{
	struct policy_ethereum_opts o = {
		.node = *node,
		.chain_id = (uint64_t)config_int(c, "policy.source[%zu].chain_id", i),
		.contract = config_str(c, "policy.source[%zu].contract", i),
		.confirmations = (uint64_t)config_int(c, "policy.source[%zu].confirmations", i),
		.head_max_age = (uint64_t)config_int(c, "policy.source[%zu].head_max_age", i),
	};

	return policy_ethereum_new(&o, e);
}

// The server at `url`, and those to ask when it gives no decision.
static struct policy *webhook(const struct config *c, size_t i, const struct policy_webhook_opts *first,
			      struct err *e)
{
	size_t n = config_count(c, "policy.source[%zu].fallback_urls", i), made = 0;
	struct policy *all[SERVERS_MAX];
	struct policy_webhook_opts o = *first;

	if (!n)
		return policy_webhook_new(&o, e);
	if (n >= SERVERS_MAX) {
		err_code(e, ERR_INPUT, "config.policy", "source %zu: more than %d fallback_urls", i + 1,
			 SERVERS_MAX - 1);
		return NULL;
	}
	for (; made <= n && (all[made] = policy_webhook_new(&o, e)); made++) {
		o.name = NULL;
		o.url = made < n ? config_item(c, made, "policy.source[%zu].fallback_urls", i) : NULL;
	}
	if (made > n)
		return policy_failover_new(all, made, e);
	while (made)
		policy_free(all[--made]);
	return NULL;
}

static struct policy *source(const struct config *c, size_t i, struct err *e)
{
	const char *type = config_str(c, "policy.source[%zu].type", i);
	const char *file = config_str(c, "policy.source[%zu].file", i);
	struct policy_webhook_opts o = channel_of(c, i);
	bool is_file = !strcmp(type, "file");

	if (config_count(c, "policy.source[%zu].fallback_urls", i) && strcmp(type, "webhook") != 0) {
		err_code(e, ERR_INPUT, "config.policy", "source %zu: only a webhook has fallback_urls",
			 i + 1);
		return NULL;
	}
	if (*o.hmac_key_file && strcmp(type, "webhook") != 0) {
		err_code(e, ERR_INPUT, "config.policy", "source %zu: only a webhook has an hmac_key_file",
			 i + 1);
		return NULL;
	}

	if (!strcmp(type, "dev"))
		return policy_dev_new(config_str(c, "policy.source[%zu].gateway_app_id", i), e);
	if (is_file && *file)
		return policy_file_new(file, e);
	if (!strcmp(type, "webhook") && *o.url)
		return webhook(c, i, &o, e);
	if (!strcmp(type, "ethereum") && *o.url)
		return chain(c, i, &o, e);
	if (is_file || !strcmp(type, "webhook") || !strcmp(type, "ethereum"))
		err_code(e, ERR_INPUT, "config.policy", "source %zu: type %s needs `%s`", i + 1, type,
			 is_file ? "file" : "url");
	else
		err_code(e, ERR_INPUT, "config.policy",
			 "source %zu: type is none of file, webhook, ethereum, dev", i + 1);
	return NULL;
}

static struct policy *sources(const struct config *c, size_t n, size_t need, struct err *e)
{
	struct policy *all[SOURCES_MAX];

	for (size_t i = 0; i < n; i++) {
		all[i] = source(c, i, e);
		if (all[i])
			continue;
		while (i)
			policy_free(all[--i]);
		return NULL;
	}
	return n == 1 && need <= 1 ? all[0] : policy_quorum_new(all, n, need ? need : n, e);
}

struct policy *policy_from_config(const struct config *c, struct err *e)
{
	const char *file = config_str(c, "policy.file");
	size_t n = config_count(c, "policy.source");

	if (!*file == !n) {
		err_code(e, ERR_INPUT, "config.policy", "%s",
			 n ? "policy.file and policy.source exclude each other"
			   : "nothing says who may have keys: set policy.file or a policy.source");
		return NULL;
	}
	if (n > SOURCES_MAX) {
		err_code(e, ERR_INPUT, "config.policy", "more than %d sources", SOURCES_MAX);
		return NULL;
	}
	return *file ? policy_file_new(file, e) : sources(c, n, (size_t)config_int(c, "policy.need"), e);
}
