// net - the network process: all that clients see of the KMS. It holds no root key and reads no evidence.
//
// Born by the supervisor (supervise.h) with its listeners, and with sockets to the key process and the
// judges; who follows one of those that ended comes over the control socket.
#pragma once
#include "supervise.h"

int net_process(const struct kms_config *c, const struct net_ends *ends);
