// backend - what the two ways to a WireGuard interface have in common; private to lib/wg.
//
// Also the parsers of what they answer, here so that tests and fuzzers reach them.
#pragma once
#include <libmnl/libmnl.h>
#include "wg/wg.h"

struct wg;

struct wg_ops {
	int (*set_key)(struct wg *w, const uint8_t *key, uint16_t port, struct err *e);
	int (*change)(struct wg *w, const struct wg_change *changes, size_t n, struct err *e);
	int (*peers)(struct wg *w, struct wg_peer *out, size_t cap, size_t *n, struct err *e);
};

struct wg {
	char name[WG_NAME_MAX + 1];
	enum wg_backend backend;
	bool made;
	const struct wg_ops *ops;
	struct mnl_socket *route; // rtnetlink
	struct mnl_socket *genl;  // generic netlink, kernel back end only
	uint16_t family;          // of "wireguard" in generic netlink
	uint32_t seq;
};

// Where a list of peers is collected. `full` says that there were more than `cap`.
struct wg_list {
	struct wg_peer *out;
	size_t cap, n;
	bool full;
};

extern const struct wg_ops wg_kernel_ops, wg_userspace_ops;

// netlink.c: send `msg`, feed what comes back to `cb` until the acknowledgement.
struct mnl_socket *nl_open(int bus, struct err *e);
int nl_talk(struct wg *w, struct mnl_socket *s, struct nlmsghdr *msg, mnl_cb_t cb, void *data, struct err *e);

// kernel.c
int wg_kernel_family(struct wg *w, struct err *e); // ERR_ABSENT: the kernel has no WireGuard
size_t wg_kernel_put_peers(struct nlmsghdr *msg, size_t cap, const struct wg_change *changes, size_t n);
int wg_kernel_parse(struct wg_list *list, const void *message, size_t n); // one reply of WG_CMD_GET_DEVICE

// link.c
enum link_kind { LINK_NONE, LINK_WIREGUARD, LINK_OTHER };
int link_find(struct wg *w, enum link_kind *kind, int *index, struct err *e);
int link_parse(enum link_kind *kind, int *index, const void *message, size_t n); // one RTM_NEWLINK
int link_make(struct wg *w, struct err *e);                                      // of kind "wireguard"
int link_delete(struct wg *w, struct err *e);

// userspace.c
bool wg_uapi_alive(const char *name);
int wg_uapi_start(const char *name, struct err *e);
int wg_uapi_stop(const char *name, struct err *e);
int wg_uapi_parse(struct wg_list *list, long *errno_value, const char *text, size_t n, struct err *e);
