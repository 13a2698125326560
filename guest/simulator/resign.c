#include "resign.h"

#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "core/attest/quote.h"
#include "forge/forge.h"

enum {
	SEED = 32,
	SIGNED = QUOTE_HEADER + QUOTE_TD10,
	SIGNATURE_AT = SIGNED + 4, // behind the length of the signature data
	YEAR = 365 * 86400,
	SINCE = 1704067200, // 2024: fixed, so that the seed alone decides the root
};

struct resign {
	struct forge_keys keys;
	struct forge_out made;
};

// Everything by the seed but the collateral, which is of now.
static int build(struct resign *r, struct span td, struct err *e)
{
	struct forge f;

	forge_init(&f, &r->keys, FORGE_TDX4, (int64_t)time_now());
	for (int i = 0; i < FORGE_CERTS; i++) {
		f.cert[i].not_before = SINCE;
		f.cert[i].not_after = SINCE + 30LL * YEAR;
	}
	_Static_assert(RESIGN_REPORT_DATA == QUOTE_HEADER + TD_REPORT_DATA, "both are spec 50's");
	memcpy(f.quote.td + TD_ATTRIBUTES, td.p + TD_ATTRIBUTES, 8);
	memcpy(f.quote.td + TD_MRTD, td.p + TD_MRTD, TD_SVN2 - TD_MRTD);
	return forge_build(&f, &r->made, e);
}

static int save(const char *path, const struct sb *what, struct err *e)
{
	if (!*path)
		return 0;
	log_info("simulator", "development PKI of the seed file=%s", STR_QZ(path));
	return file_write(path, 0644, what->p, what->n, e);
}

struct resign *resign_new(const char *seed, struct span td, const struct resign_paths *paths, struct err *e)
{
	uint8_t bytes[SEED];

	if (strlen(seed) != 2 * SEED || !hex_exact(bytes, SEED, seed)) {
		err_code(e, ERR_INPUT, "simulator.seed", "mock_attestation_seed is not 64 hex digits");
		return NULL;
	}
	struct resign *r = calloc(1, sizeof *r);
	if (!r) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	if (!forge_keys_load(&r->keys, NULL, STR_HEX(bytes, SEED), e) && !build(r, td, e) &&
	    !save(paths->root, &r->made.layer[FORGE_ROOT], e) &&
	    !save(paths->collateral, &r->made.layer[FORGE_COLLATERAL], e))
		return r;
	resign_free(r);
	return NULL;
}

struct span resign_first(const struct resign *r)
{
	return span_of(r->made.layer[FORGE_WHOLE].p, r->made.layer[FORGE_WHOLE].n);
}

int resign_quote(const struct resign *r, uint8_t *quote, struct err *e)
{
	return key_sign_fixed(&r->keys.key[FORGE_KEY_ATT], quote, SIGNED, quote + SIGNATURE_AT, e);
}

void resign_free(struct resign *r)
{
	if (!r)
		return;
	forge_keys_free(&r->keys);
	forge_out_free(&r->made);
	free(r);
}
