#!/usr/bin/env python3
"""Writes text files as C strings, for programs that carry their pages: embed.py OUT.c NAME=FILE..."""
import pathlib
import sys


def rows(data):
    signed = [b - 256 if b > 127 else b for b in data + b"\0"]
    for i in range(0, len(signed), 24):
        yield "\t" + ", ".join(map(str, signed[i : i + 24])) + ","


out = ["// Written by scripts/embed.py.\n"]
for pair in sys.argv[2:]:
    name, file = pair.split("=", 1)
    body = "\n".join(rows(pathlib.Path(file).read_text().encode()))
    out.append(f"extern const char {name}[];\nconst char {name}[] = {{\n{body}\n}};\n")
pathlib.Path(sys.argv[1]).write_text("\n".join(out))
