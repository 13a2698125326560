// jcs - RFC 8785 canonical form of a parsed JSON value, for what is hashed over content, not bytes.
//
// Numbers must be integers and member names ASCII: enough for gpu_policy, refused otherwise.
#pragma once
#include "base/sb.h"
#include "core/codec/json.h"

int jcs_write(struct json v, struct sb *out);
