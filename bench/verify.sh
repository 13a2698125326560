#!/bin/bash
# Quote verification beside raw P-256 verifications (bench/verify.c) and beside npm's @phala/dcap-qvl in the same run.
# Needs the build; VERIFICATIONS: how many for verify.growth.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case=(tests/evidence/real/dcap-qvl/tdx_quote{,_collateral.json} 1750588248)
"${BUILD:-build}/bench/bench-verify" "${case[@]}" 400 "${VERIFICATIONS:-1000000}" | tee "$work/out"
cp -r tests/e2e/quote-npm "$work/npm"
npm ci --prefix "$work/npm" --no-audit --no-fund --loglevel=error >"$work/npm.log"
# Intel's root certificate, as it is in the altered cases that are made from this quote.
root=tests/evidence/mutants/blobs/44a0196b2b99f889b8e149e9
ms=$(NODE_PATH=$work/npm/node_modules node bench/verify.js "$root" "${case[@]}")
awk -F'\t' -v ms="$ms" '$1 == "verify.p256" {
	printf "verify.dcap_qvl_js\t%.4f\tms\t%.4f\t%.2f\n", ms, 9 * $2, ms / (9 * $2)
}' "$work/out"
