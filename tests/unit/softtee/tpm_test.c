// What the relay reads out of TPM commands, and what the guest may ask for.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ctrl.h"
#include "registers.h"
#include "service.h"

static struct wr begin(uint8_t *b, size_t cap, uint16_t tag, uint32_t code)
{
	struct wr w = wr_to(b, cap);

	wr_be16(&w, tag);
	wr_be32(&w, 0);
	wr_be32(&w, code);
	return w;
}

static struct span end(struct wr *w)
{
	struct wr size = wr_to(w->p + 2, 4);

	assert_false(w->bad);
	wr_be32(&size, (uint32_t)w->n);
	return span_of(w->p, w->n);
}

static void put_digests(struct wr *w, uint8_t fill)
{
	uint8_t d[64];

	memset(d, fill, sizeof d);
	wr_be32(w, 2);
	wr_be16(w, 0xB);
	wr_put(w, d, 32);
	wr_be16(w, 0xC);
	wr_put(w, d, 48);
}

static struct span extend_command(uint8_t b[static 256], uint32_t pcr, uint8_t fill)
{
	struct wr w = begin(b, 256, 0x8002, 0x182);

	wr_be32(&w, pcr);
	wr_be32(&w, 9);
	wr_put(&w, "\x40\0\0\x09\0\0\0\0\0", 9);
	put_digests(&w, fill);
	return end(&w);
}

static struct span answer(uint8_t b[static 256], uint32_t rc)
{
	struct wr w = begin(b, 256, rc ? 0x8001 : 0x8002, rc);

	return end(&w);
}

static void extends(void **state)
{
	uint8_t c[256], a[256];
	struct tpm_extend got;

	(void)state;
	assert_int_equal(tpm_watch(extend_command(c, 7, 0x11), answer(a, 0), &got), TPM_EXTEND);
	assert_int_equal(got.pcr, 7);
	assert_int_equal(got.digest[0], 0x11);
	assert_int_equal(got.digest[47], 0x11);
	// the TPM refused: nothing was extended
	assert_int_equal(tpm_watch(extend_command(c, 7, 0x11), answer(a, 0x101), &got), TPM_NOTHING);
	// a taken command that cannot be read is never passed over
	struct span cut = extend_command(c, 7, 0x11);
	cut.n -= 1;
	assert_int_equal(tpm_watch(cut, answer(a, 0), &got), TPM_UNREADABLE);
	assert_int_equal(tpm_watch(extend_command(c, 24, 0x11), answer(a, 0), &got), TPM_UNREADABLE);
	assert_int_equal(tpm_watch(extend_command(c, 0x40000007, 0x11), answer(a, 0), &got), TPM_NOTHING);
}

static void event_digests_come_from_the_answer(void **state)
{
	uint8_t c[256], a[256];
	struct tpm_extend got;
	struct wr w = begin(c, sizeof c, 0x8002, 0x13C);

	(void)state;
	wr_be32(&w, 3);
	struct span command = end(&w);
	struct wr r = begin(a, sizeof a, 0x8002, 0);
	wr_be32(&r, 4 + 2 + 32 + 2 + 48);
	put_digests(&r, 0x22);
	assert_int_equal(tpm_watch(command, end(&r), &got), TPM_EXTEND);
	assert_int_equal(got.pcr, 3);
	assert_int_equal(got.digest[5], 0x22);
}

static void sizes(void **state)
{
	(void)state;
	assert_int_equal(tpm_size((const uint8_t *)"\x80\x01\0\0\0\x0a\0\0\0\0"), 10);
	assert_int_equal(tpm_size((const uint8_t *)"\x80\x01\0\0\0\x09\0\0\0\0"), 0);
	assert_int_equal(tpm_size((const uint8_t *)"\x80\x01\0\1\0\0\0\0\0\0"), 0);
}

static void registers_map_as_uefi_does(void **state)
{
	static const int map[16] = { -1, 0, 1, 1, 1, 1, 1, 0, 2, 2, -1, 2, 2, 2, 2, 2 };
	static const uint8_t zero[MR];
	uint8_t c[256], a[256];

	(void)state;
	for (uint32_t pcr = 0; pcr < 16; pcr++) {
		struct registers r = { 0 };

		registers_watch(&r, extend_command(c, pcr, 0x33), answer(a, 0));
		for (int i = 0; i < 4; i++)
			assert_int_equal(memcmp(r.body.rtmr[i], zero, MR) != 0, i == map[pcr]);
		assert_false(r.broken);
		registers_reset(&r);
		assert_memory_equal(r.body.rtmr[1], zero, MR);
	}
}

static size_t ask(struct registers *r, const struct quote_signer *s, const void *req, size_t n, uint8_t *out)
{
	struct wr w = wr_to(out, SERVICE_ANSWER_MAX);

	service_answer(r, s, span_of(req, n), &w);
	assert_false(w.bad);
	return w.n;
}

static void guest_moves_rtmr3_only(void **state)
{
	static const uint8_t zero[MR];
	static uint8_t out[SERVICE_ANSWER_MAX];
	uint8_t req[2 + MR] = { 1, 3 };
	struct registers r = { 0 };

	(void)state;
	assert_int_equal(ask(&r, NULL, req, sizeof req, out), 1);
	assert_int_equal(out[0], 0);
	assert_memory_not_equal(r.body.rtmr[3], zero, MR);
	for (uint8_t i = 0; i < 5; i++) {
		req[1] = i == 3 ? 255 : i;
		ask(&r, NULL, req, sizeof req, out);
		assert_int_equal(out[0], 1);
	}
	for (int i = 0; i < 3; i++)
		assert_memory_equal(r.body.rtmr[i], zero, MR);
	req[1] = 3;
	ask(&r, NULL, req, sizeof req - 1, out); // short
	assert_int_equal(out[0], 1);
	ask(&r, NULL, "", 0, out);
	assert_int_equal(out[0], 1);
	ask(&r, NULL, "\x09", 1, out);
	assert_int_equal(out[0], 1);
	assert_int_equal(ask(&r, NULL, "\x03", 1, out), 1 + 5 * MR);
	assert_memory_equal(out + 1 + 4 * MR, r.body.rtmr[3], MR);
	r.broken = true;
	uint8_t quote[65] = { 2 };
	ask(&r, NULL, quote, sizeof quote, out); // nothing is vouched for any more
	assert_int_equal(out[0], 1);
}

static void state_blobs_are_not_passed_on(void **state)
{
	struct ctrl_form f;

	(void)state;
	assert_true(ctrl_form(CTRL_SET_DATAFD, &f));
	assert_true(ctrl_form(CTRL_INIT, &f));
	assert_int_equal(f.body, 4);
	static const uint32_t refused[] = { 0, 6, 7, 8, 12, 13, 18, 19, 255 };
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		assert_false(ctrl_form(refused[i], &f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extends),
		cmocka_unit_test(event_digests_come_from_the_answer),
		cmocka_unit_test(sizes),
		cmocka_unit_test(registers_map_as_uefi_does),
		cmocka_unit_test(guest_moves_rtmr3_only),
		cmocka_unit_test(state_blobs_are_not_passed_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
