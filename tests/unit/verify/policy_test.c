// The document of expectations: what is not in it does not restrict, what is empty allows nothing, what is
// unknown or malformed is refused.
#include "guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct guest g;
static struct span evidence;

static struct verify_input with(const char *policy)
{
	return (struct verify_input){ .binding = VERIFY_BIND_STATED, .expect = span_str(policy) };
}

static void accepts(struct span policy)
{
	struct verify_input in = { .binding = VERIFY_BIND_STATED, .expect = policy };

	guest_accepts(evidence, &in);
}

static void refuses(const char *policy, const char *code)
{
	struct verify_input in = with(policy);

	guest_refuses(evidence, &in, code);
}

static struct span list(const char *name, const void *p, size_t n)
{
	struct span digits = guest_hex(span_of(p, n));

	return guest_text("{\"%s\":[\"00\",\"%.*s\"]}", name, (int)digits.n, digits.p);
}

static struct span one_of(const char *name, const void *p, size_t n)
{
	uint8_t zero[64] = { 0 };
	struct span digits = guest_hex(span_of(p, n)), other = guest_hex(span_of(zero, n));

	return guest_text("{\"%s\":[\"%.*s\",\"%.*s\"]}", name, (int)other.n, other.p, (int)digits.n,
			  digits.p);
}

static void good(void)
{
	guest_new(&g);
	guest_build(&g);
	evidence = guest_envelope(&g, true);
}

static void what_is_listed_is_allowed(void **state)
{
	(void)state;
	good();
	accepts(span_str("{}"));
	accepts(span_str(" { } "));
	accepts(one_of("app_id", g.app_id, 20));
	accepts(one_of("compose_hash", g.compose_hash, 32));
	accepts(one_of("os_image_hash", g.image_hash, 32));
	accepts(list("key_provider_id", "\x30\x59\xaa\xbb", 4));
	accepts(span_str(
		"{\"tcb_status\":[\"OutOfDate\",\"UpToDate\"],\"advisories_denied\":[\"INTEL-SA-1\"]}"));
	struct span data = guest_hex(span_of(g.report_data, 64));

	accepts(guest_text("{\"report_data\":\"%.*s\"}", (int)data.n, data.p));
}

static void what_is_not_is_refused(void **state)
{
	static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";

	(void)state;
	good();
	struct verify_input in = { .binding = VERIFY_BIND_STATED };

	in.expect = guest_text("{\"app_id\":[\"%.40s\"]}", zeros);
	guest_refuses(evidence, &in, "app_id.mismatch");
	in.expect = guest_text("{\"compose_hash\":[\"%s\"]}", zeros);
	guest_refuses(evidence, &in, "compose_hash.mismatch");
	in.expect = guest_text("{\"os_image_hash\":[\"%s\"]}", zeros);
	guest_refuses(evidence, &in, "image.not_expected");
	in.expect = guest_text("{\"report_data\":\"%s%s\"}", zeros, zeros);
	guest_refuses(evidence, &in, "report_data.mismatch");
	refuses("{\"key_provider_id\":[\"3059aabc\"]}", "key_provider.mismatch");
	refuses("{\"key_provider_id\":[\"3059aa\"]}", "key_provider.mismatch");
	refuses("{\"tcb_status\":[\"OutOfDate\"]}", "policy.tcb_not_allowed");
}

// Spec 70 HB-05: keys of a rogue KMS are seen by its root, which the guest measured. However much of it is
// right.
static void hb_05_keys_of_another_kms(void **state)
{
	static const char *const rogue[] = { "3059aabc", "3059aa", "3059aabb00", "" };

	(void)state;
	for (size_t i = 0; i < sizeof rogue / sizeof *rogue; i++) {
		guest_new(&g);
		int n = snprintf(g.key_provider, sizeof g.key_provider, "{\"name\":\"kms\",\"id\":\"%s\"}",
				 rogue[i]);
		g.events[6].payload.n = (size_t)n;
		guest_build(&g);
		evidence = guest_envelope(&g, true);
		accepts(span_str("{}")); // it is a good guest, but for who knows its keys
		refuses("{\"key_provider_id\":[\"3059aabb\"]}", "key_provider.mismatch");
	}
}

#define ENCLAVE "0707070707070707070707070707070707070707070707070707070707070707"
// Spec 70 HB-14: who gives the keys is measured, whatever the kind; an expected KMS is no other kind's id.
static void hb_14_another_kind_of_provider(void **state)
{
	static const char *const other[] = {
		"{\"name\":\"none\",\"id\":\"\"}",
		"{\"name\":\"tpm\",\"id\":\"04aabb\"}",
		"{\"name\":\"local-sgx\",\"id\":\"" ENCLAVE "\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
		guest_new(&g);
		g.events[6].payload = span_str(other[i]);
		guest_build(&g);
		evidence = guest_envelope(&g, true);
		accepts(span_str("{}"));
		refuses("{\"key_provider_id\":[\"3059aabb\"]}", "key_provider.mismatch");
	}
	accepts(span_str("{\"key_provider_id\":[\"" ENCLAVE "\"]}"));
	guest_new(&g); // nor can the host leave it out
	g.runtime.n = 6;
	guest_build(&g);
	evidence = guest_envelope(&g, true);
	refuses("{\"key_provider_id\":[\"3059aabb\"]}", "key_provider.mismatch");
}

// Spec 70 HB-13: what instance-info made of the ids is 20 bytes in the evidence, or no identity.
static void hb_13_lengths_of_ids(void **state)
{
	static const uint8_t bytes[64];
	static const size_t wrong[] = { 1, 19, 21, 32, 64 };

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		guest_new(&g);
		g.events[1].payload = span_of(bytes, wrong[i]);
		guest_build(&g);
		evidence = guest_envelope(&g, true);
		refuses("{}", "events.app_id");
		guest_new(&g);
		g.events[4].payload = span_of(bytes, wrong[i]);
		guest_build(&g);
		evidence = guest_envelope(&g, true);
		refuses("{}", "events.instance_id");
	}
}

static void an_empty_list_allows_nothing(void **state)
{
	(void)state;
	good();
	refuses("{\"app_id\":[]}", "app_id.mismatch");
	refuses("{\"compose_hash\":[]}", "compose_hash.mismatch");
	refuses("{\"os_image_hash\":[]}", "image.not_expected");
	refuses("{\"key_provider_id\":[]}", "key_provider.mismatch");
	refuses("{\"tcb_status\":[]}", "policy.tcb_not_allowed");
	accepts(span_str("{\"advisories_denied\":[]}")); // the only list of what is denied
}

static void unknown_and_malformed_members_are_refused(void **state)
{
	static const char *const bad[] = {
		"[]",
		"null",
		"",
		"{",
		"{} {}",
		"{\"app_id\":null}",
		"{\"app_id\":\"a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0\"}",
		"{\"app_id\":[\"\"]}",
		"{\"app_id\":[\"a0\"]}",
		"{\"app_id\":[\"a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0ax\"]}",
		"{\"app_id\":[null]}",
		"{\"app_id\":[],\"app_id\":[]}",
		"{\"key_provider_id\":[\"\"]}",
		"{\"key_provider_id\":[\"309\"]}",
		"{\"tcb_status\":\"UpToDate\"}",
		"{\"tcb_status\":[\"uptodate\"]}",
		"{\"tcb_status\":[\"Revoked\"]}",
		"{\"advisories_denied\":[\"\"]}",
		"{\"report_data\":\"\"}",
		"{\"report_data\":null}",
		"{\"report_data\":[]}",
	};

	(void)state;
	good();
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		refuses(bad[i], "policy.format");
	refuses("{\"app_ids\":[]}", "policy.unknown_field");
	refuses("{\"allow_debug\":true}", "policy.unknown_field");
	refuses("{\"tcb_status\":[\"UpToDate\"],\"x\":{}}", "policy.unknown_field");
	struct verify_input in = with("[]");

	assert_true(guest_judge(evidence, &in, guest_image())->unreadable);
}

// Two members of the newest level of the platform, as Intel would write them.
static void status(const char *status, const char *advisories)
{
	guest_new(&g);
	forge_edit(&g.forge,
		   (struct forge_edit){ .layer = FORGE_TCB_INFO,
					.op = FORGE_REPLACE,
					.from = span_str("\"tcbStatus\":\"UpToDate\""),
					.bytes = guest_text("\"tcbStatus\":\"%s\"%s", status, advisories) });
	guest_build(&g);
	evidence = guest_envelope(&g, true);
}

static void the_tcb_status_is_judged(void **state)
{
	static const char *const fine[] = { "SWHardeningNeeded", "ConfigurationNeeded",
					    "ConfigurationAndSWHardeningNeeded" };
	static const char *const not_fine[] = { "OutOfDate", "OutOfDateConfigurationNeeded" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		status(fine[i], "");
		accepts(span_str("{}"));
		refuses("{\"tcb_status\":[\"UpToDate\"]}", "policy.tcb_not_allowed");
	}
	for (size_t i = 0; i < 2; i++) {
		struct verify_input in = with("{}");

		status(not_fine[i], "");
		refuses("{}", "policy.tcb_not_allowed");
		in.any_tcb = true; // an authorisation policy decides
		guest_accepts(evidence, &in);
		accepts(guest_text("{\"tcb_status\":[\"%s\"]}", not_fine[i]));
		in.expect = span_str("{\"tcb_status\":[\"UpToDate\"]}"); // what is said counts all the same
		guest_refuses(evidence, &in, "policy.tcb_not_allowed");
	}
	status("SWHardeningNeeded", ",\"advisoryIDs\":[\"INTEL-SA-00001\",\"INTEL-SA-00002\"]");
	accepts(span_str("{\"advisories_denied\":[\"INTEL-SA-00003\",\"INTEL-SA-0000\"]}"));
	refuses("{\"advisories_denied\":[\"INTEL-SA-00003\",\"INTEL-SA-00002\"]}",
		"policy.advisory_not_allowed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_listed_is_allowed),
		cmocka_unit_test(what_is_not_is_refused),
		cmocka_unit_test(hb_05_keys_of_another_kms),
		cmocka_unit_test(hb_14_another_kind_of_provider),
		cmocka_unit_test(hb_13_lengths_of_ids),
		cmocka_unit_test(an_empty_list_allows_nothing),
		cmocka_unit_test(unknown_and_malformed_members_are_refused),
		cmocka_unit_test(the_tcb_status_is_judged),
	};
	return cmocka_run_group_tests(tests, guest_setup, guest_teardown);
}
