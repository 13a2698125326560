#!/usr/bin/env python3
"""Makes NAME-messages.json: golden bytes and texts of every message of proto/NAME.proto, for guest, host and kms.

Run by hand when a .proto changes, from the project's root: python3 tests/vectors/messages.py [NAME...]
The bytes come from protoc (Google's encoder), the texts from this file's own reading of the JSON mapping;
neither shares code with lib/rpc. Needs protoc. README.md says what the cases are.
"""
import json
import re
import subprocess
import sys

ODD = 'caf\u00e9 \u2603 \U0001f600 "q" \\ / \n\t\u0001'
ZERO = {"string": "", "bytes": b"", "bool": False, "uint32": 0, "uint64": 0, "int64": 0}
EDGE = {"uint32": 2**32 - 1, "uint64": 2**64 - 1, "int64": -(2**63)}


def messages(text):
    found = {}
    for name, body in re.findall(r"^message (\w+) \{\n(.*?)^\}", text, re.S | re.M):
        fields = []
        for line in body.splitlines():
            line = line.split("//")[0].rstrip()
            if not line:
                continue
            m = re.fullmatch(r"\s*(oneof \w+ \{ |repeated |)(\w+) (\w+) = (\d+);( \})?", line)
            assert m, line
            fields.append((m[1].split(" ")[0], m[2], m[3], int(m[4])))
        found[name] = sorted(fields, key=lambda f: f[3])
    return found


class Maker:
    def __init__(self, package):
        self.package = package
        self.types = messages(open(f"proto/{package}.proto").read())

    def one(self, kind, name, number, case, i):
        if kind in self.types:
            return self.values(kind, case)
        if kind == "string":
            return f"{name} {i}" if case == "plain" else ODD
        if kind == "bytes":
            return bytes(range(number + i)) if case == "plain" else b"\x00\xff\x80\x7f" * 40
        if kind == "bool":
            return True
        return 1700000000 + number if case == "plain" else EDGE[kind]

    def values(self, message, case):
        out = {}
        for label, kind, name, number in self.types[message]:
            if case == "zero":
                if label == "oneof":
                    out[name] = ZERO[kind]
                elif kind in self.types and label != "repeated":
                    out[name] = {}
            elif case != "defaults":
                if label == "repeated":
                    out[name] = [self.one(kind, name, number, case, i) for i in range(2)]
                    if case == "edges":
                        out[name].insert(1, type(out[name][0])())
                else:
                    out[name] = self.one(kind, name, number, case, 0)
        return out

    def text_format(self, message, vals):
        lines = []
        for _, kind, name, _ in self.types[message]:
            v = vals.get(name)
            for one in v if isinstance(v, list) else [] if v is None else [v]:
                if isinstance(one, dict):
                    lines.append(f"{name} {{ {self.text_format(kind, one)} }}")
                elif isinstance(one, bool):
                    lines.append(f"{name}: {'true' if one else 'false'}")
                elif isinstance(one, int):
                    lines.append(f"{name}: {one}")
                else:
                    raw = one.encode() if isinstance(one, str) else one
                    lines.append(f"{name}: \"" + "".join(f"\\{b:03o}" for b in raw) + '"')
        return "\n".join(lines)

    def encode(self, message, vals):
        done = subprocess.run(["protoc", "-Iproto", f"--encode={self.package}.{message}", f"proto/{self.package}.proto"],
                              input=self.text_format(message, vals).encode(), stdout=subprocess.PIPE, check=True)
        return done.stdout.hex()

    def tree(self, message, vals):
        def one(kind, v):
            return self.tree(kind, v) if isinstance(v, dict) else v.hex() if isinstance(v, bytes) else v

        out = {}
        for label, kind, name, _ in self.types[message]:
            empty = [] if label == "repeated" else None if label == "oneof" else ZERO.get(kind)
            v = vals.get(name, empty)
            if (message, name) == ("GetQuoteResponse", "attestation") and not v:
                continue
            out[name] = [one(kind, x) for x in v] if isinstance(v, list) else one(kind, v)
        return out

    def has_zero(self, message):
        return any(f[0] == "oneof" or (f[1] in self.types and f[0] != "repeated") for f in self.types[message])

    def cases(self):
        for message in self.types:
            for case in ["defaults", "plain", "edges"] + (["zero"] if self.has_zero(message) else []):
                vals = self.values(message, case)
                yield {"message": message, "case": case, "protobuf": self.encode(message, vals),
                       "json": json.dumps(self.tree(message, vals), separators=(",", ":"))}


for package in sys.argv[1:] or ["guest", "host", "kms"]:
    lines = ",\n".join("  " + json.dumps(c) for c in Maker(package).cases())
    open(f"tests/vectors/{package}-messages.json", "w").write("[\n" + lines + "\n]\n")
