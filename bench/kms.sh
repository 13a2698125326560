#!/bin/bash
# A key release beside its signatures (bench/kms.c): a KMS of its own, software TEE evidence. Needs the build.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build}
export PATH=$PWD/$build/bin:$PATH
work=$(mktemp -d)
. tests/e2e/kms.sh
trap 'kms_stop_all; rm -rf "$work"' EXIT
kms_world
kms_config >"$work/kms.toml"
kms_start "$work/kms.toml"
kms_evidence guest
$guest csr "${who[@]}" --quote "$work/guest.quote" --subject app --san app.example >"$work/csr.json"
keys=$(pgrep -P "$kms" kms-keys)
"$build/bench/bench-kms" "https://127.0.0.1:$port/prpc" "$work/certs/root-ca.crt" "$work/guest.crt" "$work/guest.key" \
	"$work/csr.json" "$kms" "$keys"
"$build/bench/bench-audit" "$work/audit"
ulimit -n 4096
"$build/bench/bench-kms-load" "127.0.0.1:$port" "$work/certs/root-ca.crt" "$work/certs/tmp-ca.crt" "$work/certs/tmp-ca.key" \
	"$work/pki" "$work/images/one" "$app" "$compose" "$kms" "${GUESTS:-1000}"
sleep 5 # what the crowd needed is given back when it has gone
# shellcheck disable=SC2046 # one word each
awk '/^Pss:/ { n += $2 } END { printf "kms.memory_after\t%.1f\tMiB\t20\t%.2f\n", n / 1024, n / 1024 / 20 }' \
	"/proc/$kms/smaps_rollup" $(pgrep -P "$kms" | sed 's,.*,/proc/&/smaps_rollup,')
