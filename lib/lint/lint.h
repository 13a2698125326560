// lint - what a compose file lets an app do that its measurement does not show, in plain words.
//
// Spec 70 GA-08. The text is a stranger's: bounded, its names quoted. What is found is no verdict: an app may
// have good reasons. That nothing is found proves only that nothing of this list is in the text; a text that
// cannot be read is a finding of its own.
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/sb.h"
#include "core/codec/buf.h"

enum { LINT_MAX = 200 };

struct lint_finding {
	const char *code;  // lint.privileged, ...: see dstack explain
	const char *where; // "service web", "volume data", "pre_launch_script"
	const char *text;
};

struct lint {
	struct lint_finding found[LINT_MAX];
	size_t n;
	bool more;       // there were too many for the list
	struct arena *a; // holds the texts
	size_t budget;   // of the walk
};

// `text` is app-compose.json, or a docker compose file when it is no JSON object with a runner. -1 only when
// memory is out.
int lint_app(struct lint *l, struct span text, struct err *e);
int lint_compose(struct lint *l, struct span yaml, struct err *e);
void lint_free(struct lint *l);

void lint_json(struct sb *b, const struct lint *l); // [{"code","where","text"}...]
void lint_text(struct sb *b, const struct lint *l); // a line a finding
