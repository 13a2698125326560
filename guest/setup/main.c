// dstack-setup - the measured heart of a boot: from the host's share to an app that may start.
//
//     dstack-setup --work-dir W --mount-point D [--share-dir DIR]
//                                      the whole of spec 60 section 6, once per boot
//     dstack-setup notify EVENT TEXT   tell the host something (best effort, always 0)
//     dstack-setup gateway-checker     keep the gateway's route alive: 0 none wanted, 3 misconfigured
//     dstack-setup close               close the data disk, at shutdown
//
// Exit 0: done. Otherwise the class of the error (1 system, 2 input, 3 denied, 4 absent, 5 untrusted, 6 try
// again, 70 bug); the host has had boot.error "code: text", no key stays behind, nothing may be started.
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/sb.h"
#include "base/strings.h"
#include "base/time.h"
#include "base/version.h"
#include "disk.h"
#include "env.h"
#include "network.h"
#include "notify.h"
#include "rpc/client.h"
#include "run.h"
#include "setup.h"

#define WORK_DIR "/var/volatile/dstack"

enum { ARENA_MAX = 512 << 20 };

static const char usage[] =
	"dstack-setup --work-dir W --mount-point D [--share-dir DIR]\n"
	"dstack-setup notify EVENT TEXT | gateway-checker [--work-dir W] | close | --version | --help\n";

static int read_share(struct setup *s, const char *share_dir, struct err *e)
{
	if (file_mkdirs(s->shared, 0755, e))
		return -1;
	if (share_dir ? share_read_dir(share_dir, s->arena, &s->share, e)
		      : share_read_disk(s->work_dir, s->arena, &s->share, e))
		return -1;
	if (sysconf_parse(s->share.file[SHARE_SYS_CONFIG], s->arena, &s->sys, e))
		return -1;
	notify_address(s->sys.host_api_url);
	for (int i = 0; i < SHARE_FILES; i++)
		if (s->share.file[i].n &&
		    setup_write(s, share_names[i], 0644, s->share.file[i].p, s->share.file[i].n, e))
			return -1;
	return 0;
}

// VERSION_ID of os-release, "" when it has none.
static const char *os_version(struct arena *a)
{
	static const char *const files[] = { "/etc/os-release", "/usr/lib/os-release" };
	struct err ignored;

	for (int i = 0; i < 2; i++) {
		auto_free char *text = NULL;
		size_t n;

		if (file_read(files[i], 65536, &text, &n, &ignored))
			continue;
		const char *at = str_starts(text, "VERSION_ID=") ? text : strstr(text, "\nVERSION_ID=");
		if (!at)
			continue;
		at = strchr(at, '=') + 1;
		at += *at == '"';
		return arena_fmt(a, "%.*s", (int)strcspn(at, "\"\n"), at);
	}
	return "";
}

static int check_compose(struct setup *s, struct err *e)
{
	if (compose_parse(s->share.file[SHARE_COMPOSE], s->arena, &s->compose, e) ||
	    instance_parse(s->share.file[SHARE_INSTANCE], s->arena, &s->instance, e) ||
	    runtime_set_version(s->run_dir, s->compose.event_log_version, e))
		return -1;
	s->tee = tee_open("auto", e);
	if (!s->tee)
		return -1;
	const struct compose_machine m = {
		.platform = strcmp(tee_name(s->tee), "tdx") ? "dstack-soft" : "dstack-tdx",
		.os_version = os_version(s->arena),
		.lite = vm_config_is_lite(s->sys.vm_config),
		.user_config = s->share.file[SHARE_USER_CONFIG],
	};
	return compose_check(&s->compose, &m, e);
}

// A clock that the host set is not good enough when the app says so.
static int check_time(const struct setup *s, struct err *e)
{
	static const char *const argv[] = { "chronyc", "waitsync", "30", "0.1", "0", "5", NULL };
	char said[RUN_SAID];

	if (!s->compose.secure_time)
		return 0;
	int rc = run(argv, said, e);
	if (rc)
		return err_code(e, ERR_AGAIN, "time.not_synchronised",
				"secure_time is asked for but the clock is not synchronised (chronyc: %s)",
				rc < 0 ? "not there" : said);
	return 0;
}

static int take_keys(struct setup *s, struct err *e)
{
	struct span json;

	notify_progress("requesting app keys");
	if (keys_obtain(s, e))
		return -1;
	if (s->keys.has_os_image_hash && setup_emit(s, "os-image-hash", s->keys.os_image_hash, 32, e))
		return -1;
	if (setup_check_binding(s, e) || keys_json(&s->keys, s->arena, &json, e))
		return -1;
	return setup_write(s, ".appkeys.json", 0600, json.p, json.n, e);
}

static void tell_instance(const struct setup *s)
{
	char seed[41], app[41], instance[41] = "";
	auto_free char *text = NULL;

	hex_encode(seed, s->instance.seed, ID_SIZE);
	hex_encode(app, s->instance.app_id, ID_SIZE);
	if (s->has_instance_id)
		hex_encode(instance, s->instance_id, ID_SIZE);
	text = str_format("{\"instance_id_seed\":\"%s\",\"instance_id\":\"%s\",\"app_id\":\"%s\"}", seed,
			  instance, app);
	if (!text)
		return;
	struct err ignored;
	(void)!setup_write((struct setup *)(uintptr_t)s, ".instance_info", 0644, text, strlen(text),
			   &ignored);
	notify("instance.info", text);
}

static int open_disk(struct setup *s, struct err *e)
{
	bool is_new;

	notify_progress("mounting data disk");
	if (disk_setup(s->work_dir, s->mount_point, s->keys.disk, (const uint8_t(*)[32])s->keys.earlier_disk,
		       s->keys.n_earlier, &is_new, e) ||
	    (s->compose.swap_size && disk_swap(s->mount_point, s->compose.swap_size, e)))
		return -1;
	log_info("setup", "data disk %s", is_new ? "made" : "opened");
	tell_instance(s);
	if (setup_emit(s, "storage-fs", "ext4", 4, e) || setup_emit(s, "system-ready", NULL, 0, e))
		return -1;
	notify_progress("data disk ready");
	return 0;
}

static int write_env(struct setup *s, struct err *e)
{
	struct env_files f;
	struct span key = span_of(s->keys.env, s->keys.has_env ? sizeof s->keys.env : 0);

	struct span box = s->sender.box;
	int opened = env_open(key, box, &s->compose.allowed_envs, s->arena, &f, e);
	// Sealed to an earlier epoch's key: the tag says which.
	for (size_t i = 0; opened && !strcmp(e->code, "env.decrypt") && i < s->keys.n_earlier; i++) {
		struct err why;
		opened = env_open(span_of(s->keys.earlier_env[i], 32), box, &s->compose.allowed_envs,
				  s->arena, &f, &why);
		if (opened && strcmp(why.code, "env.decrypt") != 0)
			*e = why;
	}
	if (opened)
		return -1;
	if (sender_remember(&s->sender, s->mount_point, e)) {
		env_free(&f);
		return -1;
	}
	if (f.skipped)
		log_warn("setup", "environment: names skipped because allowed_envs has them not count=%zu",
			 f.skipped);
	int rc = setup_write(s, ".decrypted-env", 0600, f.text.n ? f.text.p : "", f.text.n, e) ||
				 setup_write(s, ".decrypted-env.json", 0600, f.json.p, f.json.n, e)
			 ? -1
			 : 0;
	env_free(&f);
	return rc;
}

static int link_file(const struct setup *s, const char *to, const char *name, struct err *e)
{
	auto_free char *path = str_format("%s/%s", s->work_dir, name);

	if (!path)
		return err_set(e, ERR_SYSTEM, "out of memory");
	unlink(path);
	return symlink(to, path) ? err_errno(e, "link %s", name) : 0;
}

static int write_agent_files(struct setup *s, struct err *e)
{
	auto_free char *path = str_format("%s/agent.json", s->work_dir);
	auto_sb b = { 0 };

	sb_str(&b, "{\"default\":{\"core\":{\"data_disks\":[\"/\",");
	sb_json_str(&b, s->mount_point);
	sb_str(&b, s->compose.emit_event ? "],\"emit_event\":true}}}\n" : "]}}}\n");
	if (!path || b.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	return link_file(s, ".host-shared/app-compose.json", "app-compose.json", e) ||
			       link_file(s, ".host-shared/.user-config", "user_config", e) ||
			       file_mkdirs("/var/run/dstack", 0755, e) || file_write(path, 0644, b.p, b.n, e)
		       ? -1
		       : 0;
}

// What the checker can mend later does not stop the boot.
static void join_gateway(struct setup *s)
{
	struct err e = { 0 };

	if (!s->compose.gateway)
		return;
	notify_progress("setting up dstack-gateway");
	if (network_register(s, &e)) {
		log_warn("setup", "%s code=%s", e.text, e.code);
		notify_error(&e);
	}
}

static int boot(struct setup *s, const char *share_dir, struct err *e)
{
	if (read_share(s, share_dir, e) || check_compose(s, e) || check_time(s, e) || setup_identity(s, e) ||
	    sender_judge(&s->compose, s->instance.app_id, s->share.file[SHARE_ENV], &s->sender, e) ||
	    setup_early_events(s, e) || take_keys(s, e) || open_disk(s, e) || write_env(s, e) ||
	    write_agent_files(s, e))
		return -1;
	join_gateway(s);
	notify_progress("setting up docker");
	return 0;
}

// Nothing that a failed boot got may stay: keys and plain values live in these files only.
static void forget(struct setup *s)
{
	static const char *const names[] = { ".appkeys.json", ".decrypted-env", ".decrypted-env.json" };
	struct err ignored;

	for (int i = 0; i < 3; i++) {
		auto_free char *path = str_format("%s/%s", s->shared, names[i]);
		if (path)
			(void)!file_remove(path, &ignored);
	}
	if (umount2(s->mount_point, 0) == 0)
		(void)!disk_close(&ignored);
}

static int run_boot(struct setup *s, const char *share_dir)
{
	struct err e = { 0 };
	uint64_t began = time_mono_ms();
	int rc = boot(s, share_dir, &e);

	if (!rc) {
		log_info("setup", "done ms=%llu", (unsigned long long)(time_mono_ms() - began));
		return 0;
	}
	log_error("setup", "%s code=%s", e.text, e.code[0] ? e.code : "-");
	notify_error(&e);
	forget(s);
	return err_exit(&e);
}

// What later commands need of the boot that was.
static int load(struct setup *s, struct err *e)
{
	struct span keys = { 0 };
	auto_free char *bytes = NULL;
	size_t n = 0;

	if (share_read_dir(s->shared, s->arena, &s->share, e) ||
	    sysconf_parse(s->share.file[SHARE_SYS_CONFIG], s->arena, &s->sys, e) ||
	    compose_parse(s->share.file[SHARE_COMPOSE], s->arena, &s->compose, e))
		return -1;
	notify_address(s->sys.host_api_url);
	auto_free char *path = str_format("%s/.appkeys.json", s->shared);
	if (path && s->compose.gateway && s->compose.provider == PROVIDER_KMS) {
		if (file_read(path, 1 << 20, &bytes, &n, e))
			return -1;
		keys = span_of(bytes, n);
		return keys_read(keys, s->arena, &s->keys, e);
	}
	return 0;
}

static int run_checker(struct setup *s)
{
	struct err e = { 0 };

	if (load(s, &e)) {
		log_error("gateway-checker", "%s code=%s", e.text, e.code);
		return 3;
	}
	if (!s->compose.gateway)
		return 0;
	s->tee = tee_open("auto", &e);
	if (!s->tee) {
		log_error("gateway-checker", "%s code=%s", e.text, e.code);
		return err_exit(&e);
	}
	return network_checker(s);
}

static int run_notify(struct setup *s, const char *event, const char *text)
{
	struct err ignored;

	if (!share_read_dir(s->shared, s->arena, &s->share, &ignored) &&
	    !sysconf_parse(s->share.file[SHARE_SYS_CONFIG], s->arena, &s->sys, &ignored))
		notify_address(s->sys.host_api_url);
	notify(event, text);
	return 0;
}

static int run_close(void)
{
	struct err e = { 0 };

	if (!disk_close(&e))
		return 0;
	log_error("setup", "%s", e.text);
	return err_exit(&e);
}

int main(int argc, char **argv)
{
	static const struct option table[] = { { "work-dir", required_argument, NULL, 'w' },
					       { "mount-point", required_argument, NULL, 'm' },
					       { "share-dir", required_argument, NULL, 's' },
					       { "version", no_argument, NULL, 'v' },
					       { "help", no_argument, NULL, 'h' },
					       { 0 } };
	static struct setup s = { .work_dir = WORK_DIR };
	const char *share_dir = NULL;
	struct err e = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (c) {
		case 'w':
			s.work_dir = optarg;
			break;
		case 'm':
			s.mount_point = optarg;
			break;
		case 's':
			share_dir = optarg;
			break;
		case 'v':
			printf("dstack-setup %s %s\n", version_text, version_rev);
			return 0;
		default:
			fputs(usage, c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	const char *verb = optind < argc ? argv[optind] : "";
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	s.run_dir = runtime_dir();
	s.arena = arena_new(ARENA_MAX);
	s.shared = str_format("%s/.host-shared", s.work_dir);
	if (!s.arena || !s.shared || secret_process(&e) || rpc_client_setup())
		return 1;
	if (!strcmp(verb, "notify") && optind + 3 == argc)
		return run_notify(&s, argv[optind + 1], argv[optind + 2]);
	if (!strcmp(verb, "gateway-checker") && optind + 1 == argc)
		return run_checker(&s);
	if (!strcmp(verb, "close") && optind + 1 == argc)
		return run_close();
	if (*verb || !s.mount_point) {
		fputs(usage, stderr);
		return 2;
	}
	return run_boot(&s, share_dir);
}
