// peers - the audit logs of the other KMSs with these roots: followed, so that none can be cut or forked
// unseen.
//
// Every audit.peer is asked for its signed head; it must go on from the one kept in STATE/audit.peers. The
// connection must lead to a KMS under our root CA, the head is believed for its signature alone. What does
// not hold is logged, recorded and kept with what did. The peer is also asked what it keeps of our own log: a
// later head there means that our state folder was put back. All on a thread of its own; answers are bounded,
// a peer that is down or hangs holds up nothing but the next look. docs/kms-audit.md.
#pragma once
#include "base/sb.h"
#include "rpc/server.h"

struct service;
struct kms_peers;

// NULL and no error without audit.peer. The service's keys, audit and CA are used until kms_peers_stop.
int kms_peers_start(struct kms_peers **out, struct service *s, struct err *e);
void kms_peers_stop(struct kms_peers *p); // may be NULL
void kms_peers_metrics(struct kms_peers *p, struct sb *out);
bool kms_peers_rolled_back(struct kms_peers *p); // our own log is not what we once signed

rpc_fn kms_peer_checkpoints; // GetPeerCheckpoints; the mount's argument is the struct service
