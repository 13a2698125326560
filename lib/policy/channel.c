#include "policy/channel.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"

// "localhost" is a name: who answers for it is the resolver's decision.
bool policy_url_is_local(const char *url)
{
	char host[64];
	uint8_t ip[16];

	if (str_starts(url, "unix:/"))
		return true;
	const char *p = strstr(url, "://");
	if (!p)
		return false;
	p += 3;
	bool v6 = *p == '[';
	size_t n = v6 ? strcspn(++p, "]") : strcspn(p, ":/?#");
	if (n >= sizeof host)
		return false;
	memcpy(host, p, n);
	host[n] = 0;
	if (v6)
		return inet_pton(AF_INET6, host, ip) == 1 && !memcmp(ip, &in6addr_loopback, 16);
	return inet_pton(AF_INET, host, ip) == 1 && ip[0] == 127;
}

static int check_files(const struct policy_webhook_opts *o, struct err *e)
{
	const char *const files[] = { o->ca_file, o->client_cert, o->client_key };
	struct stat st;

	for (size_t i = 0; i < 3; i++)
		if (files[i] && *files[i] && !file_exists(files[i]))
			return err_code(e, ERR_INPUT, "config.policy", "%s does not exist", files[i]);
	if (o->client_key && *o->client_key && (stat(o->client_key, &st) || st.st_mode & 077))
		return err_code(e, ERR_INPUT, "config.policy", "%s can be read by others; chmod 600 it",
				o->client_key);
	return 0;
}

int policy_channel_check(const struct policy_webhook_opts *o, struct err *e)
{
	bool cert = o->client_cert && *o->client_cert, key = o->client_key && *o->client_key;

	if (cert != key)
		return err_code(e, ERR_INPUT, "config.policy", "%s: client_cert and client_key go together",
				o->url);
	if (strpbrk(o->url, " \t\r\n@"))
		return err_code(e, ERR_INPUT, "config.policy", "url %s has a blank or a user name",
				STR_QZ(o->url));
	if (check_files(o, e))
		return -1;
	if (policy_url_is_local(o->url))
		return 0;
	if (str_starts(o->url, "https://")) {
		if (cert || o->one_sided_tls || (o->hmac_key_file && *o->hmac_key_file))
			return 0;
		return err_code(e, ERR_INPUT, "config.policy_channel",
				"%s has no client_cert and no hmac_key_file: the service cannot tell this "
				"KMS from others; if it need "
				"not, say allow_one_sided_tls = true",
				o->url);
	}
	if (!o->insecure_http)
		return err_code(e, ERR_INPUT, "config.policy_channel",
				"%s is in clear: whoever is in between could allow anything; use https, a "
				"unix socket "
				"or loopback",
				o->url);
	log_warn("policy", "INSECURE: policy in clear url=%s", o->url);
	return 0;
}
