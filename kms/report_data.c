// What the quote of a KMS's birth says.
#include <string.h>

#include "bootstrap.h"
#include "core/hash/keccak.h"

void bootstrap_report_data(const uint8_t ca_spki[static 91], const uint8_t k256_pub[static 33],
			   uint8_t out[static 64])
{
	static const char prefix[] = "dstack-kms-genereted-keys-v1:"; // so spelled on the wire
	char text[sizeof prefix + 2 * (91 + 33) + 2];
	struct wr w = wr_to(text, sizeof text);

	wr_str(&w, prefix);
	wr_hex(&w, ca_spki, 91);
	wr_u8(&w, ';');
	wr_hex(&w, k256_pub, 33);
	wr_u8(&w, ';');
	memset(out, 0, 64);
	keccak256(text, w.n, out);
}
