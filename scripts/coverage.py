#!/usr/bin/env python3
"""The branches of `llvm-cov export`: a line a file, the total; the ones never taken with --show.

A branch is one outcome of one condition: each operand of && and || has two.
"""
import argparse
import json
import os
import sys


def missing(entry, text):
    """(line, column, condition, outcome) of every outcome that was never seen."""
    seen = {}
    for l1, c1, l2, c2, yes, no, _, _, _ in entry["branches"]:
        key = (l1, c1, l2, c2)
        was = seen.get(key, (0, 0))
        seen[key] = (was[0] + yes, was[1] + no)
    for (l1, c1, l2, c2), (yes, no) in sorted(seen.items()):
        if yes and no:
            continue
        what = text[l1 - 1][c1 - 1:c2 - 1] if l1 == l2 else text[l1 - 1][c1 - 1:].rstrip() + " …"
        yield l1, c1, what, "never reached" if not yes and not no else "never true" if not yes else "never false"


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--show", action="store_true")
    args.add_argument("--min", type=float, default=0)
    args.add_argument("--build", default="", help="a folder that the compiler put before every name")
    args.add_argument("export")
    args.add_argument("folder", nargs="+")
    args = args.parse_args()
    with open(args.export) as f:
        entries = json.load(f)["data"][0]["files"]
    total = taken = 0
    for entry in sorted(entries, key=lambda e: e["filename"]):
        name = os.path.normpath(entry["filename"]).removeprefix(args.build + "/")
        if not any(name.startswith(folder.rstrip("/") + "/") for folder in args.folder):
            continue
        count = entry["summary"]["branches"]
        if not count["count"]:
            continue
        total += count["count"]
        taken += count["covered"]
        print(f"{count['covered'] / count['count'] * 100:6.1f} %  {count['count'] - count['covered']:4d} of"
              f" {count['count']:4d} missing  {name}")
        if args.show:
            with open(name) as f:
                text = f.read().split("\n")
            for line, column, what, outcome in missing(entry, text):
                print(f"          {name}:{line}:{column}: {outcome}: {what}")
    if not total:
        sys.exit("no branches: are the folders right?")
    rate = taken / total * 100
    print(f"{rate:6.1f} %  {total - taken:4d} of {total:4d} missing  branches of {' '.join(args.folder)}")
    if rate < args.min:
        sys.exit(f"branch coverage is {rate:.1f} %, wanted are {args.min:g} %")


if __name__ == "__main__":
    main()
