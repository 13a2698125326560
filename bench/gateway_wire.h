// gateway_wire - what the load generator asks the sink: 16 bytes, after a ClientHello or inside TLS.
//
// Byte 0 'K' (keep) or 'C' (close after the reply), bytes 8 to 15 the length of the reply, big-endian.
// Without TLS the sink skips one record first: the ClientHello that a passing proxy has read the name from.
#pragma once

enum { COMMAND = 16, RECORD_HEAD = 5 };
