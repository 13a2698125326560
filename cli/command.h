// command - what the `dstack` program offers: one entry point a command, listed in main.c's table.
//
// Each takes its own arguments (argv[0] is the command's name), writes results to stdout and reports an error
// through command_fail, whose exit code is the error's class (lib/base/err.h). `--help` is answered by
// main.c.
#pragma once
#include <stdbool.h>

#include "base/err.h"

int cmd_up(int argc, char **argv);
int cmd_down(int argc, char **argv);
int cmd_deploy(int argc, char **argv);
int cmd_env(int argc, char **argv);
// The same for a command that deploys as part of what it does: nothing on stdout.
struct deployed {
	char id[64], app_id[41];
};
int deploy_vm(int argc, char **argv, struct deployed *out, struct err *e);
int cmd_ls(int argc, char **argv);
int cmd_logs(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_start(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_rm(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_quote(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_image(int argc, char **argv);
int cmd_lint(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_kms(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_app(int argc, char **argv);

// Print the error (as JSON on stdout when `json`, else `dstack: text` on stderr) and give its exit code.
int command_fail(const struct err *e, bool json);
// One line on stderr about how the command is called; gives the exit code of bad input.
int command_usage(const char *name);
