#include "store.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

// One text for each version of the schema, run in order from the one that is there.
static const char *const steps[] = {
	"CREATE TABLE IF NOT EXISTS instance("
	" instance_id BLOB PRIMARY KEY CHECK(length(instance_id)=20),"
	" app_id BLOB NOT NULL CHECK(length(app_id)=20),"
	" ip INTEGER NOT NULL UNIQUE,"
	" public_key BLOB NOT NULL UNIQUE CHECK(length(public_key)=32),"
	" compose_hash BLOB NOT NULL,"
	" registered INTEGER NOT NULL,"
	" lease_until INTEGER NOT NULL,"
	" policy TEXT) WITHOUT ROWID;"
	"PRAGMA user_version=1;",
	"ALTER TABLE instance ADD COLUMN serial BLOB;"
	"ALTER TABLE instance ADD COLUMN issuer BLOB;"
	"CREATE TABLE crl("
	" app_id BLOB NOT NULL CHECK(length(app_id)=20),"
	" issuer BLOB NOT NULL CHECK(length(issuer)=64),"
	" url TEXT NOT NULL,"
	" der BLOB NOT NULL,"
	" PRIMARY KEY(app_id,issuer,url)) WITHOUT ROWID;"
	"PRAGMA user_version=2;",
};
enum { STEPS = sizeof steps / sizeof *steps };

static int failed(struct store *s, const char *doing, struct err *e)
{
	return err_set(e, ERR_SYSTEM, "%s: %s", doing, sqlite3_errmsg(s->db));
}

static int version(struct store *s)
{
	sqlite3_stmt *q = NULL;
	int v = -1;

	if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &q, NULL) == SQLITE_OK &&
	    sqlite3_step(q) == SQLITE_ROW)
		v = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	return v;
}

static int prepare(struct store *s)
{
	int rc = sqlite3_exec(s->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; BEGIN IMMEDIATE",
			      NULL, NULL, NULL);
	int v = rc == SQLITE_OK ? version(s) : -1;

	for (; v >= 0 && v < STEPS && rc == SQLITE_OK; v++)
		rc = sqlite3_exec(s->db, steps[v], NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
	return v < 0 && rc == SQLITE_OK ? SQLITE_ERROR : rc;
}

int store_open(struct store *s, const char *path, struct err *e)
{
	if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(s->db, 5000) != SQLITE_OK || prepare(s) != SQLITE_OK) {
		err_set(e, ERR_SYSTEM, "open %s: %s", path, s->db ? sqlite3_errmsg(s->db) : "out of memory");
		store_close(s);
		return -1;
	}
	return 0;
}

void store_close(struct store *s)
{
	sqlite3_close(s->db);
	s->db = NULL;
}

// NULL: the guest did not say. "*": all ports. Else a list: "80,443", "" for none.
static void policy_text(char *out, size_t cap, const struct port_policy *p)
{
	size_t n = 0;

	snprintf(out, cap, "%s", p->restricted ? "" : "*");
	for (size_t i = 0; p->restricted && i < p->n && n < cap; i++)
		n += (size_t)snprintf(out + n, cap - n, "%s%u", i ? "," : "", p->ports[i]);
}

static int policy_read(struct port_policy *p, const char *text)
{
	*p = (struct port_policy){ 0 };
	if (!text)
		return 0;
	p->known = true;
	p->restricted = strcmp(text, "*") != 0;
	for (unsigned v = 0; p->restricted && *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		v = v * 10 + (unsigned)(*text - '0');
		if (v > UINT16_MAX || p->n == ROUTE_PORTS_MAX)
			return -1;
		if (text[1] && text[1] != ',')
			continue;
		p->ports[p->n++] = (uint16_t)v;
		v = 0;
		if (text[1] == ',')
			text++;
	}
	return 0;
}

static int blob(sqlite3_stmt *q, int column, void *out, size_t n)
{
	if ((size_t)sqlite3_column_bytes(q, column) != n)
		return -1;
	memcpy(out, sqlite3_column_blob(q, column), n);
	return 0;
}

static int read_row(sqlite3_stmt *q, struct instance *i)
{
	*i = (struct instance){ .used = true };
	i->route.ip.s_addr = htonl((uint32_t)sqlite3_column_int64(q, 2));
	i->route.registered = (uint64_t)sqlite3_column_int64(q, 5);
	i->lease_until = (uint64_t)sqlite3_column_int64(q, 6);
	i->has_cert = !blob(q, 8, i->cert.serial, sizeof i->cert.serial) &&
		      !blob(q, 9, i->cert.issuer, sizeof i->cert.issuer) && !blob(q, 1, i->cert.app, ID_SIZE);
	return blob(q, 0, i->route.instance_id, ID_SIZE) || blob(q, 1, i->route.app_id, ID_SIZE) ||
	       blob(q, 3, i->key, WG_KEY) || blob(q, 4, i->compose_hash, sizeof i->compose_hash) ||
	       policy_read(&i->route.policy, (const char *)sqlite3_column_text(q, 7));
}

int store_load(struct store *s, int (*fn)(void *arg, const struct instance *i, struct err *e), void *arg,
	       struct err *e)
{
	sqlite3_stmt *q = NULL;
	struct instance i;
	int rc, result = 0;

	if (sqlite3_prepare_v2(s->db,
			       "SELECT instance_id,app_id,ip,public_key,compose_hash,registered,lease_until,"
			       "policy,serial,issuer FROM instance ORDER BY ip",
			       -1, &q, NULL) != SQLITE_OK)
		return failed(s, "read instances", e);
	while (!result && (rc = sqlite3_step(q)) == SQLITE_ROW)
		result = read_row(q, &i) ? err_set(e, ERR_SYSTEM, "read instances: a row is malformed")
					 : fn(arg, &i, e);
	if (!result && rc != SQLITE_DONE)
		result = failed(s, "read instances", e);
	sqlite3_finalize(q);
	return result;
}

int store_put(struct store *s, const struct instance *i, struct err *e)
{
	sqlite3_stmt *q = NULL;
	char policy[ROUTE_PORTS_MAX * 6 + 2];

	if (sqlite3_prepare_v2(s->db,
			       "INSERT INTO instance VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)"
			       " ON CONFLICT(instance_id) DO UPDATE SET app_id=?2,ip=?3,public_key=?4,"
			       "compose_hash=?5,registered=?6,lease_until=?7,policy=?8,serial=?9,issuer=?10",
			       -1, &q, NULL) != SQLITE_OK)
		return failed(s, "write an instance", e);
	policy_text(policy, sizeof policy, &i->route.policy);
	sqlite3_bind_blob(q, 1, i->route.instance_id, ID_SIZE, SQLITE_STATIC);
	sqlite3_bind_blob(q, 2, i->route.app_id, ID_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(q, 3, ntohl(i->route.ip.s_addr));
	sqlite3_bind_blob(q, 4, i->key, WG_KEY, SQLITE_STATIC);
	sqlite3_bind_blob(q, 5, i->compose_hash, sizeof i->compose_hash, SQLITE_STATIC);
	sqlite3_bind_int64(q, 6, (sqlite3_int64)i->route.registered);
	sqlite3_bind_int64(q, 7, (sqlite3_int64)i->lease_until);
	if (i->route.policy.known)
		sqlite3_bind_text(q, 8, policy, -1, SQLITE_STATIC);
	if (i->has_cert) {
		sqlite3_bind_blob(q, 9, i->cert.serial, sizeof i->cert.serial, SQLITE_STATIC);
		sqlite3_bind_blob(q, 10, i->cert.issuer, sizeof i->cert.issuer, SQLITE_STATIC);
	}
	int rc = sqlite3_step(q);
	sqlite3_finalize(q);
	if (rc == SQLITE_CONSTRAINT)
		return err_code(e, ERR_DENIED, "wg.key_taken",
				"address or WireGuard key belongs to another instance");
	return rc == SQLITE_DONE ? 0 : failed(s, "write an instance", e);
}

int store_delete(struct store *s, const uint8_t instance_id[static ID_SIZE], struct err *e)
{
	sqlite3_stmt *q = NULL;

	if (sqlite3_prepare_v2(s->db, "DELETE FROM instance WHERE instance_id=?1", -1, &q, NULL) != SQLITE_OK)
		return failed(s, "remove an instance", e);
	sqlite3_bind_blob(q, 1, instance_id, ID_SIZE, SQLITE_STATIC);
	int rc = sqlite3_step(q);
	sqlite3_finalize(q);
	return rc == SQLITE_DONE ? 0 : failed(s, "remove an instance", e);
}

// ---- lists of revoked certificates

int store_put_list(struct store *s, const uint8_t app[static ID_SIZE],
		   const uint8_t issuer[static REVOCATION_KEY], const char *url, struct span der,
		   struct err *e)
{
	sqlite3_stmt *q = NULL;

	if (sqlite3_prepare_v2(s->db, "INSERT OR REPLACE INTO crl VALUES(?1,?2,?3,?4)", -1, &q, NULL) !=
	    SQLITE_OK)
		return failed(s, "keep a list of revoked certificates", e);
	sqlite3_bind_blob(q, 1, app, ID_SIZE, SQLITE_STATIC);
	sqlite3_bind_blob(q, 2, issuer, REVOCATION_KEY, SQLITE_STATIC);
	sqlite3_bind_text(q, 3, url, -1, SQLITE_STATIC);
	sqlite3_bind_blob(q, 4, der.p, (int)der.n, SQLITE_STATIC);
	int rc = sqlite3_step(q);
	sqlite3_finalize(q);
	return rc == SQLITE_DONE ? 0 : failed(s, "keep a list of revoked certificates", e);
}

int store_drop_lists(struct store *s, const uint8_t app[static ID_SIZE],
		     const uint8_t issuer[static REVOCATION_KEY], struct err *e)
{
	sqlite3_stmt *q = NULL;

	if (sqlite3_prepare_v2(s->db, "DELETE FROM crl WHERE app_id=?1 AND issuer=?2", -1, &q, NULL) !=
	    SQLITE_OK)
		return failed(s, "remove a list of revoked certificates", e);
	sqlite3_bind_blob(q, 1, app, ID_SIZE, SQLITE_STATIC);
	sqlite3_bind_blob(q, 2, issuer, REVOCATION_KEY, SQLITE_STATIC);
	int rc = sqlite3_step(q);
	sqlite3_finalize(q);
	return rc == SQLITE_DONE ? 0 : failed(s, "remove a list of revoked certificates", e);
}

int store_load_lists(struct store *s, struct revocation *r, struct err *e)
{
	uint8_t app[ID_SIZE], issuer[REVOCATION_KEY];
	sqlite3_stmt *q = NULL;
	int rc;

	if (sqlite3_prepare_v2(s->db, "SELECT app_id,issuer,url,der FROM crl", -1, &q, NULL) != SQLITE_OK)
		return failed(s, "read lists of revoked certificates", e);
	while ((rc = sqlite3_step(q)) == SQLITE_ROW)
		if (!blob(q, 0, app, sizeof app) && !blob(q, 1, issuer, sizeof issuer))
			revocation_load(
				r, app, issuer, (const char *)sqlite3_column_text(q, 2),
				span_of(sqlite3_column_blob(q, 3), (size_t)sqlite3_column_bytes(q, 3)));
	sqlite3_finalize(q);
	return rc == SQLITE_DONE ? 0 : failed(s, "read lists of revoked certificates", e);
}
