#!/bin/sh
# gen.sh PROTOC-C PROTO-FOLDER OUT-FOLDER FILE: C of one .proto. protoc-c's initialisers cast a const pointer to
# `char *`, which clang's -Wcast-qual reports wherever they are used; through an integer it does not.
set -e
"$1" --proto_path="$2" --c_out="$3" "$4"
sed -i 's/(char \*)protobuf_c_empty_string/(char *)(uintptr_t)protobuf_c_empty_string/g' "$3/$(basename "$4" .proto).pb-c.h"
