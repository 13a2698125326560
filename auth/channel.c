#include "channel.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "policy/channel.h"
#include "ratls/tls.h"

enum { PEM_MAX = 256 << 10 };

bool channel_is_local(const char *address)
{
	if (str_starts(address, "unix:") || str_starts(address, "vsock:"))
		return true;
	if (!str_starts(address, "tcp:"))
		return false;
	auto_free char *url = str_format("http://%s", address + 4);
	return url && policy_url_is_local(url);
}

static int load(const struct config *c, SSL_CTX **out, struct err *e)
{
	auto_free char *cert = NULL, *ca = NULL;
	const char *ca_file = config_str(c, "tls.client_ca");
	auto_secret *key = NULL;
	size_t cert_n, ca_n = 0;

	if (file_read(config_str(c, "tls.cert"), PEM_MAX, &cert, &cert_n, e) ||
	    (*ca_file && file_read(ca_file, PEM_MAX, &ca, &ca_n, e)) ||
	    file_read_secret(config_str(c, "tls.key"), PEM_MAX, &key, e))
		return err_wrap(e, "tls");
	struct tls_conf conf = {
		.is_server = true,
		.cert_pem = span_of(cert, cert_n),
		.key_pem = span_of(key->b, key->n),
		.roots_pem = span_of(ca, ca_n),
		.peer = *ca_file ? TLS_PEER_REQUIRED : TLS_PEER_UNVERIFIED, // else by its seal
		.allow_tls12 = true, // upstream's KMS may speak no later one
	};
	*out = tls_ctx_new(&conf, e);
	return *out ? 0 : err_wrap(e, "tls");
}

int channel_open(const struct config *c, SSL_CTX **out, struct err *e)
{
	const char *address = config_str(c, "address");
	bool cert = *config_str(c, "tls.cert"), key = *config_str(c, "tls.key"),
	     ca = *config_str(c, "tls.client_ca"), seal = *config_str(c, "hmac_key_file");

	*out = NULL;
	if (cert != key || (ca && !cert) || (cert && !ca && !seal))
		return err_code(
			e, ERR_INPUT, "config.policy",
			"tls.cert and tls.key go together, with tls.client_ca or hmac_key_file: without "
			"them anybody could ask");
	if (cert)
		return load(c, out, e);
	if (channel_is_local(address))
		return 0;
	if (!config_bool(c, "insecure_clear"))
		return err_code(
			e, ERR_INPUT, "config.policy_channel",
			"%s is in clear for other machines: whoever is in between could allow anything; "
			"use tls.cert, tls.key and tls.client_ca, a unix socket or loopback",
			address);
	log_warn("auth", "INSECURE: policy in clear address=%s", address);
	return 0;
}
