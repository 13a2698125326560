#!/bin/bash
# The software TEE's quotes and collateral, judged by an implementation that is not ours (npm's @phala/dcap-qvl).
. "$(dirname "$0")/lib.sh"

cp -r tests/e2e/quote-npm "$work/npm"
check "npm package installs from its lock" npm ci --prefix "$work/npm" --no-audit --no-fund --loglevel=error
verify() { node "$work/npm/verify.js" "$@"; }

check "development PKI is made" dstack-softtee pki --dir "$work/pki"
check "making it again changes nothing" dstack-softtee pki --dir "$work/pki"
dstack-softtee pki --dir "$work/other"
check "keys are private" test "$(stat -c %a "$work/pki/root.key")" = 600

mrtd=$(printf '11%.0s' {1..48}) data=$(printf 'ab%.0s' {1..64})
dstack-softtee serve --dir "$work/pki" --listen tcp:127.0.0.1:0 2>"$work/serve.log" &
server=$!
until_true 5 grep -q port= "$work/serve.log"
pccs=http://127.0.0.1:$(sed -n 's/.*port=//p' "$work/serve.log")
check "quote is signed" dstack-softtee quote --dir "$work/pki" --mrtd "$mrtd" --report-data "$data" --out "$work/q"
check "quote and served collateral are accepted under the development root" \
	verify "$work/pki/root.der" "$work/q" "$pccs"
verify "$work/pki/root.der" "$work/q" "$pccs" >"$work/report" 2>/dev/null
check "status is UpToDate" grep -q '"status":"UpToDate"' "$work/report"
check "MRTD and report data are those given" grep -q "\"mrtd\":\"$mrtd\".*\"report_data\":\"$data\"" "$work/report"
dstack-softtee collateral --dir "$work/pki" --out "$work/collateral.json"
check "collateral as one document is accepted" verify "$work/pki/root.der" "$work/q" "$work/collateral.json"
dstack-softtee collateral --dir "$work/pki" --tcb-status OutOfDate --out "$work/old.json"
verify "$work/pki/root.der" "$work/q" "$work/old.json" >"$work/report" 2>/dev/null
check "TCB status comes from the collateral" grep -q '"status":"OutOfDate"' "$work/report"

refused "under another root of the same names" "chain" verify "$work/other/root.der" "$work/q" "$work/collateral.json"
dstack-softtee quote --dir "$work/other" --out "$work/q2"
refused "quote of another PKI of the same names" "chain" verify "$work/pki/root.der" "$work/q2" "$pccs"
dstack-softtee quote --dir "$work/pki" --qe-dir "$work/other" --out "$work/q3"
refused "quoting enclave's report under another key" "qe_report" verify "$work/pki/root.der" "$work/q3" "$pccs"
dstack-softtee quote --dir "$work/other" --qe-dir "$work/pki" --chain-dir "$work/pki" --out "$work/q4"
refused "body under another attestation key" "signature" verify "$work/pki/root.der" "$work/q4" "$pccs"
printf '\x01' | dd of="$work/q" bs=1 seek=600 conv=notrunc status=none
refused "a changed byte in the report data" "signature" verify "$work/pki/root.der" "$work/q" "$pccs"
kill $server
