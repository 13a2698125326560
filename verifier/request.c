#include "request.h"

#include <stdlib.h>
#include <string.h>

#include "core/codec/hex.h"
#include "core/codec/json.h"

enum { ATTESTATION, QUOTE, EVENT_LOG, VM_CONFIG, DEBUG, MEMBERS };

static int bad(struct err *e, const char *what)
{
	return err_code(e, ERR_INPUT, "verifier.request", "%s", what);
}

// The decoded text of a string member, appended to the store; empty for null and for nothing.
static int text(struct span *out, struct json v, struct wr *store, struct err *e)
{
	size_t n;

	*out = (struct span){ 0 };
	if (json_kind(v) == JSON_NONE || json_kind(v) == JSON_NULL)
		return 0;
	if (json_kind(v) != JSON_STRING || json_string(v, store->p + store->n, store->cap - store->n, &n))
		return bad(e, "attestation, quote, event_log and vm_config must be strings");
	*out = span_of(store->p + store->n, n);
	store->n += n;
	return 0;
}

// Hex digits, perhaps after 0x, decoded in place: bytes are half as long.
static int unhex(struct span *s, const char *name, struct err *e)
{
	uint8_t *to = (uint8_t *)(uintptr_t)s->p;
	struct span digits = *s;

	if (digits.n > 2 && digits.p[0] == '0' && (digits.p[1] | 0x20) == 'x')
		digits = span_of(digits.p + 2, digits.n - 2);
	if (hex_decode(to, digits.n / 2, digits))
		return err_code(e, ERR_UNTRUSTED, "verifier.evidence", "%s is not hex", name);
	*s = span_of(to, digits.n / 2);
	return 0;
}

static int take(struct request *r, const struct json v[MEMBERS], struct wr *store, struct err *e)
{
	if (json_kind(v[DEBUG]) != JSON_NONE && json_kind(v[DEBUG]) != JSON_NULL &&
	    json_bool(v[DEBUG], &r->debug))
		return bad(e, "debug must be true or false");
	if (text(&r->attestation, v[ATTESTATION], store, e) || text(&r->quote, v[QUOTE], store, e) ||
	    text(&r->event_log, v[EVENT_LOG], store, e) || text(&r->vm_config, v[VM_CONFIG], store, e))
		return -1;
	if (r->attestation.n) {
		r->quote = r->event_log = r->vm_config = (struct span){ 0 };
		return unhex(&r->attestation, "attestation", e);
	}
	if (!r->quote.n)
		return err_code(e, ERR_UNTRUSTED, "verifier.evidence",
				"the request has neither attestation nor quote");
	if (!r->event_log.n)
		return err_code(e, ERR_UNTRUSTED, "verifier.evidence",
				"the request has a quote without its event_log");
	return unhex(&r->quote, "quote", e);
}

int request_read(struct request *r, struct span json, struct err *e)
{
	static const char *const names[MEMBERS] = { "attestation", "quote", "event_log", "vm_config",
						    "debug" };
	struct json root, v[MEMBERS];

	*r = (struct request){ 0 };
	if (json.n > REQUEST_MAX)
		return bad(e, "the request is too long");
	if (json_parse(&root, json, NULL) || json_kind(root) != JSON_OBJECT)
		return bad(e, "the request is not a JSON object");
	r->store = malloc(json.n + 1);
	if (!r->store)
		return err_set(e, ERR_SYSTEM, "out of memory");
	json_pick(root, names, v, MEMBERS);
	struct wr store = wr_to(r->store, json.n);

	return take(r, v, &store, e);
}

void request_free(struct request *r)
{
	free(r->store);
	*r = (struct request){ 0 };
}
