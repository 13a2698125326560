#!/usr/bin/env python3
"""Correctness of the passthrough relay, from outside: relay.py PROXY_HOST:PORT BACKEND_HOST:PORT SNI PID [test ...]

Both ends of every connection are held here, so each byte and each end is seen. One line a test, TAP-like.
Run in a network namespace of its own; PID is the gateway's, to count descriptors afterwards."""
import hashlib, os, random, resource, socket, struct, sys, threading, time


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


PROXY, BACKEND, SNI, PID = address(sys.argv[1]), address(sys.argv[2]), sys.argv[3].encode(), int(sys.argv[4])


def make_hello():
    ext = struct.pack(">HHHBH", 0, len(SNI) + 5, len(SNI) + 3, 0, len(SNI)) + SNI
    body = b"\x03\x03" + os.urandom(32) + b"\0" + b"\0\2\x13\1" + b"\1\0" + struct.pack(">H", len(ext)) + ext
    message = b"\1" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\3\1" + struct.pack(">H", len(message)) + message


HELLO = make_hello()
LISTENER = socket.socket()
LISTENER.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
LISTENER.bind(BACKEND)
LISTENER.listen(4096)


def accept(timeout=5):
    LISTENER.settimeout(timeout)
    b, _ = LISTENER.accept()
    b.settimeout(20)
    b.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return b


def dial(rcvbuf=0):
    c = socket.socket()
    if rcvbuf:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    c.settimeout(20)
    c.connect(PROXY)
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return c


def exactly(s, n):
    got = b""
    while len(got) < n:
        x = s.recv(n - len(got))
        if not x:
            break
        got += x
    return got


def pair(rcvbuf=0):
    c = dial(rcvbuf)
    c.sendall(HELLO)
    b = accept()
    assert exactly(b, len(HELLO)) == HELLO, "the hello differs"
    return c, b


def pump(sink, data, chunk=None, pause=0, shut=False):
    try:
        at = 0
        while at < len(data):
            n = chunk() if chunk else 65536
            sink.sendall(data[at:at + n])
            at += n
            if pause:
                time.sleep(random.random() * pause)
        if shut:
            sink.shutdown(socket.SHUT_WR)
    except OSError as e:
        print("  # pump:", e)


def drain(s, n=None, pause=0, into=None):
    """(bytes, sha256, how it ended)"""
    digest, total, end = hashlib.sha256(), 0, "enough"
    while n is None or total < n:
        try:
            x = s.recv(65536 if n is None else min(65536, n - total))
        except OSError as e:
            end = type(e).__name__
            break
        if not x:
            end = "eof"
            break
        digest.update(x)
        total += len(x)
        if pause:
            time.sleep(random.random() * pause)
    result = (total, digest.hexdigest(), end)
    if into is not None:
        into.append(result)
    return result


def expected(data):
    return len(data), hashlib.sha256(data).hexdigest(), "eof"


def exchange(c, b, up, down, chunk=None, pause=0):
    """Both directions at once, each ended by a half-close."""
    got_b, got_c = [], []
    threads = [threading.Thread(target=pump, args=(c, up, chunk, pause, True)),
               threading.Thread(target=pump, args=(b, down, chunk, pause, True)),
               threading.Thread(target=drain, args=(b,), kwargs={"into": got_b}),
               threading.Thread(target=drain, args=(c,), kwargs={"into": got_c})]
    [t.start() for t in threads]
    [t.join(60) for t in threads]
    return got_b == [expected(up)] and got_c == [expected(down)], f"up {got_b} down {got_c}"


def close(*sockets):
    for s in sockets:
        s.close()


def test_handover():
    "bytes sent at any moment around the hello arrive once and in order"
    bad, rounds = [], 300
    for i in range(rounds):
        extra, reply = os.urandom(random.choice([0, 1, 100, 5000, 60000])), os.urandom(random.choice([0, 1, 300, 20000]))
        c = dial()
        c.sendall(HELLO + extra[:len(extra) // 2])
        if i % 3 == 0:
            time.sleep(random.random() * 0.002)
        b = accept()
        sender = threading.Thread(target=pump, args=(b, reply))
        sender.start()
        c.sendall(extra[len(extra) // 2:])
        want = HELLO + extra
        if drain(b, len(want))[1] != hashlib.sha256(want).hexdigest() or \
                drain(c, len(reply))[1] != hashlib.sha256(reply).hexdigest():
            bad.append(i)
        sender.join()
        close(c, b)
    return not bad, f"{len(bad)} of {rounds} wrong"


def test_dribble():
    "a hello in single bytes is put together"
    c = dial()
    for i in range(len(HELLO)):
        c.sendall(HELLO[i:i + 1])
        if i % 16 == 0:
            time.sleep(0.001)
    b = accept()
    good = exactly(b, len(HELLO)) == HELLO
    close(c, b)
    return good, "hello arrived whole" if good else "the hello differs"


def test_bulk():
    "60 MB both ways at once"
    c, b = pair()
    up, down = os.urandom(1 << 20) * 60, os.urandom(1 << 20) * 60
    good, text = exchange(c, b, up, down)
    close(c, b)
    return good, "same bytes" if good else text


def test_random():
    "random sizes, chunks and pauses"
    bad = []
    for _ in range(12):
        c, b = pair()
        up, down = os.urandom(random.randrange(1, 2000000)), os.urandom(random.randrange(1, 2000000))
        good, text = exchange(c, b, up, down, lambda: random.choice([1, 10, 1000, 16384, 70000]), 0.0005)
        if not good:
            bad.append(text)
        close(c, b)
    return not bad, f"{len(bad)} of 12 wrong {bad[:1]}"


def half_close(client_first):
    bad, rounds = [], 30
    for _ in range(rounds):
        c, b = pair()
        x, y = (c, b) if client_first else (b, c)
        there, back = os.urandom(random.choice([0, 1, 1000, 300000])), os.urandom(random.choice([1, 400000]))
        pump(x, there, shut=True)
        first = drain(y)
        answer = threading.Thread(target=pump, args=(y, back, None, 0, True))
        answer.start()
        second = drain(x)
        answer.join()
        if first != expected(there) or second != expected(back):
            bad.append((first, second))
        close(c, b)
    return not bad, f"{len(bad)} of {rounds} wrong {bad[:1]}"


def test_half_client():
    "the client ends first, the answer still comes whole"
    return half_close(True)


def test_half_backend():
    "the backend ends first, the request still goes on"
    return half_close(False)


def slow_reader(size, full_close):
    result = []
    for client_first in (True, False):
        c, b = pair()
        x, y = (c, b) if client_first else (b, c)
        data = os.urandom(1 << 20) * size

        def send():
            pump(x, data, shut=not full_close)
            if full_close:
                x.close()
        sender = threading.Thread(target=send)
        sender.start()
        time.sleep(0.7)
        got = drain(y, pause=0.0005)
        sender.join(30)
        result.append(got == expected(data))
        close(c, b)
    return all(result), f"client first {result[0]}, backend first {result[1]}"


def test_half_slow():
    "an end right behind 24 MB to a slow reader: every byte first"
    return slow_reader(24, False)


def test_close_slow():
    "close() right behind 8 MB to a slow reader: every byte first"
    return slow_reader(8, True)


def test_rst():
    "a reset on one side becomes a reset on the other, never a clean end"
    bad = []
    for i in range(20):
        c, b = pair()
        x, y = (c, b) if i % 2 else (b, c)
        x.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        x.close()
        y.settimeout(3)
        try:
            bad.append(y.recv(10))
        except ConnectionResetError:
            pass
        except OSError as e:
            bad.append(str(e))
        close(c, b)
    return not bad, f"not a reset: {len(bad)} of 20"


def test_backpressure():
    "a reader that stops stops its sender, and loses nothing"
    out, good = [], True
    for client_first in (True, False):
        c, b = pair()
        x, y = (c, b) if client_first else (b, c)
        x.setblocking(False)
        sent, block, last, began = 0, b"z" * 1000000, time.time(), time.time()
        while time.time() - last < 1.5 and sent < 1e9 and time.time() - began < 12:
            try:
                sent += x.send(block)
                last = time.time()
            except BlockingIOError:
                time.sleep(0.002)
        x.setblocking(True)
        x.settimeout(20)
        x.shutdown(socket.SHUT_WR)
        got = drain(y)
        good = good and sent < 100e6 and got[0] == sent and got[2] == "eof"
        out.append(f"{sent / 1e6:.0f} MB taken, {got[0] / 1e6:.0f} MB came")
        close(c, b)
    return good, "; ".join(out)


def test_small_window():
    "12 MB through a tiny receive buffer"
    c, b = pair(rcvbuf=4096)
    data = os.urandom(1 << 20) * 12
    sender = threading.Thread(target=pump, args=(b, data, None, 0, True))
    sender.start()
    got = drain(c)
    sender.join(20)
    close(c, b)
    return got == expected(data), str(got[0])


def test_many():
    "3,000 connections open at once, three exchanges on each, no descriptor left"
    pairs, bad = [pair() for _ in range(3000)], 0
    for _ in range(3):
        for c, b in pairs:
            c.send(b"ping")
        for c, b in pairs:
            bad += b.recv(4) != b"ping"
            b.send(b"pong")
        for c, b in pairs:
            bad += c.recv(4) != b"pong"
    for c, b in pairs:
        c.close()
    for c, b in pairs:
        bad += b.recv(1) != b""
        b.close()
    for _ in range(50):
        fds = len(os.listdir(f"/proc/{PID}/fd"))
        if fds < 300:
            break
        time.sleep(0.1)
    return bad == 0 and fds < 300, f"{bad} bad, {fds} descriptors left"


def test_stress():
    "16 downloads at once, bytes checked in place, readers that dawdle"
    block, times, bad = os.urandom(1 << 20), 32, []
    pairs = [pair() for _ in range(16)]

    def one(k):
        c, b = pairs[k]
        sender = threading.Thread(target=pump, args=(b, block * times, None, 0, True))
        sender.start()
        at = 0
        try:
            while x := c.recv(1 << 18):
                o = at % len(block)
                want = block[o:o + len(x)]
                want += block[:len(x) - len(want)]
                if x != want:
                    bad.append(f"connection {k} near {at}")
                    break
                at += len(x)
                if random.random() < 0.01:
                    time.sleep(random.random() * 0.05)
            if at != len(block) * times:
                bad.append(f"connection {k} ended at {at}")
        except OSError as e:
            bad.append(f"connection {k} at {at}: {e}")
        c.close()
        sender.join()
        b.close()
    threads = [threading.Thread(target=one, args=(k,)) for k in range(16)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    return not bad, f"{len(bad)} bad {bad[:2]}"


def test_churn():
    "opening, exchanging a little, closing in every order, for 5 s"
    bad, done, end = [], [0], time.time() + 5

    def serve(b):
        try:
            exactly(b, len(HELLO))
            word = struct.unpack(">I", exactly(b, 4))[0]
            b.sendall(b"y" * (word & 0xffffff))
            if word >> 24:
                b.recv(1)
        except Exception as e:
            bad.append("backend " + str(e))
        b.close()

    def backend():
        while time.time() < end + 1:
            try:
                b = accept(0.5)
            except OSError:
                continue
            threading.Thread(target=serve, args=(b,)).start()

    def client():
        while time.time() < end:
            try:
                c = dial()
                n, wait = random.choice([1, 500, 30000, 300000]), random.randrange(2)
                c.sendall(HELLO + struct.pack(">I", n | wait << 24))
                got = drain(c, n)
                if got[0] != n:
                    bad.append(f"short {got[0]} of {n} {got[2]}")
                if not wait and c.recv(1) != b"":
                    bad.append("no end")
                c.close()
                done[0] += 1
            except Exception as e:
                bad.append("client " + str(e))
    threads = [threading.Thread(target=backend)] + [threading.Thread(target=client) for _ in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    return not bad, f"{done[0]} connections, bad {bad[:2]}"


def main():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    failed = 0
    for name in sys.argv[5:] or [n[5:] for n in globals() if n.startswith("test_")]:
        fn = globals()["test_" + name]
        try:
            good, text = fn()
        except Exception as e:
            good, text = False, f"{type(e).__name__} {e}"
        print(f"{'ok' if good else 'not ok'} - relay {name}: {fn.__doc__} ({text})", flush=True)
        failed += not good
        try:
            while True:
                accept(0.05).close()
        except OSError:
            pass
    sys.exit(failed > 0)


main()
