// contracts - puts DstackKms and DstackApp on a chain from compiled artefacts (contracts/out).
#pragma once
#include "chain.h"

// Implementation of DstackApp, of DstackKms, and the proxy of DstackKms that belongs to `owner`; prints
// addresses.
int contracts_deploy(struct chain *c, const char *artifacts, const uint8_t owner[static ETH_ADDRESS],
		     bool json, struct err *e);
