// The core's own signature checks against OpenSSL: which algorithm, then changes (offset, byte to add) to a
// good key, signature and message (RFC 6979, appendix A.2). For RSA there is no good one; both must refuse
// what is made up.
#include <stdlib.h>
#include <string.h>

#include "core/codec/hex.h"
#include "core/sig/own.h"
#include "crypto/sig.h"

enum { MESSAGE = 6, ROOM = 2 * SIG_KEY_MAX + MESSAGE };

static const struct {
	size_t width;
	const char *hex; // key, signature
} good[] = {
	{ 64, "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
	      "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
	      "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
	      "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8" },
	{ 96,
	  "ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a254515480bc13"
	  "8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720"
	  "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46"
	  "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac"
	  "8" },
};

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	static uint8_t bytes[ROOM];
	struct sig_check c = { .alg = n ? d[0] % 3 : 0 };
	bool is_rsa = c.alg == SIG_RSA_PSS_SHA384, changed = is_rsa;
	size_t width = is_rsa ? SIG_RSA_MIN : good[c.alg].width, total = 2 * width + MESSAGE;

	memset(bytes, 0xa5, sizeof bytes);
	if (!is_rsa && hex_decode(bytes, 2 * width, span_str(good[c.alg].hex)))
		abort();
	memcpy(bytes + 2 * width, "sample", MESSAGE);
	for (size_t i = 1; i + 3 <= n; i += 3) {
		size_t at = (size_t)(d[i] << 8 | d[i + 1]) % total;
		changed = changed || (d[i + 2] && !is_rsa);
		bytes[at] = (uint8_t)(bytes[at] + d[i + 2]);
	}
	c.key = span_of(bytes, width);
	c.sig = span_of(bytes + width, width);
	c.msg = span_of(bytes + 2 * width, MESSAGE);
	bool own = sig_own(&c);

	if (own != sig_verify(&c) || (!changed && !own))
		abort();
	return 0;
}
