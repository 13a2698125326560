#include "sealing.h"

#include <errno.h>
#include <openssl/sha.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "collateral.h"
#include "net.h"
#include "rpc/bytelist.h"

enum { FRAME_MAX = 5 * QUOTE_MAX, LIMIT_MS = 10000, LIMIT_SECONDS = LIMIT_MS / 1000 };

static int load_secret(struct sealing *s, const char *dir, struct err *e)
{
	auto_free char *path = str_format("%s/sealing.key", dir);
	auto_secret *kept = NULL;

	if (!path)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (!file_exists(path)) {
		auto_secret *fresh = secret_random(SEALING_SECRET);
		if (!fresh || file_write_new(path, 0600, fresh->b, fresh->n, e))
			return fresh ? -1 : err_set(e, ERR_SYSTEM, "out of memory");
	}
	if (file_read_secret(path, SEALING_SECRET, &kept, e))
		return -1;
	if (kept->n != SEALING_SECRET)
		return err_code(e, ERR_INPUT, "sealing.key", "%s has %zu bytes, not %d", path, kept->n,
				SEALING_SECRET);
	memcpy(s->secret, kept->b, SEALING_SECRET);
	return 0;
}

int sealing_init(struct sealing *s, const struct pki *pki, const char *dir, struct err *e)
{
	static const char self[] = "dstack-softtee local key provider 1";
	const struct pki_cert *root = &pki->cert[PKI_ROOT];

	*s = (struct sealing){ .pki = pki, .self = { .isv_svn = 1 } };
	SHA256((const uint8_t *)self, strlen(self), s->self.mr_enclave);
	SHA256(root->der, root->n, s->self.mr_signer);
	if (sodium_init() < 0)
		return err_set(e, ERR_SYSTEM, "libsodium does not start");
	if (load_secret(s, dir, e) || quote_signer_init_sgx(&s->signer, pki, e))
		return -1;
	s->engine = engine_new(e);
	return s->engine ? engine_only_root(s->engine, span_of(root->der, root->n), e) : -1;
}

void sealing_free(struct sealing *s)
{
	if (s->engine)
		engine_free(s->engine);
	secret_wipe(s, sizeof *s);
}

void sealing_derive(const uint8_t *secret, size_t n, const void *measurements, size_t measured,
		    uint8_t key[static SEALING_KEY])
{
	uint8_t all[64 + SEALING_MEASURED];
	struct wr w = wr_to(all, sizeof all);

	wr_put(&w, secret, n);
	wr_put(&w, measurements, measured);
	SHA256(all, w.n, key);
	secret_wipe(all, sizeof all);
}

static int read_request(struct span request, uint8_t *quote, size_t *n, struct err *e)
{
	struct json doc, list;

	if (json_parse(&doc, request, NULL) || json_count(doc) != 1 || !json_get(doc, "quote", &list) ||
	    bytelist_read(list, quote, QUOTE_MAX, n))
		return err_code(e, ERR_INPUT, "sealing.request",
				"the request is not {\"quote\":[bytes]} of at most %d bytes", QUOTE_MAX);
	return 0;
}

static int verify(struct sealing *s, struct span quote, int64_t now, struct dcap_result *r, struct err *e)
{
	struct collateral_opts o = { 0 };
	auto_sb collateral = { 0 };

	if (collateral_json(s->pki, &o, now, &collateral, e))
		return -1;
	struct dcap_input in = { .quote = quote,
				 .collateral = span_of(collateral.p, collateral.n),
				 .now = (uint64_t)now };
	if (dcap_verify(s->engine, &in, r, e))
		return err_wrap(e, "the guest's quote");
	if (!r->is_tdx)
		return err_code(e, ERR_UNTRUSTED, "quote.tee",
				"the guest's quote is an enclave's, not a TD's");
	if (memcmp(r->qe_id, s->signer.qe_id, sizeof r->qe_id) != 0)
		return err_code(e, ERR_UNTRUSTED, "sealing.machine",
				"the guest runs on another machine: expected quoting enclave %s, got %s",
				STR_HEX(s->signer.qe_id, sizeof r->qe_id),
				STR_HEX(r->qe_id, sizeof r->qe_id));
	return 0;
}

static int seal(const struct sealing *s, const struct td_report *td,
		uint8_t box[static SEALING_KEY + crypto_box_SEALBYTES], struct err *e)
{
	uint8_t measured[SEALING_MEASURED], key[SEALING_KEY];

	memcpy(measured, td->mr_td, MR);
	memcpy(measured + MR, td->rtmr, sizeof td->rtmr);
	sealing_derive(s->secret, sizeof s->secret, measured, sizeof measured, key);
	int rc = crypto_box_seal(box, key, sizeof key, td->report_data);
	secret_wipe(key, sizeof key);
	return rc ? err_code(e, ERR_INPUT, "sealing.guest_key", "the guest's X25519 key is of small order")
		  : 0;
}

int sealing_answer(struct sealing *s, struct span request, int64_t now, struct sb *out, struct err *e)
{
	auto_free uint8_t *quote = malloc(QUOTE_MAX);
	auto_free struct dcap_result *r = malloc(sizeof *r);
	uint8_t box[SEALING_KEY + crypto_box_SEALBYTES], own[QUOTE_CAP];
	struct enclave self = s->self;
	size_t n;

	if (!quote || !r)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (read_request(request, quote, &n, e) || verify(s, span_of(quote, n), now, r, e) ||
	    seal(s, &r->td, box, e))
		return -1;
	SHA256(box, sizeof box, self.report_data);
	if (quote_sign_sgx(&s->signer, &self, own, &n, e))
		return -1;
	sb_str(out, "{\"encrypted_key\":");
	bytelist_write(out, box, sizeof box);
	sb_str(out, ",\"provider_quote\":");
	bytelist_write(out, own, n);
	sb_chr(out, '}');
	log_info("sealing", "key given rtmr3=%s", STR_HEX(r->td.rtmr[3], MR));
	return out->bad ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

// Exactly n bytes before the deadline, however slowly they come.
static int read_until(int fd, uint8_t *p, size_t n, uint64_t deadline, struct err *e)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = recv(fd, p + done, n - done, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return err_set(e, ERR_INPUT, "the request was cut off");
		done += (size_t)got;
		if (time_mono_ms() > deadline)
			return err_set(e, ERR_INPUT, "the request took too long");
	}
	return 0;
}

static int serve_one(struct sealing *s, int fd, struct err *e)
{
	uint64_t deadline = time_mono_ms() + LIMIT_MS;
	uint8_t head[4];
	auto_sb out = { 0 };

	if (net_limit(fd, LIMIT_SECONDS, e) || read_until(fd, head, sizeof head, deadline, e))
		return -1;
	struct rd rd = rd_from(head, sizeof head);
	uint32_t n = rd_be32(&rd);
	if (n == 0 || n > FRAME_MAX)
		return err_code(e, ERR_INPUT, "sealing.request", "a frame of %u bytes", n);
	auto_free uint8_t *request = malloc(n);
	if (!request || read_until(fd, request, n, deadline, e) ||
	    sealing_answer(s, span_of(request, n), (int64_t)time_now(), &out, e))
		return request ? -1 : err_set(e, ERR_SYSTEM, "out of memory");
	struct wr w = wr_to(head, sizeof head);
	wr_be32(&w, (uint32_t)out.n);
	return net_write(fd, head, sizeof head, e) || net_write(fd, out.p, out.n, e) ? -1 : 0;
}

int sealing_run(struct sealing *s, const char *address, struct err *e)
{
	uint16_t port;

	if (!str_starts(address, "tcp:"))
		return err_set(e, ERR_INPUT, "--listen takes tcp:ADDRESS:PORT");
	auto_close int fd = net_listen_tcp(address + 4, &port, e);
	if (fd < 0)
		return -1;
	log_info("sealing", "local key provider port=%u mrenclave=%s", port,
		 STR_HEX(s->self.mr_enclave, sizeof s->self.mr_enclave));
	for (;;) {
		auto_close int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		struct err why = { 0 };

		if (conn < 0 && errno != EINTR && errno != ECONNABORTED)
			return err_errno(e, "accept");
		if (conn >= 0 &&
		    serve_one(s, conn, &why)) // the peer sees its connection closed, as upstream's does
			log_warn("sealing", "refused: %s code=%s", why.text, why.code[0] ? why.code : "-");
	}
}
