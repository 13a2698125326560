#include "wg/backend.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int name_check(const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (n == 0 || n > WG_NAME_MAX || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != n)
		return err_code(e, ERR_INPUT, "wg.name", "not an interface name (1 to %d of a-z 0-9 - _)",
				WG_NAME_MAX);
	return 0;
}

static int use_kernel(struct wg *w, struct err *e)
{
	w->backend = WG_KERNEL;
	w->ops = &wg_kernel_ops;
	if (!w->genl && !(w->genl = nl_open(NETLINK_GENERIC, e)))
		return -1;
	return wg_kernel_family(w, e);
}

static void use_userspace(struct wg *w)
{
	w->backend = WG_USERSPACE;
	w->ops = &wg_userspace_ops;
}

static int make(struct wg *w, enum wg_backend want, struct err *e)
{
	if (want != WG_USERSPACE) {
		// Making the link loads the module where there is one; only then is the family there.
		if (link_make(w, e) == 0) {
			w->made = true;
			return use_kernel(w, e);
		}
		if (want == WG_KERNEL || e->class != ERR_ABSENT)
			return -1;
	}
	if (wg_uapi_start(w->name, e))
		return -1;
	w->made = true;
	use_userspace(w);
	return 0;
}

static int attach(struct wg *w, enum wg_backend want, struct err *e)
{
	enum link_kind kind;
	int index;

	if (want != WG_KERNEL && wg_uapi_alive(w->name)) {
		use_userspace(w);
		return 0;
	}
	if (link_find(w, &kind, &index, e))
		return -1;
	if (kind == LINK_OTHER || (kind == LINK_WIREGUARD && want == WG_USERSPACE))
		return err_code(e, ERR_INPUT, "wg.not_ours", "interface %s exists and is of another kind",
				w->name);
	return kind == LINK_WIREGUARD ? use_kernel(w, e) : make(w, want, e);
}

struct wg *wg_open(const char *name, enum wg_backend backend, struct err *e)
{
	if (name_check(name, e))
		return NULL;
	struct wg *w = calloc(1, sizeof *w);
	if (!w) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	snprintf(w->name, sizeof w->name, "%s", name);
	if (!(w->route = nl_open(NETLINK_ROUTE, e)) || attach(w, backend, e)) {
		err_wrap(e, "WireGuard interface %s", name);
		wg_close(w);
		return NULL;
	}
	return w;
}

void wg_close(struct wg *w)
{
	if (!w)
		return;
	if (w->route)
		mnl_socket_close(w->route);
	if (w->genl)
		mnl_socket_close(w->genl);
	free(w);
}

int wg_delete(struct wg *w, struct err *e)
{
	if (w->backend == WG_USERSPACE && wg_uapi_stop(w->name, e))
		return -1;
	return w->backend == WG_KERNEL ? link_delete(w, e) : 0;
}

enum wg_backend wg_backend(const struct wg *w)
{
	return w->backend;
}

bool wg_was_made(const struct wg *w)
{
	return w->made;
}

int wg_set_key(struct wg *w, const uint8_t private_key[static WG_KEY], uint16_t listen_port, struct err *e)
{
	return w->ops->set_key(w, private_key, listen_port, e) ? err_wrap(e, "set the key of %s", w->name)
							       : 0;
}

int wg_change_peers(struct wg *w, const struct wg_change *changes, size_t n, struct err *e)
{
	return n && w->ops->change(w, changes, n, e) ? err_wrap(e, "change peers of %s", w->name) : 0;
}

long wg_peers(struct wg *w, struct wg_peer *out, size_t cap, struct err *e)
{
	size_t n = 0;

	return w->ops->peers(w, out, cap, &n, e) ? err_wrap(e, "list peers of %s", w->name) : (long)n;
}
