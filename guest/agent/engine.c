#include "engine.h"

#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/strings.h"
#include "core/codec/json.h"
#include "rpc/client.h"

enum { CONNECT_S = 2, ANSWER_S = 10, REPLY_MAX = 4 << 20, CONTAINERS_MAX = 1024, NAMES_MAX = 32 };

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

int engine_parse(struct span json, struct arena *a, Host__ListContainersResponse *out, struct err *e)
{
	struct json_fault f = { 0 };
	struct json root, item;

	if (json_parse(&root, json, &f) || json_kind(root) != JSON_ARRAY)
		return err_code(e, ERR_SYSTEM, "agent.engine", "the container engine sent no list: %s",
				f.what ? f.what : "not an array");
	size_t n = json_count(root);
	if (n > CONTAINERS_MAX)
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

int engine_containers(const char *socket, struct arena *a, Host__ListContainersResponse *out, struct err *e)
{
	const struct rpc_client_opts o = { .connect_s = CONNECT_S,
					   .timeout_s = ANSWER_S,
					   .reply_max = REPLY_MAX };
	auto_free char *url = str_format("unix:%s", socket);
	struct span body;
	struct stat st;
	int status;

	if (!*socket || stat(socket, &st))
		return 0;
	if (!url)
		return err_set(e, ERR_SYSTEM, "out of memory");
	auto_rpc_client *c = rpc_client_new(url, &o, e);
	if (!c || rpc_client_get(c, "/containers/json?all=true", a, &status, &body, e)) {
		const struct err cause = *e;
		return err_code(e, ERR_AGAIN, "agent.engine", "ask the container engine: %s", cause.text);
	}
	if (status != 200)
		return err_code(e, ERR_AGAIN, "agent.engine", "the container engine answered with status %d",
				status);
	return engine_parse(body, a, out, e);
}
