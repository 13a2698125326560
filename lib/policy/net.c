#include "policy/net.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/strings.h"
#include "base/time.h"
#include "base/version.h"
#include "policy/seal.h"

struct ask {
	struct ask *next;
	CURL *curl; // NULL while it waits
	char *url, *body;
	size_t body_n, headers_n;
	uint64_t deadline;
	net_done *done;
	void *arg;
	char *got;
	size_t got_n;
	bool too_large;
	struct net *net;
	char why[CURL_ERROR_SIZE];
	char *path, stamp[SEAL_STAMP], sealed[SEAL_HEX]; // of a question that is sealed; the answer's seal
	size_t sealed_n;
	struct curl_slist *headers; // its own, before those of all
};

struct net {
	char *base, *socket, *ca_file, *client_cert, *client_key, *name;
	struct net_opts o;
	CURLM *multi;
	struct curl_slist *headers;
	pthread_t thread;
	pthread_mutex_t lock; // guards the list of those that wait, and `stop`
	struct ask *waiting, **last;
	size_t n_waiting, n_active;
	struct ask *active; // of the thread alone
	bool stop, started, joined;
};

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct ask *a = arg;

	(void)size;
	if (n > a->net->o.reply_max - a->got_n) {
		a->too_large = true;
		return 0;
	}
	char *more = realloc(a->got, a->got_n + n + 1);
	if (!more)
		return 0;
	a->got = more;
	memcpy(a->got + a->got_n, p, n);
	a->got_n += n;
	return n;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	static const char name[] = POLICY_SEAL_HEADER ":";
	struct ask *a = arg;
	size_t at = sizeof name - 1;

	(void)size;
	a->headers_n += n;
	if (n > at && !strncasecmp(p, name, at)) {
		while (at < n && (p[at] == ' ' || p[at] == '\t'))
			at++;
		a->sealed_n = n - at >= SEAL_HEX ? SEAL_HEX : 0;
		memcpy(a->sealed, p + at, a->sealed_n);
	}
	a->too_large |= a->headers_n > NET_HEADERS_MAX;
	return a->too_large ? 0 : n;
}

static void ask_free(struct ask *a)
{
	curl_easy_cleanup(a->curl);
	curl_slist_free_all(a->headers);
	free(a->path);
	free(a->url);
	free(a->body);
	free(a->got);
	free(a);
}

static void answer(struct ask *a, struct net_reply *r)
{
	a->done(a->arg, r);
	ask_free(a);
}

static void refuse(struct ask *a, const char *code, const char *text)
{
	struct net_reply r = { .rc = -1 };

	err_code(&r.err, ERR_AGAIN, code, "ask %s: %s", a->net->name, text);
	answer(a, &r);
}

static const char *code_of(const struct ask *a, CURLcode c)
{
	switch (c) {
	case CURLE_OPERATION_TIMEDOUT:
		return "policy.timeout";
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
		return "policy.tls";
	case CURLE_OUT_OF_MEMORY:
		return "policy.reply_too_large"; // what libcurl says of a line of 100 KiB
	case CURLE_WRITE_ERROR:
		return a->too_large ? "policy.reply_too_large" : "policy.connect";
	default:
		return "policy.connect";
	}
}

static void set_tls(CURL *c, const struct net *n)
{
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (n->ca_file) {
		curl_easy_setopt(c, CURLOPT_CAINFO, n->ca_file);
		curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	}
	if (n->client_cert) {
		curl_easy_setopt(c, CURLOPT_SSLCERT, n->client_cert);
		curl_easy_setopt(c, CURLOPT_SSLKEY, n->client_key);
	}
}

static void set_up(struct ask *a, long left)
{
	const struct net *n = a->net;
	CURL *c = a->curl;
	char agent[64];

	curl_easy_setopt(c, CURLOPT_PRIVATE, a);
	curl_easy_setopt(c, CURLOPT_URL, a->url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, n->o.connect_ms < left ? n->o.connect_ms : left);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, left);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, a->why);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, a);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, a);
	snprintf(agent, sizeof agent, "dstack-kms/%s", version_text);
	curl_easy_setopt(c, CURLOPT_USERAGENT, agent);
	if (n->socket)
		curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, n->socket);
	set_tls(c, n);
	if (a->body) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, a->body);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)a->body_n);
		curl_easy_setopt(c, CURLOPT_HTTPHEADER, a->headers ? a->headers : n->headers);
	}
}

// At the last moment, for the time in it.
static int seal(const struct net *n, struct ask *a)
{
	char question[SEAL_QUESTION];

	if (!n->o.seal || !a->body)
		return 0;
	if (policy_seal_question(n->o.seal, a->path, span_of(a->body, a->body_n), time_now(), a->stamp,
				 question))
		return -1;
	auto_free char *line = str_format(POLICY_SEAL_HEADER ": %s", question);
	for (const struct curl_slist *h = n->headers; line && h; h = h->next) {
		struct curl_slist *more = curl_slist_append(a->headers, h->data);
		if (!more)
			return -1;
		a->headers = more;
	}
	struct curl_slist *all = line ? curl_slist_append(a->headers, line) : NULL;
	a->headers = all ? all : a->headers;
	return all ? 0 : -1;
}

static void begin(struct net *n, struct ask *a)
{
	uint64_t now = time_mono_ms();

	if (now >= a->deadline) {
		refuse(a, "policy.timeout", "the time was up before a connection was free");
		return;
	}
	a->curl = curl_easy_init();
	if (!a->curl || seal(n, a)) {
		refuse(a, "policy.busy", "out of memory");
		return;
	}
	set_up(a, (long)(a->deadline - now));
	if (curl_multi_add_handle(n->multi, a->curl)) {
		refuse(a, "policy.busy", "libcurl does not take the question");
		return;
	}
	a->next = n->active;
	n->active = a;
	n->n_active++;
}

static void unlink_active(struct net *n, const struct ask *a)
{
	struct ask **at = &n->active;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	n->n_active--;
	curl_multi_remove_handle(n->multi, a->curl);
}

static void finished(struct net *n, struct ask *a, CURLcode code)
{
	struct net_reply r = { .body = span_of(a->got ? a->got : "", a->got_n) };

	curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &r.status);
	unlink_active(n, a);
	if (code != CURLE_OK)
		r.rc = err_code(&r.err, ERR_AGAIN, code_of(a, code), "ask %s: %s", n->name,
				a->too_large ? "the answer is too long"
				: *a->why    ? a->why
					     : curl_easy_strerror(code));
	else if (r.status < 200 || r.status > 299)
		r.rc = err_code(&r.err, ERR_AGAIN, "policy.status", "ask %s: HTTP status %ld", n->name,
				r.status);
	else if (n->o.seal && a->body &&
		 !policy_seal_answer_holds(n->o.seal, a->path, a->stamp, r.body,
					   span_of(a->sealed, a->sealed_n)))
		r.rc = err_code(&r.err, ERR_AGAIN, "policy.seal",
				"ask %s: the answer is not sealed with this KMS's key for this question",
				n->name);
	answer(a, &r);
}

// The next that waits, when there is room for it.
static struct ask *take(struct net *n)
{
	pthread_mutex_lock(&n->lock);
	struct ask *a = n->n_active < NET_ACTIVE_MAX || n->stop ? n->waiting : NULL;
	if (a) {
		n->waiting = a->next;
		if (!n->waiting)
			n->last = &n->waiting;
		n->n_waiting--;
	}
	pthread_mutex_unlock(&n->lock);
	return a;
}

static bool is_stopping(struct net *n)
{
	pthread_mutex_lock(&n->lock);
	bool stop = n->stop;
	pthread_mutex_unlock(&n->lock);
	return stop;
}

static void begin_waiting(struct net *n)
{
	struct ask *a;

	while ((a = take(n)))
		begin(n, a);
}

static void end_finished(struct net *n)
{
	struct ask *a;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(n->multi, &left))) {
		if (m->msg != CURLMSG_DONE)
			continue;
		CURLcode code = m->data.result;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&a);
		finished(n, a, code);
		begin_waiting(n); // in the place of the one that is finished
	}
}

static void *run(void *arg)
{
	struct net *n = arg;
	struct ask *a;
	int left;

	while (!is_stopping(n)) {
		begin_waiting(n);
		curl_multi_perform(n->multi, &left);
		end_finished(n);
		curl_multi_poll(n->multi, NULL, 0, 1000, NULL);
	}
	while ((a = n->active)) {
		unlink_active(n, a);
		refuse(a, "policy.stopping", "the service is stopping");
	}
	while ((a = take(n)))
		refuse(a, "policy.stopping", "the service is stopping");
	return NULL;
}

static bool enqueue(struct net *n, struct ask *a, const char **code)
{
	pthread_mutex_lock(&n->lock);
	*code = n->stop ? "policy.stopping" : n->n_waiting >= NET_WAITING_MAX ? "policy.busy" : NULL;
	if (!*code) {
		*n->last = a;
		n->last = &a->next;
		n->n_waiting++;
	}
	pthread_mutex_unlock(&n->lock);
	return !*code;
}

void net_ask(struct net *n, const char *path, const char *body, size_t body_n, uint64_t deadline,
	     net_done *done, void *arg)
{
	struct ask *a = calloc(1, sizeof *a);
	uint64_t most = time_mono_ms() + (uint64_t)n->o.total_ms;
	const char *code = "policy.busy";

	if (!a) {
		struct net_reply r = { .rc = -1 };
		err_code(&r.err, ERR_SYSTEM, code, "out of memory");
		done(arg, &r);
		return;
	}
	*a = (struct ask){
		.done = done, .arg = arg, .net = n, .deadline = deadline < most ? deadline : most
	};
	a->url = str_format("%s%s", n->base, path);
	a->body = body ? str_dup_n(body, body_n) : NULL;
	a->body_n = body_n;
	a->path = strdup(path);
	if (!a->url || !a->path || (body && !a->body) || !enqueue(n, a, &code))
		refuse(a, code,
		       !strcmp(code, "policy.busy") ? "too many questions wait" : "the service is stopping");
	else
		curl_multi_wakeup(n->multi);
}

static char *dup_set(const char *s)
{
	return s && *s ? strdup(s) : NULL;
}

static int read_url(struct net *n, const char *url, struct err *e)
{
	size_t len;

	if (str_starts(url, "unix:/")) {
		const char *path = url + 5, *base = strchr(path, ':');
		n->socket = base ? str_dup_n(path, (size_t)(base - path)) : strdup(path);
		n->base = str_format("http://localhost%s", base ? base + 1 : "");
	} else if (str_starts(url, "http://") || str_starts(url, "https://")) {
		n->base = strdup(url);
	} else {
		return err_code(e, ERR_INPUT, "config.policy", "url %s is not http://, https:// or unix:/",
				STR_QZ(url));
	}
	if (!n->base || (!n->socket && *url == 'u'))
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (len = strlen(n->base); len && n->base[len - 1] == '/'; len--)
		n->base[len - 1] = 0;
	return 0;
}

static int start(struct net *n, struct err *e)
{
	sigset_t all, was;

	n->multi = curl_multi_init();
	n->headers = curl_slist_append(NULL, "Content-Type: application/json");
	struct curl_slist *more = n->headers ? curl_slist_append(n->headers, "Expect:") : NULL;
	if (!n->multi || !more)
		return err_set(e, ERR_SYSTEM, "out of memory");
	curl_multi_setopt(n->multi, CURLMOPT_MAXCONNECTS, (long)NET_ACTIVE_MAX);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	n->started = !pthread_create(&n->thread, NULL, run, n);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	return n->started ? 0 : err_set(e, ERR_SYSTEM, "cannot start a thread");
}

struct net *net_new(const struct net_opts *o, struct err *e)
{
	struct net *n = calloc(1, sizeof *n);

	if (!n) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	n->o = *o;
	n->last = &n->waiting;
	pthread_mutex_init(&n->lock, NULL);
	n->name = strdup(o->url);
	n->ca_file = dup_set(o->ca_file);
	n->client_cert = dup_set(o->client_cert);
	n->client_key = dup_set(o->client_key);
	if (!n->name || read_url(n, o->url, e) || start(n, e)) {
		net_free(n);
		return NULL;
	}
	return n;
}

void net_stop(struct net *n)
{
	if (!n || !n->started || n->joined)
		return;
	pthread_mutex_lock(&n->lock);
	n->stop = true;
	pthread_mutex_unlock(&n->lock);
	curl_multi_wakeup(n->multi);
	pthread_join(n->thread, NULL);
	n->joined = true;
}

void net_free(struct net *n)
{
	if (!n)
		return;
	net_stop(n);
	curl_multi_cleanup(n->multi);
	curl_slist_free_all(n->headers);
	pthread_mutex_destroy(&n->lock);
	free(n->base);
	free(n->socket);
	free(n->ca_file);
	free(n->client_cert);
	free(n->client_key);
	free(n->name);
	free(n);
}
