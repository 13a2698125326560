// Transactions byte for byte as foundry's `cast mktx` makes them (cast 1.7.1, the first key of its test
// mnemonic).
#include "base/strings.h"
#include "guest.h"
#include "policy/ethtx.h"

#define KEY "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
#define TO  "9fe46736679d2d9a65f0992f2272de9f3c7fa6e0"

static void expect_tx(const struct eth_tx *t, const char *want)
{
	uint8_t key[32], out[1024];
	char hex[2049];
	struct wr w = wr_to(out, sizeof out);
	struct err e = { 0 };

	unhex(key, KEY);
	assert_int_equal(eth_tx_sign(&w, t, key, &e), 0);
	hex_encode(hex, out, w.n);
	assert_string_equal(hex, want);
}

static void as_cast_makes_them(void **state)
{
	uint8_t to[20], data[36], code[80];

	(void)state;
	unhex(to, TO);
	unhex(data, "06a3ae96" H1);
	expect_tx(
		&(struct eth_tx){ 31337, 7, 1000000000, 3000000000, 100000, to, span_of(data, sizeof data) },
		"02f891827a6907843b9aca0084b2d05e00830186a0949fe46736679d2d9a65f0992f2272de9f3c7fa6e080a406a3"
		"ae96111111"
		"1111111111111111111111111111111111111111111111111111111111c001a082f1d9dd4e9b27fbdd1c518794c3"
		"9ec3b0c448"
		"51115fbc7a337f723ac7619d72a064fe18a5fdbd3914a9cd41ceecc2268b04c8b1395bddde80c7d9ba34bf8a952"
		"4");
	expect_tx(&(struct eth_tx){ 31337, 0, 0, 3000000000, 21000, to, { 0 } },
		  "02f868827a69808084b2d05e00825208949fe46736679d2d9a65f0992f2272de9f3c7fa6e08080c080a087c00e"
		  "fe9cdf9e0cf8"
		  "244ef2a40d2b474dd20b6a7e259f5d9d188cb5a7ddc185a03e71bab0c861da6237e026f7a52dce3ede86eee6b0"
		  "4171cf6cfe5f"
		  "71e98afe4a");
	for (size_t i = 0; i < sizeof code; i += 2)
		code[i] = 0x60, code[i + 1] = 1;
	expect_tx(&(struct eth_tx){ 31337, 300, 5, 3000000000, 1000000, NULL, span_of(code, sizeof code) },
		  "02f8a8827a6982012c0584b2d05e00830f42408080b85060016001600160016001600160016001600160016001"
		  "6001600160"
		  "016001600160016001600160016001600160016001600160016001600160016001600160016001600160016001"
		  "6001600160"
		  "016001c080a056539d081e7da1beec1d2155a321e2470b61c8cf27adfe9b72abc4bc1ac85487a0762617ff95e6"
		  "1503b979c0"
		  "89deaa4e97b64f9992bb9f5d3677681da371d9359c");
}

static void address_of_a_key(void **state)
{
	uint8_t key[32], address[20];
	struct err e;

	(void)state;
	unhex(key, KEY);
	assert_int_equal(eth_address(key, address, &e), 0);
	assert_string_equal(STR_HEX(address, 20), "f39fd6e51aad88f6f4ce6ab8827279cfffb92266");
	memset(key, 0, sizeof key);
	assert_int_equal(eth_address(key, address, &e), -1);
}

static void too_long(void **state)
{
	uint8_t key[32], *out = malloc(ETH_TX_MAX), *data = calloc(1, ETH_TX_MAX);
	struct wr w = wr_to(out, ETH_TX_MAX);
	struct err e;

	(void)state;
	unhex(key, KEY);
	assert_int_equal(eth_tx_sign(&w, &(struct eth_tx){ .chain_id = 1, .data = span_of(data, ETH_TX_MAX) },
				     key, &e),
			 -1);
	free(out);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_cast_makes_them),
		cmocka_unit_test(address_of_a_key),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
