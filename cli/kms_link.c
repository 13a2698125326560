#include "kms_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/secret.h"
#include "base/strings.h"

enum { TOKEN_MAX = 256 };

static int basic_header(const char *token_file, char *out, size_t cap, struct err *e)
{
	char plain[TOKEN_MAX + 16];
	auto_secret *token = NULL;
	auto_sb b = { 0 };

	if (file_read_secret(token_file, TOKEN_MAX, &token, e))
		return -1;
	size_t n = token->n;
	while (n && strchr(" \t\r\n", token->b[n - 1]))
		n--;
	snprintf(plain, sizeof plain, "admin:%.*s", (int)n, (const char *)token->b);
	sb_base64(&b, plain, strlen(plain));
	snprintf(out, cap, "Authorization: Basic %s", b.p ? b.p : "");
	secret_wipe(plain, sizeof plain);
	if (b.p)
		secret_wipe(b.p, b.n);
	return 0;
}

int kms_link_call(const struct kms_link *l, const char *method, const ProtobufCMessage *in,
		  const ProtobufCMessageDescriptor *d, struct arena *a, void **out, struct err *e)
{
	char header[2 * TOKEN_MAX + 64] = "";
	auto_free char *url = str_format("%s%s", l->url, str_ends(l->url, "/prpc") ? "" : "/prpc");

	if (!url)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (l->token_file && basic_header(l->token_file, header, sizeof header, e))
		return -1;
	const struct rpc_client_opts o = { .timeout_s = l->timeout_s, .header = *header ? header : NULL };
	auto_rpc_client *c = rpc_client_new(url, &o, e);
	int rc = c ? rpc_client_call(c, method, in, d, a, out, e) : -1;
	secret_wipe(header, sizeof header);
	return rc;
}
