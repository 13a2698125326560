#include "issue.h"

#include <getopt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "base/time.h"
#include "../config.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"

enum { SANS_MAX = 32, DAYS = 365, DAY = 86400 };

struct args {
	const char *config, *name, *app_id, *out, *sans[SANS_MAX];
	size_t n_sans;
};

static int usage(FILE *to)
{
	fprintf(to, "usage: dstack-kms issue --config FILE --name NAME --app-id HEX --out DIR [--san "
		    "NAME_OR_IP]...\n"
		    "Signs the RPC certificate of a gateway outside a CVM with the app's CA: DIR/rpc.crt "
		    "(chain), DIR/rpc.key,\n"
		    "DIR/ca.crt. Needs insecure_development = true in the configuration.\n");
	return to == stdout ? 0 : 2;
}

// -1: go on, else the exit status.
static int parse(int argc, char **argv, struct args *a)
{
	static const struct option opts[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "name", required_argument, NULL, 'n' },
		{ "san", required_argument, NULL, 's' },
		{ "app-id", required_argument, NULL, 'a' },
		{ "out", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};

	for (int c; (c = getopt_long(argc, argv, "c:h", opts, NULL)) != -1;) {
		switch (c) {
		case 'c':
			a->config = optarg;
			break;
		case 'n':
			a->name = optarg;
			break;
		case 'a':
			a->app_id = optarg;
			break;
		case 'o':
			a->out = optarg;
			break;
		case 's':
			if (a->n_sans == SANS_MAX)
				return usage(stderr);
			a->sans[a->n_sans++] = optarg;
			break;
		default:
			return usage(c == 'h' ? stdout : stderr);
		}
	}
	return a->config && a->name && a->app_id && a->out && optind == argc ? -1 : usage(stderr);
}

static int write_out(const char *dir, const char *name, mode_t mode, const char *text, struct err *e)
{
	auto_free char *path = str_format("%s/%s", dir, name);

	return path ? file_write_str(path, mode, text, e) : err_set(e, ERR_SYSTEM, "out of memory");
}

static int write_all(const char *dir, X509 *leaf, X509 *ca, X509 *root, EVP_PKEY *key, struct err *e)
{
	char chain[2 * 8192], root_pem[8192], key_pem[P256_PEM_MAX];

	if (cert_to_pem(leaf, chain, 8192, e) || cert_to_pem(ca, chain + strlen(chain), 8192, e) ||
	    cert_to_pem(root, root_pem, sizeof root_pem, e) || p256_to_pem(key, key_pem, e) ||
	    file_mkdirs(dir, 0700, e))
		return -1;
	int rc = write_out(dir, "rpc.key", 0600, key_pem, e) || write_out(dir, "ca.crt", 0644, root_pem, e) ||
		 write_out(dir, "rpc.crt", 0644, chain, e);
	OPENSSL_cleanse(key_pem, sizeof key_pem);
	return rc ? -1 : 0;
}

static int issue_with(const struct keystore *s, const struct args *a, const uint8_t app[static APP_ID],
		      struct err *e)
{
	struct cert_spec spec = {
		.cn = a->name,
		.sans = a->sans,
		.n_sans = a->n_sans,
		.server_auth = true,
		.client_auth = true,
		.not_before = (int64_t)time_now() - DAY,
		.not_after = (int64_t)time_now() + (int64_t)DAYS * DAY,
		.app_id = span_of(app, APP_ID),
		.usage = span_str("app:custom"),
	};
	auto_pkey EVP_PKEY *ca_key = NULL;
	auto_x509 X509 *ca = keystore_app_ca(&s->set[0], app, &ca_key, e);
	auto_pkey EVP_PKEY *key = ca ? p256_new(e) : NULL;
	struct cert_issuer by = { .cert = ca, .key = ca_key };
	auto_x509 X509 *leaf = key ? cert_issue(&spec, key, &by, e) : NULL;

	return leaf ? write_all(a->out, leaf, ca, s->set[0].ca_cert, key, e) : -1;
}

static int run(const struct args *a, struct err *e)
{
	uint8_t app[APP_ID];
	struct kms_config c;
	struct keystore s;

	if (!hex_exact(app, sizeof app, a->app_id))
		return err_set(e, ERR_INPUT, "--app-id is not 40 hex digits");
	for (size_t i = 0; i < a->n_sans; i++)
		if (!name_is_valid(a->sans[i]))
			return err_set(e, ERR_INPUT, "--san %s is no DNS name and no IP address",
				       STR_QZ(a->sans[i]));
	if (secret_process(e) || kms_config_read(&c, a->config, e))
		return -1;
	int rc = -1;
	if (!c.insecure_development)
		err_code(e, ERR_DENIED, "config.development_only",
			 "a certificate without evidence is only signed with insecure_development = true");
	else if (!keystore_open(&s, &c.keys, e)) {
		rc = issue_with(&s, a, app, e);
		keystore_close(&s);
	}
	kms_config_free(&c);
	return rc;
}

int issue_main(int argc, char **argv)
{
	struct args a = { 0 };
	struct err e = { 0 };
	int status = parse(argc, argv, &a);

	if (status >= 0)
		return status;
	if (run(&a, &e)) {
		fprintf(stderr, "dstack-kms issue: %s%s%s\n", e.text, *e.code ? " code=" : "", e.code);
		return err_exit(&e);
	}
	printf("%s/rpc.crt\n", a.out);
	return 0;
}
