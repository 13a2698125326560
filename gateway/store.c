#include "store.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const char schema[] = "PRAGMA journal_mode=WAL;"
			     "PRAGMA synchronous=FULL;"
			     "CREATE TABLE IF NOT EXISTS instance("
			     " instance_id BLOB PRIMARY KEY CHECK(length(instance_id)=20),"
			     " app_id BLOB NOT NULL CHECK(length(app_id)=20),"
			     " ip INTEGER NOT NULL UNIQUE,"
			     " public_key BLOB NOT NULL UNIQUE CHECK(length(public_key)=32),"
			     " compose_hash BLOB NOT NULL,"
			     " registered INTEGER NOT NULL,"
			     " lease_until INTEGER NOT NULL,"
			     " policy TEXT) WITHOUT ROWID;"
			     "PRAGMA user_version=1;";

static int failed(struct store *s, const char *doing, struct err *e)
{
	return err_set(e, ERR_SYSTEM, "%s: %s", doing, sqlite3_errmsg(s->db));
}

int store_open(struct store *s, const char *path, struct err *e)
{
	if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(s->db, 5000) != SQLITE_OK ||
	    sqlite3_exec(s->db, schema, NULL, NULL, NULL) != SQLITE_OK) {
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
			       "policy FROM instance ORDER BY ip",
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
			       "INSERT INTO instance VALUES(?1,?2,?3,?4,?5,?6,?7,?8)"
			       " ON CONFLICT(instance_id) DO UPDATE SET app_id=?2,ip=?3,public_key=?4,"
			       "compose_hash=?5,registered=?6,lease_until=?7,policy=?8",
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
