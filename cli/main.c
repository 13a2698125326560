#include "command.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "out.h"

struct command {
	const char *name, *args, *summary, *help;
	int (*run)(int argc, char **argv);
};

static const char help_up[] =
	"Starts the local development stack in --dir (default .dstack): development PKI and collateral\n"
	"server, image registry, KMS, gateway, VMM. What already runs is left alone. Everything trusts the\n"
	"development root only because this command writes insecure_development = true into its configs.\n"
	"  --dir DIR        state folder\n"
	"  --image DIR      guest image to offer (repeatable)\n"
	"  --port-base N    first of the ports used (default 17500)\n"
	"  --json           one JSON object with the addresses";
static const char help_deploy[] =
	"Makes app-compose.json of COMPOSE, allows its hash in the KMS's policy file (when this machine has\n"
	"it), seals the environment to the KMS's key for the app, creates and starts the VM.\n"
	"  -e KEY=VALUE     sealed environment variable (repeatable); -e KEY takes it from this shell\n"
	"  --env-file FILE  KEY=VALUE lines\n"
	"  --name NAME      default: name of COMPOSE's folder\n"
	"  --image NAME     guest image (default: the newest)\n"
	"  --vcpus N --memory MIB --disk GIB   default 1, 1024, 2\n"
	"  --no-allow       do not touch the policy file\n"
	"  --no-start       create it stopped\n"
	"  --if-absent      keep a VM of this name that has the same compose file\n"
	"  --replace        remove a VM of this name, and its disk, first\n"
	"  --wait           wait until the app's containers run; shows boot progress\n"
	"  --json";

static const struct command commands[] = {
	{ "up", "[--dir DIR] [--image DIR]", "start the local development stack", help_up, cmd_up },
	{ "down", "[--dir DIR]", "stop what `up` started, VMs included", "  --dir DIR\n  --json", cmd_down },
	{ "deploy", "COMPOSE [-e KEY=VALUE]…", "run a compose file in a confidential VM", help_deploy,
	  cmd_deploy },
	{ "ls", "", "list VMs: state, boot progress, why one stopped", "  --json", cmd_ls },
	{ "logs", "APP [-f]", "show an app's console and container log",
	  "APP is a VM id, app id, instance id or name, or an unambiguous prefix.\n"
	  "  -f, --follow\n  -n, --lines N    last N lines (default 1000)\n  --json           a JSON object "
	  "a line",
	  cmd_logs },
	{ "stop", "APP", "shut a VM down", "  --force          do not ask the guest\n  --json", cmd_stop },
	{ "start", "APP", "start a stopped VM", "  --wait           until its containers run\n  --json",
	  cmd_start },
	{ "rm", "APP", "remove a VM and its disks", "  --force          stop it first\n  --json", cmd_rm },
	{ "verify", "URL|FILE", "check what code answers at a URL", NULL, cmd_verify },
	{ "quote", "verify|show …", "verify or decode a quote", NULL, cmd_quote },
	{ "events", "replay FILE", "replay an event log into registers", NULL, cmd_events },
	{ "image", "measure DIR", "compute what an image measures to", NULL, cmd_image },
	{ "explain", "CODE", "what a reason code means and what to do", "  --json", cmd_explain },
	{ "doctor", "", "what this host lacks, and what is used instead", "  --json", cmd_doctor },
};

static void usage(FILE *to)
{
	fputs("usage: dstack COMMAND [--help]\n\n", to);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		fprintf(to, "  %-8s %-26s %s\n", commands[i].name, commands[i].args, commands[i].summary);
	fputs("\nThe stack is found as .dstack/ in this folder or one above, or in $DSTACK_HOME.\n"
	      "Exit codes: 0 done, 2 bad input, 3 denied, 4 no such thing, 5 not trusted, 6 try again, 1 "
	      "other.\n",
	      to);
}

int command_fail(const struct err *e, bool json)
{
	if (json) {
		fputs("{\"ok\":false,\"code\":", stdout);
		out_json_text(stdout, e->code);
		fputs(",\"error\":", stdout);
		out_json_text(stdout, e->text);
		fputs("}\n", stdout);
	} else {
		fprintf(stderr, "dstack: %s%s%s%s\n", e->text, *e->code ? " [" : "", e->code,
			*e->code ? "]" : "");
	}
	return err_exit(e);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "help") || !strcmp(argv[1], "-h")) {
		usage(argc < 2 ? stderr : stdout);
		return argc < 2 ? 2 : 0;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("dstack %s %s\n", version_text, version_rev);
		return 0;
	}
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		const struct command *c = &commands[i];
		if (strcmp(c->name, argv[1]) != 0)
			continue;
		for (int j = 2; c->help && j < argc; j++) {
			if (strcmp(argv[j], "--help") != 0 && strcmp(argv[j], "-h") != 0)
				continue;
			printf("usage: dstack %s %s\n\n%s\n\n%s\n", c->name, c->args, c->summary, c->help);
			return 0;
		}
		return c->run(argc - 1, argv + 1);
	}
	fprintf(stderr, "dstack: no command '%s'; see dstack --help\n", argv[1]);
	return 2;
}
