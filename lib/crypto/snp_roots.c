#include "crypto/snp_roots.h"

#include <string.h>

static void append(struct snp_roots *r, struct span der, enum anchor a)
{
	struct snp_trusted *t = &r->root[r->n++];

	t->anchor = a;
	t->n = der.n;
	memcpy(t->der, der.p, der.n);
}

void snp_roots_amd(struct snp_roots *r)
{
	r->n = 0;
	for (enum snp_product p = SNP_MILAN; p < SNP_PRODUCTS; p++)
		append(r, amd_root(p), ANCHOR_AMD);
}

int snp_roots_add(struct snp_roots *r, struct span der, struct err *e)
{
	if (r->n == SNP_ROOTS)
		return err_code(e, ERR_INPUT, "root.format", "more than %d trusted AMD roots", SNP_ROOTS);
	if (der.n > SNP_ROOT_MAX)
		return err_code(e, ERR_INPUT, "root.format", "a root certificate of %zu bytes", der.n);
	append(r, der, snp_root_anchor(der));
	return 0;
}
