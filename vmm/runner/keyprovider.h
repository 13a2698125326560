// keyprovider - asks the host's local key provider for a guest (docs/formats/sealing.md).
//
// The host only carries: the key is in a box that the guest alone can open, and the guest verifies the
// provider's quote. Blocks, at most 30 seconds; for a worker.
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "core/codec/buf.h"

enum { KEYPROVIDER_QUOTE_MAX = 64 * 1024, KEYPROVIDER_BOX_MAX = 1024, KEYPROVIDER_FRAME_MAX = 8 << 20 };

// `address` is "ADDRESS:PORT". Codes: host.key_provider (it cannot be reached or answers nonsense).
int keyprovider_ask(const char *address, struct span quote, struct arena *a, struct span *box,
		    struct span *provider_quote, struct err *e);
// The answering document, for tests.
int keyprovider_read(struct span json, struct arena *a, struct span *box, struct span *provider_quote,
		     struct err *e);
