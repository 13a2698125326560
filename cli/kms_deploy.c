// kms deploy - a KMS of a stack in a confidential VM of its own: started, judged by its evidence, allowed,
// and its root taken as what apps and gateway rest on. With --from it takes its roots over from another KMS.
//
// Its identity is its compose file: image, configuration, administrator. So that is written once; with
// another it would be another KMS with other roots. Its own disk key comes from the machine's local key
// provider.
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/secret.h"
#include "base/strings.h"
#include "command.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "kms.h"
#include "kms_onboard.h"

enum { GATEWAY_APP_ID = 20 };

static void stack_path(const struct kms_site *j, char out[static PATH_MAX], const char *name)
{
	snprintf(out, PATH_MAX, "%s/%s", j->vms.ctx.dir, name);
}

static int read_options(struct kms_site *j, struct kms_source *from, int argc, char **argv, struct err *e)
{
	static const struct option options[] = { { "image", required_argument, NULL, 'i' },
						 { "from", required_argument, NULL, 'f' },
						 { "memory", required_argument, NULL, 'm' },
						 { "json", no_argument, NULL, 'j' },
						 { 0 } };
	uint64_t memory = 1024;

	optind = 1;
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'i')
			j->image = optarg;
		else if (c == 'f')
			from->said = optarg;
		else if (c == 'j')
			j->json = true;
		else if (c != 'm' || !str_uint(optarg, 512, 1 << 20, &memory))
			return err_set(e, ERR_INPUT, "see dstack kms --help");
	}
	snprintf(j->memory, sizeof j->memory, "%llu", (unsigned long long)memory);
	return optind == argc ? 0 : err_set(e, ERR_INPUT, "dstack kms deploy takes no '%s'", argv[optind]);
}

// ---- the gateway's certificate

static int ask_cert(struct kms_site *j, EVP_PKEY *key, Kms__SignCertResponse **out, struct err *e)
{
	Kms__DevelopmentCertRequest q = KMS__DEVELOPMENT_CERT_REQUEST__INIT;
	static const uint8_t app[GATEWAY_APP_ID]; // the local stack's gateway: GATEWAY_APP of stackconf.c
	char *names[] = { "10.0.2.2", "127.0.0.1" };
	uint8_t spki[P256_SPKI];

	if (p256_spki(key, spki, e))
		return -1;
	q.public_key = (ProtobufCBinaryData){ sizeof spki, spki };
	q.name = "gateway";
	q.alt_names = names;
	q.n_alt_names = 2;
	q.app_id = (ProtobufCBinaryData){ sizeof app, (uint8_t *)(uintptr_t)app };
	return kms_site_ask(j, j->kms, false, "IssueDevelopmentCert", &q.base,
			    &kms__sign_cert_response__descriptor, (void **)out, e);
}

static int gateway_cert(struct kms_site *j, struct err *e)
{
	char path[PATH_MAX], pem[P256_PEM_MAX];
	auto_pkey EVP_PKEY *key = p256_new(e);
	Kms__SignCertResponse *r;
	auto_sb chain = { 0 };

	stack_path(j, path, "gateway/rpc/rpc.crt");
	if (file_exists(path))
		return 0;
	if (!key || ask_cert(j, key, &r, e))
		return err_wrap(e, "the gateway's certificate");
	if (r->n_certificate_chain != 3)
		return err_code(e, ERR_INPUT, "kms.reply", "a chain of %zu certificates, not 3",
				r->n_certificate_chain);
	sb_str(&chain, r->certificate_chain[0]);
	sb_str(&chain, r->certificate_chain[1]);
	stack_path(j, path, "gateway/rpc");
	if (chain.bad || file_mkdirs(path, 0700, e) || p256_to_pem(key, pem, e))
		return -1;
	stack_path(j, path, "gateway/rpc/rpc.key");
	int rc = file_write_str(path, 0600, pem, e);
	secret_wipe(pem, sizeof pem);
	stack_path(j, path, "gateway/rpc/ca.crt");
	rc = rc || file_write_str(path, 0644, r->certificate_chain[2], e);
	stack_path(j, path, "gateway/rpc/rpc.crt"); // last: `dstack up` starts the gateway when it is there
	return rc || file_write_str(path, 0644, chain.p, e) ? -1 : 0;
}

// ---- all

static int deploy_first(struct kms_site *j, struct err *e)
{
	if (kms_site_deploy(j, e))
		return -1;
	progress_stage(&j->progress, "%s: evidence of its VM, and its place in the policy", j->kms->name);
	if (kms_site_allow(j, e))
		return -1;
	progress_stage(&j->progress, "%s: its attested certificate and its root", j->kms->name);
	if (kms_site_check(j, e))
		return -1;
	progress_stage(&j->progress, "%s: the gateway's certificate", j->kms->name);
	return gateway_cert(j, e);
}

void kms_report(const struct kms_site *j)
{
	char url[64];

	kms_site_url(j, j->kms, "127.0.0.1", url);
	if (j->json)
		printf("{\"ok\":true,\"id\":\"%s\",\"app_id\":\"%s\",\"compose_hash\":\"%s\",\"name\":\"%s\","
		       "\"mr_aggregated\":\"%s\",\"url\":\"%s\"}\n",
		       j->id, j->app, STR_HEX(j->compose_hash, 32), j->kms->name, STR_HEX(j->mr, 32), url);
	else
		printf("%s runs in a CVM: %s, mr_aggregated %s\n", j->kms->name, url, STR_HEX(j->mr, 32));
}

int kms_deploy(int argc, char **argv)
{
	struct kms_site j = { 0 };
	struct kms_source from = { 0 };
	struct err e = { 0 };
	int status = read_options(&j, &from, argc, argv, &e) || kms_site_open(&j, &e);

	progress_init(&j.progress, j.json);
	if (!status)
		status = from.said ? kms_onboard(&j, &from, &e) : deploy_first(&j, &e);
	progress_end(&j.progress, !status);
	if (!status)
		kms_report(&j);
	if (!status && !j.json && !from.said)
		printf("`dstack up` starts what was waiting for it\n");
	kms_site_close(&j);
	return status ? command_fail(&e, j.json) : 0;
}
