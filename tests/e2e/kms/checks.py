#!/usr/bin/env python3
"""The KMS's specification held against a running dstack-kms. checks.py WORK PCCS IMAGE_HASH; `ok - text` or `not ok` a check."""
import sys

import bed
import onboarding  # each runs its checks, in this order
import transport
import methods
import certificates
import operation


assert onboarding and transport and methods and certificates and operation
for p in bed.running:
    p.terminate()
sys.exit(1 if bed.failed else 0)
