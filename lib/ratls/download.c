#include "ratls/download.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "ratls/image_folder.h"

enum { AT_ONCE = 2, FAILURES = 32, FAILURE_MS = 30000, IMAGES_MAX = 64, CONNECT_MS = 10000 };
#define ARCHIVE_MAX (1ll << 30)
#define MARK        "{OS_IMAGE_HASH}"

struct failure {
	uint8_t hash[32];
	uint64_t until; // time_mono_ms
	struct err err;
};

struct downloads {
	char *dir, *url;
	long seconds, redirects;
	int64_t bytes_max;
	atomic_bool stop;
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct {
		bool busy;
		uint8_t hash[32];
	} slot[AT_ONCE];
	struct failure failure[FAILURES];
	size_t next;
};

struct downloads *downloads_new(const struct downloads_config *c, struct err *e)
{
	struct downloads *d = calloc(1, sizeof *d);

	if (d) {
		pthread_mutex_init(&d->lock, NULL);
		pthread_cond_init(&d->change, NULL);
		d->dir = strdup(c->dir);
		d->url = strdup(c->url);
		d->seconds = c->seconds;
		d->redirects = c->redirects;
		d->bytes_max = c->bytes_max ? c->bytes_max : ARCHIVE_MAX;
	}
	if (!d || !d->dir || !d->url) {
		err_set(e, ERR_SYSTEM, "out of memory");
	} else if (!file_mkdirs(d->dir, 0755, e)) {
		image_folder_sweep(d->dir);
		return d;
	}
	downloads_free(d);
	return NULL;
}

void downloads_free(struct downloads *d)
{
	if (!d)
		return;
	pthread_cond_destroy(&d->change);
	pthread_mutex_destroy(&d->lock);
	free(d->dir);
	free(d->url);
	free(d);
}

void downloads_stop(struct downloads *d)
{
	atomic_store(&d->stop, true);
}

// ---- one download

struct transfer {
	struct image_folder *folder;
	int64_t n, max;
	bool failed;
	struct err *e;
};

static size_t on_data(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	(void)size;
	t->n += (int64_t)n;
	if (t->n > t->max)
		t->failed =
			err_code(t->e, ERR_UNTRUSTED, "image.too_large", "the image archive is too large");
	else
		t->failed = image_folder_feed(t->folder, p, n, t->e);
	return t->failed ? 0 : n;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct downloads *s = arg;

	(void)a, (void)b, (void)c, (void)d;
	return atomic_load(&s->stop);
}

static char *url_for(const struct downloads *d, const uint8_t hash[32])
{
	const char *at = strstr(d->url, MARK);

	return at ? str_format("%.*s%s%s", (int)(at - d->url), d->url, STR_HEX(hash, 32),
			       at + sizeof MARK - 1)
		  : NULL;
}

static void set_up(CURL *c, const struct downloads *d, struct transfer *t, const char *url, char *why)
{
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, str_starts(url, "https:") ? "https" : "http,https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, d->redirects > 0 ? 1L : 0L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, d->redirects);
	curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L); // the body of an error is not an image
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, d->seconds);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, d);
}

static int transfer(const struct downloads *d, struct image_folder *folder, const char *url, struct err *e)
{
	char why[CURL_ERROR_SIZE] = "";
	struct transfer t = { .folder = folder, .max = d->bytes_max, .e = e };
	CURL *c = curl_easy_init();
	long status = 0;

	if (!c)
		return err_set(e, ERR_SYSTEM, "out of memory");
	set_up(c, d, &t, url, why);
	CURLcode code = curl_easy_perform(c);

	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(c);
	if (t.failed)
		return -1;
	if (code == CURLE_HTTP_RETURNED_ERROR && status == 404)
		return err_code(e, ERR_ABSENT, "image.unknown", "%.250s: there is no such image", url);
	if (code == CURLE_OK && status >= 300)
		return err_code(e, ERR_AGAIN, "image.download",
				"download %.250s: HTTP status %ld; redirects are not followed", url, status);
	if (code != CURLE_OK)
		return err_code(e, ERR_AGAIN, "image.download", "download %.250s: %s", url,
				*why ? why : curl_easy_strerror(code));
	return 0;
}

static bool is_full(const struct downloads *d)
{
	DIR *dir = opendir(d->dir);
	size_t n = 0;

	for (const struct dirent *entry; dir && (entry = readdir(dir));)
		n += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n >= IMAGES_MAX;
}

static int download(const struct downloads *d, const uint8_t hash[32], struct err *e)
{
	if (!*d->url)
		return err_code(e, ERR_ABSENT, "image.unknown",
				"no image in %s has the hash %s, and no download is configured", d->dir,
				STR_HEX(hash, 32));
	if (is_full(d))
		return err_code(e, ERR_AGAIN, "image.cache_full", "%s holds %d images already", d->dir,
				IMAGES_MAX);
	char *url = url_for(d, hash);
	struct image_folder *f = url ? image_folder_new(d->dir, e) : NULL;
	int r = -1;

	if (!url)
		err_set(e, ERR_SYSTEM, "out of memory");
	else if (f)
		r = transfer(d, f, url, e) || image_folder_finish(f, hash, e) ? -1 : 0;
	log_info("image", "download %s hash=%s%s%s", r ? "failed" : "done", STR_HEX(hash, 32),
		 r ? " code=" : "", r ? e->code : "");
	image_folder_free(f);
	free(url);
	return r;
}

int download_unpack(const char *dir, int fd, const uint8_t hash[32], struct err *e)
{
	struct image_folder *f = image_folder_new(dir, e);
	char buf[16384];
	ssize_t n = 1;
	int r = f ? 0 : -1;

	while (!r && (n = read(fd, buf, sizeof buf)) > 0)
		r = image_folder_feed(f, buf, (size_t)n, e);
	if (!r && n < 0)
		r = err_errno(e, "read the image archive");
	r = r || image_folder_finish(f, hash, e) ? -1 : 0;
	image_folder_free(f);
	return r;
}

// ---- many askers

static bool is_there(const struct downloads *d, const uint8_t hash[32])
{
	char *path = str_format("%s/%s", d->dir, STR_HEX(hash, 32));
	bool there = path && file_exists(path);

	free(path);
	return there;
}

static const struct failure *failed_lately(const struct downloads *d, const uint8_t hash[32])
{
	for (size_t i = 0; i < FAILURES; i++)
		if (d->failure[i].until > time_mono_ms() && !memcmp(d->failure[i].hash, hash, 32))
			return &d->failure[i];
	return NULL;
}

// A free slot, unless somebody is at this very image: then, or when all are taken, wait.
static size_t wait_for_slot(struct downloads *d, const uint8_t hash[32])
{
	for (;;) {
		size_t unused = AT_ONCE;
		bool same = false;

		for (size_t i = 0; i < AT_ONCE; i++) {
			if (!d->slot[i].busy)
				unused = i;
			else
				same |= !memcmp(d->slot[i].hash, hash, 32);
		}
		if (is_there(d, hash) || failed_lately(d, hash) || (!same && unused < AT_ONCE))
			return same ? AT_ONCE : unused;
		pthread_cond_wait(&d->change, &d->lock);
	}
}

int downloads_get(struct downloads *d, const uint8_t hash[32], struct err *e)
{
	int r = 0;

	pthread_mutex_lock(&d->lock);
	size_t i = wait_for_slot(d, hash);
	const struct failure *was = failed_lately(d, hash);

	if (is_there(d, hash)) {
		pthread_mutex_unlock(&d->lock);
		return 0;
	}
	if (was) {
		*e = was->err;
		pthread_mutex_unlock(&d->lock);
		return -1;
	}
	d->slot[i].busy = true;
	memcpy(d->slot[i].hash, hash, 32);
	pthread_mutex_unlock(&d->lock);
	r = download(d, hash, e);
	pthread_mutex_lock(&d->lock);
	d->slot[i].busy = false;
	if (r) {
		struct failure *f = &d->failure[d->next++ % FAILURES];

		memcpy(f->hash, hash, 32);
		f->until = time_mono_ms() + FAILURE_MS;
		f->err = *e;
	}
	pthread_cond_broadcast(&d->change);
	pthread_mutex_unlock(&d->lock);
	return r;
}
