#include "faces.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "crypto/issue.h"
#include "crypto/ssl.h"
#include "../keys/keyfiles.h"
#include "../keys/keyring.h"

enum { CERT_FILE_MAX = 64 * 1024 };

static int read_text(const char *dir, const char *name, size_t max, char **out, struct err *e)
{
	auto_free char *path = str_format("%s/%s", dir, name);
	size_t n = 0;

	return path ? file_read(path, max, out, &n, e) : err_set(e, ERR_SYSTEM, "out of memory");
}

static int read_cert(struct face *f, const char *dir, struct err *e)
{
	uint8_t spki[CERT_SPKI_MAX];
	size_t n = 0;

	if (read_text(dir, "root-ca.crt", CERT_FILE_MAX, &f->ca_pem, e))
		return -1;
	auto_x509 X509 *c = cert_from_pem(span_str(f->ca_pem), e);
	if (!c || cert_spki(c, spki, &n, e))
		return -1;
	if (n != sizeof f->ca_spki)
		return err_set(e, ERR_INPUT, "%s/root-ca.crt is not of a P-256 key", dir);
	memcpy(f->ca_spki, spki, n);
	return 0;
}

static void release(struct face *f)
{
	free(f->ca_pem);
	free(f->text);
	SSL_CTX_free(atomic_load(&f->tls));
	*f = (struct face){ 0 };
}

// The key process has checked the statement against the keys.
static int read_face(struct face *f, const struct kms_config *c, uint32_t root, struct err *e)
{
	auto_free char *dir = keyring_folder(c->keys.dir, root, e);
	struct rotation r;
	struct err why;

	f->root = root;
	f->address = root ? c->root_address[root] : c->address;
	if (!dir || read_cert(f, dir, e))
		return -1;
	if (!root) { // GetMeta answers without it; the K256 key is asked of the key process
		if (read_text(dir, keyfiles_bootstrap_info, CERT_FILE_MAX, &f->text, &why) &&
		    why.class != ERR_ABSENT)
			log_warn("kms", "%s", why.text);
		return 0;
	}
	if (read_text(dir, keyring_statement, KEYRING_STATEMENT_MAX, &f->text, e) ||
	    rotation_read(&r, span_str(f->text), e))
		return -1;
	memcpy(f->k256_pub, r.k256_pub, sizeof f->k256_pub);
	return 0;
}

int faces_open(struct faces *f, const struct kms_config *c, struct err *e)
{
	uint32_t n;

	f->config = c;
	pthread_mutex_init(&f->turn, NULL);
	if (keyring_count(c->keys.dir, &n, e))
		return -1;
	for (uint32_t r = 0; r < n; r++, atomic_store(&f->n, r))
		if (read_face(&f->face[r], c, r, e)) {
			release(&f->face[r]);
			return -1;
		}
	return 0;
}

void faces_close(struct faces *f)
{
	if (!f->config)
		return;
	for (uint32_t r = 0; r < ROOT_SETS_MAX; r++)
		release(&f->face[r]);
	pthread_mutex_destroy(&f->turn);
	f->config = NULL;
}

struct face *faces_read_next(struct faces *f, struct err *e)
{
	uint32_t root = atomic_load(&f->n);
	struct face *face = root < ROOT_SETS_MAX ? &f->face[root] : NULL;

	if (!face) {
		err_set(e, ERR_BUG, "too many root sets");
		return NULL;
	}
	if (!read_face(face, f->config, root, e))
		return face;
	release(face);
	return NULL;
}

void faces_add(struct faces *f)
{
	atomic_fetch_add(&f->n, 1);
}

int faces_listen(struct faces *f, struct rpc_server *server, struct err *e)
{
	for (uint32_t r = 0; r < atomic_load(&f->n); r++) {
		struct face *x = &f->face[r];
		SSL_CTX *tls = atomic_load(&x->tls);
		if (x->is_listening || !*x->address || !tls)
			continue;
		if (r ? rpc_server_listen(server, x->address, tls, 0, e)
		      : rpc_server_listen_fd(server, f->listener, x->address, tls, e))
			return err_wrap(e, "root set %u", r);
		x->is_listening = true;
		if (r)
			log_info("kms", "serving root set set=%u address=%s", r, x->address);
	}
	return 0;
}

const struct face *face_of(const struct faces *f, const struct rpc_call *call)
{
	const struct face *x = rpc_tls_data(call);

	return x ? x : &f->face[0];
}

static Kms__RootRotation *rotation_of(const struct face *f, struct arena *a)
{
	struct err why;
	Kms__RootRotation *m =
		f->text ? pbjson_read(&kms__root_rotation__descriptor, span_str(f->text), a, &why) : NULL;

	if (m)
		m->ca_cert = f->ca_pem;
	return m;
}

int face_bootstrap_info(const struct face *f, struct arena *a, Kms__BootstrapResponse **out)
{
	struct err why;

	*out = NULL;
	if (!f->text)
		return 0;
	if (!f->root) {
		*out = pbjson_read(&kms__bootstrap_response__descriptor, span_str(f->text), a, &why);
		return 0;
	}
	const Kms__RootRotation *r = rotation_of(f, a);
	Kms__BootstrapResponse *m = r ? pb_new(&kms__bootstrap_response__descriptor, a) : NULL;
	if (!m)
		return -1;
	m->ca_pubkey = r->ca_pubkey;
	m->k256_pubkey = r->k256_pubkey;
	m->attestation = r->attestation;
	*out = m->attestation.len ? m : NULL;
	return 0;
}

int faces_rotations(const struct faces *f, struct arena *a, Kms__RootRotation ***out, size_t *n,
		    struct err *e)
{
	uint32_t sets = atomic_load(&f->n);

	*n = 0;
	if (sets <= 1)
		return 0;
	*out = arena_array(a, sets, sizeof **out);
	for (uint32_t r = 1; *out && r < sets; r++) {
		(*out)[*n] = rotation_of(&f->face[r], a);
		if (!(*out)[(*n)++])
			return err_set(e, ERR_SYSTEM, "out of memory");
	}
	return *out ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}
