// Any bytes as a message to custody: it is answered by the table or not at all, and no answer holds the root
// key.
#include <string.h>
#include "custody_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

static const char keys[] =
	"{\"k256_key\":\"d6e88992cdeeee35fe70b5db61ab66cdb191fb9b6ec9313757ef162dd7214d5d\","
	"\"ca_cert\":\"\",\"key_provider\":{\"Kms\":{\"url\":\"https://kms\"}}}";

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	static struct keyring ring;
	static struct app_public public;
	static struct custody_request q;
	struct custody_reply r = { 0 };
	struct key_file file;
	struct err e;

	if (!ring.file.k256 && (key_file_parse("fuzz", keys, sizeof keys - 1, &file, &e) ||
				keyring_open(&ring, &file, &public, &e)))
		__builtin_trap();
	if (n > sizeof q)
		n = sizeof q;
	if (n)
		memcpy(&q, d, n);
	if (!custody_answer(&ring, &q, n, &r))
		return 0;
	size_t size = custody_reply_size(&r);
	if (size > sizeof r || memmem(&r, size, ring.file.k256->b, ring.file.k256->n))
		__builtin_trap();
	if (r.err.class == ERR_NONE && q.head.op == CUSTODY_CERT) // this app has no CA
		__builtin_trap();
	return 0;
}
