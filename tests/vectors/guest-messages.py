#!/usr/bin/env python3
"""Makes guest-messages.json: golden bytes and texts of every message of proto/guest.proto.

Run by hand when the .proto changes, from the project's root: python3 tests/vectors/guest-messages.py
The bytes come from protoc (Google's encoder), the texts from this file's own reading of the JSON mapping;
neither shares code with lib/rpc. Needs protoc.
"""
import json
import re
import subprocess

PROTO = "proto/guest.proto"
ODD = 'caf\u00e9 \u2603 \U0001f600 "q" \\ / \n\t\u0001'


def messages(text):
    for name, body in re.findall(r"^message (\w+) \{\n(.*?)^\}", text, re.S | re.M):
        fields = []
        for line in body.splitlines():
            m = re.fullmatch(r"\s*(oneof \w+ \{ |repeated |)(string|bytes|bool|uint64) (\w+) = (\d+);( \})?", line)
            assert m, line
            fields.append((m[1].split(" ")[0], m[2], m[3], int(m[4])))
        yield name, sorted(fields, key=lambda f: f[3])


def scalar(kind, name, number, case, i):
    if kind == "string":
        return f"{name} {i}" if case == "plain" else ODD
    if kind == "bytes":
        return bytes(range(number + i)) if case == "plain" else b"\x00\xff\x80\x7f" * 40
    if kind == "bool":
        return True
    return 1700000000 + number if case == "plain" else 2**64 - 1


def values(fields, case):
    out = {}
    for label, kind, name, number in fields:
        if case == "zero":
            if label == "oneof":
                out[name] = 0
        elif case != "defaults":
            if label == "repeated":
                out[name] = [scalar(kind, name, number, case, i) for i in range(2)]
                if case == "edges":
                    out[name].insert(1, type(out[name][0])())
            else:
                out[name] = scalar(kind, name, number, case, 0)
    return out


def text_format(kind, v):
    if kind == "bool":
        return "true" if v else "false"
    if kind == "uint64":
        return str(v)
    raw = v.encode() if kind == "string" else v
    return '"' + "".join(f"\\{b:03o}" for b in raw) + '"'


def encode(message, fields, vals):
    lines = []
    for _, kind, name, _ in fields:
        v = vals.get(name)
        for one in v if isinstance(v, list) else [] if v is None else [v]:
            lines.append(f"{name}: {text_format(kind, one)}")
    done = subprocess.run(["protoc", "-Iproto", f"--encode=guest.{message}", PROTO],
                          input="\n".join(lines).encode(), stdout=subprocess.PIPE, check=True)
    return done.stdout.hex()


def to_json(message, fields, vals):
    def one(v):
        return v.hex() if isinstance(v, bytes) else v

    out = {}
    for label, kind, name, _ in fields:
        empty = [] if label == "repeated" else None if label == "oneof" else \
            {"string": "", "bytes": b"", "bool": False, "uint64": 0}[kind]
        v = vals.get(name, empty)
        if (message, name) == ("GetQuoteResponse", "attestation") and not v:
            continue
        out[name] = [one(x) for x in v] if isinstance(v, list) else one(v)
    return json.dumps(out, separators=(",", ":"))


def main():
    cases = []
    for message, fields in messages(open(PROTO).read()):
        for case in ["defaults", "plain", "edges"] + (["zero"] if any(f[0] == "oneof" for f in fields) else []):
            vals = values(fields, case)
            cases.append({"message": message, "case": case, "protobuf": encode(message, fields, vals),
                          "json": to_json(message, fields, vals)})
    lines = ",\n".join("  " + json.dumps(c) for c in cases)
    open("tests/vectors/guest-messages.json", "w").write("[\n" + lines + "\n]\n")


main()
