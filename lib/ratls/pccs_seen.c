#include "ratls/pccs_seen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sb.h"
#include "core/attest/collateral.h"
#include "core/codec/der.h"
#include "core/codec/utc.h"
#include "core/codec/x509.h"
#include "ratls/extension.h"

enum { RECORDS = 1000, FILE_CAP = 256 << 10, KEY_ID = 8 };

struct pccs_seen {
	pthread_mutex_t lock;
	char *dir;
	size_t n;
	struct pccs_fact record[RECORDS];
};

// ---- what collateral says of its age

static uint64_t crl_number(struct span tbs)
{
	static const uint8_t oid[] = { 0x55, 0x1d, 0x14 }; // RFC 5280 section 5.2.3
	struct rd value;
	uint64_t n = 0;

	if (!extension_find(tbs, EXTENSIONS_CRL, span_of(oid, sizeof oid), &value))
		return 0;
	struct span s = der_unsigned(&value, 20);

	if (value.bad || s.n > 8)
		return value.bad ? 0 : UINT64_MAX; // then only thisUpdate tells
	for (size_t i = 0; i < s.n; i++)
		n = n << 8 | s.p[i];
	return n;
}

// The first bytes of the root's key identifier: records of different roots are kept apart.
static void root_id(char out[static 2 * KEY_ID + 1], struct span tbs)
{
	static const uint8_t oid[] = { 0x55, 0x1d, 0x23 }; // RFC 5280 section 5.2.1
	struct rd value;
	struct span id = { 0 };

	if (extension_find(tbs, EXTENSIONS_CRL, span_of(oid, sizeof oid), &value)) {
		struct rd in = der_enter(&value, DER_SEQUENCE);

		id = der_take(&in, 0x80);
	}
	for (size_t i = 0; i < KEY_ID; i++)
		snprintf(out + 2 * i, 3, "%02x", id.n >= KEY_ID ? id.p[i] : 0);
}

static bool document(struct pccs_fact *f, struct span text)
{
	struct json root, number, issued;
	struct span date;

	return !json_parse(&root, text, NULL) && json_get(root, "tcbEvaluationDataNumber", &number) &&
	       !json_u64(number, UINT32_MAX, &f->major) && json_get(root, "issueDate", &issued) &&
	       !json_plain(issued, &date) && !utc_rfc3339(date, &f->minor);
}

static bool list(struct pccs_fact *f, struct span der, struct x509_crl *crl)
{
	if (x509_crl_parse(crl, der))
		return false;
	f->major = crl_number(crl->tbs);
	f->minor = crl->this_update;
	return true;
}

int pccs_facts_read(struct pccs_facts *f, const struct dcap_platform *p, struct span json, struct err *e)
{
	auto_free uint8_t *arena = malloc(json.n + 1);
	const char *tee = p->is_tdx ? "tdx" : "sgx";
	char root[2 * KEY_ID + 1];
	struct x509_crl root_crl, pck_crl;
	struct collateral c;
	size_t used;

	*f = (struct pccs_facts){ 0 };
	if (!arena)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (collateral_parse(&c, json, arena, json.n, &used) || !document(&f->doc[0], c.tcb_info) ||
	    !document(&f->doc[1], c.qe_identity) || !list(&f->doc[2], c.pck_crl, &pck_crl) ||
	    !list(&f->doc[3], c.root_ca_crl, &root_crl))
		return err_code(e, ERR_UNTRUSTED, "collateral.format", "collateral without dates or numbers");
	root_id(root, root_crl.tbs);
	snprintf(f->doc[0].name, PCCS_NAME, "%s tcb %s %02x%02x%02x%02x%02x%02x", root, tee, p->fmspc[0],
		 p->fmspc[1], p->fmspc[2], p->fmspc[3], p->fmspc[4], p->fmspc[5]);
	snprintf(f->doc[1].name, PCCS_NAME, "%s qe %s", root, tee);
	snprintf(f->doc[2].name, PCCS_NAME, "%s crl %s", root,
		 memmem(pck_crl.issuer.p, pck_crl.issuer.n, "Processor", 9) ? "processor" : "platform");
	snprintf(f->doc[3].name, PCCS_NAME, "%s crl root", root);
	return 0;
}

// ---- records

static bool older(const struct pccs_fact *a, const struct pccs_fact *b)
{
	return a->major < b->major || (a->major == b->major && a->minor < b->minor);
}

static struct pccs_fact *find(struct pccs_seen *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->record[i].name, name))
			return &s->record[i];
	return NULL;
}

// True when something was learnt.
static bool raise_to(struct pccs_seen *s, const struct pccs_fact *f)
{
	struct pccs_fact *r = find(s, f->name);

	if (r && !older(r, f))
		return false;
	if (!r && s->n == RECORDS)
		return false; // more platforms than Intel makes
	if (!r)
		r = &s->record[s->n++];
	*r = *f;
	return true;
}

static bool path_of(const struct pccs_seen *s, const char *name, char out[static PATH_MAX])
{
	return snprintf(out, PATH_MAX, "%s/%s", s->dir, name) < PATH_MAX;
}

// {"name":[major,minor],..}
static bool read_text(struct pccs_seen *s, struct span text)
{
	struct json root, key, val, item;
	struct json_iter it;

	if (json_parse(&root, text, NULL) || json_kind(root) != JSON_OBJECT)
		return false;
	for (it = json_iter(root); json_next(&it, &key, &val);) {
		struct pccs_fact f;
		struct json_iter pair = json_iter(val);

		if (json_kind(val) != JSON_ARRAY || json_count(val) != 2 ||
		    json_cstr(key, f.name, sizeof f.name) || !json_next(&pair, NULL, &item) ||
		    json_u64(item, UINT64_MAX, &f.major) || !json_next(&pair, NULL, &item) ||
		    json_u64(item, UINT64_MAX, &f.minor))
			return false;
		raise_to(s, &f);
	}
	return true;
}

static int load(struct pccs_seen *s, struct err *e)
{
	char path[PATH_MAX];
	auto_free char *text = NULL;
	size_t n;

	if (!path_of(s, "newest.json", path))
		return err_set(e, ERR_INPUT, "path of the collateral cache is too long");
	if (file_read(path, FILE_CAP, &text, &n, e))
		return e->class == ERR_ABSENT ? 0 : -1;
	if (!read_text(s, span_of(text, n)))
		return err_code(e, ERR_INPUT, "collateral.newest", "%.300s is damaged", path);
	return 0;
}

// With what other processes recorded meanwhile.
static int save(struct pccs_seen *s, struct err *e)
{
	char path[PATH_MAX];
	auto_sb out = { .max = FILE_CAP };

	if (!path_of(s, "newest.lock", path))
		return err_set(e, ERR_INPUT, "path of the collateral cache is too long");
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || flock(fd, LOCK_EX))
		return err_errno(e, "lock %s", path);
	if (load(s, e))
		return -1;
	sb_str(&out, "{");
	for (size_t i = 0; i < s->n; i++)
		sb_fmt(&out, "%s\n\"%s\":[%llu,%llu]", i ? "," : "", s->record[i].name,
		       (unsigned long long)s->record[i].major, (unsigned long long)s->record[i].minor);
	sb_str(&out, "\n}\n");
	if (out.bad || !path_of(s, "newest.json", path))
		return err_set(e, ERR_SYSTEM, "out of memory");
	return file_write(path, 0600, out.p, out.n, e);
}

struct pccs_seen *pccs_seen_new(const char *dir, struct err *e)
{
	struct pccs_seen *s = calloc(1, sizeof *s);

	if (s && dir)
		s->dir = strdup(dir);
	if (!s || (dir && !s->dir)) {
		free(s);
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&s->lock, NULL);
	if (dir && load(s, e)) {
		pccs_seen_free(s);
		return NULL;
	}
	return s;
}

void pccs_seen_free(struct pccs_seen *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s->dir);
	free(s);
}

int pccs_seen_check(struct pccs_seen *s, const struct pccs_facts *f, struct err *e)
{
	int r = 0;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < PCCS_DOCS && !r; i++) {
		const struct pccs_fact *was = find(s, f->doc[i].name);

		if (was && older(&f->doc[i], was))
			r = err_code(
				e, ERR_UNTRUSTED, "collateral.downgrade",
				"collateral is older than collateral seen before: %s is number %llu of %llu, "
				"was number %llu of %llu",
				f->doc[i].name + 2 * KEY_ID + 1, (unsigned long long)f->doc[i].major,
				(unsigned long long)f->doc[i].minor, (unsigned long long)was->major,
				(unsigned long long)was->minor);
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

void pccs_seen_record(struct pccs_seen *s, const struct pccs_facts *f)
{
	struct err e = { 0 };
	bool news = false;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < PCCS_DOCS; i++)
		news |= raise_to(s, &f->doc[i]);
	if (news && s->dir && save(s, &e))
		log_warn("collateral", "how new it is could not be recorded: %s", e.text);
	pthread_mutex_unlock(&s->lock);
}
