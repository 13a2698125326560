// Any bytes as the agent's answer to the C library: what is taken is bounded, UTF-8 and ends in a zero byte.
#include "answer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	struct dstack_bytes key = { 0 }, quote = { 0 };
	struct dstack_list chain = { 0 };
	struct dstack_texts certs = { 0 };
	char *error = NULL, *log = NULL;
	bool valid = false;
	const char *why = NULL;
	struct dstack_answer_field f[] = {
		{ "key", ANSWER_HEX, &key, true, false },
		{ "quote", ANSWER_HEX, &quote, true, false },
		{ "error", ANSWER_TEXT, &error, true, false },
		{ "event_log", ANSWER_TEXT, &log, true, false },
		{ "valid", ANSWER_BOOL, &valid, true, false },
		{ "signature_chain", ANSWER_HEXES, &chain, true, false },
		{ "certificate_chain", ANSWER_TEXTS, &certs, true, false },
	};

	if (!dstack_answer_read((const char *)d, n, f, sizeof f / sizeof *f, &why)) {
		if (why || !error || !log || key.len > n / 2 || strlen(error) > n ||
		    !dstack_answer_is_utf8(error, strlen(error)) ||
		    !dstack_answer_is_utf8(log, strlen(log)) || chain.count > ANSWER_LIST_MAX ||
		    certs.count > ANSWER_LIST_MAX)
			abort();
		for (size_t i = 0; i < certs.count; i++)
			if (!dstack_answer_is_utf8(certs.items[i], strlen(certs.items[i])))
				abort();
	} else if (!why) {
		abort();
	}
	dstack_bytes_free(&key);
	dstack_bytes_free(&quote);
	dstack_answer_text_free(&error);
	dstack_answer_text_free(&log);
	dstack_answer_list_free(&chain);
	dstack_answer_texts_free(&certs);
	return 0;
}
