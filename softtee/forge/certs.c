// The layers in DER: certificates and revocation lists.
#include <stdio.h>
#include <string.h>

#include "forge/layers.h"

static const enum forge_key crl_key[2] = { FORGE_KEY_ROOT, FORGE_KEY_CA };

// r || s as a SEQUENCE of two INTEGERs; anything but 64 bytes is taken as it is.
static struct span der_signature(const struct sb *raw, struct asn *d)
{
	if (raw->n != KEY_RAW)
		return span_of(raw->p, raw->n);
	size_t at = asn_open(d, ASN_SEQUENCE);
	asn_integer(d, (const uint8_t *)raw->p, 32);
	asn_integer(d, (const uint8_t *)raw->p + 32, 32);
	asn_close(d, at);
	return span_of(d->b, d->n);
}

// The signed part is in `d`: edit it, sign it, put the whole together.
static int finish(const struct forge *f, enum forge_layer l, enum forge_key own, const struct asn *d,
		  struct forge_out *out, struct err *e)
{
	struct asn sig = { .n = 0 }, whole = { .n = 0 };
	struct sb *b = &out->layer[l];

	if (d->bad)
		return err_code(e, ERR_INPUT, "forge.size", "layer %s is too large", forge_layer_name[l]);
	layer_take(b, d->b, d->n);
	if (layer_edit(f, l, false, b, e) || layer_sign(f, l, own, out, e))
		return -1;
	cert_put_signed(&whole, span_of(b->p, b->n), der_signature(&out->sig[l], &sig));
	if (whole.bad)
		return err_code(e, ERR_INPUT, "forge.size", "layer %s is too large", forge_layer_name[l]);
	layer_take(b, whole.b, whole.n);
	return layer_edit(f, l, true, b, e);
}

static int make_cert(const struct forge *f, enum forge_layer l, struct forge_out *out, struct err *e)
{
	const struct forge_cert *c = &f->cert[l];
	struct asn d = { .n = 0 }, extra = { .n = 0 };
	struct cert_spec s = {
		.version = c->version,
		.serial = c->serial,
		.issuer = c->issuer,
		.subject = c->subject,
		.not_before = c->not_before,
		.not_after = c->not_after,
		.key = c->point.n == KEY_RAW ? c->point.p : f->keys->key[c->key].pub,
		.has_constraints = c->constraints,
		.is_ca = c->ca,
		.path_len = c->path_len,
		.usage = c->usage,
		.extended_usage = c->extended_usage,
	};

	if (c->der.p) {
		layer_take(&out->layer[l], c->der.p, c->der.n);
		return layer_edit(f, l, true, &out->layer[l], e);
	}
	key_id(&f->keys->key[c->key], s.subject_id);
	key_id(&f->keys->key[c->under], s.authority);
	struct sgx_spec sgx = f->sgx;
	if (!sgx.cpu_svn.p)
		sgx.cpu_svn = span_of(sgx.component, sizeof sgx.component);
	for (unsigned i = 0; l == FORGE_PCK && i < f->sgx_count; i++)
		cert_put_sgx(&extra, &sgx);
	asn_raw(&extra, c->extra.p, c->extra.n);
	s.extra = span_of(extra.b, extra.n);
	cert_put_tbs(&d, &s);
	d.bad |= extra.bad;
	return finish(f, l, c->under, &d, out, e);
}

static int make_crl(const struct forge *f, size_t i, struct forge_out *out, struct err *e)
{
	const struct forge_crl *c = &f->crl[i];
	struct asn d = { .n = 0 };
	struct crl_spec s = {
		.version = c->version,
		.issuer = c->issuer,
		.this_update = c->this_update,
		.next_update = c->next_update,
		.number = c->number,
		.revoked = c->revoked,
		.n_revoked = c->n_revoked,
	};

	key_id(&f->keys->key[crl_key[i]], s.authority);
	cert_put_crl_tbs(&d, &s);
	return finish(f, i ? FORGE_PCK_CRL : FORGE_ROOT_CRL, crl_key[i], &d, out, e);
}

int layer_certs(const struct forge *f, struct forge_out *out, struct err *e)
{
	for (int l = 0; l < FORGE_CERTS; l++)
		if (make_cert(f, (enum forge_layer)l, out, e))
			return -1;
	return make_crl(f, 0, out, e) || make_crl(f, 1, out, e) ? -1 : 0;
}

int layer_chain(const struct forge *f, const char *names, const struct forge_out *out, struct sb *pem,
		struct err *e)
{
	(void)f;
	pem->n = 0;
	sb_put(pem, "", 0);
	while (*names) {
		size_t n = strcspn(names, " ");
		int l = 0;

		while (l < FORGE_CERTS &&
		       (strlen(forge_layer_name[l]) != n || memcmp(forge_layer_name[l], names, n) != 0))
			l++;
		if (n && l == FORGE_CERTS)
			return err_code(e, ERR_INPUT, "forge.recipe", "no certificate is called %.*s", (int)n,
					names);
		if (n)
			cert_pem(pem, span_of(out->layer[l].p, out->layer[l].n));
		names += n + (names[n] == ' ');
	}
	return pem->bad ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}
