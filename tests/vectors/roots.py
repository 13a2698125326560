#!/usr/bin/env python3
"""Makes roots.json: known answers of root sets after the first, from the formulas in docs/kms-roots.md and spec 20.

Run by hand from the project's root: python3 tests/vectors/roots.py. Python's standard library only, shares no code with
lib/: HKDF, both curves, RFC 6979, Keccak and the PKCS#8 bytes are written out here.
"""
import hashlib
import hmac
import json

P256 = (2**256 - 2**224 + 2**192 + 2**96 - 1, -3, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
         0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5))
K1 = (2**256 - 2**32 - 977, 0, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
      (0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
       0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8))


def add(curve, p, q):
    m, a = curve[0], curve[1]
    if p is None or q is None:
        return p or q
    if p[0] == q[0]:
        if (p[1] + q[1]) % m == 0:
            return None
        s = (3 * p[0] * p[0] + a) * pow(2 * p[1], -1, m)
    else:
        s = (q[1] - p[1]) * pow(q[0] - p[0], -1, m)
    x = (s * s - p[0] - q[0]) % m
    return x, (s * (p[0] - x) - p[1]) % m


def mul(curve, k, p=None):
    p, r = p or curve[3], None
    while k:
        if k & 1:
            r = add(curve, r, p)
        p, k = add(curve, p, p), k >> 1
    return r


def be(n, size=32):
    return n.to_bytes(size, "big")


def keccak256(data):
    rc, lfsr = [], 1
    for _ in range(24):
        c = 0
        for j in range(7):
            if lfsr & 1:
                c |= 1 << ((1 << j) - 1)
            lfsr = (lfsr << 1) ^ (0x171 if lfsr & 0x80 else 0)
        rc.append(c)
    rot = lambda v, n: ((v << n) | (v >> (64 - n))) & (2**64 - 1) if n else v
    state = [[0] * 5 for _ in range(5)]
    data = bytearray(data) + b"\x01" + bytes(135 - len(data) % 136)
    data[-1] |= 0x80
    for at in range(0, len(data), 136):
        for i in range(17):
            state[i % 5][i // 5] ^= int.from_bytes(data[at + 8 * i:at + 8 * i + 8], "little")
        for c in rc:
            col = [state[x][0] ^ state[x][1] ^ state[x][2] ^ state[x][3] ^ state[x][4] for x in range(5)]
            for x in range(5):
                d = col[x - 1] ^ rot(col[(x + 1) % 5], 1)
                for y in range(5):
                    state[x][y] ^= d
            x, y, cur = 1, 0, state[1][0]
            for t in range(24):
                x, y = y, (2 * x + 3 * y) % 5
                cur, state[x][y] = state[x][y], rot(cur, (t + 1) * (t + 2) // 2 % 64)
            for y in range(5):
                row = [state[x][y] for x in range(5)]
                for x in range(5):
                    state[x][y] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5] & (2**64 - 1))
            state[0][0] ^= c
    return b"".join(state[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


def hkdf(salt, ikm, info):
    return hmac.new(hmac.new(salt, ikm, hashlib.sha256).digest(), info + b"\x01", hashlib.sha256).digest()


def sign(d, digest):
    n, z = K1[2], int.from_bytes(digest, "big")
    k, v = b"\x00" * 32, b"\x01" * 32
    mac = lambda key, data: hmac.new(key, data, hashlib.sha256).digest()
    for tag in b"\x00", b"\x01":
        k = mac(k, v + tag + be(d) + be(z % n))
        v = mac(k, v)
    v = mac(k, v)
    nonce = int.from_bytes(v, "big")
    assert 0 < nonce < n
    p = mul(K1, nonce)
    r = p[0] % n
    s = pow(nonce, -1, n) * (z + r * d) % n
    odd = p[1] & 1
    if s > n // 2:
        s, odd = n - s, odd ^ 1
    assert p[0] < n
    return be(r) + be(s) + bytes([odd])


def compressed(d):
    x, y = mul(K1, d)
    return bytes([2 + (y & 1)]) + be(x)


def spki(d):
    x, y = mul(P256, d)
    return bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + b"\x04" + be(x) + be(y)


def pkcs8(d):
    x, y = mul(P256, d)
    return (bytes.fromhex("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420") + be(d) +
            bytes.fromhex("a144034200") + b"\x04" + be(x) + be(y))


def scalar(n, data):
    d = int.from_bytes(data, "big")
    assert 0 < d < n
    return d


def derive_p256(root, *parts):
    return scalar(P256[2], hkdf(b"RATLS", be(root), b"".join(parts)))


def epoch_root(label, root, n, epoch, seed):
    info = label + b"\x00" + be(epoch, 8) + hashlib.sha256(seed).digest()
    for ctr in range(256):
        d = int.from_bytes(hkdf(b"DSTACK-KMS-EPOCH-V1", be(root), info + bytes([ctr])), "big")
        if 0 < d < n:
            return d


def made(n, text):
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") % n


def keys(ca, k, epoch, seed, app, inst):
    eca, ek = epoch_root(b"ca-p256", ca, P256[2], epoch, seed), epoch_root(b"k256", k, K1[2], epoch, seed)
    own = scalar(K1[2], hkdf(b"RATLS", be(ek), app + b"app-key"))
    return {
        "disk_crypt_key": hashlib.sha256(pkcs8(derive_p256(eca, app, inst, b"app-disk-crypt-key"))).digest(),
        "env_crypt_key": hashlib.sha256(pkcs8(derive_p256(eca, app, b"env-encrypt-key"))).digest(),
        "k256_key": be(own),
        "k256_signature": sign(k, keccak256(b"dstack-kms-issued:" + app + compressed(own))),
        "app_ca_spki": spki(derive_p256(ca, app, b"app-ca")),
    }


def main():
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    sets = [(made(P256[2], f"ca {r}"), made(K1[2], f"k256 {r}")) for r in range(3)]
    rotations, cases = [], []
    for r in (1, 2):
        (ca, k), time = sets[r], 1790000000 + r
        digest = keccak256(b"dstack-kms-root-rotation:" + be(r, 8) + be(time, 8) + spki(ca) + compressed(k))
        rotations.append({
            "index": r, "time": time, "before_k256": be(sets[r - 1][1]), "ca": be(ca), "k256": be(k),
            "ca_pubkey": spki(ca), "k256_pubkey": compressed(k), "signature": sign(sets[r - 1][1], digest),
            "own_signature": sign(k, digest), "id": hashlib.sha256(spki(ca) + compressed(k)).digest()})
        for epoch, seed, inst in ((1, b"", bytes(range(20))), (2, b"", b""), (2**40, b"a deployment", bytes(range(20)))):
            app = bytes([r]) * 20
            cases.append({"root": r, "ca": be(ca), "k256": be(k), "epoch": epoch, "deployment_seed": seed, "app_id": app,
                          "instance_id": inst, **keys(ca, k, epoch, seed, app, inst)})
    with open("tests/vectors/roots.json", "w") as f:
        json.dump({"rotations": rotations, "cases": cases}, f, indent=1, default=lambda b: b.hex())
        f.write("\n")


main()
