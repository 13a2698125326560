// wg - WireGuard configuration for host and guest: one interface, changed peer by peer.
//
// Two ways behind one handle: generic netlink to the kernel's own WireGuard, and the UAPI socket of a
// `wireguard-go` process (https://www.wireguard.com/xplatform/) where the kernel has none. Links, addresses
// and routes go by rtnetlink. Nothing is forked but wireguard-go itself; a key never appears in argv,
// environment or a file. Trusts the kernel and whoever owns /var/run/wireguard; replies are still bounded.
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum { WG_KEY = 32, WG_KEY_TEXT = 45, WG_NAME_MAX = 15, WG_ALLOWED_MAX = 4 };

enum wg_backend {
	WG_AUTO,      // the kernel's, else wireguard-go
	WG_KERNEL,    // generic netlink
	WG_USERSPACE, // wireguard-go by its UAPI socket
};

struct wg_cidr { // IPv4 network or host address with its prefix length
	struct in_addr ip;
	uint8_t prefix;
};

// What to do to one peer. Others are not touched: there is no "replace all".
struct wg_change {
	uint8_t key[WG_KEY]; // the peer's public key
	bool remove;
	struct sockaddr_in endpoint;            // sin_family 0: leave as it is
	struct wg_cidr allowed[WG_ALLOWED_MAX]; // replaces the peer's list when allowed_n > 0
	size_t allowed_n;
	uint16_t keepalive; // seconds, 0 leaves it
};

struct wg_peer {
	uint8_t key[WG_KEY];
	struct sockaddr_in endpoint; // sin_family 0: unknown (or IPv6, which we do not configure)
	struct wg_cidr allowed[WG_ALLOWED_MAX];
	size_t allowed_n;   // as many as fit
	uint64_t handshake; // seconds since 1970 of the last handshake, 0 never
	uint64_t rx, tx;    // bytes
	uint16_t keepalive;
};

struct wg;

// Keys. `wg_key_new` draws a clamped private key; the caller wipes it.
int wg_key_new(uint8_t private_key[static WG_KEY], struct err *e);
int wg_key_public(uint8_t public_key[static WG_KEY], const uint8_t private_key[static WG_KEY], struct err *e);
// Base64 with padding, exactly 44 characters; constant time in the key.
int wg_key_parse(uint8_t key[static WG_KEY], const char *text, struct err *e);
void wg_key_text(char text[static WG_KEY_TEXT], const uint8_t key[static WG_KEY]);
int wg_cidr_parse(struct wg_cidr *out, const char *text, struct err *e); // "10.8.0.1/16", or an address: /32
int wg_endpoint_parse(struct sockaddr_in *out, const char *text, struct err *e); // "192.0.2.1:51820"

// Open the interface `name`, making it when it is not there (by the kernel, or by starting wireguard-go,
// which then lives on its own). An existing one is adopted with its peers: a restart cuts nothing.
struct wg *wg_open(const char *name, enum wg_backend backend, struct err *e);
void wg_close(struct wg *w);                // the interface stays
int wg_delete(struct wg *w, struct err *e); // remove the interface (and end its wireguard-go); then wg_close
enum wg_backend wg_backend(const struct wg *w);
bool wg_was_made(const struct wg *w); // this wg_open made it

int wg_set_key(struct wg *w, const uint8_t private_key[static WG_KEY], uint16_t listen_port, struct err *e);
int wg_change_peers(struct wg *w, const struct wg_change *changes, size_t n, struct err *e);
// Up to `cap` peers into `out`; returns their number or -1. More peers than `cap` is an error.
long wg_peers(struct wg *w, struct wg_peer *out, size_t cap, struct err *e);

// The interface as a link: set its address (others of IPv4 are removed), bring it up, route networks into it.
int wg_link_up(struct wg *w, struct wg_cidr address, unsigned mtu, struct err *e); // mtu 0: 1420
int wg_route_add(struct wg *w, struct wg_cidr to, struct err *e);                  // there already: fine
