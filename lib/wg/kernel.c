#include "wg/backend.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <string.h>

enum { ROOM = 8192 };

static struct nlmsghdr *request(char room[static ROOM], uint16_t family, uint8_t command, uint16_t flags)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(room);

	m->nlmsg_type = family;
	m->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	struct genlmsghdr *g = mnl_nlmsg_put_extra_header(m, sizeof *g);
	g->cmd = command;
	g->version = WG_GENL_VERSION;
	return m;
}

static int family_attr(const struct nlattr *a, void *data)
{
	uint16_t *id = data;

	if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID && mnl_attr_validate(a, MNL_TYPE_U16) >= 0)
		*id = mnl_attr_get_u16(a);
	return MNL_CB_OK;
}

static int on_family(const struct nlmsghdr *m, void *data)
{
	return mnl_attr_parse(m, sizeof(struct genlmsghdr), family_attr, data);
}

int wg_kernel_family(struct wg *w, struct err *e)
{
	char room[ROOM];
	struct nlmsghdr *m = request(room, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);

	mnl_attr_put_strz(m, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
	w->family = 0;
	if (nl_talk(w, w->genl, m, on_family, &w->family, e) || !w->family)
		return err_code(e, ERR_ABSENT, "wg.no_kernel", "this kernel has no WireGuard");
	return 0;
}

static int set_key(struct wg *w, const uint8_t *key, uint16_t port, struct err *e)
{
	char room[ROOM];
	struct nlmsghdr *m = request(room, w->family, WG_CMD_SET_DEVICE, 0);

	mnl_attr_put_strz(m, WGDEVICE_A_IFNAME, w->name);
	mnl_attr_put(m, WGDEVICE_A_PRIVATE_KEY, WG_KEY, key);
	mnl_attr_put_u16(m, WGDEVICE_A_LISTEN_PORT, port);
	int r = nl_talk(w, w->genl, m, NULL, NULL, e);
	explicit_bzero(room, sizeof room);
	return r;
}

static void put_peer(struct nlmsghdr *m, const struct wg_change *c)
{
	struct nlattr *peer = mnl_attr_nest_start(m, 0);
	uint32_t flags = c->remove      ? (uint32_t)WGPEER_F_REMOVE_ME
			 : c->allowed_n ? (uint32_t)WGPEER_F_REPLACE_ALLOWEDIPS
					: 0;

	mnl_attr_put(m, WGPEER_A_PUBLIC_KEY, WG_KEY, c->key);
	if (flags)
		mnl_attr_put_u32(m, WGPEER_A_FLAGS, flags);
	if (!c->remove && c->endpoint.sin_family == AF_INET)
		mnl_attr_put(m, WGPEER_A_ENDPOINT, sizeof c->endpoint, &c->endpoint);
	if (!c->remove && c->keepalive)
		mnl_attr_put_u16(m, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, c->keepalive);
	if (!c->remove && c->allowed_n) {
		struct nlattr *list = mnl_attr_nest_start(m, WGPEER_A_ALLOWEDIPS);
		for (size_t i = 0; i < c->allowed_n && i < WG_ALLOWED_MAX; i++) {
			struct nlattr *one = mnl_attr_nest_start(m, 0);
			mnl_attr_put_u16(m, WGALLOWEDIP_A_FAMILY, AF_INET);
			mnl_attr_put(m, WGALLOWEDIP_A_IPADDR, sizeof c->allowed[i].ip, &c->allowed[i].ip);
			mnl_attr_put_u8(m, WGALLOWEDIP_A_CIDR_MASK, c->allowed[i].prefix);
			mnl_attr_nest_end(m, one);
		}
		mnl_attr_nest_end(m, list);
	}
	mnl_attr_nest_end(m, peer);
}

// A peer takes at most 4 + 36 + 8 + 20 + 8 + 4 + 4 * 28 < 256 bytes.
size_t wg_kernel_put_peers(struct nlmsghdr *msg, size_t cap, const struct wg_change *changes, size_t n)
{
	size_t done = 0;
	struct nlattr *peers = mnl_attr_nest_start(msg, WGDEVICE_A_PEERS);

	for (; done < n && msg->nlmsg_len + 256 <= cap; done++)
		put_peer(msg, &changes[done]);
	mnl_attr_nest_end(msg, peers);
	return done;
}

static int change(struct wg *w, const struct wg_change *changes, size_t n, struct err *e)
{
	char room[ROOM];

	while (n) {
		struct nlmsghdr *m = request(room, w->family, WG_CMD_SET_DEVICE, 0);
		mnl_attr_put_strz(m, WGDEVICE_A_IFNAME, w->name);
		size_t done = wg_kernel_put_peers(m, ROOM, changes, n);
		if (nl_talk(w, w->genl, m, NULL, NULL, e))
			return -1;
		changes += done;
		n -= done;
	}
	return 0;
}

static int allowed_attr(const struct nlattr *a, void *data)
{
	struct wg_cidr *c = data;

	if (mnl_attr_get_type(a) == WGALLOWEDIP_A_IPADDR && mnl_attr_get_payload_len(a) == sizeof c->ip)
		memcpy(&c->ip, mnl_attr_get_payload(a), sizeof c->ip);
	else if (mnl_attr_get_type(a) == WGALLOWEDIP_A_CIDR_MASK && mnl_attr_validate(a, MNL_TYPE_U8) >= 0)
		c->prefix = mnl_attr_get_u8(a);
	return MNL_CB_OK;
}

static int on_allowed(const struct nlattr *a, void *data)
{
	struct wg_peer *p = data;
	struct wg_cidr c = { .ip.s_addr = INADDR_ANY, .prefix = 255 };

	if (mnl_attr_validate(a, MNL_TYPE_NESTED) < 0 || mnl_attr_parse_nested(a, allowed_attr, &c) < 0)
		return MNL_CB_ERROR;
	if (c.prefix <= 32 && p->allowed_n < WG_ALLOWED_MAX)
		p->allowed[p->allowed_n++] = c;
	return MNL_CB_OK;
}

static int peer_attr(const struct nlattr *a, void *data)
{
	struct wg_peer *p = data;
	size_t n = mnl_attr_get_payload_len(a);
	const void *v = mnl_attr_get_payload(a);
	int64_t seconds;

	switch (mnl_attr_get_type(a)) {
	case WGPEER_A_PUBLIC_KEY:
		if (n != WG_KEY)
			return MNL_CB_ERROR;
		memcpy(p->key, v, WG_KEY);
		break;
	case WGPEER_A_ENDPOINT:
		if (n == sizeof p->endpoint)
			memcpy(&p->endpoint, v, n);
		if (p->endpoint.sin_family != AF_INET)
			p->endpoint = (struct sockaddr_in){ 0 };
		break;
	case WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL:
		if (n >= 2)
			p->keepalive = mnl_attr_get_u16(a);
		break;
	case WGPEER_A_LAST_HANDSHAKE_TIME: // struct __kernel_timespec
		if (n < sizeof seconds)
			return MNL_CB_ERROR;
		memcpy(&seconds, v, sizeof seconds);
		p->handshake = seconds > 0 ? (uint64_t)seconds : 0;
		break;
	case WGPEER_A_RX_BYTES:
	case WGPEER_A_TX_BYTES:
		if (n != 8)
			return MNL_CB_ERROR;
		memcpy(mnl_attr_get_type(a) == WGPEER_A_RX_BYTES ? &p->rx : &p->tx, v, 8);
		break;
	case WGPEER_A_ALLOWEDIPS:
		return mnl_attr_parse_nested(a, on_allowed, p);
	default:
		break;
	}
	return MNL_CB_OK;
}

static int on_peer(const struct nlattr *a, void *data)
{
	struct wg_list *list = data;
	struct wg_peer p = { 0 };

	if (mnl_attr_validate(a, MNL_TYPE_NESTED) < 0 || mnl_attr_parse_nested(a, peer_attr, &p) < 0)
		return MNL_CB_ERROR;
	// A peer cut in two by the size of a message comes again as the first of the next.
	if (list->n && memcmp(list->out[list->n - 1].key, p.key, WG_KEY) == 0)
		return MNL_CB_OK;
	if (list->n == list->cap)
		list->full = true;
	else
		list->out[list->n++] = p;
	return MNL_CB_OK;
}

static int device_attr(const struct nlattr *a, void *data)
{
	if (mnl_attr_get_type(a) == WGDEVICE_A_PEERS)
		return mnl_attr_parse_nested(a, on_peer, data);
	return MNL_CB_OK;
}

int wg_kernel_parse(struct wg_list *list, const void *message, size_t n)
{
	const struct nlmsghdr *m = message;

	// mnl_nlmsg_ok alone takes a length beyond INT_MAX for a small one.
	if (n < sizeof *m || m->nlmsg_len > n || !mnl_nlmsg_ok(m, (int)n) ||
	    mnl_nlmsg_get_payload_len(m) < sizeof(struct genlmsghdr))
		return -1;
	return mnl_attr_parse(m, sizeof(struct genlmsghdr), device_attr, list) < 0 ? -1 : 0;
}

static int on_device(const struct nlmsghdr *m, void *data)
{
	return wg_kernel_parse(data, m, m->nlmsg_len) < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

static int peers(struct wg *w, struct wg_peer *out, size_t cap, size_t *n, struct err *e)
{
	char room[ROOM];
	struct wg_list list = { .out = out, .cap = cap };
	struct nlmsghdr *m = request(room, w->family, WG_CMD_GET_DEVICE, NLM_F_DUMP);

	mnl_attr_put_strz(m, WGDEVICE_A_IFNAME, w->name);
	if (nl_talk(w, w->genl, m, on_device, &list, e))
		return -1;
	*n = list.n;
	return list.full ? err_set(e, ERR_SYSTEM, "more than %zu peers", cap) : 0;
}

const struct wg_ops wg_kernel_ops = { set_key, change, peers };
