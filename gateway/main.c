// dstack-gateway: start, threads, signals. What it does lies in the other files.
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/version.h"
#include "certs.h"
#include "crypto/ssl.h"
#include "jail.h"
#include "ratls/tls.h"
#include "rpc/client.h"
#include "service.h"
#include "terminate.h"

enum { FILE_MAX = 1 << 20, SPARE_DESCRIPTORS = 512, HANDSHAKES_EVERY_S = 10, BACKLOG = 4096 };

struct gateway {
	struct settings settings;
	struct wg *wg;
	struct registry registry;
	struct route_board board;
	struct reactor *reactors[ROUTE_REACTORS_MAX];
	pthread_t threads[ROUTE_REACTORS_MAX], keeper, revoker;
	unsigned n_reactors, n_running;
	bool keeper_runs, revoker_runs;
	struct service service;
	struct event_base *base;
	struct rpc_server *rpc, *admin;
	struct timespec cert_time;
	pthread_mutex_t lock; // of `stopping`, for the keeper's wait
	pthread_cond_t wake;
	bool stopping, reload;
};

static int own_key(struct gateway *g, uint8_t key[static WG_KEY], struct err *e)
{
	char text[WG_KEY_TEXT + 1];
	auto_secret *file = NULL;
	const char *path = g->settings.wg_key_file;
	int r = 0;

	if (!file_exists(path)) {
		r = wg_key_new(key, e);
		if (!r) {
			wg_key_text(text, key);
			text[WG_KEY_TEXT - 1] = '\n';
			r = file_write_new(path, 0600, text, WG_KEY_TEXT, e);
		}
	} else if (file_read_secret(path, 128, &file, e)) {
		r = -1;
	} else {
		size_t n = file->n;
		while (n && (file->b[n - 1] == '\n' || file->b[n - 1] == '\r'))
			n--;
		n = n < WG_KEY_TEXT ? n : WG_KEY_TEXT;
		memcpy(text, file->b, n);
		text[n] = 0;
		r = wg_key_parse(key, text, e) ? err_wrap(e, "%s", path) : 0;
	}
	secret_wipe(text, sizeof text);
	return r;
}

static struct wg *open_wireguard(struct gateway *g, uint8_t public_key[static WG_KEY], struct err *e)
{
	uint8_t key[WG_KEY] = { 0 };
	const struct settings *s = &g->settings;
	struct wg *w = NULL;

	int r = own_key(g, key, e) || wg_key_public(public_key, key, e) ||
		!(w = wg_open(s->interface, s->backend, e)) || wg_set_key(w, key, s->wg_port, e) ||
		wg_link_up(w, s->registry.own, 0, e);
	secret_wipe(key, sizeof key);
	if (r) {
		wg_close(w);
		return NULL;
	}
	log_info("gateway", "wireguard interface=%s backend=%s made=%d", s->interface,
		 wg_backend(w) == WG_KERNEL ? "kernel" : "wireguard-go", wg_was_made(w));
	return w;
}

// The interface was taken away under us (its wireguard-go died, someone removed it): make it again.
static void reopen_wireguard(struct gateway *g)
{
	struct err e = { 0 };
	uint8_t public_key[WG_KEY];
	struct wg *w = open_wireguard(g, public_key, &e);

	if (!w || registry_rewire(&g->registry, w, &e))
		log_error("gateway", "%s", e.text);
	if (!w)
		return;
	wg_close(g->wg);
	g->wg = w;
}

// One listening socket a reactor. The kernel hands a connection to the one whose CPU its packets come in on.
static int listen_socket(const struct settings *s, int cpu, struct err *e)
{
	int one = 1, patience = (int)s->reactor.hello_s;
	auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one)) // accepted sockets inherit it
		return err_errno(e, "make the public listener");
	setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_INCOMING_CPU, &cpu, sizeof cpu);
	if (bind(fd, (const void *)&s->listen, sizeof s->listen) || listen(fd, BACKLOG))
		return err_errno(e, "listen on the public address (proxy.listen)");
	return take_fd(&fd);
}

static rlim_t descriptors(void)
{
	struct rlimit l = { 0 };

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
	return l.rlim_cur;
}

static int make_reactors(struct gateway *g, struct err *e)
{
	struct reactor_config c = g->settings.reactor;
	cpu_set_t cpus;
	int cpu = -1;
	rlim_t fds = descriptors(), spare = SPARE_DESCRIPTORS + 2 * c.pipes;

	CPU_ZERO(&cpus);
	sched_getaffinity(0, sizeof cpus, &cpus);
	unsigned n = g->settings.workers ? g->settings.workers : (unsigned)CPU_COUNT(&cpus);
	n = n == 0 ? 1 : n > ROUTE_REACTORS_MAX ? ROUTE_REACTORS_MAX : n;
	uint32_t all = g->settings.max_connections;
	uint32_t fit = fds > spare + 2 ? (uint32_t)((fds - spare) / 2) : 1;
	if (!all || all > fit)
		all = fit;
	c.connections_max = all / n ? all / n : 1;
	c.pipes = c.pipes / n;
	for (unsigned i = 0; i < n; i++)
		if (!(g->reactors[i] = calloc(1, sizeof **g->reactors)))
			return err_set(e, ERR_SYSTEM, "out of memory");
	for (; g->n_reactors < n; g->n_reactors++) {
		do
			cpu = (cpu + 1) % CPU_SETSIZE;
		while (CPU_COUNT(&cpus) && !CPU_ISSET(cpu, &cpus));
		int fd = listen_socket(&g->settings, cpu, e);
		if (fd < 0 || reactor_init(g->reactors[g->n_reactors], g->n_reactors, fd, &c, &g->board,
					   g->reactors, n, e))
			return -1;
	}
	log_info("gateway", "serving names under %s workers=%u connections=%u", g->settings.domain, n, all);
	return 0;
}

// The certificate for terminated names, when it is there and new.
static int load_cert(struct gateway *g, struct err *e)
{
	struct route_env env = { 0 };
	const struct settings *s = &g->settings;
	struct stat st;

	memcpy(env.domain, s->domain, strlen(s->domain) + 1);
	if (*s->cert) {
		if (stat(s->cert, &st))
			return err_errno(e, "read certificate %s", s->cert);
		if (st.st_mtim.tv_sec == g->cert_time.tv_sec && st.st_mtim.tv_nsec == g->cert_time.tv_nsec)
			return 0;
		g->cert_time = st.st_mtim;
		env.tls = terminate_context(s->cert, s->key, false, e);
		env.tls_h2 = env.tls ? terminate_context(s->cert, s->key, true, e) : NULL;
		if (!env.tls_h2) {
			SSL_CTX_free(env.tls);
			return -1;
		}
		log_info("gateway", "certificate loaded file=%s", s->cert);
	}
	registry_env(&g->registry, &env);
	return 0;
}

// Everything that is neither a request nor a connection: once a second, on a thread of its own since
// WireGuard and the disk may take their time.
static void *keep(void *arg)
{
	struct gateway *g = arg;
	struct err e = { 0 };
	struct timespec next;

	clock_gettime(CLOCK_REALTIME, &next);
	pthread_mutex_lock(&g->lock);
	for (unsigned second = 0; !g->stopping; second++) {
		next.tv_sec++;
		if (next.tv_sec + 5 < time(NULL)) // the machine slept
			next.tv_sec = time(NULL);
		while (!g->stopping && !g->reload &&
		       pthread_cond_timedwait(&g->wake, &g->lock, &next) != ETIMEDOUT)
			;
		bool stop = g->stopping, reload = g->reload;
		if (reload)
			g->cert_time = (struct timespec){ 0 };
		g->reload = false;
		pthread_mutex_unlock(&g->lock);
		bool tenth = second % HANDSHAKES_EVERY_S == 0;
		if (!stop && tenth && registry_handshakes(&g->registry))
			reopen_wireguard(g);
		if (!stop && (tenth || reload) && *g->settings.cert && load_cert(g, &e))
			log_error("gateway", "%s", e.text);
		if (!stop)
			registry_tick(&g->registry);
		pthread_mutex_lock(&g->lock);
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

// Asks the KMSs for their lists of revoked certificates, on a thread of its own since they may take their
// time.
static void *look_up(void *arg)
{
	struct gateway *g = arg;

	pthread_mutex_lock(&g->lock);
	while (!g->stopping) {
		struct timespec next;
		pthread_mutex_unlock(&g->lock);
		registry_revoke(&g->registry);
		clock_gettime(CLOCK_REALTIME, &next);
		next.tv_sec += (time_t)g->settings.revocation_s;
		pthread_mutex_lock(&g->lock);
		while (!g->stopping && pthread_cond_timedwait(&g->wake, &g->lock, &next) != ETIMEDOUT)
			;
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

static void *react(void *arg)
{
	struct err e = { 0 };

	// A kernel without seccomp still serves; it says so.
	if (jail_enter(&e))
		log_warn("gateway", "reactor runs unconfined: %s", e.text);
	reactor_run(arg);
	return NULL;
}

static int start_threads(struct gateway *g, struct err *e)
{
	sigset_t all, was;
	cpu_set_t cpus, one;
	int cpu = -1;

	// Signals are the main loop's.
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	CPU_ZERO(&cpus);
	sched_getaffinity(0, sizeof cpus, &cpus);
	for (; g->n_running < g->n_reactors; g->n_running++) {
		if (pthread_create(&g->threads[g->n_running], NULL, react, g->reactors[g->n_running]))
			return err_set(e, ERR_SYSTEM, "start a reactor's thread");
		do
			cpu = (cpu + 1) % CPU_SETSIZE;
		while (CPU_COUNT(&cpus) && !CPU_ISSET(cpu, &cpus));
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		pthread_setaffinity_np(g->threads[g->n_running], sizeof one, &one);
	}
	g->keeper_runs = pthread_create(&g->keeper, NULL, keep, g) == 0;
	g->revoker_runs = g->registry.revocation && pthread_create(&g->revoker, NULL, look_up, g) == 0;
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	return g->keeper_runs && g->revoker_runs == (g->registry.revocation != NULL)
		       ? 0
		       : err_set(e, ERR_SYSTEM, "start the keeper's thread");
}

static void health(struct http_conn *c, void *arg)
{
	(void)arg;
	http_reply(c, 200, "text/plain", "OK", 2);
}

static SSL_CTX *rpc_tls(const struct settings *s, struct err *e)
{
	auto_free char *cert = NULL, *ca = NULL;
	auto_secret *key = NULL;
	size_t n_cert, n_ca;

	if (file_read(s->rpc_cert, FILE_MAX, &cert, &n_cert, e) ||
	    file_read(s->kms_ca, FILE_MAX, &ca, &n_ca, e) || file_read_secret(s->rpc_key, FILE_MAX, &key, e))
		return NULL;
	struct tls_conf conf = { .is_server = true,
				 .cert_pem = { (uint8_t *)cert, n_cert },
				 .key_pem = { key->b, key->n },
				 .roots_pem = { (uint8_t *)ca, n_ca },
				 .peer = TLS_PEER_OPTIONAL,
				 .allow_tls12 = true };
	return tls_ctx_new(&conf, e);
}

static const char *or_null(const char *s)
{
	return *s ? s : NULL;
}

static int open_trust(struct gateway *g, struct err *e)
{
	const struct settings *s = &g->settings;
	struct trust_config c = { .pccs_url = or_null(s->pccs_url),
				  .cache_dir = or_null(s->cache_dir),
				  .collateral_compat = s->allow_older_collateral,
				  .intel_components = s->intel_components,
				  .image_dir = or_null(s->image_dir),
				  .development_root = or_null(s->development_root),
				  .insecure_development = s->insecure_development };

	if (s->insecure_development && c.development_root)
		log_warn("gateway", "insecure_development: evidence under %s is accepted",
			 c.development_root);
	g->service.trust = trust_new(&c, e);
	g->service.check = trust_check_cert;
	return g->service.trust ? 0 : -1;
}

static int start_rpc(struct gateway *g, const uint8_t public_key[static WG_KEY], struct err *e)
{
	const struct settings *s = &g->settings;
	uint8_t digest[32];
	char header[64];

	g->base = event_base_new();
	g->rpc = g->base ? rpc_server_new(g->base) : NULL;
	g->admin = g->base ? rpc_server_new(g->base) : NULL;
	if (!g->rpc || !g->admin)
		return err_set(e, ERR_SYSTEM, "out of memory");
	g->service.settings = s;
	g->service.registry = &g->registry;
	if (s->attestation && open_trust(g, e))
		return -1;
	wg_key_text(g->service.own_key, public_key);
	EVP_Digest(public_key, WG_KEY, digest, NULL, EVP_sha256(), NULL);
	memcpy(g->service.uuid, digest, sizeof g->service.uuid);
	snprintf(header, sizeof header, "X-App-Version: %s", version_text);
	auto_sslctx SSL_CTX *tls = rpc_tls(s, e);
	if (!tls || service_mount(&g->service, g->rpc, g->admin, e))
		return -1;
	if (rpc_server_raw(g->rpc, "/health", health, NULL) || rpc_server_header(g->rpc, header))
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (rpc_server_listen(g->rpc, s->rpc_listen, tls, 0, e))
		return err_wrap(e, "rpc.listen");
	if (*s->admin_listen && rpc_server_listen(g->admin, s->admin_listen, NULL, 0600, e))
		return err_wrap(e, "admin.listen");
	log_info("gateway", "registration on %s", s->rpc_listen);
	return 0;
}

static int start(struct gateway *g, struct err *e)
{
	uint8_t public_key[WG_KEY];

	if (terminate_setup(e) || !(g->wg = open_wireguard(g, public_key, e)) || make_reactors(g, e))
		return -1;
	if (registry_init(&g->registry, g->settings.state, &g->settings.registry, g->wg, &g->board,
			  g->reactors, g->n_reactors, e))
		return -1;
	memcpy(g->registry.own_key, public_key, WG_KEY);
	const struct settings *s = &g->settings;
	if (s->n_kms_urls &&
	    registry_revocation(&g->registry, s->kms_urls, s->n_kms_urls, s->kms_ca, s->revocation_s, e))
		return err_wrap(e, "revocation.kms_urls");
	return load_cert(g, e) || start_rpc(g, public_key, e) || start_threads(g, e) ? -1 : 0;
}

static void stop(struct gateway *g)
{
	struct err e = { 0 };

	pthread_mutex_lock(&g->lock);
	g->stopping = true;
	pthread_cond_broadcast(&g->wake);
	pthread_mutex_unlock(&g->lock);
	if (g->keeper_runs)
		pthread_join(g->keeper, NULL);
	if (g->registry.revocation)
		revocation_stop(g->registry.revocation);
	if (g->revoker_runs)
		pthread_join(g->revoker, NULL);
	for (unsigned i = 0; i < g->n_running; i++)
		reactor_stop(g->reactors[i]);
	for (unsigned i = 0; i < g->n_running; i++)
		pthread_join(g->threads[i], NULL);
	rpc_server_free(g->rpc);
	rpc_server_free(g->admin);
	for (unsigned i = 0; i < g->n_reactors; i++)
		reactor_end(g->reactors[i]);
	route_board_end(&g->board);
	if (g->registry.slots)
		registry_end(&g->registry);
	for (unsigned i = 0; i < ROUTE_REACTORS_MAX; i++)
		free(g->reactors[i]);
	if (g->wg && !g->settings.keep_interface && wg_delete(g->wg, &e))
		log_warn("gateway", "%s", e.text);
	wg_close(g->wg);
	trust_free(g->service.trust);
	if (g->base)
		event_base_free(g->base);
}

static void on_stop(evutil_socket_t sig, short what, void *arg)
{
	struct gateway *g = arg;

	(void)what;
	log_info("gateway", "stopping signal=%d", (int)sig);
	event_base_loopbreak(g->base);
}

static void on_reload(evutil_socket_t sig, short what, void *arg)
{
	struct gateway *g = arg;

	(void)sig, (void)what;
	pthread_mutex_lock(&g->lock);
	g->reload = true;
	pthread_cond_broadcast(&g->wake);
	pthread_mutex_unlock(&g->lock);
}

static void loop(struct gateway *g)
{
	static const int ends[] = { SIGTERM, SIGINT };
	struct event *events[3] = { 0 };

	for (size_t i = 0; i < 2; i++)
		if ((events[i] = evsignal_new(g->base, ends[i], on_stop, g)))
			event_add(events[i], NULL);
	if ((events[2] = evsignal_new(g->base, SIGHUP, on_reload, g)))
		event_add(events[2], NULL);
	event_base_dispatch(g->base);
	for (size_t i = 0; i < 3; i++)
		if (events[i])
			event_free(events[i]);
}

static int dev_cert_command(int argc, char **argv)
{
	const char *domain = NULL, *dir = NULL;
	struct err e = { 0 };
	bool made;

	for (int i = 2; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--domain"))
			domain = argv[i + 1];
		else if (!strcmp(argv[i], "--out"))
			dir = argv[i + 1];
	}
	if (argc != 6 || !domain || !dir) {
		fputs("usage: dstack-gateway dev-cert --domain DOMAIN --out DIR\n"
		      "A development CA (ca.pem) and a certificate for *.DOMAIN (cert.pem, key.pem) in DIR; "
		      "what is\n"
		      "there and valid for 30 days more stays.\n",
		      stderr);
		return 2;
	}
	if (dev_cert(domain, dir, &made, &e)) {
		fprintf(stderr, "dstack-gateway: %s\n", e.text);
		return err_exit(&e);
	}
	printf("%s/cert.pem %s\n", dir, made ? "made" : "unchanged");
	return 0;
}

int main(int argc, char **argv)
{
	static struct gateway g = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
	struct err e = { 0 };
	bool check = false;
	int code = 0;

	if (argc > 1 && !strcmp(argv[1], "dev-cert"))
		return dev_cert_command(argc, argv);
	struct config *file = config_start(argc, argv, "dstack-gateway",
					   "routes TLS connections to confidential VMs by name",
					   settings_keys, settings_keys_n, &check, &code);
	if (!file)
		return code;
	code = 0;
	signal(SIGPIPE, SIG_IGN);
	rpc_client_setup();
	umask(077);
	if (settings_read(&g.settings, file, &e) || secret_process(&e)) {
		log_error("gateway", "%s code=%s", e.text, e.code);
		config_free(file);
		return err_exit(&e);
	}
	if (!check) {
		if (start(&g, &e)) {
			log_error("gateway", "%s code=%s", e.text, e.code);
			code = err_exit(&e);
		} else {
			loop(&g);
		}
		stop(&g);
	}
	config_free(file);
	return code;
}
