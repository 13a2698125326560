#!/usr/bin/python3
"""Write a directory as a gzipped newc archive whose bytes depend on names, modes and contents alone.

    cpio.py DIRECTORY OUT

Own writer: file times, owners, inode and device numbers of the build machine have no place in a measured file.
"""
import gzip
import os
import stat
import sys

MTIME = 1700000000


def entry(out, number, name, mode, data):
    path = name.encode() + b"\0"
    head = (number, mode, 0, 0, 1, MTIME, len(data), 0, 0, 0, 0, len(path), 0)
    out.write(b"070701" + b"".join(b"%08X" % value for value in head) + path)
    out.write(b"\0" * (-(110 + len(path)) % 4) + data + b"\0" * (-len(data) % 4))


def files(top):
    for folder, folders, names in os.walk(top):
        for name in folders + names:
            yield os.path.relpath(os.path.join(folder, name), top)


def main(top, target):
    with open(target, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, 0) as out:
        for number, name in enumerate(sorted(files(top)), 1):
            path = os.path.join(top, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                entry(out, number, name, 0o120777, os.readlink(path).encode())
            elif stat.S_ISDIR(mode):
                entry(out, number, name, 0o040755, b"")
            else:
                with open(path, "rb") as source:
                    entry(out, number, name, 0o100755 if mode & 0o100 else 0o100644, source.read())
        entry(out, 0, "TRAILER!!!", 0, b"")


main(sys.argv[1], sys.argv[2])
