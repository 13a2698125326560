// err - one error type for every component: a class to act on and a sentence to read.
//
// A fallible function takes `struct err *e` last and returns 0 or -1 (or a pointer or NULL). The
// caller owns `e`; nothing is allocated, so reporting cannot fail and an error never needs freeing.
// Each level that passes a failure up adds what it was doing:
//     register app 4f2a: open /run/wg.sock: Permission denied
#pragma once

enum err_class {
	ERR_NONE,
	ERR_INPUT,     // the peer or the user sent something wrong    HTTP 400, exit 2
	ERR_DENIED,    // understood and refused                       HTTP 403, exit 3
	ERR_ABSENT,    // no such thing                                HTTP 404, exit 4
	ERR_UNTRUSTED, // evidence or a signature does not hold        HTTP 403, exit 5
	ERR_AGAIN,     // may succeed later: timeout, peer down, full  HTTP 503, exit 6
	ERR_SYSTEM,    // the machine failed us                        HTTP 500, exit 1
	ERR_BUG,       // we failed ourselves                          HTTP 500, exit 70
};

// `code` is a stable reason ("policy.app_not_allowed", "quote.signature"), "" where none is defined. It is
// what tests, scripts and `dstack explain` rely on; the text may be reworded, a code never changes meaning.
struct err {
	enum err_class class;
	char code[48];
	char text[460];
};

#define ERR_FORMAT(n) __attribute__((format(printf, n, n + 1)))

// All return -1, so that a failing function ends in `return err_set(...)`.
int err_set(struct err *e, enum err_class c, const char *fmt, ...) ERR_FORMAT(3);
int err_code(struct err *e, enum err_class c, const char *code, const char *fmt, ...) ERR_FORMAT(4);
int err_errno(struct err *e, const char *fmt, ...) ERR_FORMAT(2); // class and reason from errno
int err_wrap(struct err *e, const char *fmt, ...) ERR_FORMAT(2);  // "fmt: what was there"; the code stays

int err_exit(const struct err *e); // the exit code of the class
int err_http(const struct err *e); // the HTTP status of the class
