"""KM-16: what the memory of a KMS's processes holds after it has given keys to a hundred apps, some still connected."""
import base64
import http.client
import json
import re
import subprocess
import sys
import time
from pathlib import Path

from clients import context

KMS, PORT, CERTS, APPS = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
HALF = 16  # bytes of a key: a part of one is found, too
failed = 0


def check(text, good, more=""):
    global failed
    failed += not good
    print(f"{'ok' if good else 'not ok'} - {text}", *([f"\n  # {more}"] if not good else []), flush=True)


def tree(pid):
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from tree(int(child))


def forms(key):
    """As bytes, as hex, and as base64 at any of its three offsets; of both halves."""
    for half in (key[:HALF], key[-HALF:]):
        yield half
        yield half.hex().encode()
        yield half.hex().upper().encode()
    for shift in range(3):
        yield base64.b64encode(b"\0" * shift + key)[4 if shift else 0:28]


def search(pids, keys):
    """(whose, process, flags, where) of each place that holds a part of a key."""
    named = [(name, f) for name, k in keys.items() for f in forms(k)]
    out = subprocess.run(["build/tests/tools/memscan", *map(str, pids)], input="".join(f.hex() + "\n" for _, f in named), capture_output=True, check=True, text=True).stdout
    for line in out.splitlines():
        pid, i, at, flags, area = line.split(maxsplit=4)
        name, form = named[int(i)]
        comm = Path(f"/proc/{pid}/comm").read_text().strip()
        yield name, comm, flags.split(","), f"{name} in {comm} {area} {at} as {form[:40]}"


def varint(b, i):
    n = s = 0
    while True:
        n |= (b[i] & 127) << s
        s += 7
        i += 1
        if b[i - 1] < 128:
            return n, i


def protobuf(b):
    i, out = 0, {}
    while i < len(b):
        tag, i = varint(b, i)
        n, i = varint(b, i)
        if tag & 7 == 2:
            out[tag >> 3] = b[i:i + n]
            i += n
    return out


def ask(app, i):
    """Every other one by protobuf; every fourth connection stays open."""
    c = http.client.HTTPSConnection("127.0.0.1", PORT, context=context(CERTS / "root-ca.crt", APPS / f"{app}.crt", APPS / f"{app}.key"), timeout=20)
    if i % 2:
        c.request("POST", "/prpc/GetAppKey", b"", {"Content-Type": "application/octet-stream"})
        r = c.getresponse()
        m = protobuf(r.read())
        keys = m[FIELD["disk_crypt_key"]], m[FIELD["env_crypt_key"]], m[FIELD["k256_key"]]
    else:
        c.request("POST", "/prpc/GetAppKey?json", b"{}", {"Content-Type": "application/json"})
        r = c.getresponse()
        m = json.loads(r.read())
        keys = tuple(bytes.fromhex(m[k]) for k in ("disk_crypt_key", "env_crypt_key", "k256_key"))
    if i % 4 > 1:
        c.close()
        c = None
    return c, keys


FIELD = {m[1]: int(m[2]) for m in re.finditer(r"(\w+) = (\d+);", re.search(r"message AppKeyResponse \{(.*?)\n\}", Path("proto/kms.proto").read_text(), re.S)[1])}
apps = sorted(p.stem for p in APPS.glob("*.crt"))
keys, held = {}, []
for i, app in enumerate(apps):
    conn, got = ask(app, i)
    held.append(conn)
    keys.update({f"{what} of app {i}": k for what, k in zip(("disk key", "environment key", "secp256k1 key"), got)})
check(f"{len(apps)} apps got their keys, no two the same", len(set(keys.values())) == 3 * len(apps) == 300)
time.sleep(0.5)

roots = {}
for name in ("root-ca.key", "root-k256.key"):
    text = (CERTS / name).read_bytes()
    if text.startswith(b"-----"):
        out = subprocess.run(["openssl", "pkey", "-in", CERTS / name, "-text", "-noout"], capture_output=True, check=True, text=True).stdout
        text = bytes.fromhex(re.sub(r"[\s:]", "", re.search(r"priv:(.*?)pub:", out, re.S)[1]))[-32:]
    roots[name] = text[-32:]
app_hits, loose, locked = [], [], set()
for name, comm, flags, where in search(tree(KMS), keys | roots):
    if name not in roots:
        app_hits.append(where)
    elif "lo" in flags and "dd" in flags and comm == "kms-keys":
        locked.add(name)
    else:
        loose.append(where)
check("km_16 no key of an app is in the memory of any process", not app_hits, f"{len(app_hits)}: " + "; ".join(app_hits[:12]))
check("km_16 the roots are in locked pages that are not dumped, of the key process only", not loose, "; ".join(loose[:12]))
check("where this finds them", locked == set(roots), locked)
cores = [pid for pid in tree(KMS) if not re.search(r"Max core file size +0 +0 ", Path(f"/proc/{pid}/limits").read_text())]
check("km_16 no process writes a core", not cores, cores)
sys.exit(failed != 0)
