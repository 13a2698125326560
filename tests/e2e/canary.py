#!/usr/bin/env python3
"""HB-20: looks for secrets where none may be. SECRETS is a file of hex lines; each is looked for as bytes, as hex in either
case, in base64 at every alignment, plain and URL-safe, and as JSON's array of numbers, in every file of the PATHs.

    canary.py SECRETS PATH...
Prints each place; exit status 1 when there is any.
"""
import base64
import errno
import os
import sys

LARGE = 64 << 20  # a disk: only its allocated parts, for the bytes and lower-case hex
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


EACH = 10  # forms of one secret, the two plainest first


def allocated(name):
    """What a file really holds, without the holes of a sparse one."""
    parts = []
    with open(name, "rb") as f:
        at, end = 0, os.fstat(f.fileno()).st_size
        while at < end:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError as e:
                if e.errno == errno.ENXIO:
                    break  # nothing but a hole
                raise
            stop = os.lseek(f.fileno(), at, os.SEEK_HOLE)
            parts.append(os.pread(f.fileno(), stop - at, at))
            at = stop
    return b"".join(parts)


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
        looked += 1
        large = os.path.getsize(name) > LARGE
        data = allocated(name)
        lower = data if large else data.lower()
        for form, any_case, which in FORMS[:: EACH] + FORMS[1 :: EACH] if large else FORMS:
            at = (lower if any_case else data).find(form)
            if at >= 0:
                hits += 1
                print(f"{name}: secret {which}... at byte {at}")
print(f"{looked} files, {len(FORMS)} forms, {hits} hits")
sys.exit(1 if hits or not looked else 0)
