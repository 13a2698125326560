#include "containers.h"

#include <stdlib.h>
#include <string.h>
#include "base/strings.h"
#include "base/time.h"
#include "core/codec/json.h"
#include "engine.h"

enum { REPLY_MAX = 4 << 20, LIST_MAX = 1024, NAMES_MAX = 32, FRESH_MS = 1000 };

struct containers {
	struct event_base *base;
	char *socket;
	struct bufferevent *engine; // the question on its way, or NULL
	struct event *late;
	int answer_s;
	struct engine_head head;
	bool has_head;
	struct containers_wait *waiting;
	struct arena *arena; // the last list and what it is made of
	const Host__ListContainersResponse *list;
	uint64_t until_ms; // when it is too old
};

static char *text(struct json v, struct arena *a)
{
	size_t n = json_string_size(v) + 1;
	char *s;

	if (json_kind(v) != JSON_STRING)
		return arena_str(a, "");
	s = arena_alloc(a, n);
	return s && json_cstr(v, s, n) ? arena_str(a, "") : s; // a NUL inside is no name
}

static int container(struct json item, struct arena *a, Host__Container *out)
{
	static const char *const names[] = {
		"Id", "Names", "Image", "ImageID", "Created", "State", "Status"
	};
	struct json v[7], name;

	host__container__init(out);
	json_pick(item, names, v, 7);
	out->id = text(v[0], a);
	out->image = text(v[2], a);
	out->image_id = text(v[3], a);
	out->state = text(v[5], a);
	out->status = text(v[6], a);
	if (!out->id || !*out->id || (json_kind(v[4]) == JSON_NUMBER && json_i64(v[4], &out->created)))
		return -1;
	if (json_kind(v[1]) != JSON_ARRAY)
		return 0;
	out->names = arena_array(a, NAMES_MAX, sizeof *out->names);
	for (struct json_iter it = json_iter(v[1]);
	     out->names && out->n_names < NAMES_MAX && json_next(&it, NULL, &name);)
		out->names[out->n_names++] = text(name, a);
	return 0;
}

int containers_parse(struct span json, struct arena *a, Host__ListContainersResponse *out, struct err *e)
{
	struct json_fault f = { 0 };
	struct json root, item;

	if (json_parse(&root, json, &f) || json_kind(root) != JSON_ARRAY)
		return err_code(e, ERR_SYSTEM, "agent.engine", "the container engine sent no list: %s",
				f.what ? f.what : "not an array");
	size_t n = json_count(root);
	if (n > LIST_MAX)
		return err_code(e, ERR_SYSTEM, "agent.engine", "%zu containers are more than can be listed",
				n);
	out->containers = arena_array(a, n + 1, sizeof *out->containers);
	for (struct json_iter it = json_iter(root); out->containers && json_next(&it, NULL, &item);) {
		Host__Container *c = arena_alloc(a, sizeof *c);
		if (!c || arena_bad(a))
			break;
		if (container(item, a, c))
			return err_code(e, ERR_SYSTEM, "agent.engine",
					"the container engine sent a container without id or date");
		out->containers[out->n_containers++] = c;
	}
	return arena_bad(a) ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

// The answer to all who wait; they may ask again meanwhile.
static void tell(struct containers *c, const Host__ListContainersResponse *list, const struct err *e)
{
	struct containers_wait *w = c->waiting;

	c->waiting = NULL;
	while (w) {
		struct containers_wait *next = w->next;
		w->done(w, list, e);
		w = next;
	}
}

static void hang_up(struct containers *c)
{
	if (c->engine)
		bufferevent_free(c->engine);
	c->engine = NULL;
	event_del(c->late);
}

static void fail(struct containers *c, const struct err *e)
{
	hang_up(c);
	tell(c, NULL, e);
}

static void fail_with(struct containers *c, const char *what)
{
	struct err e = { 0 };

	err_code(&e, ERR_AGAIN, "agent.engine", "the container engine %s", what);
	fail(c, &e);
}

static Host__ListContainersResponse *list_new(struct containers *c)
{
	arena_free(c->arena);
	c->list = NULL;
	c->arena = arena_new(3 * REPLY_MAX);
	Host__ListContainersResponse *list = c->arena ? arena_alloc(c->arena, sizeof *list) : NULL;
	if (list)
		host__list_containers_response__init(list);
	return list;
}

static void keep(struct containers *c, const Host__ListContainersResponse *list)
{
	c->list = list;
	c->until_ms = time_mono_ms() + FRESH_MS;
	tell(c, list, NULL);
}

static void whole(struct containers *c, struct evbuffer *in, size_t n)
{
	Host__ListContainersResponse *list = list_new(c);
	const uint8_t *p = evbuffer_pullup(in, (ev_ssize_t)n);
	struct err e = { 0 };

	if (!list || (n && !p))
		err_set(&e, ERR_SYSTEM, "out of memory");
	else if (!containers_parse(span_of(p, n), c->arena, list, &e)) {
		hang_up(c);
		keep(c, list);
		return;
	}
	fail(c, &e);
}

// What is here of the answer; `over`: and no more will come.
static void look(struct containers *c, bool over)
{
	struct evbuffer *in = bufferevent_get_input(c->engine);
	int rc = c->has_head ? 1 : engine_head(in, over, &c->head);

	if (!rc)
		return;
	c->has_head = rc > 0;
	size_t n = evbuffer_get_length(in);
	bool all = c->head.length == UINT64_MAX ? over : n >= c->head.length;
	if (rc < 0)
		fail_with(c, "sent no answer");
	else if (c->head.status != 200)
		fail_with(c, "did not list its containers");
	else if (n > REPLY_MAX || (c->head.length != UINT64_MAX && c->head.length > REPLY_MAX))
		fail_with(c, "sent a list that is too large");
	else if (all)
		whole(c, in, c->head.length < n ? (size_t)c->head.length : n);
	else if (over)
		fail_with(c, "broke off its answer");
}

static void on_read(struct bufferevent *b, void *arg)
{
	(void)b;
	look(arg, false);
}

static void on_event(struct bufferevent *b, short what, void *arg)
{
	(void)b;
	if (what & BEV_EVENT_ERROR)
		fail_with(arg, "broke off its answer");
	else if (what & BEV_EVENT_EOF)
		look(arg, true);
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	fail_with(arg, "does not answer");
}

static void ask(struct containers *c)
{
	struct err e = { 0 };
	int fd = engine_connect(c->socket, &e);

	if (fd < 0 && e.class == ERR_ABSENT) {
		const Host__ListContainersResponse *none = list_new(c);
		if (none)
			keep(c, none);
		else
			fail_with(c, "was not asked: out of memory");
		return;
	}
	c->has_head = false;
	if (fd < 0) {
		fail(c, &e);
		return;
	}
	c->engine = engine_get(c->base, fd, "/containers/json?all=true", on_read, on_event, c);
	if (!c->engine)
		fail_with(c, "was not asked: out of memory");
	else
		event_add(c->late, &(struct timeval){ c->answer_s, 0 });
}

struct containers *containers_new(struct event_base *base, const char *socket, int answer_s)
{
	struct containers *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->base = base;
	c->answer_s = answer_s;
	c->socket = strdup(socket);
	c->late = evtimer_new(base, on_late, c);
	if (c->socket && c->late)
		return c;
	if (c->late)
		event_free(c->late);
	free(c->socket);
	free(c);
	return NULL;
}

void containers_free(struct containers *c)
{
	if (!c)
		return;
	fail_with(c, "was not asked: the agent stops");
	event_free(c->late);
	arena_free(c->arena);
	free(c->socket);
	free(c);
}

void containers_list(struct containers *c, struct containers_wait *w)
{
	if (c->list && time_mono_ms() < c->until_ms) {
		w->done(w, c->list, NULL);
		return;
	}
	bool first = !c->waiting;
	w->next = c->waiting;
	c->waiting = w;
	if (first && !c->engine)
		ask(c);
}
