#!/usr/bin/env python3
"""One self-contained page from its parts: a pure function of the files given, the same bytes everywhere.

build.py --wasm FILE --out PAGE [--c FILE] [--development-root DER] PAGE.HTML PAGE.CSS SCRIPT.JS...

--development-root makes the page that trusts this root instead of Intel's and says so in red; the released page
has no root but the one compiled into the module. --c writes the page as a C array, for programs that carry it.
"""
import argparse
import base64
import hashlib
import lzma
import pathlib
import sys

LIMIT = 120 * 1024  # tests/e2e/16-page.sh fails above


def digest(text):
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def packed(data):
    """LZMA without a header, in base 85 (RFC 1924's digits, but ',' for '<', which means something in HTML): unpack.js."""
    how = {"id": lzma.FILTER_LZMA1, "preset": 9 | lzma.PRESET_EXTREME, "lc": 3, "lp": 0, "pb": 0, "nice_len": 273}
    raw = lzma.compress(data, format=lzma.FORMAT_RAW, filters=[how])
    return base64.b85encode(raw).decode().replace("<", ",")


def bare(text):
    """Without the comments that have a line of their own, and without indentation."""
    lines = (line.strip() for line in text.splitlines())
    return "".join(line + "\n" for line in lines if line and not line.startswith("//"))


def fill(template, values):
    for name, value in values.items():
        if template.count("@" + name + "@") != 1:
            sys.exit(f"build.py: @{name}@ must be in the page exactly once")
        template = template.replace("@" + name + "@", value)
    return template


def c_source(page):
    rows = (page[i : i + 24] for i in range(0, len(page), 24))
    body = "\n".join("\t" + ", ".join(str(b) for b in row) + "," for row in rows)
    return (
        '#include "page.h"\n\nstatic const uint8_t bytes[] = {\n' + body + "\n};\n\n"
        "struct span verify_page(void)\n{\n\treturn span_of(bytes, sizeof bytes);\n}\n"
    )


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--wasm", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--c")
    p.add_argument("--development-root")
    p.add_argument("part", nargs="+")
    a = p.parse_args()
    html, css, *scripts = (pathlib.Path(f).read_text() for f in a.part)
    root = base64.b64encode(pathlib.Path(a.development_root).read_bytes()).decode() if a.development_root else ""
    wasm = pathlib.Path(a.wasm).read_bytes()
    script = f'const CORE = "{packed(wasm)}";\nconst CORE_SIZE = {len(wasm)};\nconst DEVELOPMENT_ROOT = "{root}";\n'
    script = '"use strict";\n' + script + "".join(bare(part) for part in scripts)
    page = fill(html, {"SCRIPT_HASH": digest(script), "STYLE_HASH": digest(bare(css)), "STYLE": bare(css)})
    page = fill(page, {"SCRIPT": script}).encode()
    pathlib.Path(a.out).write_bytes(page)
    if a.c:
        pathlib.Path(a.c).write_text(c_source(page))
    if len(page) > LIMIT:
        print(f"the page has more than {LIMIT} bytes", file=sys.stderr)
    print(f"{pathlib.Path(a.out).name}: {len(page)} bytes, sha256 {hashlib.sha256(page).hexdigest()}")


if __name__ == "__main__":
    main()
