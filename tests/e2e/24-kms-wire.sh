#!/bin/bash
# The KMS's wire, asked by a client that is nothing but sockets and openssl (kms/wire.py), sentence by sentence of its
# specification, sections 1 to 5: transport, TLS, messages, errors, files, certificates, policy, configuration.
. "$(dirname "$0")/lib.sh"
. tests/e2e/kms.sh
trap 'kms_stop_all; finish; [ "$failures" -eq 0 ] || exit 1' EXIT
kms_world
python3 tests/e2e/kms/checks.py "$work" "$pccs" "$image" || failures=$((failures + 1))
