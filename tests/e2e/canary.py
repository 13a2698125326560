#!/usr/bin/env python3
"""HB-20: looks for secrets where none may be. SECRETS is a file of hex lines; each is looked for as bytes, as hex in either
case, in base64 at every alignment, plain and URL-safe, and as JSON's array of numbers, in every file of the PATHs.

    canary.py SECRETS PATH...
Prints each place; exit status 1 when there is any.
"""
import base64
import os
import sys

FORMS = []  # what to look for, whether in lower case, whose it is
for line in open(sys.argv[1]):
    key, name = bytes.fromhex(line), line.strip()[:8]
    if len(key) < 16:
        sys.exit(f"a secret of {len(key)} bytes is no canary")
    numbers = list(map(str, key))
    FORMS += [(key, False, name), (key.hex().encode(), True, name), (", ".join(numbers).encode(), False, name), (",".join(numbers).encode(), False, name)]
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + key)[4 if shift else 0:-4]
        FORMS += [(text, False, name), (text.replace(b"+", b"-").replace(b"/", b"_"), False, name)]


def files(path):
    if not os.path.isdir(path):
        yield path
    for top, _, names in os.walk(path):
        yield from (os.path.join(top, n) for n in names)


hits = 0
looked = 0
for path in sys.argv[2:]:
    for name in files(path):
        if not os.path.isfile(name):
            continue
        data = open(name, "rb").read()
        looked += 1
        lower = data.lower()
        for form, any_case, which in FORMS:
            at = (lower if any_case else data).find(form)
            if at >= 0:
                hits += 1
                print(f"{name}: secret {which}... at byte {at}")
print(f"{looked} files, {len(FORMS)} forms, {hits} hits")
sys.exit(1 if hits or not looked else 0)
