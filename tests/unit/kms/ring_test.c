// Root sets after the first, in files and from another KMS: whole or refused, and never what the source did
// not announce.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../../kms/setup/handover_ring.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "crypto/k256.h"

enum { SETS = 3 };

struct source { // a KMS with three sets
	struct keyfiles_roots first;
	struct rotation r[SETS];
	uint8_t k256[SETS][32];
	char ca[SETS][P256_PEM_MAX];
	Kms__RootRotation said[SETS], *said_list[SETS];
	Kms__RootSet given[SETS], *given_list[SETS];
	Kms__GetMetaResponse meta;
	Kms__KmsKeyResponse keys;
};

static ProtobufCBinaryData bytes(void *p, size_t n)
{
	return (ProtobufCBinaryData){ n, p };
}

static void make_set(struct source *s, uint32_t i)
{
	struct err e;
	EVP_PKEY *ca = p256_new(&e);

	assert_int_equal(k256_new(s->k256[i], &e), 0);
	s->r[i] = (struct rotation){ .index = i, .time = 1000 + i };
	assert_int_equal(p256_spki(ca, s->r[i].ca_spki, &e), 0);
	assert_int_equal(k256_public(s->k256[i], s->r[i].k256_pub, &e), 0);
	assert_int_equal(rotation_sign(&s->r[i], s->k256[i - 1], s->k256[i], &e), 0);
	assert_int_equal(p256_to_pem(ca, s->ca[i], &e), 0);
	EVP_PKEY_free(ca);
}

// What it says and gives, as messages over its own memory.
static void speak(struct source *s)
{
	s->meta = (Kms__GetMetaResponse)KMS__GET_META_RESPONSE__INIT;
	s->keys = (Kms__KmsKeyResponse)KMS__KMS_KEY_RESPONSE__INIT;
	for (uint32_t i = 1; i < SETS; i++) {
		struct rotation *r = &s->r[i];
		Kms__RootRotation *m = &s->said[i];
		kms__root_rotation__init(m);
		kms__root_set__init(&s->given[i]);
		m->index = r->index;
		m->time = r->time;
		m->ca_pubkey = bytes(r->ca_spki, sizeof r->ca_spki);
		m->k256_pubkey = bytes(r->k256_pub, sizeof r->k256_pub);
		m->signature = bytes(r->signature, sizeof r->signature);
		m->own_signature = bytes(r->own_signature, sizeof r->own_signature);
		s->given[i].ca_key = s->ca[i];
		s->given[i].k256_key = bytes(s->k256[i], 32);
		s->said_list[i - 1] = m;
		s->given_list[i - 1] = &s->given[i];
	}
	s->meta.roots = s->said_list;
	s->keys.roots = s->given_list;
	s->meta.n_roots = s->keys.n_roots = SETS - 1;
}

static struct source *source_new(void)
{
	struct source *s = calloc(1, sizeof *s);
	struct err e;

	assert_non_null(s);
	assert_int_equal(keyfiles_roots_new(&s->first, &e), 0);
	memcpy(s->k256[0], s->first.k256->b, 32);
	for (uint32_t i = 1; i < SETS; i++)
		make_set(s, i);
	speak(s);
	return s;
}

static void source_free(struct source *s)
{
	keyfiles_roots_free(&s->first);
	free(s);
}

static char *folder(void)
{
	char *dir = strdup("/tmp/dstack-ring-XXXXXX");

	assert_non_null(mkdtemp(dir));
	return dir;
}

static void whole_ring_is_taken(void **state)
{
	struct source *s = source_new();
	auto_free char *top = folder(), *dir = str_format("%s/certs", top);
	auto_free char *key = str_format("%s/roots/2/root-k256.key", dir),
		       *statement = str_format("%s/roots/1/rotation.json", dir), *text = NULL;
	auto_secret *got = NULL;
	struct rotation again;
	struct stat st;
	struct err e = { 0 };
	uint32_t n;
	size_t len;

	(void)state;
	assert_int_equal(handover_take_ring(&s->meta, &s->keys, &s->first, &e), 0);
	assert_int_equal(s->first.n_more, SETS - 1);
	assert_int_equal(keyfiles_install(dir, "kms.test", &s->first, NULL, &e), 0);
	assert_int_equal(keyfiles_state(dir, &e), KEYFILES_ALL);
	assert_int_equal(keyring_count(dir, &n, &e), 0);
	assert_int_equal(n, SETS);
	assert_int_equal(file_read_secret(key, 64, &got, &e), 0);
	assert_memory_equal(got->b, s->k256[2], 32);
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(file_read(statement, 4096, &text, &len, &e), 0);
	assert_int_equal(rotation_read(&again, span_of(text, len), &e), 0);
	assert_memory_equal(&again, &s->r[1], sizeof again);
	source_free(s);
	assert_int_equal(file_remove_tree(top, &e), 0);
}

static void not_taken(struct source *s, const char *code)
{
	struct err e = { 0 };

	assert_int_equal(handover_take_ring(&s->meta, &s->keys, &s->first, &e), -1);
	assert_string_equal(e.code, code);
	for (uint32_t i = 0; i < s->first.n_more; i++)
		keyring_set_free(&s->first.more[i]);
	s->first.n_more = 0;
	speak(s);
}

// ch_07 for the ring: somebody in between, or a source that lies, hands over what it did not announce.
static void ch_07_liars_are_refused(void **state)
{
	struct source *s = source_new(), *other = source_new();
	struct err e = { 0 };

	(void)state;
	s->given[2].k256_key = bytes(other->k256[2], 32);
	not_taken(s, "onboard.keys_mismatch");
	s->given[1].ca_key = other->ca[1];
	not_taken(s, "onboard.keys_mismatch");
	s->keys.n_roots = 1; // keeps one back
	not_taken(s, "onboard.keys_mismatch");
	s->meta.n_roots = 1; // or slips one in
	not_taken(s, "onboard.keys_mismatch");
	s->said_list[0] = &other->said[1]; // a ring of somebody else behind the pinned set
	s->given_list[0] = &other->given[1];
	not_taken(s, "roots.statement");
	s->said_list[0] = &s->said[2]; // in another order
	s->said_list[1] = &s->said[1];
	not_taken(s, "roots.statement");
	s->said[1].time++;
	not_taken(s, "roots.statement");
	s->said[1].signature = bytes(s->r[2].signature, 65);
	not_taken(s, "roots.statement");
	s->said[1].ca_pubkey.len--;
	not_taken(s, "onboard.keys");
	s->given[1].k256_key.len--;
	not_taken(s, "onboard.keys");
	s->given[2].ca_key = (char *)(uintptr_t) "no key";
	not_taken(s, "onboard.keys");
	s->meta.n_roots = s->keys.n_roots = ROOT_SETS_MAX;
	not_taken(s, "onboard.keys");
	assert_int_equal(handover_take_ring(&s->meta, &s->keys, &s->first, &e), 0); // and as it was: taken
	source_free(s);
	source_free(other);
}

static void sets_are_never_overwritten(void **state)
{
	auto_free char *dir = folder(), *left = str_format("%s/roots/.new-123456", dir),
		       *half = str_format("%s/root-ca.key", left),
		       *gone = str_format("%s/roots/1/root-ca.crt", dir);
	struct keyring_files f = { .ca_key = "key", .ca_cert = "cert", .k256 = { 1 } };
	struct err e = { 0 };
	uint32_t n;

	(void)state;
	assert_int_equal(keyring_count(dir, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(keyring_add(dir, 1, &f, "{}", &e), 0);
	assert_int_equal(keyring_add(dir, 1, &f, "{}", &e), -1);
	assert_string_equal(e.code, "kms.dir_not_empty");
	assert_int_equal(file_mkdirs(left, 0700, &e), 0);
	assert_int_equal(file_write_str(half, 0600, "half", &e), 0);
	assert_int_equal(keyring_count(dir, &n, &e), 0);
	assert_int_equal(n, 2);
	keyring_sweep(dir);
	assert_false(file_exists(left));
	assert_int_equal(keyring_add(dir, 3, &f, "{}", &e), 0); // a gap
	assert_int_equal(keyring_count(dir, &n, &e), -1);
	assert_string_equal(e.code, "kms.partial_keys");
	assert_int_equal(keyring_add(dir, 2, &f, "{}", &e), 0);
	assert_int_equal(keyring_count(dir, &n, &e), 0);
	assert_int_equal(n, 4);
	assert_int_equal(unlink(gone), 0);
	assert_int_equal(keyring_count(dir, &n, &e), -1);
	assert_string_equal(e.code, "kms.partial_keys");
	assert_int_equal(keyfiles_state(dir, &e), KEYFILES_BAD); // also where the first set is gone
	assert_int_equal(file_remove_tree(dir, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_ring_is_taken),
		cmocka_unit_test(ch_07_liars_are_refused),
		cmocka_unit_test(sets_are_never_overwritten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
