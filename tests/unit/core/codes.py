#!/usr/bin/env python3
# Every stable code that the tree can report is explained: string literals of the form "stage.what", or that begin with
# "stage.what: ", in the C sources, except keys of configuration tables and the names below, and the codes that the
# guest's boot scripts print, must all be in the catalogue behind `dstack explain`.
#   codes.py SOURCE-ROOT DSTACK     DSTACK: the built program
import json
import re
import subprocess
import sys
from pathlib import Path

LITERAL = re.compile(r'"([a-z][a-z0-9_]*\.[a-z][a-z0-9_]*)(?:"|: )')
KEY = re.compile(r'"([a-z][a-z0-9_]*\.[a-z][a-z0-9_]*)",\s*CONFIG_')
SHELL = re.compile(r'(?:say "|failed |die )([a-z]+\.[a-z_]+)')
FOLDERS = ["lib", "auth", "softtee", "guest", "vmm", "kms", "gateway", "cli", "verifier"]
# What looks like a code and is none.
OTHER = {
    "boot.error", "boot.progress", "instance.info", "shutdown.progress",  # events for the VMM
    "dstack.rootfs_device", "dstack.rootfs_hash", "dstack.rootfs_size",  # the kernel's command line
    "dstack.localhost", "guest.sock", "host.sock", "qmp.sock", "tee.sock", "tpm.sock", "vsock.sock",
    "crio.sock", "docker.sock", "dstack.sock", "podman.sock", "tappd.sock",
    "pck.sgx", "pck_crl.revoked", "root_crl.revoked",  # names of fields in recipes of dstack-softtee forge
    "audit.peer", "network.forward", "policy.source", "rpc.root", "vmm.exit",  # lists of tables, an event of `dstack ls`
}
FILES = {
    "audit.heads", "audit.log", "audit.peers", "keypolicy.json", "keypolicy.seen",
    "ca.crt", "config.toml", "hda.img", "launch.json", "metadata.json", "mkfs.ext4",
    "newest.json", "newest.lock", "rotation.json", "rpc.crt", "runner.lock",
    "runner.log", "runtime_event.intent", "runtime_event.lock", "runtime_events.log", "serial.log", "serial.pty",
    "sha256sum.txt", "stderr.log", "tee.log", "verification.json",
}


def emitted(root):
    codes, keys = {}, set()
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.[ch]")):
            if path.name.startswith("reason"):
                continue
            text = re.sub(r"//[^\n]*|#include[^\n]*", "", path.read_text())
            keys.update(KEY.findall(text))
            for code in LITERAL.findall(text):
                codes.setdefault(code, path.relative_to(root))
    for path in sorted((root / "os/rootfs").rglob("*")):
        if path.is_file() and not path.is_symlink():
            for code in SHELL.findall(path.read_text(errors="replace")):
                codes.setdefault(code, path.relative_to(root))
    return {c: p for c, p in codes.items() if c not in keys | OTHER | FILES}


def main():
    root, dstack = Path(sys.argv[1]), sys.argv[2]
    out = subprocess.run([dstack, "explain", "--json"], check=True, capture_output=True, text=True).stdout
    known = {json.loads(line)["code"] for line in out.splitlines()}
    codes = emitted(root)
    missing = [f"{c}  (in {p})" for c, p in sorted(codes.items()) if c not in known]
    if missing:
        print("not ok - codes that `dstack explain` does not know; add them to lib/core/verdict/reason_*.c:")
        print("\n".join("  " + m for m in missing))
        return 1
    print(f"ok - all {len(codes)} codes are explained")
    return 0


sys.exit(main())
