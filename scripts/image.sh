#!/bin/bash
# Build the guest image into .cache/image (cached by recipe, lock file and our own guest programs).
#   scripts/image.sh [--locked]
set -euo pipefail
cd "$(dirname "$0")/.."
exec os/build.sh --bin build/bin --out .cache/image --cache .cache/os "$@"
