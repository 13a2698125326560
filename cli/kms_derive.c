// kms derive - the keys of one app from the root keys, without a KMS: recovery for whoever holds the roots.
#include <getopt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "command.h"
#include "crypto/appkeys.h"
#include "crypto/k256.h"
#include "crypto/p256.h"
#include "crypto/rotation.h"
#include "crypto/ssl.h"
#include "kms.h"
#include "policy/keypolicy.h"

enum { KEY_FILE_MAX = 64 * 1024 };

struct derive_args {
	const char *cert_dir, *state_dir;
	uint64_t root;
	uint8_t app[APP_ID], inst[APP_ID], seed[APPKEYS_SEED_MAX];
	size_t seed_n;
	bool has_app, has_inst, has_root, json;
	struct app_epoch at;
};

static int parse(int argc, char **argv, struct derive_args *a)
{
	static const struct option opts[] = { { "cert-dir", required_argument, NULL, 'd' },
					      { "app-id", required_argument, NULL, 'a' },
					      { "instance-id", required_argument, NULL, 'i' },
					      { "epoch", required_argument, NULL, 'e' },
					      { "seed", required_argument, NULL, 's' },
					      { "deployment-seed", required_argument, NULL, 's' },
					      { "state", required_argument, NULL, 'S' },
					      { "root", required_argument, NULL, 'r' },
					      { "json", no_argument, NULL, 'j' },
					      { NULL, 0, NULL, 0 } };
	bool ok = true;

	optind = 1;
	for (int c; ok && (c = getopt_long(argc, argv, "", opts, NULL)) != -1;) {
		switch (c) {
		case 'd':
			a->cert_dir = optarg;
			break;
		case 'a':
			ok = a->has_app = hex_exact(a->app, sizeof a->app, optarg);
			break;
		case 'i':
			a->has_inst = *optarg != 0; // an app with no_instance_id has an empty one
			ok = !a->has_inst || hex_exact(a->inst, sizeof a->inst, optarg);
			break;
		case 'e':
			ok = str_u64(optarg, &a->at.epoch);
			break;
		case 's':
			ok = !hex_read(a->seed, sizeof a->seed, optarg, strlen(optarg), &a->seed_n);
			break;
		case 'S':
			a->state_dir = optarg;
			break;
		case 'r':
			ok = a->has_root = str_u64(optarg, &a->root) && a->root < ROOT_SETS_MAX;
			break;
		case 'j':
			a->json = true;
			break;
		default:
			ok = false;
		}
	}
	a->at.seed = span_of(a->seed, a->seed_n);
	return ok && a->cert_dir && a->has_app && optind == argc && !(a->has_root && a->state_dir) ? 0 : -1;
}

static int read_secret(const char *dir, const char *name, struct secret **out, struct err *e)
{
	auto_free char *path = str_format("%s/%s", dir, name);

	return path ? file_read_secret(path, KEY_FILE_MAX, out, e) : err_set(e, ERR_SYSTEM, "out of memory");
}

static int read_roots(const char *dir, struct roots *r, struct err *e)
{
	auto_secret *pem = NULL, *k256 = NULL;

	if (read_secret(dir, "root-ca.key", &pem, e) || read_secret(dir, "root-k256.key", &k256, e))
		return -1;
	if (k256->n != sizeof r->k256)
		return err_code(e, ERR_INPUT, "key.scalar", "%s/root-k256.key has %zu bytes, not 32", dir,
				k256->n);
	memcpy(r->k256, k256->b, sizeof r->k256);
	auto_pkey EVP_PKEY *ca = p256_from_pem(span_of(pem->b, pem->n), e);
	return ca ? p256_scalar(ca, r->ca, e) : -1;
}

struct derived {
	struct app_keys keys;
	struct env_key env;
	uint8_t k256_pub[K256_PUB], root_pub[K256_PUB], ca_spki[P256_SPKI];
};

// The folder of the set that the epoch hangs on. With one set only there is nothing to ask.
static int find_root(struct derive_args *a, char **folder, struct err *e)
{
	size_t n = strlen(a->cert_dir);

	while (n > 1 && a->cert_dir[n - 1] == '/')
		n--;
	auto_free char *ring = str_format("%s/roots/1", a->cert_dir);
	auto_free char *path = a->state_dir ? str_format("%s/" KEYPOLICY_NAME, a->state_dir)
					    : str_format("%.*s.state/" KEYPOLICY_NAME, (int)n, a->cert_dir);
	if (!ring || !path)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (!a->has_root && file_exists(ring)) {
		struct keypolicy *p = NULL;
		if (!file_exists(path))
			return err_code(
				e, ERR_INPUT, "cli.option",
				"there are several root sets: say with --state DIR where %s is, or with "
				"--root R which set the epoch hangs on",
				KEYPOLICY_NAME);
		if (keypolicy_load(path, &p, e))
			return -1;
		a->root = keypolicy_root(p, a->app, a->at.epoch);
		keypolicy_free(p);
	}
	*folder = a->root ? str_format("%s/roots/%u", a->cert_dir, (unsigned)a->root) : strdup(a->cert_dir);
	return *folder ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

static int derive(struct derive_args *a, struct derived *d, struct err *e)
{
	auto_free char *folder = NULL;
	struct roots r;
	uint8_t ca[P256_SCALAR];
	struct span inst = span_of(a->inst, a->has_inst ? sizeof a->inst : 0);
	int rc = find_root(a, &folder, e) || read_roots(folder, &r, e) ||
		 appkeys_derive_at(&r, &a->at, a->app, inst, &d->keys, e) ||
		 appkeys_env_at(&r, &a->at, a->app, 0, &d->env, e) ||
		 k256_public(d->keys.k256, d->k256_pub, e) || k256_public(r.k256, d->root_pub, e) ||
		 appkeys_ca(&r, a->app, ca, e);

	if (!rc) {
		auto_pkey EVP_PKEY *k = p256_from_scalar(ca, e);
		rc = !k || p256_spki(k, d->ca_spki, e);
	}
	OPENSSL_cleanse(&r, sizeof r);
	OPENSSL_cleanse(ca, sizeof ca);
	return rc ? -1 : 0;
}

static void put(bool json, const char *name, const uint8_t *p, size_t n)
{
	char hex[2 * P256_SPKI + 1];

	hex_encode(hex, p, n);
	printf(json ? ",\"%s\":\"%s\"" : "%-18s %s\n", name, hex);
	OPENSSL_cleanse(hex, sizeof hex);
}

static void print(const struct derive_args *a, const struct derived *d)
{
	if (a->json)
		printf("{\"epoch\":%llu,\"root_set\":%llu", (unsigned long long)a->at.epoch,
		       (unsigned long long)a->root);
	else
		printf("%-18s %llu\n%-18s %llu\n", "epoch", (unsigned long long)a->at.epoch, "root_set",
		       (unsigned long long)a->root);
	put(a->json, "app_id", a->app, sizeof a->app);
	put(a->json, "instance_id", a->inst, a->has_inst ? sizeof a->inst : 0);
	put(a->json, "disk_crypt_key", d->keys.disk, 32);
	put(a->json, "env_crypt_key", d->keys.env, 32);
	put(a->json, "env_public_key", d->env.pub, 32);
	put(a->json, "k256_key", d->keys.k256, 32);
	put(a->json, "k256_public_key", d->k256_pub, sizeof d->k256_pub);
	put(a->json, "k256_signature", d->keys.k256_sig, sizeof d->keys.k256_sig);
	put(a->json, "root_k256_pubkey", d->root_pub, sizeof d->root_pub);
	put(a->json, "app_ca_spki", d->ca_spki, sizeof d->ca_spki);
	if (a->json)
		printf("}\n");
}

int kms_derive(int argc, char **argv)
{
	struct derive_args a = { 0 };
	struct derived d = { 0 };
	struct err e = { 0 };

	if (parse(argc, argv, &a))
		return kms_usage("derive");
	if (secret_process(&e) || derive(&a, &d, &e))
		return command_fail(&e, a.json);
	print(&a, &d);
	OPENSSL_cleanse(&d, sizeof d);
	return 0;
}
