// pbjson - the JSON form of protobuf messages, by walking their descriptors.
//
// Upstream's mapping, not protobuf's canonical one: names as in the .proto; bytes are lower-case hex (read:
// any number of leading 0x, either case); 64-bit integers are numbers; absent optional scalars and messages
// are null; every other field is always written; unknown members are ignored on reading; null only where a
// field may be absent; maps are objects. The exception: GetQuoteResponse.attestation is left out when empty.
// Optional scalars are oneofs of one member in our .proto files.
#pragma once
#include <protobuf-c/protobuf-c.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/sb.h"
#include "core/codec/buf.h"

void pbjson_write(struct sb *out, const ProtobufCMessage *m); // compact, ASCII only

// The message in the arena, or NULL. Empty text and `null` give the defaults. Code: rpc.json.
void *pbjson_read(const ProtobufCMessageDescriptor *d, struct span json, struct arena *a, struct err *e);
// From a query: `name=value`, repeated `name[]=v` or `name[0]=v`, messages `a[b]=v`. Code: rpc.query.
void *pbjson_query(const ProtobufCMessageDescriptor *d, struct span query, struct arena *a, struct err *e);

// A message with all fields at their defaults, in the arena.
void *pb_new(const ProtobufCMessageDescriptor *d, struct arena *a);
// protobuf bytes to a message in the arena. Strings must be UTF-8. Code: rpc.protobuf.
void *pb_read(const ProtobufCMessageDescriptor *d, struct span bytes, struct arena *a, struct err *e);

// Filling `out` messages: bytes copied to the arena, and one more entry of a repeated field.
ProtobufCBinaryData pb_bytes(struct arena *a, const void *p, size_t n);
