// config - configuration files: a TOML subset against a table of keys.
//
// The subset: [table], [[array of tables]], inline tables, dotted keys, basic and literal strings, integers,
// booleans, arrays of strings or integers over several lines, comments. Anything else, an unknown key, a
// wrong type, a second definition: refused with file and line. The same table prints --help-config.
//
//     static const struct config_key keys[] = {
//             { "listen", CONFIG_STRING, .def = "unix:/run/x.sock", .doc = "where to serve" },
//             { "network.forward[].listen", CONFIG_INT, .required = true, .min = 1, .max = 65535, .doc =
//             "..." },
//     };
//     config_int(c, "network.forward[%zu].listen", i)
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/err.h"

// A size is an integer, bytes, or text with a unit: "512", "64KB", "10 MiB" (B, KB to GB, KiB to GiB).
// ELSEWHERE: a key of another program's file, refused; `doc` says what to write instead.
enum config_type { CONFIG_STRING, CONFIG_INT, CONFIG_BOOL, CONFIG_STRINGS, CONFIG_SIZE, CONFIG_ELSEWHERE };

struct config_key {
	const char *
		key; // dotted path; `[]` after the name of an array of tables; `*` at the end: any name there
	enum config_type type;
	const char *def; // as text: "8080", "true"; NULL: "", 0, false, no items
	const char *doc;
	bool required;    // of the file, or of each table of its array
	int64_t min, max; // of an integer, when max is not 0
};

struct config;

// A name that ends in .json: the same table, in JSON. Codes: config.syntax, config.unknown_key, config.type,
// config.duplicate, config.missing, config.range.
struct config *config_parse(const char *text, size_t n, const char *name, const struct config_key *keys,
			    size_t n_keys, struct err *e);
struct config *config_read(const char *path, const struct config_key *keys, size_t n_keys, struct err *e);
void config_free(struct config *c);
// A value from elsewhere (the environment) instead of the file's: the text of a string, integer or boolean
// key. `name` is where it is from, for messages. Codes as for files.
int config_override(struct config *c, const char *name, const char *path, const char *text, struct err *e);

// What the file says, else the default. The path must be in the table (asserted).
const char *config_str(const struct config *c, const char *path, ...) __attribute__((format(printf, 2, 3)));
int64_t config_int(const struct config *c, const char *path, ...) __attribute__((format(printf, 2, 3)));
uint64_t config_size(const struct config *c, const char *path, ...) __attribute__((format(printf, 2, 3)));
// The names that the file gives under `*`, one after the other: NULL after the last. *i starts at 0.
const char *config_name(const struct config *c, const char *table, size_t *i);
bool config_bool(const struct config *c, const char *path, ...) __attribute__((format(printf, 2, 3)));
bool config_has(const struct config *c, const char *path, ...)
	__attribute__((format(printf, 2, 3))); // in the file
// Items of an array of strings ("kms.urls"), or tables of an array of tables ("network.forward").
size_t config_count(const struct config *c, const char *path, ...) __attribute__((format(printf, 2, 3)));
const char *config_item(const struct config *c, size_t i, const char *path, ...)
	__attribute__((format(printf, 3, 4)));

void config_help(FILE *to, const struct config_key *keys, size_t n_keys); // the table as a commented file

// An option of one program beyond those that every daemon has; its argument goes to *value.
struct config_option {
	const char *name, *argument, *doc;
	const char **value;
};

struct config_args {
	const char *program, *summary;
	const char *file_doc; // more about -c, or NULL
	const struct config_key *keys;
	size_t n_keys;
	bool file_optional;
	const struct config_option *option;
	size_t n_options;
	// what was said
	const char *file;
	bool check;
};
// Reads the command line and sets up the log. -1: go on; else the status to exit with.
int config_args(struct config_args *a, int argc, char **argv);

// The start of every daemon: -c FILE, --check, --version, --help, --help-config, --log text|json,
// --log-level L. Gives the configuration, or NULL when the process is to exit with *status. After a NULL-free
// return with *check true the daemon validates what else it can and exits 0. Sets up the log.
struct config *config_start(int argc, char **argv, const char *program, const char *summary,
			    const struct config_key *keys, size_t n_keys, bool *check, int *status);
// The same, but without -c the file is `file` if it exists, else the defaults are taken.
struct config *config_start_at(const char *file, int argc, char **argv, const char *program,
			       const char *summary, const struct config_key *keys, size_t n_keys, bool *check,
			       int *status);
