#include "command.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "core/attest/dcap_text.h"

struct command {
	const char *name, *args, *summary, *help;
	int (*run)(int argc, char **argv);
};

static const char help_up[] =
	"Starts the local development stack in --dir (default .dstack): development PKI and collateral\n"
	"server, image registry, KMS, gateway, VMM. What already runs is left alone. Everything trusts the\n"
	"development root only because this command writes insecure_development = true into its configs.\n"
	"  --dir DIR        state folder (default $DSTACK_HOME, else .dstack)\n"
	"  --image DIR      guest image to offer (repeatable)\n"
	"  --port-base N    first of the ports used (default 17500)\n"
	"  --kms cvm        no KMS on this host: `dstack kms deploy` starts one in a confidential VM "
	"(default: host)\n"
	"  --json           {ok, dir}";
static const char help_deploy[] =
	"Makes app-compose.json of COMPOSE, allows its hash in the KMS's policy file (when this machine has\n"
	"it), seals the environment to the KMS's key for the app, creates and starts the VM.\n"
	"  -e KEY=VALUE     sealed environment variable (repeatable); -e KEY takes it from this shell\n"
	"  --env-file FILE  KEY=VALUE lines\n"
	"  --env-signer FILE|none   key that signs the variables, the only one the guest takes them from\n"
	"                   (default: deployer.key of the stack's folder, made at first use)\n"
	"  --name NAME      default: name of COMPOSE's folder\n"
	"  --image NAME     guest image (default: the one last given to up)\n"
	"  --vcpus N --memory MIB --disk GIB   default 1, 1024, 2\n"
	"  -p, --port [udp:][ADDRESS:]HOST:GUEST   a port of the host (repeatable), where the VMM allows it\n"
	"  --key-provider kms|local|none   who gives the app its keys: the KMS, this machine, nobody (new "
	"ones\n"
	"                   at each boot); without a KMS there are no variables and no gateway\n"
	"  --emit-event     let the app add events to RTMR3; measured\n"
	"  --no-instance-id all instances are one: the same measurements, the same keys\n"
	"  --no-allow       do not touch the policy file\n"
	"  --no-start       create it stopped\n"
	"  --if-absent      keep a VM of this name that has the same compose file\n"
	"  --replace        remove a VM of this name, and its disk, first\n"
	"  --wait           wait until the app's containers run; shows boot progress\n"
	"  --json           {ok, id, app_id, compose_hash, name}";

static const char help_env[] =
	"A new environment for an app that `dstack deploy` of this folder started: all its variables, sealed "
	"to\n"
	"the KMS's key for the app, signed by the same deployer with a higher version. Names cannot change.\n"
	"It holds from the VM's next start on.\n"
	"  -e KEY=VALUE     variable (repeatable); -e KEY takes it from this shell\n"
	"  --env-file FILE  KEY=VALUE lines\n"
	"  --env-signer FILE  the deployer's key (default: deployer.key of the stack's folder)\n"
	"  --json           {ok, id, version}";

static const char help_down[] =
	"Stops every VM of the stack and then its services, exactly those it started. Keeps all files: the\n"
	"next `dstack up` goes on with the same keys, VMs and disks.\n"
	"  --dir DIR        state folder (default $DSTACK_HOME, else .dstack)\n"
	"  --json           {\"ok\"}";
static const char help_logs[] =
	"APP is a VM id, app id, instance id or name, or an unambiguous prefix of an id (4 digits or more).\n"
	"  -f, --follow     go on as lines come, until the VM is removed or ^C\n"
	"  -n, --lines N    last N lines (default 1000)\n"
	"  --json           a JSON object {\"line\"} a line";
static const char help_verify[] =
	"Takes the evidence from the TLS certificate of URL, or from FILE (certificate, attestation, quote,\n"
	"GetQuote answer or verifier request), and says claim by claim what is proven.\n"
	"  --policy FILE             what is allowed: a JSON document (docs/formats/expect.md)\n"
	"  --connect HOST:PORT       dial this, whatever the URL's name resolves to\n"
	"  --app-id HEX              expected app id\n"
	"  --compose FILE            expected app-compose.json, or --compose-hash HEX\n"
	"  --kms-root FILE           PEM of the KMS root CA that must be the key provider\n"
	"  --key-provider-id HEX     or the provider's id itself: a local provider's MRENCLAVE\n"
	"  --image-hash HEX          expected guest image\n"
	"  --image-dir DIR           guest images to compare the base registers with\n"
	"  --pccs-url URL            collateral server (default: Intel's)\n"
	"  --development-root FILE   also accept the software TEE under this root; claims are marked\n"
	"  --collateral FILE         use this collateral and fetch none\n"
	"  --at UNIX                 time to judge at (default now)\n"
	"  --root FILE.der           the only root accepted (default: Intel's)\n"
	"  --dir DIR                 stack folder whose config.toml gives defaults\n"
	"  --kms                     of a FILE: ask the stack's KMS for its evidence, too, as for a URL\n"
	"  --kms-cert FILE           judge the KMS by its certificate (PEM) got earlier; nobody is asked\n"
	"  --emit-page               write verify.html, which verifies in a browser, to standard output\n"
	"  --json                    the verdict {ok, status, advisory_ids, code, error, claims, ..}\n"
	"Exit 0 trusted, 5 not trusted, 2 unreadable, 6 nobody answered.";
static const char help_quote[] =
	"A quote alone, without the machine it is about: `dstack verify` is for apps. FILE is raw or hex.\n"
	"  verify --quote FILE --collateral FILE\n"
	"                   check signatures, chains and TCB with the collateral given (of an SEV-SNP\n"
	"                   report: the certificates VCEK, ASK and ARK as PEM, or the kernel's table)\n"
	"  --crl FILE       of an SEV-SNP report: AMD's revocation list, DER\n"
	"  --at UNIX        time to judge at (default now)\n"
	"  --root FILE.der  the only root accepted (default: Intel's)\n"
	"  --tdx-components all|intel\n"
	"                   compare all 16 TDX components (default), or as Intel does not the first two\n"
	"                   when the TDX module has a version\n"
	"  show FILE        header, registers and chain, unchecked\n"
	"  --json           the verdict, or the fields, as one JSON object\n"
	"Exit 0 accepted or shown, 5 not trusted, 2 unreadable.";
static const char help_events[] =
	"Folds a JSON event array (or a GetQuote answer), a CCEL table or a TPM log into registers.\n"
	"  --list           also the events, each with its register, name and digest\n"
	"  --json           {kind, events, rtmr0..3, event_log with --list}";
static const char help_image[] =
	"measure DIR: measures firmware, kernel, initrd and command line that DIR/metadata.json names and "
	"writes\n"
	"DIR/measurement.tdx.cbor, from which a verifier computes MRTD and RTMR0-2.\n"
	"  --no-write       only print\n"
	"  --json           {mrtd_single_pass, mrtd_two_pass, cmdline_sha384, kernel_authenticode, "
	"initrd_sha384}\n"
	"pack DIR FOLDER: FOLDER/mr_<hash>.tar.gz, which a KMS or verifier downloads and checks.\n"
	"serve FOLDER tcp:ADDRESS:PORT: serves such archives over HTTP.";
static const char help_lint[] =
	"Tells in plain words what the text lets the app do beyond its images: privileges, folders and\n"
	"sockets of the guest, its network and processes, images and code that its hash does not fix.\n"
	"deploy shows the same, and verify of a compose file beside the verdict.\n"
	"  --json           {findings: [{code, where, text}]}\n"
	"Exit 0 when nothing was found, 3 when something was, 2 unreadable.";
static const char help_explain[] =
	"Without CODE: all of them.\n"
	"  --json           {code, text, means, todo}, an object a line\n"
	"With --log: the first difference between a boot log and the expected one, and its cause.\n"
	"  --expected PATH  image folder, measurement.tdx.cbor, GetQuote answer, or the log of a good "
	"machine\n"
	"  --log FILE       CCEL, TPM log, event array, GetQuote answer or envelope\n"
	"  --vm-config FILE the machine as it should be (default: as the files say)\n"
	"  --json           {equal, first, differences, notes}\n"
	"Exit 0 when they are equal, 5 when they differ.";
static const char help_app[] =
	"Who may have keys, on chain (DstackKms, DstackApp) or in a policy file:\n"
	"  register         makes an app's contract; prints its id. With APP: registers that contract\n"
	"  allow APP        --compose-hash HEX, --device HEX, --any-device\n"
	"  deny APP         takes the same back\n"
	"  suspend APP, resume APP   at the app; with --kms at the KMS, by its owner\n"
	"  allow-image HASH, deny-image HASH   of OS images, by the KMS's owner\n"
	"  contracts        puts the contracts on the chain, from --artifacts DIR\n"
	"  --rpc URL --chain-id N --key-file FILE   node, its chain, and the key that signs (64 hex digits,\n"
	"                   a file that only its owner can read)\n"
	"  --kms ADDRESS    the DstackKms contract\n"
	"  --replace        no older version may boot any more (one transaction)\n"
	"  --owner ADDRESS --require-tcb --no-upgrades   of a contract that is made\n"
	"  --policy FILE    change this policy file instead: allow, allow-image, suspend, resume\n"
	"  --ca-file FILE --wait SECONDS   of the node; until a transaction is in a block (default 60)\n"
	"  --json           an object a transaction {ok, done, transaction, block}";
static const char help_doctor[] =
	"  --json           {checks: [{check, state, found, instead, fix}], ok}; state is ok, instead or "
	"missing\n"
	"Exit 0 when VMs can run here, 1 when something they need is missing.";

static const char help_kms[] =
	"  deploy --image REFERENCE [--from NAME|URL] [--memory MIB] [--json]\n"
	"                           a KMS in a CVM; --from: which takes the roots over from that KMS\n"
	"  upgrade --image REFERENCE [--remove-old] [--memory MIB] [--json]\n"
	"                           another KMS in a CVM in the place of this stack's\n"
	"  handover --mr HEX [--for 5m] [--admin URL --token-file FILE]\n"
	"                           let a KMS with this measurement take the roots over, once\n"
	"  log verify FILE|DIR|URL  check an audit log, or ask a KMS for its signed head\n"
	"    --kms-root FILE        PEM of the root CA of the KMS that must answer (default: kms_root of\n"
	"                           config.toml in --dir DIR); --unverified-tls: anybody may\n"
	"    --peer URL|FILE        another KMS, or a file of its STATE/audit.peers: the log must go on "
	"from\n"
	"                           the head kept there; may be repeated\n"
	"    --head FILE            a head seen earlier: the log must go on from it\n"
	"    --save FILE            keep the head that a KMS signed now\n"
	"    --record FILE          a record in hand (audit_record of GetAppKey): it must be in the log\n"
	"    --k256-pubkey HEX      the root key that must sign\n"
	"    --json                 {ok, size, root, log_id, time, heads, peers, notes, ..}\n"
	"  derive --cert-dir DIR --app-id HEX [--instance-id HEX] [--epoch N] [--seed HEX] [--json]\n"
	"                           an app's keys from the root keys, for recovery; with several root sets\n"
	"                           --state DIR has the document that names the epoch's, or --root R does\n"
	"  rotate [--app-id HEX] [--overlap 30d] [--move-legacy] [--root R]\n"
	"                           a new epoch, for one app or by default; the one before ends after the\n"
	"                           overlap; --move-legacy: also for guests that name no epoch; --root: on\n"
	"                           that root set\n"
	"  rotate --roots           make a new root set\n"
	"  roots URL [--k256-pubkey HEX] [--json]\n"
	"                           the root sets of a KMS, checked from the pinned one on;\n"
	"                           --root R --save FILE keeps the CA certificate of one\n"
	"    --births               judge the evidence that each was born in a TEE: --image-dir DIR,\n"
	"                           --pccs-url URL, --development-root FILE\n"
	"  revoke app|compose|device|image HEX [--at UNIX] [--reason TEXT] [--lift]\n"
	"  revoke epoch N [--app-id HEX] [--at UNIX]\n"
	"  policy                   print epochs and revocations\n"
	"Rotate, revoke, policy: --admin URL --token-file FILE (a running KMS), --state DIR (its files), or\n"
	"neither: the KMS in a CVM of this stack.";

static const struct command commands[] = {
	{ "up", "[--dir DIR] [--image DIR]", "start the local development stack", help_up, cmd_up },
	{ "down", "[--dir DIR]", "stop what `up` started, VMs included", help_down, cmd_down },
	{ "deploy", "COMPOSE [-e KEY=VALUE]...", "run a compose file in a confidential VM", help_deploy,
	  cmd_deploy },
	{ "env", "APP -e KEY=VALUE...", "give an app a new environment", help_env, cmd_env },
	{ "ls", "", "list VMs: state, boot progress, why one stopped",
	  "  --json           the VMM's Status answer {vms, port_mapping_enabled, total}", cmd_ls },
	{ "logs", "APP [-f]", "show an app's console and container log", help_logs, cmd_logs },
	{ "info", "APP", "what goes on inside: system, network, ids",
	  "The word of the guest's agent and of the host, no evidence; see dstack verify.\n"
	  "  --json           {guest, system, network}",
	  cmd_info },
	{ "ps", "APP", "list an app's containers", "  --json           {containers}", cmd_ps },
	{ "stop", "APP", "shut a VM down",
	  "  --force          do not ask the guest\n  --json           {ok, id, state}", cmd_stop },
	{ "start", "APP", "start a stopped VM",
	  "  --wait           until its containers run\n  --json           {ok, id, state}", cmd_start },
	{ "rm", "APP", "remove a VM and its disks",
	  "  --force          stop it first\n  --json           {ok, id, state}", cmd_rm },
	{ "verify", "URL|FILE", "check what code answers at a URL", help_verify, cmd_verify },
	{ "quote", "verify ... | show FILE", "verify or decode a quote", help_quote, cmd_quote },
	{ "events", "replay FILE", "replay an event log into registers", help_events, cmd_events },
	{ "image", "measure|pack|serve DIR", "compute what an image measures to; pack or serve its archive",
	  help_image, cmd_image },
	{ "lint", "COMPOSE|app-compose.json", "what a compose file lets its app do", help_lint, cmd_lint },
	{ "kms", "deploy|upgrade|log|rotate..", "KMS in a CVM, its audit log, epochs, recovery", help_kms,
	  cmd_kms },
	{ "explain", "[CODE] | --expected PATH --log FILE",
	  "what a reason code means, why a boot log differs", help_explain, cmd_explain },
	{ "app", "VERB [APP] --rpc URL|--policy FILE", "allow, suspend, register apps, on chain or in a file",
	  help_app, cmd_app },
	{ "doctor", "", "what this host lacks, and what is used instead", help_doctor, cmd_doctor },
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

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

int command_usage(const char *name)
{
	const struct command *c = command_find(name);

	if (c)
		fprintf(stderr, "usage: dstack %s %s [--json]; see dstack %s --help\n", c->name, c->args,
			c->name);
	return 2;
}

int command_fail(const struct err *e, bool json)
{
	if (json) {
		char text[4096]; // more than both can be when every character is escaped
		struct wr w = wr_to(text, sizeof text);
		wr_refusal(&w, e->code, e->text);
		printf("%.*s\n", w.bad ? 0 : (int)w.n, text);
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
	const struct command *c = command_find(argv[1]);

	if (!c) {
		fprintf(stderr, "dstack: no command '%s'; see dstack --help\n", argv[1]);
		return 2;
	}
	for (int j = 2; j < argc; j++) {
		if (strcmp(argv[j], "--help") != 0 && strcmp(argv[j], "-h") != 0)
			continue;
		printf("usage: dstack %s %s\n\n%s\n\n%s\n", c->name, c->args, c->summary, c->help);
		return 0;
	}
	return c->run(argc - 1, argv + 1);
}
