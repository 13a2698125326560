#!/bin/bash
# Quote verification beside raw P-256 verifications (bench/verify.c). Needs the build.
set -euo pipefail
cd "$(dirname "$0")/.."
real=tests/evidence/real/dcap-qvl
"${BUILD:-build}/bench/bench-verify" "$real/tdx_quote" "$real/tdx_quote_collateral.json" 1750588248
