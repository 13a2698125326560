// Whom the set-up asks for keys, and what it tells them: KMSs that are dead, mute, slow, wrong and rogue.
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/strings.h"
#include "base/time.h"
#include "kms.h"
#include "kms.pb-c.h"
#include "loopback.h"
#include "prpc.pb-c.h"
#include "rpc/client.h"
#include "setup.h"

#define EVIDENCE "the evidence of this guest"
#define SECRET   "a value of the environment"

enum { FOREVER = -1 };

// A KMS, good or not. What it saw is read when the guest is done.
struct kms {
	struct loopback *loop;
	struct rpc_server *server;
	const struct party *root, *leaf, *temp;
	const char *ca_pem, *later_ca_pem; // as announced, and with the keys; NULL: root's
	const char *deny;                  // a code
	int facts_ms, keys_ms;             // how long it thinks, or FOREVER
	size_t disk_n, n_epochs;
	uint8_t fill;
	atomic_int facts_asked, keys_asked, strangers; // strangers: asked for keys without a certificate
	char seen[4096];                               // what it was sent, as JSON, and the evidence
	size_t seen_n;
	char url[64];
};

static struct party good_root, good_leaf, rogue_root, rogue_leaf, temp, app_leaf;
static char good_pin[2 * PROVIDER_ID_MAX + 1], rogue_pin[2 * PROVIDER_ID_MAX + 1];
static atomic_int attested;
static struct loopback loop;
static struct setup s; // the guest
static struct kms_times times = { .probe_ms = 9000, .head_start_ms = 200, .ask_s = 1, .last_s = 9 };

// The guest's own evidence; its real maker needs a TEE.
int __wrap_setup_attest(void *setup, const uint8_t report_data[static 64], uint8_t **out, size_t *n,
			struct err *e);
int __wrap_setup_attest(void *setup, const uint8_t report_data[static 64], uint8_t **out, size_t *n,
			struct err *e)
{
	(void)setup, (void)report_data, (void)e;
	attested++;
	*n = sizeof EVIDENCE - 1;
	*out = (uint8_t *)strdup(EVIDENCE);
	return *out ? 0 : -1;
}

static void see(struct kms *k, const void *p, size_t n)
{
	assert_true(n <= sizeof k->seen - k->seen_n);
	memcpy(k->seen + k->seen_n, p, n);
	k->seen_n += n;
}

// Calls that wait for their answer; all are ended when the boot is over.
static struct later {
	struct rpc_call *call;
	struct event *timer;
} waiting[16];

static void answer(struct later *l)
{
	rpc_finish(l->call, 0, NULL);
	if (l->timer)
		event_free(l->timer);
	*l = (struct later){ 0 };
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	answer(arg);
}

static void end_waiting(void)
{
	for (size_t i = 0; i < sizeof waiting / sizeof *waiting; i++)
		if (waiting[i].call)
			answer(&waiting[i]);
}

static int think(struct kms *k, struct rpc_call *c, int ms)
{
	struct timeval t = { ms / 1000, ms % 1000 * 1000 };
	struct later *l = waiting;

	if (!ms)
		return 0;
	while (l->call)
		l++;
	l->call = c;
	if (ms != FOREVER) {
		l->timer = evtimer_new(k->loop->base, on_time, l);
		event_add(l->timer, &t);
	}
	return RPC_LATER;
}

static int give_facts(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	struct kms *k = rpc_arg(c);
	Kms__GetTempCaCertResponse *r = out;

	(void)in, (void)e;
	k->facts_asked++;
	if (rpc_peer_cert(c))
		see(k, "certificate with GetTempCaCert", 30);
	r->temp_ca_cert = (char *)(uintptr_t)k->temp->pem;
	r->temp_ca_key = (char *)(uintptr_t)k->temp->key_pem;
	r->ca_cert = (char *)(uintptr_t)(k->ca_pem ? k->ca_pem : k->root->pem);
	return think(k, c, k->facts_ms);
}

static ProtobufCBinaryData bytes(struct rpc_call *c, int fill, size_t n)
{
	uint8_t *p = arena_alloc(rpc_arena(c), n);

	memset(p, fill, n);
	return (ProtobufCBinaryData){ n, p };
}

static void note(struct kms *k, struct rpc_call *c, const void *in)
{
	X509 *peer = rpc_peer_cert(c);
	struct span content;
	struct err ignored;
	auto_sb b = { 0 };

	pbjson_write(&b, in);
	see(k, b.p, b.n);
	if (!peer)
		k->strangers++;
	else if (cert_ext(peer, CERT_EXT_ATTESTATION, &content, &ignored) == 1)
		see(k, content.p, content.n);
}

static int give_keys(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	struct kms *k = rpc_arg(c);
	Kms__AppKeyResponse *r = out;

	k->keys_asked++;
	note(k, c, in);
	if (k->deny)
		return err_code(e, ERR_DENIED, k->deny, "no");
	r->ca_cert = (char *)(uintptr_t)(k->later_ca_pem ? k->later_ca_pem
					 : k->ca_pem     ? k->ca_pem
							 : k->root->pem);
	r->disk_crypt_key = bytes(c, k->fill, k->disk_n ? k->disk_n : 32);
	r->env_crypt_key = bytes(c, k->fill, 32);
	r->k256_key = bytes(c, k->fill, 32);
	r->k256_signature = bytes(c, k->fill, 65);
	r->epochs = arena_array(rpc_arena(c), k->n_epochs + 1, sizeof(void *));
	for (r->n_epochs = 0; r->n_epochs < k->n_epochs; r->n_epochs++) {
		Kms__EpochKeys *m = arena_array(rpc_arena(c), 1, sizeof *m);
		kms__epoch_keys__init(m);
		m->disk_crypt_key = bytes(c, k->fill + 1, 32);
		m->env_crypt_key = bytes(c, k->fill + 1, 32);
		r->epochs[r->n_epochs] = m;
	}
	return think(k, c, k->keys_ms);
}

static const struct rpc_method methods[] = {
	{ "GetTempCaCert", &prpc__empty__descriptor, &kms__get_temp_ca_cert_response__descriptor,
	  give_facts },
	{ "GetAppKey", &kms__get_app_key_request__descriptor, &kms__app_key_response__descriptor, give_keys },
};

static struct kms kms(const struct party *root, const struct party *leaf, uint8_t fill)
{
	return (struct kms){ .root = root, .leaf = leaf, .temp = &temp, .fill = fill };
}

static void pin_of(const struct party *root, char pin[static 2 * PROVIDER_ID_MAX + 1])
{
	uint8_t spki[CERT_SPKI_MAX];
	struct err e;
	size_t n;

	assert_int_equal(cert_spki(root->cert, spki, &n, &e), 0);
	hex_encode(pin, spki, n);
}

static int setup(void **state)
{
	struct span none = { 0 };

	(void)state;
	party_make(&good_root, "Dstack KMS CA", "", none, NULL);
	party_make(&good_leaf, "kms", "kms:rpc", none, &good_root);
	party_make(&app_leaf, "kms", "app:custom", none, &good_root);
	party_make(&rogue_root, "Dstack KMS CA", "", none, NULL);
	party_make(&rogue_leaf, "kms", "kms:rpc", none, &rogue_root);
	party_make(&temp, "Dstack Client Temp CA", "", none, NULL);
	pin_of(&good_root, good_pin);
	pin_of(&rogue_root, rogue_pin);
	return rpc_client_setup();
}

static int teardown(void **state)
{
	(void)state;
	party_drop(&good_root), party_drop(&good_leaf), party_drop(&rogue_root), party_drop(&rogue_leaf);
	party_drop(&temp), party_drop(&app_leaf);
	return 0;
}

// One boot's question to these URLs, in order; `list` are those KMSs that are to be served. -1: refused.
static int boot(struct kms *list[], size_t n, const char *const urls[], size_t n_urls, const char *pin,
		uint64_t *ms, struct err *e)
{
	const char *v[URLS_MAX];
	size_t served = 0;

	loop = (struct loopback){ .base = event_base_new() };
	for (size_t i = 0; i < n; i++) {
		list[i]->loop = &loop;
		list[i]->server = loopback_serve(&loop, list[i]->leaf, list[i]->temp, "/prpc", "KMS.",
						 methods, 2, list[i], list[i]->url);
	}
	for (size_t i = 0; i < n_urls; i++)
		v[i] = urls[i] ? urls[i] : list[served++]->url;
	loopback_start(&loop);
	s = (struct setup){ .arena = arena_new(64 << 20),
			    .sys = { .kms_urls = { v, n_urls }, .vm_config = "{\"cpu_count\":1}" },
			    .share.file[SHARE_ENV] = span_str(SECRET),
			    .compose = { .provider = PROVIDER_KMS, .provider_id = pin } };
	attested = 0;
	*e = (struct err){ 0 };
	uint64_t began = time_mono_ms();
	int rc = kms_obtain(&s, &times, e);
	*ms = time_mono_ms() - began;
	loopback_stop(&loop);
	end_waiting();
	for (size_t i = 0; i < n; i++)
		rpc_server_free(list[i]->server);
	loopback_free(&loop);
	arena_free(s.arena);
	return rc;
}

#define LIST(...) ((struct kms *[]){ __VA_ARGS__ }), sizeof(struct kms *[]){ __VA_ARGS__ } / sizeof(void *)
#define URLS(...)                                                                                            \
	((const char *const[]){ __VA_ARGS__ }), sizeof(const char *[]){ __VA_ARGS__ } / sizeof(void *)
#define SERVED        NULL // the URL of the next of the list
#define disk_is(fill) assert_int_equal(s.keys.disk[0] == (fill) && s.keys.disk[31] == (fill), 1)

static void refused(const struct kms *k, int rc, const struct err *e, const char *code)
{
	static const struct guest_keys none;

	if (rc != -1 || strcmp(e->code, code) != 0)
		fail_msg("expected %s, got %d %s: %s", code, rc, e->code, e->text);
	assert_memory_equal(&s.keys, &none, sizeof none);
	if (k)
		assert_int_equal(k->strangers, 0);
}

// Spec 70 HB-05: a pinned guest turns a rogue away before it asks for keys or shows evidence (feature 24).
static void hb_05_pinned_is_not_asked(void **state)
{
	struct kms rogue = kms(&rogue_root, &rogue_leaf, 9), good = kms(&good_root, &good_leaf, 1);
	struct err e;
	uint64_t ms;

	(void)state;
	int rc = boot(LIST(&rogue), URLS(SERVED), good_pin, &ms, &e);
	refused(&rogue, rc, &e, "binding.key_provider");
	assert_int_equal(rogue.facts_asked, 1);
	assert_int_equal(rogue.keys_asked + attested, 0);
	assert_int_equal(rogue.seen_n, 0);
	// nor does it stop the pinned one from being found, in whatever order
	rogue = kms(&rogue_root, &rogue_leaf, 9);
	assert_int_equal(boot(LIST(&rogue, &good), URLS(SERVED, SERVED), good_pin, &ms, &e), 0);
	disk_is(1);
	assert_int_equal(rogue.keys_asked, 0);
	assert_int_equal(attested, 1);
	assert_int_equal(boot(LIST(&good, &rogue), URLS(SERVED, SERVED), good_pin, &ms, &e), 0);
	disk_is(1);
	// a pin is the whole key: no part of it, nothing after it
	char part[sizeof good_pin + 2];
	snprintf(part, sizeof part, "%s00", good_pin);
	rc = boot(LIST(&good), URLS(SERVED), part, &ms, &e);
	refused(&good, rc, &e, "binding.key_provider");
	part[strlen(good_pin) - 2] = 0;
	rc = boot(LIST(&good), URLS(SERVED), part, &ms, &e);
	refused(&good, rc, &e, "binding.key_provider");
}

// A root's certificate is public: to show it is not to be its owner.
static void hb_05_root_of_another(void **state)
{
	struct kms rogue = kms(&rogue_root, &rogue_leaf, 9), app = kms(&good_root, &app_leaf, 9);
	struct err e;
	uint64_t ms;

	(void)state;
	rogue.ca_pem = good_root.pem;
	int rc = boot(LIST(&rogue), URLS(SERVED), good_pin, &ms, &e);
	refused(&rogue, rc, &e, "tls.peer_chain");
	assert_int_equal(rogue.keys_asked, 0);
	assert_int_equal(rogue.seen_n, 0);
	rc = boot(LIST(&rogue), URLS(SERVED), "", &ms, &e);
	refused(&rogue, rc, &e, "tls.peer_chain");
	// CH-06: nor is an app of that KMS the KMS
	rc = boot(LIST(&app), URLS(SERVED), good_pin, &ms, &e);
	refused(&app, rc, &e, "tls.peer_usage");
	assert_int_equal(app.keys_asked, 0);
	// another root between the two calls
	rogue = kms(&rogue_root, &rogue_leaf, 9);
	rogue.later_ca_pem = good_root.pem;
	rc = boot(LIST(&rogue), URLS(SERVED), "", &ms, &e);
	refused(&rogue, rc, &e, "keys.ca_changed");
}

// Without TLS nobody has proven anything, whatever root he shows.
static void hb_05_no_way_without_tls(void **state)
{
	static const char *const urls[] = { "http://127.0.0.1:1", "unix:/run/kms.sock", "vsock://2:1/prpc",
					    "HTTPS.example" };
	struct err e;
	uint64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		int rc = boot(NULL, 0, &urls[i], 1, "", &ms, &e);
		refused(NULL, rc, &e, "rpc.not_tls");
	}
	struct guest_keys k = { .url = "http://127.0.0.1:1/prpc", .ca_cert = good_root.pem };
	assert_null(kms_client(&s, &k, NULL, 1, &e));
	assert_string_equal(e.code, "rpc.not_tls");
}

// Without a pin a rogue's keys are taken, and its root becomes the measured key-provider (identity.c). What
// it was told: which guest asks, and nothing that it was not meant to know.
static void hb_05_rogue_learns_nothing(void **state)
{
	static const char want[] = "{\"api_version\":1,\"vm_config\":\"{\\\"cpu_count\\\":1}\"";
	struct kms rogue = kms(&rogue_root, &rogue_leaf, 9);
	char id[2 * PROVIDER_ID_MAX + 1];
	struct err e;
	uint64_t ms;

	(void)state;
	assert_int_equal(boot(LIST(&rogue), URLS(SERVED), "", &ms, &e), 0);
	disk_is(9);
	hex_encode(id, s.keys.provider_id, s.keys.provider_id_n);
	assert_string_equal(id, rogue_pin);
	assert_int_equal(rogue.facts_asked, 1);
	assert_int_equal(rogue.keys_asked, 1);
	assert_memory_equal(rogue.seen, want, sizeof want - 1);
	assert_non_null(memmem(rogue.seen, rogue.seen_n, "\"want_previous\":true", 20));
	assert_memory_equal(rogue.seen + rogue.seen_n - strlen(EVIDENCE), EVIDENCE, strlen(EVIDENCE));
	assert_null(memmem(rogue.seen, rogue.seen_n, SECRET, strlen(SECRET)));
	assert_true(rogue.seen_n < sizeof want + strlen(EVIDENCE) + 160); // the rest: names of empty fields
}

// Feature 23: dead and mute addresses cost a moment, not the boot.
static void several_dead_and_mute(void **state)
{
	struct kms good = kms(&good_root, &good_leaf, 1);
	char dead[64], mute[64], mute2[64];
	int fd = loopback_mute(mute), fd2 = loopback_mute(mute2);
	struct err e;
	uint64_t ms;

	(void)state;
	loopback_dead(dead);
	assert_int_equal(boot(LIST(&good), URLS(dead, SERVED), "", &ms, &e), 0);
	assert_true(ms < 5000);
	assert_int_equal(boot(LIST(&good), URLS(mute, dead, mute2, SERVED), good_pin, &ms, &e), 0);
	assert_true(ms < 5000);
	disk_is(1);
	assert_int_equal(good.keys_asked, 2);
	times.probe_ms = 500;
	int rc = boot(NULL, 0, URLS(mute, dead), "", &ms, &e);
	times.probe_ms = 9000;
	refused(NULL, rc, &e, "rpc.timeout");
	assert_non_null(strstr(e.text, mute));
	assert_non_null(strstr(e.text, dead));
	assert_non_null(strstr(e.text, "rpc.connect"));
	assert_true(ms < 4000);
	rc = boot(NULL, 0, URLS(dead), "", &ms, &e);
	refused(NULL, rc, &e, "rpc.connect");
	rc = boot(NULL, 0, NULL, 0, "", &ms, &e);
	refused(NULL, rc, &e, "keys.no_url");
	close(fd), close(fd2);
}

// The host's order counts among those who answer: a later one is asked only when the earlier gave nothing.
static void several_in_order(void **state)
{
	struct kms first = kms(&good_root, &good_leaf, 1), second = kms(&good_root, &good_leaf, 2);
	struct err e;
	uint64_t ms;

	(void)state;
	first.facts_ms = 60;
	assert_int_equal(boot(LIST(&first, &second), URLS(SERVED, SERVED), "", &ms, &e), 0);
	disk_is(1);
	assert_int_equal(second.keys_asked, 0);
	first.facts_ms = 800; // beyond the head start
	assert_int_equal(boot(LIST(&first, &second), URLS(SERVED, SERVED), "", &ms, &e), 0);
	disk_is(2);
	second.deny = "policy.app_not_allowed"; // then the late one is heard after all
	assert_int_equal(boot(LIST(&first, &second), URLS(SERVED, SERVED), "", &ms, &e), 0);
	disk_is(1);
}

// One that answers wrongly does not stop a good one, and leaves nothing of its answer.
static void several_one_wrong(void **state)
{
	struct kms good = kms(&good_root, &good_leaf, 1), bad;
	const char *const codes[] = { "policy.app_not_allowed", "keys.reply", "keys.ca_changed", "" };
	struct err e;
	uint64_t ms;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		bad = kms(&rogue_root, &rogue_leaf, 9);
		bad.n_epochs = 2;
		bad.deny = i == 0 ? codes[0] : NULL;
		bad.disk_n = i == 1 ? 31 : 0;
		bad.later_ca_pem = i == 2 ? good_root.pem : NULL;
		bad.ca_pem = i == 3 ? "no certificate" : NULL;
		assert_int_equal(boot(LIST(&bad, &good), URLS(SERVED, SERVED), "", &ms, &e), 0);
		disk_is(1);
		assert_int_equal(s.keys.n_earlier, 0);
		good.deny = "policy.compose_not_allowed";
		int rc = boot(LIST(&bad, &good), URLS(SERVED, SERVED), "", &ms, &e);
		refused(&good, rc, &e, codes[i]);
		assert_non_null(strstr(e.text, good.deny)); // every URL's reason is named
		good.deny = NULL;
	}
}

// A KMS that takes facts lightly and keys forever does not keep the guest from the next one; but where it is
// the only one that would give keys, it has the time that it needs.
static void several_one_slow(void **state)
{
	struct kms slow = kms(&good_root, &good_leaf, 1), other = kms(&good_root, &good_leaf, 2);
	struct err e;
	uint64_t ms;

	(void)state;
	slow.keys_ms = FOREVER;
	assert_int_equal(boot(LIST(&slow, &other), URLS(SERVED, SERVED), "", &ms, &e), 0);
	disk_is(2);
	assert_true(ms < 7000);
	slow.keys_ms = 1300;
	slow.keys_asked = 0;
	other.deny = "policy.app_not_allowed";
	assert_int_equal(boot(LIST(&slow, &other), URLS(SERVED, SERVED), "", &ms, &e), 0);
	disk_is(1);
	assert_int_equal(slow.keys_asked, 2);
	assert_int_equal(boot(LIST(&slow), URLS(SERVED), "", &ms, &e), 0); // alone: patience at once
	disk_is(1);
	assert_int_equal(slow.keys_asked, 3);
}

// Spec 70 HB-14: a pin refuses every other provider, also none and the local one.
static void hb_14_pinned(void **state)
{
	static struct setup g;
	struct err e;

	(void)state;
	g = (struct setup){ .compose = { .provider = PROVIDER_NONE, .provider_id = good_pin } };
	assert_int_equal(keys_obtain(&g, &e), -1);
	assert_string_equal(e.code, "binding.key_provider");
	g.compose.provider = PROVIDER_TPM;
	assert_int_equal(keys_obtain(&g, &e), -1);
	assert_string_equal(e.code, "keys.provider");
	static const uint8_t enclave[32] = { 7 };
	char other[65], own[65];
	hex_encode(own, enclave, 32);
	snprintf(other, sizeof other, "%064d", 0);
	struct compose c = { .provider = PROVIDER_LOCAL, .provider_id = own };
	assert_int_equal(keys_check_pin(&c, enclave, 32, &e), 0);
	assert_int_equal(keys_check_pin(&c, enclave, 31, &e), -1);
	assert_int_equal(keys_check_pin(&c, NULL, 0, &e), -1);
	c.provider_id = other;
	assert_int_equal(keys_check_pin(&c, enclave, 32, &e), -1);
	assert_string_equal(e.code, "binding.key_provider");
	c.provider_id = "";
	assert_int_equal(keys_check_pin(&c, enclave, 32, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hb_05_pinned_is_not_asked),
		cmocka_unit_test(hb_05_root_of_another),
		cmocka_unit_test(hb_05_no_way_without_tls),
		cmocka_unit_test(hb_05_rogue_learns_nothing),
		cmocka_unit_test(several_dead_and_mute),
		cmocka_unit_test(several_in_order),
		cmocka_unit_test(several_one_wrong),
		cmocka_unit_test(several_one_slow),
		cmocka_unit_test(hb_14_pinned),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
