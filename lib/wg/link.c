#include "wg/backend.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

enum { ROOM = 1024, MTU = 1420 };

static struct nlmsghdr *request(char room[static ROOM], uint16_t type, uint16_t flags, const void *head,
				size_t n)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(room);

	m->nlmsg_type = type;
	m->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	memcpy(mnl_nlmsg_put_extra_header(m, n), head, n);
	return m;
}

static int kind_attr(const struct nlattr *a, void *data)
{
	enum link_kind *kind = data;

	if (mnl_attr_get_type(a) == IFLA_INFO_KIND && mnl_attr_validate(a, MNL_TYPE_STRING) >= 0)
		*kind = strncmp(mnl_attr_get_str(a), "wireguard", mnl_attr_get_payload_len(a))
				? LINK_OTHER
				: LINK_WIREGUARD;
	return MNL_CB_OK;
}

static int link_attr(const struct nlattr *a, void *data)
{
	if (mnl_attr_get_type(a) == IFLA_LINKINFO && mnl_attr_validate(a, MNL_TYPE_NESTED) >= 0)
		return mnl_attr_parse_nested(a, kind_attr, data);
	return MNL_CB_OK;
}

int link_parse(enum link_kind *kind, int *index, const void *message, size_t n)
{
	const struct nlmsghdr *m = message;

	// mnl_nlmsg_ok alone takes a length beyond INT_MAX for a small one.
	if (n < sizeof *m || m->nlmsg_len > n || !mnl_nlmsg_ok(m, (int)n) || m->nlmsg_type != RTM_NEWLINK ||
	    mnl_nlmsg_get_payload_len(m) < sizeof(struct ifinfomsg))
		return -1;
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(m);
	*kind = LINK_OTHER;
	*index = i->ifi_index;
	return mnl_attr_parse(m, sizeof *i, link_attr, kind) < 0 ? -1 : 0;
}

struct found {
	enum link_kind kind;
	int index;
};

static int on_link(const struct nlmsghdr *m, void *data)
{
	struct found *f = data;

	return link_parse(&f->kind, &f->index, m, m->nlmsg_len) < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

int link_find(struct wg *w, enum link_kind *kind, int *index, struct err *e)
{
	char room[ROOM];
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	struct found f = { LINK_NONE, 0 };

	struct nlmsghdr *m = request(room, RTM_GETLINK, 0, &head, sizeof head);
	mnl_attr_put_strz(m, IFLA_IFNAME, w->name);
	errno = 0;
	if (nl_talk(w, w->route, m, on_link, &f, e) && errno != ENODEV)
		return err_wrap(e, "look for interface %s", w->name);
	*kind = f.kind;
	*index = f.index;
	return 0;
}

int link_make(struct wg *w, struct err *e)
{
	char room[ROOM];
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC };

	struct nlmsghdr *m = request(room, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
	mnl_attr_put_strz(m, IFLA_IFNAME, w->name);
	struct nlattr *info = mnl_attr_nest_start(m, IFLA_LINKINFO);
	mnl_attr_put_strz(m, IFLA_INFO_KIND, "wireguard");
	mnl_attr_nest_end(m, info);
	if (nl_talk(w, w->route, m, NULL, NULL, e)) {
		if (errno == EOPNOTSUPP)
			err_code(e, ERR_ABSENT, "wg.no_kernel", "this kernel has no WireGuard");
		return err_wrap(e, "make interface %s", w->name);
	}
	return 0;
}

int link_delete(struct wg *w, struct err *e)
{
	char room[ROOM];
	enum link_kind kind;
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC };

	if (link_find(w, &kind, &head.ifi_index, e))
		return -1;
	if (kind == LINK_NONE)
		return 0;
	struct nlmsghdr *m = request(room, RTM_DELLINK, 0, &head, sizeof head);
	if (nl_talk(w, w->route, m, NULL, NULL, e))
		return err_wrap(e, "remove interface %s", w->name);
	return 0;
}

// The IPv4 addresses an interface has, when a wanted one is to be the only one.
struct addresses {
	int index;
	struct wg_cidr want, others[8];
	size_t n;
	bool there;
};

static int address_attr(const struct nlattr *a, void *data)
{
	struct in_addr *ip = data;

	if (mnl_attr_get_type(a) == IFA_LOCAL && mnl_attr_get_payload_len(a) == sizeof *ip)
		memcpy(ip, mnl_attr_get_payload(a), sizeof *ip);
	return MNL_CB_OK;
}

static int on_address(const struct nlmsghdr *m, void *data)
{
	struct addresses *all = data;
	struct in_addr ip = { 0 };

	if (m->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(m) < sizeof(struct ifaddrmsg))
		return MNL_CB_OK;
	const struct ifaddrmsg *head = mnl_nlmsg_get_payload(m);
	if ((int)head->ifa_index != all->index || head->ifa_family != AF_INET)
		return MNL_CB_OK;
	if (mnl_attr_parse(m, sizeof *head, address_attr, &ip) < 0)
		return MNL_CB_ERROR;
	if (ip.s_addr == all->want.ip.s_addr && head->ifa_prefixlen == all->want.prefix)
		all->there = true;
	else if (all->n < sizeof all->others / sizeof *all->others)
		all->others[all->n++] = (struct wg_cidr){ ip, head->ifa_prefixlen };
	return MNL_CB_OK;
}

static int address_change(struct wg *w, uint16_t type, int index, struct wg_cidr a, struct err *e)
{
	char room[ROOM];
	struct ifaddrmsg head = { .ifa_family = AF_INET,
				  .ifa_prefixlen = a.prefix,
				  .ifa_index = (unsigned)index };

	struct nlmsghdr *m = request(room, type, type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_REPLACE : 0,
				     &head, sizeof head);
	mnl_attr_put(m, IFA_LOCAL, sizeof a.ip, &a.ip);
	mnl_attr_put(m, IFA_ADDRESS, sizeof a.ip, &a.ip);
	return nl_talk(w, w->route, m, NULL, NULL, e);
}

static int address_set(struct wg *w, int index, struct wg_cidr want, struct err *e)
{
	char room[ROOM];
	struct ifaddrmsg head = { .ifa_family = AF_INET };
	struct addresses all = { .index = index, .want = want };

	struct nlmsghdr *m = request(room, RTM_GETADDR, NLM_F_DUMP, &head, sizeof head);
	if (nl_talk(w, w->route, m, on_address, &all, e))
		return -1;
	for (size_t i = 0; i < all.n; i++)
		if (address_change(w, RTM_DELADDR, index, all.others[i], e))
			return -1;
	return all.there ? 0 : address_change(w, RTM_NEWADDR, index, want, e);
}

int wg_link_up(struct wg *w, struct wg_cidr address, unsigned mtu, struct err *e)
{
	char room[ROOM];
	enum link_kind kind;
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };

	if (link_find(w, &kind, &head.ifi_index, e))
		return -1;
	if (kind == LINK_NONE)
		return err_set(e, ERR_ABSENT, "bring up interface %s: it is gone", w->name);
	if (address_set(w, head.ifi_index, address, e))
		return err_wrap(e, "set the address of interface %s", w->name);
	struct nlmsghdr *m = request(room, RTM_NEWLINK, 0, &head, sizeof head);
	mnl_attr_put_u32(m, IFLA_MTU, mtu ? mtu : MTU);
	if (nl_talk(w, w->route, m, NULL, NULL, e))
		return err_wrap(e, "bring up interface %s", w->name);
	return 0;
}

int wg_route_add(struct wg *w, struct wg_cidr to, struct err *e)
{
	char room[ROOM];
	enum link_kind kind;
	int index;
	struct rtmsg head = { .rtm_family = AF_INET,
			      .rtm_dst_len = to.prefix,
			      .rtm_table = RT_TABLE_MAIN,
			      .rtm_protocol = RTPROT_STATIC,
			      .rtm_scope = RT_SCOPE_LINK,
			      .rtm_type = RTN_UNICAST };

	if (link_find(w, &kind, &index, e))
		return -1;
	struct nlmsghdr *m = request(room, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof head);
	mnl_attr_put(m, RTA_DST, sizeof to.ip, &to.ip);
	mnl_attr_put_u32(m, RTA_OIF, (uint32_t)index);
	if (nl_talk(w, w->route, m, NULL, NULL, e))
		return err_wrap(e, "add a route into interface %s", w->name);
	return 0;
}
