"""RB-06 on a KMS under load: its processes are killed, one after the other, and the others go on."""
import collections
import os
import random
import signal
import statistics
import sys
import time
from pathlib import Path

from clients import Clients, context

KMS, PORT, CERTS, CERT, KEY, VM_CONFIG, LOG, SECONDS = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:8], 1.0
JUDGES, KILLS, OTHERS = 5, 50, 4
rnd = random.Random(6)
failed = 0


def check(text, good, more=""):
    global failed
    failed += not good
    print(f"{'ok' if good else 'not ok'} - {text}", *([f"\n  # {more}"] if not good and more != "" else []), flush=True)


def children(name):
    out = []
    for pid in Path(f"/proc/{KMS}/task/{KMS}/children").read_text().split():
        try:
            if Path(f"/proc/{pid}/comm").read_text().strip() == name and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0]:
                out.append(int(pid))
        except OSError:
            pass
    return out


def until(seconds, what):
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.0005)
    return True


def replaced(name, pid, want):
    """Kills it; milliseconds till as many as before are there without it."""
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    there = until(5, lambda: (now := children(name)) and pid not in now and len(now) == want)
    return (time.monotonic() - began) * 1000 if there else 5000.0


def serves(clients, body):
    """Milliseconds from now till the first answer with keys."""
    began = time.monotonic()

    def one():
        try:
            return clients.once(body) == ""
        except OSError:
            return False
    return (time.monotonic() - began) * 1000 if until(5, one) else 5000.0


def fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def times(what, ms):
    print(f"# {what}: {len(ms)} times, median {statistics.median(ms):.1f} ms, longest {max(ms):.1f} ms", flush=True)
    check(f"rb_06 {what}: another one within 100 ms", statistics.median(ms) < 100 and max(ms) < 1000, ms)


def codes(clients, since):
    return collections.Counter(c for b, _, c in list(clients.results)[since:])


with Clients(PORT, context(CERTS / "root-ca.crt", CERT, KEY), Path(VM_CONFIG).read_text(), 4) as load:
    check("clients get keys", until(10, lambda: sum(c == "" for *_, c in load.results) > 20), codes(load, 0))
    net, keys = children("kms-net")[0], children("kms-keys")[0]
    before = (fds(KMS), len(children("kms-judge")))

    # Judges, at random moments: nobody notices.
    at, ms = len(load.results), []
    for _ in range(KILLS):
        ms.append(replaced("kms-judge", rnd.choice(children("kms-judge")), JUDGES))
        time.sleep(rnd.random() * 0.02)
    time.sleep(0.2)
    seen = codes(load, at)
    print(f"# beside {KILLS} killed judges: {dict(seen)}", flush=True)
    check(f"rb_06 {KILLS} judges killed: every client got its keys each time", set(seen) == {""} and seen[""] > KILLS, seen)
    times("a judge killed", ms)
    check("the network and the key process are the same", (children("kms-net"), children("kms-keys")) == ([net], [keys]))
    check("no descriptor and no process is left over", until(3, lambda: (fds(KMS), len(children("kms-judge"))) == before),
          (before, fds(KMS), len(children("kms-judge"))))

    # Evidence that crashes who reads it.
    body = load.body(0, "CRASH-THE-JUDGE")
    at = len(load.results)
    check("rb_06 evidence that crashes two judges is refused", (code := load.once(body)) == "kms.judge_ended", code)
    until(3, lambda: len(children("kms-judge")) == JUDGES)
    lost = set(children("kms-judge"))
    check("and not looked at again", (code := load.once(body)) == "kms.judge_ended" and lost == set(children("kms-judge")), code)
    stop = load.body(0, "STOP-THE-JUDGE")
    began = time.monotonic()
    check("rb_06 evidence that stops its judge is refused", (code := load.once(stop)) == "kms.judge_ended", code)
    took = time.monotonic() - began
    check("when its time is over, twice", 2 * SECONDS <= took < 2 * SECONDS + 3, took)
    check("five judges are there", until(3, lambda: len(children("kms-judge")) == JUDGES), children("kms-judge"))
    seen = codes(load, at)
    check("and the others got their keys meanwhile", set(seen) == {""} and seen[""] > 10, seen)

    # The key process: what was asked of it may be asked again, no connection breaks.
    at, ms = len(load.results), []
    for _ in range(OTHERS):
        ms.append(replaced("kms-keys", children("kms-keys")[0], 1))
        serves(load, load.body(1))
        time.sleep(0.3)
    seen = codes(load, at)
    print(f"# beside {OTHERS} killed key processes: {dict(seen)}", flush=True)
    check("key processes killed: keys, or kms.key_process", set(seen) <= {"", "kms.key_process"} and seen[""] > 10, seen)
    times("the key process killed", ms)
    check("the network process is the same", children("kms-net") == [net])

    # The network process: new connections wait for the next one.
    at, ms, up = len(load.results), [], []
    for _ in range(OTHERS):
        ms.append(replaced("kms-net", children("kms-net")[0], 1))
        up.append(serves(load, load.body(1)))
        time.sleep(0.3)
    seen = codes(load, at)
    print(f"# beside {OTHERS} killed network processes: {dict(seen)}; keys again after {[round(x) for x in up]} ms", flush=True)
    check("network processes killed: keys, or a connection that broke", set(seen) <= {"", "connection"} and seen[""] > 10, seen)
    times("the network process killed", ms)
    check("and serves a moment later", max(up) < 2000, up)
    check("as many judges as before", until(3, lambda: len(children("kms-judge")) == JUDGES), children("kms-judge"))
    check("no descriptor is left over", fds(KMS) == before[0], (before[0], fds(KMS)))

given = sum(c == "" for *_, c in load.results)
log = Path(LOG).read_text()
recorded = log.count('"event":"key-release","ok":true')
check(f"each of {given} answers with keys has its record", recorded >= given, recorded)
check("the refusals are in the log", log.count('"code":"kms.judge_ended"') >= 3)
check("one app, one key", len(load.secrets) == 1)
sys.exit(failed != 0)
