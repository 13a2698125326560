#include "tee/qgs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tee/dial.h"

enum {
	QGS_MAJOR = 1,
	QGS_GET_QUOTE_REQ = 0,
	QGS_GET_QUOTE_RESP = 1,
	QGS_HEADER = 16,
	QGS_REQUEST = QGS_HEADER + 8 + QGS_REPORT,
	QGS_RESPONSE_MAX = 16384,
	QUOTE_MIN = 1020, // header, body and the shortest signature data
	TIMEOUT_SECONDS = 30,
};

int qgs_parse(const uint8_t *msg, size_t n, struct tee_quote *out, struct err *e)
{
	struct rd r = rd_from(msg, n);
	uint16_t major = rd_le16(&r);

	rd_le16(&r); // minor: 0 and 1 differ in nothing that is read here
	uint32_t type = rd_le32(&r), size = rd_le32(&r), error = rd_le32(&r);
	if (r.bad || major != QGS_MAJOR || type != QGS_GET_QUOTE_RESP || size != n)
		return err_code(e, ERR_INPUT, "tee.quote", "quoting service: malformed answer");
	if (error)
		return err_code(e, ERR_SYSTEM, "tee.quote", "quoting service: error 0x%08x", error);
	uint32_t idn = rd_le32(&r), quoten = rd_le32(&r);
	rd_bytes(&r, idn);
	struct span quote = rd_bytes(&r, quoten);
	if (r.bad || rd_left(&r) || quote.n < QUOTE_MIN || quote.n > sizeof out->bytes)
		return err_code(e, ERR_INPUT, "tee.quote", "quoting service: sizes do not fit the answer");
	memcpy(out->bytes, quote.p, quote.n);
	out->n = quote.n;
	return 0;
}

int qgs_quote(const char *address, const uint8_t report[static QGS_REPORT], struct tee_quote *out,
	      struct err *e)
{
	uint8_t req[QGS_REQUEST];
	struct wr w = wr_to(req, sizeof req);
	uint8_t *answer = malloc(QGS_RESPONSE_MAX);
	size_t n;

	wr_le16(&w, QGS_MAJOR);
	wr_le16(&w, 0);
	wr_le32(&w, QGS_GET_QUOTE_REQ);
	wr_le32(&w, QGS_REQUEST);
	wr_le32(&w, 0);
	wr_le32(&w, QGS_REPORT);
	wr_le32(&w, 0);
	wr_put(&w, report, QGS_REPORT);
	int fd = answer ? dial(address, TIMEOUT_SECONDS, e) : err_set(e, ERR_SYSTEM, "out of memory");
	int rc = fd < 0 || dial_send(fd, req, sizeof req, e) ||
				 dial_receive(fd, answer, QGS_RESPONSE_MAX, &n, e) ||
				 qgs_parse(answer, n, out, e)
			 ? -1
			 : 0;
	if (fd >= 0)
		close(fd);
	free(answer);
	return rc;
}

uint32_t qgs_conf_port(const char *text)
{
	while (*text) {
		const char *line = text + strspn(text, " \t");

		text += strcspn(text, "\n");
		text += *text == '\n';
		if (strncmp(line, "port", 4))
			continue;
		line += 4 + strspn(line + 4, " \t");
		if (*line++ != '=')
			continue;
		line += strspn(line, " \t");
		uint32_t port = 0;
		size_t digits = strspn(line, "0123456789");
		if (!digits || digits > 9)
			continue;
		for (size_t i = 0; i < digits; i++)
			port = port * 10 + (uint32_t)(line[i] - '0');
		if (port)
			return port;
	}
	return 0;
}
