#include "sysconf.h"

#include <string.h>

static bool url_is_fine(const char *url)
{
	size_t n = strlen(url);

	if (!n || n > URL_MAX)
		return false;
	for (; *url; url++)
		if ((unsigned char)*url <= ' ' || (unsigned char)*url > 0x7E)
			return false;
	return true;
}

static struct texts urls(struct fields *f, const char *name, const char *older)
{
	struct texts list = field_texts(f, name, URLS_MAX);

	if (!list.n && older)
		list = field_texts(f, older, URLS_MAX);
	for (size_t i = 0; i < list.n && !f->bad; i++)
		if (!url_is_fine(list.v[i])) {
			err_code(f->e, ERR_INPUT, f->code, "%s: %s has something that is no URL", f->what,
				 name);
			f->bad = true;
		}
	return list;
}

// Two spellings (spec 10 section 9.3): collateral_urls.pccs, and the older pccs_url.
static const char *pccs(struct fields *f)
{
	const char *old = field_text(f, "pccs_url", "");
	struct json group;

	if (f->bad || !field_has(f, "collateral_urls", &group))
		return old;
	struct fields g = fields_of(group, f);
	const char *url = field_text(&g, "pccs", old);

	f->bad |= g.bad;
	return url;
}

int sysconf_parse(struct span text, struct arena *a, struct sysconf *out, struct err *e)
{
	struct fields f = fields_begin(text, ".sys-config.json", "share.sys_config", a, e);

	*out = (struct sysconf){ .host_api_url = HOST_API_DEFAULT,
				 .docker_registry = "",
				 .pccs_url = "",
				 .vm_config = "{}",
				 .mr_config = "" };
	if (f.bad)
		return -1;
	out->kms_urls = urls(&f, "kms_urls", NULL);
	out->gateway_urls = urls(&f, "gateway_urls", "tproxy_urls");
	out->host_api_url = field_text(&f, "host_api_url", HOST_API_DEFAULT);
	out->docker_registry = field_text(&f, "docker_registry", "");
	out->pccs_url = pccs(&f);
	out->vm_config = field_text(&f, "vm_config", "{}");
	out->mr_config = field_text(&f, "mr_config", "");
	if (!f.bad && !url_is_fine(out->host_api_url))
		out->host_api_url = HOST_API_DEFAULT;
	return f.bad ? -1 : 0;
}

int instance_parse(struct span text, struct arena *a, struct instance *out, struct err *e)
{
	*out = (struct instance){ 0 };
	if (!text.n)
		return 0;
	struct fields f = fields_begin(text, ".instance_info", "share.instance_info", a, e);
	if (f.bad)
		return -1;
	out->has_app_id = field_hex(&f, "app_id", out->app_id, ID_SIZE);
	out->has_seed = field_hex(&f, "instance_id_seed", out->seed, ID_SIZE);
	out->has_instance_id = field_hex(&f, "instance_id", out->instance_id, ID_SIZE);
	return f.bad ? -1 : 0;
}

bool vm_config_is_lite(const char *vm_config)
{
	struct json doc, v;

	return !json_parse(&doc, span_str(vm_config), NULL) && json_get(doc, "tdx_attestation_variant", &v) &&
	       json_is(v, "lite");
}
