"""Every key of a page's first toml block must be one that --help-config prints: keys.py PAGE HELP"""
import re
import sys
import tomllib


def flat(table, head=""):
    for key, value in table.items():
        items = value if isinstance(value, list) and value and isinstance(value[0], dict) else [value]
        for item in items:
            if isinstance(item, dict):
                yield from flat(item, f"{head}{key}.")
            else:
                yield head + key


def printed(text):
    section = ""
    for line in text.splitlines():
        if m := re.fullmatch(r"#? ?\[\[?([\w.]+)\]\]?.*", line):
            section = m[1] + "."
        elif m := re.fullmatch(r'(?:# )?([\w.]+) = ("[^"]*"|\[.*\]|true|false|-?[\d.]+)(\s+#.*)?', line):
            yield section + m[1]


with open(sys.argv[1]) as f:
    page = f.read()
with open(sys.argv[2]) as f:
    known = set(printed(f.read()))
block = re.search(r"^```toml\n(.*?)^```", page, re.M | re.S)
used = set(flat(tomllib.loads(block[1]))) if block else set()
if not known:
    sys.exit("no keys in --help-config")
if unknown := sorted(used - known):
    sys.exit("unknown: " + ", ".join(unknown))
print(f"{len(used)} keys")
