#include "contracts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "policy/abi.h"
#include "policy/jsonrpc.h"

enum { ARTIFACT_MAX = 1 << 20 };

static int read_code(const char *dir, const char *name, struct wr *out, struct err *e)
{
	auto_free char *path = str_format("%s/%s.json", dir, name);
	auto_free char *text = NULL;
	struct json doc, code;
	size_t n = 0, len = 0;

	if (!path)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (file_read(path, ARTIFACT_MAX, &text, &n, e))
		return -1;
	if (json_parse(&doc, span_of(text, n), NULL) || !json_get(doc, "bytecode", &code) ||
	    jsonrpc_data(code, out->p, out->cap, &len) || !len)
		return err_set(e, ERR_INPUT, "%s has no bytecode", path);
	out->n = len;
	return 0;
}

static int create(struct chain *c, const struct wr *code, uint8_t out[static ETH_ADDRESS], struct err *e)
{
	struct chain_receipt r;

	if (code->bad)
		return err_set(e, ERR_INPUT, "the contract is too long");
	if (chain_send(c, NULL, span_of(code->p, code->n), &r, e))
		return -1;
	memcpy(out, r.contract, ETH_ADDRESS);
	return 0;
}

static int create_named(struct chain *c, const char *dir, const char *name, struct wr *room,
			uint8_t out[static ETH_ADDRESS], struct err *e)
{
	return read_code(dir, name, room, e) || create(c, room, out, e) ? err_wrap(e, "%s", name) : 0;
}

// constructor(address implementation, bytes data), data = initialize(owner, app)
static int create_proxy(struct chain *c, const char *dir, struct wr *room, const uint8_t *kms,
			const uint8_t *app, const uint8_t *owner, uint8_t out[static ETH_ADDRESS],
			struct err *e)
{
	uint8_t data[128];
	struct wr init = wr_to(data, sizeof data);

	abi_selector(&init, "initialize(address,address)");
	abi_right(&init, owner, ETH_ADDRESS);
	abi_right(&init, app, ETH_ADDRESS);
	if (read_code(dir, "ERC1967Proxy", room, e))
		return -1;
	abi_right(room, kms, ETH_ADDRESS);
	abi_u64(room, 2 * ABI_WORD);
	abi_bytes(room, data, init.n);
	return create(c, room, out, e) ? err_wrap(e, "ERC1967Proxy") : 0;
}

int contracts_deploy(struct chain *c, const char *artifacts, const uint8_t owner[static ETH_ADDRESS],
		     bool json, struct err *e)
{
	uint8_t app[ETH_ADDRESS], impl[ETH_ADDRESS], kms[ETH_ADDRESS];
	auto_free uint8_t *p = malloc(ETH_DATA_MAX);
	struct wr room = wr_to(p, p ? ETH_DATA_MAX : 0);

	if (!artifacts)
		return err_set(e, ERR_INPUT,
			       "app contracts needs --artifacts DIR (contracts/out of the source tree)");
	if (create_named(c, artifacts, "DstackApp", &room, app, e) ||
	    create_named(c, artifacts, "DstackKms", &room, impl, e) ||
	    create_proxy(c, artifacts, &room, impl, app, owner, kms, e))
		return -1;
	printf(json ? "{\"ok\":true,\"kms\":\"0x%s\",\"kms_implementation\":\"0x%s\",\"app_implementation\":"
		      "\"0x%s\"}\n"
		    : "kms 0x%s\nkms implementation 0x%s\napp implementation 0x%s\n",
	       STR_HEX(kms, ETH_ADDRESS), STR_HEX(impl, ETH_ADDRESS), STR_HEX(app, ETH_ADDRESS));
	return 0;
}
