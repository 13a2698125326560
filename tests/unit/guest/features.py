#!/usr/bin/env python3
"""A page of features (docs/guest-agent-features.md, docs/kms-features.md): its rows are numbered from 1 on, each has a
state and a test, and every test named is there.
   features.py SOURCE-ROOT PAGE ROWS
"""
import re
import sys
from pathlib import Path

root = Path(sys.argv[1])
wrong, rows, refs = [], [], 0
for line in (root / sys.argv[2]).read_text().splitlines():
    cells = [c.strip() for c in line.strip("|").split(" | ")] if line.startswith("| ") else []
    if not cells or cells[0] in ("#", "what"):
        continue
    if cells[0].isdigit():
        rows.append(int(cells[0]))
        if len(cells) != 4 or not re.match(r"done\b|partly: |other: ", cells[2]):
            wrong.append(f"row {cells[0]}: no state")
    tests = re.findall(r"`([^`]+):([^`]+)`", cells[-1].rstrip("| "))
    if not tests:
        wrong.append(f"row {cells[0]}: no test")
    # a name may hold a colon; a path does not
    for whole in re.findall(r"`([^`]+)`", cells[-1]):
        path, _, text = whole.partition(":")
        refs += 1
        file = root / "tests" / path
        if not file.is_file() or text not in file.read_text():
            wrong.append(f"row {cells[0]}: {whole} is not there")
if rows != list(range(1, int(sys.argv[3]) + 1)):
    wrong.append(f"rows are {rows}")
print("\n".join("not ok - " + w for w in wrong) or f"ok - {len(rows)} features, {refs} tests named, all there")
sys.exit(1 if wrong else 0)
