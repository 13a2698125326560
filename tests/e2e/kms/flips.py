"""KM-14: the policy turns to no while guests are between evidence and key, 1,000 times: no key after the turn is acknowledged."""
import collections
import http.client
import json
import os
import socket
import sys
import time
from pathlib import Path

from clients import Clients, context

PORT, CERTS, CERT, KEY, ADMIN, TOKEN, POLICY, LOG, APP = int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:7], Path(sys.argv[7]), sys.argv[8], sys.argv[9]
REVOKED, FILED = 500, 500
LATE_S = 1.0  # an answer that had left before is read by a thread that has other things to do
failed = 0


def check(text, good, more=""):
    global failed
    failed += not good
    print(f"{'ok' if good else 'not ok'} - {text}", *([f"\n  # {more}"] if not good and more != "" else []), flush=True)


class Admin(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(ADMIN)

    def call(self, method, body):
        self.request("POST", f"/prpc/{method}?json", json.dumps(body), {"Content-Type": "application/json", "X-Admin-Token": TOKEN})
        r = self.getresponse()
        answer = r.read()
        assert r.status == 200, answer
        return json.loads(answer)


class Log:
    """What was added to the audit log since one looked last."""
    def __init__(self):
        self.f = open(LOG, "rb")
        self.f.seek(0, os.SEEK_END)

    def releases(self):
        return sum(b'"event":"key-release","ok":true' in line for line in self.f)


admin, log = Admin("kms"), Log()
text = POLICY.read_text()


def write_policy(t):
    new = POLICY.with_suffix(".new")
    new.write_text(t)
    os.replace(new, POLICY)


def revoke_no():
    admin.call("Revoke", {"kind": "app", "value": APP})


def revoke_yes():
    admin.call("Revoke", {"kind": "app", "value": APP, "lift": True})


def file_no():
    write_policy(text.replace(f'id = "{APP}"', f'id = "{APP}"\nsuspended = true'))
    admin.call("GetKeyPolicy", {})  # answers when nothing decided before can leave any more


def file_yes():
    write_policy(text)


def race(load, rounds, no, yes, code):
    """Each: wait till keys come, turn, look; the count of releases whose record came after, and of guests asked after that got keys."""
    recorded, windows, hit, latest = 0, [], 0, 0.0
    for _ in range(rounds):
        n, end = len(load.results), time.monotonic() + 5
        while not any(c == "" for *_, c in load.results[n:]) and time.monotonic() < end:
            time.sleep(0.0002)
        no()
        acknowledged = time.monotonic()
        log.releases()
        n = len(load.results)
        while len(load.results) < n + 4 and time.monotonic() < acknowledged + 5:
            time.sleep(0.0002)
        recorded += log.releases()
        windows.append((acknowledged, time.monotonic()))
        yes()
    results = sorted(load.results)
    asked = 0
    for begin, stop in windows:
        during = [(b, e, c) for b, e, c in results if b < begin < e]
        hit += bool(during)
        latest = max([latest, *(e - begin for _, e, c in during if c == "")])
        asked += sum(c == "" for b, e, c in results if begin < b and e < stop)
    check(f"km_14 {rounds} turns {code}: no key is released after one is acknowledged", recorded == 0, recorded)
    check("nobody who asked after it got one", asked == 0, asked)
    check("keys of before were out by then", latest < LATE_S, latest)
    print(f"# {hit} of {rounds} turns had a request under way when they were acknowledged; a key that had left before was read {latest * 1000:.1f} ms later at most", flush=True)
    check("turns and requests met", hit > rounds // 2, hit)


with Clients(PORT, context(CERTS / "root-ca.crt", CERT, KEY), "", 6, fresh=False) as load:
    race(load, REVOKED, revoke_no, revoke_yes, "by dstack kms revoke")
    race(load, FILED, file_no, file_yes, "of the policy file")
seen = collections.Counter(c for *_, c in load.results)
print(f"# {dict(seen)}", flush=True)
check("it was yes or one of two noes", set(seen) <= {"", "revoked.app", "policy.app_suspended"}, seen)
check("and each of them often", min(seen.values()) > 500 and len(seen) == 3, seen)
sys.exit(failed != 0)
