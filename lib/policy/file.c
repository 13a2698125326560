#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "policy/rules.h"

enum { FILE_MAX = 4 << 20 };

struct file_policy {
	struct policy base;
	char *path;
	pthread_mutex_t lock;
	struct policy_rules *rules; // NULL: deny all, for the reason in `why`
	struct err why;
	struct stat seen; // of the file the rules are from; zeros when there was none
};

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

// The whole file is parsed before the old rules go. The state seen is taken before reading, so that a change
// during the reading is noticed the next time.
static void load(struct file_policy *p, const struct stat *now)
{
	struct policy_rules *fresh = NULL;
	auto_free char *text = NULL;
	struct err e = { 0 };
	size_t n = 0;

	if (!file_read(p->path, FILE_MAX, &text, &n, &e))
		fresh = policy_rules_parse(text, n, p->path, &e);
	policy_rules_free(p->rules);
	p->rules = fresh;
	p->seen = *now;
	if (fresh)
		return;
	p->why = e;
	if (e.class == ERR_ABSENT)
		err_code(&p->why, ERR_DENIED, "policy.empty", "the allow-list %s does not exist", p->path);
	else
		err_code(&p->why, ERR_DENIED, "policy.unavailable", "the allow-list cannot be used: %s",
			 e.text);
}

static void refresh(struct file_policy *p)
{
	struct stat now;

	if (stat(p->path, &now))
		memset(&now, 0, sizeof now);
	if (same_file(&now, &p->seen))
		return;
	load(p, &now);
	if (p->rules)
		log_info("policy", "read file=%s", p->path);
	else
		log_warn("policy", "deny all: %s", p->why.text);
}

static void file_ask(struct policy *base, const struct boot_info *b, enum policy_kind kind, policy_done *done,
		     void *arg)
{
	struct file_policy *p = (struct file_policy *)base;
	struct policy_answer a = { .rc = -1 };

	snprintf(a.source, sizeof a.source, "file %s", p->path);
	pthread_mutex_lock(&p->lock);
	refresh(p);
	if (p->rules) {
		a.rc = policy_rules_judge(p->rules, b, kind, &a.err);
		snprintf(a.gateway, sizeof a.gateway, "%s", policy_rules_gateway(p->rules));
	} else {
		a.err = p->why;
	}
	pthread_mutex_unlock(&p->lock);
	done(arg, &a);
}

static void file_info(struct policy *base, struct policy_info *out)
{
	struct file_policy *p = (struct file_policy *)base;

	pthread_mutex_lock(&p->lock);
	refresh(p);
	if (p->rules)
		policy_rules_info(p->rules, out);
	pthread_mutex_unlock(&p->lock);
}

static void file_free(struct policy *base)
{
	struct file_policy *p = (struct file_policy *)base;

	policy_rules_free(p->rules);
	pthread_mutex_destroy(&p->lock);
	free(p->path);
	free(p);
}

struct policy *policy_file_new(const char *path, struct err *e)
{
	struct file_policy *p = calloc(1, sizeof *p);
	struct stat now = { 0 };

	if (!p || !(p->path = strdup(path))) {
		free(p);
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	p->base = (struct policy){ .ask = file_ask, .info = file_info, .free = file_free };
	pthread_mutex_init(&p->lock, NULL);
	if (stat(path, &now))
		memset(&now, 0, sizeof now);
	load(p, &now);
	if (!p->rules && strcmp(p->why.code, "policy.empty")) {
		*e = p->why;
		e->class = ERR_INPUT;
		file_free(&p->base);
		return NULL;
	}
	if (!p->rules)
		log_warn("policy", "deny all: %s", p->why.text);
	return &p->base;
}
