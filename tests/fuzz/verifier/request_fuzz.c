// The body of POST /verify, through everything that answers it. No collateral can be had.
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "check.h"
#include "core/codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct checker checker;
	static struct verifier_config config;
	static char dir[] = "/tmp/verifier-fuzz.XXXXXX";
	struct sb out = { 0 };
	struct json root, valid_member;
	struct err e;
	bool valid;

	if (!checker.trust) {
		log_setup(false, LOG_LEVEL_ERROR);
		if (!mkdtemp(dir) || verifier_config_read(&config, NULL, NULL, &e))
			abort();
		config.image_dir = dir;
		config.image_url = "";
		config.pccs_url = "http://127.0.0.1:1";
		if (checker_init(&checker, &config, &e))
			abort();
	}
	if (!check_body(&checker, span_of(p, n), &out, &valid, &e)) {
		if (valid || out.bad || json_parse(&root, span_of(out.p, out.n), NULL) ||
		    !json_get(root, "is_valid", &valid_member) || !span_is(valid_member.text, "false"))
			abort();
	} else if (strcmp(e.code, "verifier.request") != 0) {
		abort();
	}
	sb_free(&out);
	return 0;
}
