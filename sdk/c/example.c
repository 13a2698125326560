// Asks the agent everything once. In a container: ./dstack-example; elsewhere start dstack-simulator and set
// DSTACK_SIMULATOR_ENDPOINT to its dstack.sock. Prints no private key.
#include "dstack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void show(const char *what, const uint8_t *p, size_t n)
{
	printf("%-16s", what);
	for (size_t i = 0; i < n && i < 20; i++)
		printf("%02x", p[i]);
	printf("%s (%zu bytes)\n", n > 20 ? "..." : "", n);
}

static int machine(struct dstack *c, struct dstack_error *e)
{
	struct dstack_version v;
	struct dstack_info i;
	char *gpus;

	if (dstack_version(c, &v, e))
		return -1;
	printf("%-16s%s %s\n", "version", v.version, v.rev);
	dstack_version_free(&v);
	if (dstack_info(c, &i, e))
		return -1;
	printf("%-16s%s\n", "app name", i.app_name);
	show("app id", i.app_id.data, i.app_id.len);
	show("compose hash", i.compose_hash.data, i.compose_hash.len);
	dstack_info_free(&i);
	if (dstack_gpu_info(c, &gpus, e))
		return -1;
	printf("%-16s%s\n", "gpus", *gpus ? gpus : "none");
	dstack_text_free(&gpus);
	return 0;
}

static int keys(struct dstack *c, struct dstack_error *e)
{
	const char *names[] = { "app.example", "www.app.example" };
	const struct dstack_tls_options o = { .subject = "app.example",
					      .alt_names = names,
					      .alt_names_count = 2,
					      .usage_server_auth = true,
					      .usage_ra_tls = true };
	struct dstack_key k;
	struct dstack_tls_key t;

	if (dstack_get_key(c, "wallet/1", "ethereum", "secp256k1", &k, e))
		return -1;
	show("key's chain", k.chain.count ? k.chain.items[0].data : NULL,
	     k.chain.count ? k.chain.items[0].len : 0);
	dstack_key_free(&k);
	if (dstack_get_tls_key(c, &o, &t, e))
		return -1;
	printf("%-16s%zu certificates, the key is PEM of %zu bytes\n", "tls key", t.chain.count,
	       strlen(t.key));
	printf("%s", t.chain.items[0]);
	dstack_tls_key_free(&t);
	return 0;
}

static int evidence(struct dstack *c, struct dstack_error *e)
{
	struct dstack_quote q;
	struct dstack_bytes a;

	if (dstack_get_quote(c, "hello", 5, &q, e))
		return -1;
	show("quote", q.quote.data, q.quote.len);
	show("report data", q.report_data.data, q.report_data.len);
	printf("%-16s%zu bytes\n", "event log", strlen(q.event_log));
	dstack_quote_free(&q);
	if (dstack_attest(c, "hello", 5, &a, e))
		return -1;
	show("attestation", a.data, a.len);
	dstack_bytes_free(&a);
	return 0;
}

static int signatures(struct dstack *c, const char *algorithm, struct dstack_error *e)
{
	static const char data[32] = "thirty-two bytes make one digest";
	struct dstack_signature s;
	bool good = false, bad = false;

	if (dstack_sign(c, algorithm, data, sizeof data, &s, e))
		return -1;
	const struct dstack_verify_args right = { .algorithm = algorithm,
						  .data = data,
						  .data_len = sizeof data,
						  .signature = s.signature.data,
						  .signature_len = s.signature.len,
						  .public_key = s.public_key.data,
						  .public_key_len = s.public_key.len };
	struct dstack_verify_args wrong = right;
	wrong.data = "thirty-two bytes of another text";
	const int ret = dstack_verify(c, &right, &good, e) || dstack_verify(c, &wrong, &bad, e) ? -1 : 0;
	if (!ret)
		printf("%-16s%s: %s, of other data: %s; %zu links to the KMS\n", "signature", algorithm,
		       good ? "valid" : "not valid", bad ? "valid" : "not valid", s.chain.count);
	dstack_signature_free(&s);
	return ret;
}

int main(void)
{
	struct dstack_error e;
	struct dstack *c = dstack_open(NULL, &e);

	if (!c || machine(c, &e) || keys(c, &e) || evidence(c, &e) || signatures(c, "secp256k1", &e) ||
	    signatures(c, "ed25519", &e) || signatures(c, "secp256k1_prehashed", &e)) {
		fprintf(stderr, "dstack: %s%s%s\n", e.text, *e.code ? " " : "", e.code);
		dstack_close(c);
		return 1;
	}
	if (dstack_emit_event(c, "example-ran", "once", 4, &e))
		printf("%-16snot recorded: %s\n", "event", e.text);
	else
		printf("%-16srecorded in RTMR3\n", "event");
	dstack_close(c);
	return 0;
}
