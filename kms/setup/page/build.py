#!/usr/bin/env python3
"""One self-contained page of HTML, CSS and JS, as C, with the headers that let it run nothing else."""
import base64
import hashlib
import sys

html, css, js, out = sys.argv[1:]
read = lambda p: open(p, encoding="utf-8").read().strip()
css, js = read(css), read(js)
page = (read(html).replace("@CSS@", css).replace("@JS@", js) + "\n").encode()
hashed = lambda text: "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
policy = f"default-src 'none'; connect-src 'self'; style-src {hashed(css)}; script-src {hashed(js)}; " \
         "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
with open(out, "w", encoding="ascii") as f:
    f.write('// Made by kms/setup/page/build.py.\n#include "setup/setup_page.h"\n\n')
    f.write(f'const char setup_page_headers[] = "Content-Security-Policy: {policy}\\r\\n"\n'
            '\t"X-Content-Type-Options: nosniff\\r\\nReferrer-Policy: no-referrer\\r\\n'
            'Cache-Control: no-store\\r\\n";\n')
    f.write(f"const size_t setup_page_size = {len(page)};\nconst char setup_page[] = {{\n")
    for i in range(0, len(page), 24):
        f.write("\t" + " ".join(f"{b if b < 128 else b - 256}," for b in page[i:i + 24]) + "\n")
    f.write("};\n")
