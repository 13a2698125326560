"""What a client of a KMS needs and nothing more: TLS sockets, HTTP, certificates as DER, requests as SCALE, Keccak, a
policy service that remembers. Standard library and the openssl program only."""
import hashlib
import http.server
import json
import re
import socket
import socketserver
import ssl
import subprocess
import threading
import time


# ---- sockets

class Conn:
    def __init__(self, port, ctx=None, sni="127.0.0.1"):
        self.s = socket.create_connection(("127.0.0.1", port), 20)
        if ctx:
            self.s = ctx.wrap_socket(self.s, server_hostname=sni)
        self.left = b""

    def answer(self):
        """(status, headers, body) by Content-Length."""
        while b"\r\n\r\n" not in self.left:
            self.more()
        head, self.left = self.left.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        fields = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
        n = int(fields["content-length"])
        while len(self.left) < n:
            self.more()
        body, self.left = self.left[:n], self.left[n:]
        return int(lines[0].split(" ")[1]), fields, body

    def more(self):
        got = self.s.recv(65536)
        if not got:
            raise ConnectionError("closed")
        self.left += got

    def ask(self, request):
        self.s.sendall(request)
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()


def post(path, body=b"", kind=None, more=""):
    body = body if isinstance(body, bytes) else body.encode()
    line = f"Content-Type: {kind}\r\n" if kind else ""
    return f"POST {path} HTTP/1.1\r\nHost: kms\r\n{line}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


def get(path, more=""):
    return f"GET {path} HTTP/1.1\r\nHost: kms\r\n{more}\r\n".encode()


def context(ca, cert=None, version=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.load_verify_locations(ca)
    if cert:
        c.load_cert_chain(cert + ".crt", cert + ".key")
    if version:
        c.minimum_version = c.maximum_version = version
    return c


# ---- DER, as much of it as certificates have

def tlv(b, at=0):
    """(tag, content, end)"""
    tag, n, at = b[at], b[at + 1], at + 2
    if n & 0x80:
        k = n & 0x7f
        n, at = int.from_bytes(b[at:at + k], "big"), at + k
    return tag, b[at:at + n], at + n


def items(b):
    out, at = [], 0
    while at < len(b):
        tag, content, end = tlv(b, at)
        out.append((tag, content, b[at:end]))
        at = end
    return out


def oid(b):
    n, parts = 0, [b[0] // 40, b[0] % 40]
    for c in b[1:]:
        n = n << 7 | c & 0x7f
        if not c & 0x80:
            parts.append(n)
            n = 0
    return ".".join(map(str, parts))


def ders(pem):
    return [ssl.PEM_cert_to_DER_cert(p) for p in re.findall(r"-----BEGIN CERT.*?-----END CERTIFICATE-----", pem, re.S)]


class Cert:
    """names: [(oid, string tag, text)]; ext: [(oid, critical, value)] in their order"""

    def __init__(self, der):
        tbs, alg, _ = items(tlv(der)[1])
        self.der, self.alg = der, oid(items(alg[1])[0][1])
        version, serial, _, issuer, validity, subject, spki, ext = items(tbs[1])
        self.version, self.serial, self.spki = version[1], serial[1], spki[2]
        self.point = spki[2][-65:]
        self.issuer, self.subject = self.names(issuer[1]), self.names(subject[1])
        self.times = [(t, c.decode()) for t, c, _ in items(validity[1])]
        self.ext = []
        for _, e, _ in items(tlv(ext[1])[1]):
            parts = items(e)
            self.ext.append((oid(parts[0][1]), len(parts) == 3, parts[-1][1]))

    @staticmethod
    def names(b):
        out = []
        for _, rdn, _ in items(b):
            assert len(items(rdn)) == 1, "an RDN of several"
            kind, text = items(items(rdn)[0][1])
            out.append((oid(kind[1]), text[0], text[1].decode()))
        return out

    def get(self, which):
        return next((v for o, _, v in self.ext if o == which), None)

    def end(self):
        tag, text = self.times[1]
        return time.mktime(time.strptime(text, "%y%m%d%H%M%SZ" if tag == 0x17 else "%Y%m%d%H%M%SZ")) - time.timezone


# ---- SCALE

def compact(n):
    return bytes([n << 2]) if n < 64 else (n << 2 | 1).to_bytes(2, "little") if n < 1 << 14 else (n << 2 | 2).to_bytes(4, "little")


def vec(b):
    b = b.encode() if isinstance(b, str) else b
    return compact(len(b)) + b


def option(b):
    return b"\0" if b is None else b"\1" + b


def csr(pubkey, evidence, confirm="please sign cert:", org=None, subject="web", names=(), server=True, client=False, quote=False,
        info=False, before=None, after=None):
    out = vec(confirm) + vec(pubkey) + option(None if org is None else vec(org)) + vec(subject)
    out += compact(len(names)) + b"".join(map(vec, names)) + bytes([server, client, quote])
    if isinstance(evidence, tuple):  # version 1: quote, event log
        return out + vec(evidence[0]) + vec(evidence[1])
    return out + bytes([info]) + b"".join(option(None if t is None else t.to_bytes(8, "little")) for t in (before, after)) + evidence


def sign(key, data):
    return subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=data, capture_output=True, check=True).stdout


# ---- hashes

def keccak256(data):
    def rol(v, n):
        return (v << n | v >> 64 - n) & (1 << 64) - 1 if n else v
    a, r = [0] * 25, 136
    data += b"\1" + bytes(-(len(data) + 1) % r)
    data = data[:-1] + bytes([data[-1] | 0x80])
    for at in range(0, len(data), r):
        for i in range(r // 8):
            a[i] ^= int.from_bytes(data[at + 8 * i:at + 8 * i + 8], "little")
        lfsr = 1
        for _ in range(24):
            c = [a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] for x in range(5)]
            a = [a[i] ^ c[(i + 4) % 5] ^ rol(c[(i + 1) % 5], 1) for i in range(25)]
            x, y, last = 1, 0, a[1]
            for t in range(24):
                x, y = y, (2 * x + 3 * y) % 5
                last, a[x + 5 * y] = a[x + 5 * y], rol(last, (t + 1) * (t + 2) // 2 % 64)
            a = [a[i] ^ (~a[i // 5 * 5 + (i + 1) % 5] & a[i // 5 * 5 + (i + 2) % 5]) for i in range(25)]
            for j in range(7):
                if lfsr & 1:
                    a[0] ^= 1 << (1 << j) - 1
                lfsr = lfsr << 1 ^ (0x171 if lfsr & 0x80 else 0)
    return b"".join(v.to_bytes(8, "little") for v in a[:4])


def kdf(ikm, *parts):
    import hmac
    prk = hmac.new(b"RATLS", ikm, hashlib.sha256).digest()
    return hmac.new(prk, b"".join(parts) + b"\1", hashlib.sha256).digest()


# ---- a policy service

class Hook:
    YES = {"isAllowed": True, "gatewayAppId": "", "reason": ""}
    INFO = {"status": "ok", "kmsContractAddr": "0x" + "ab" * 20, "ethRpcUrl": "https://node.example", "gatewayAppId": "0x" + "cd" * 20,
            "chainId": 1 << 40, "appImplementation": "0x" + "ef" * 20}

    def __init__(self):
        self.asked, self.say, self.info = [], lambda path, body: self.YES, self.INFO
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, body):
                hook.asked.append((self.command, self.path, dict(self.headers), body))
                say = hook.say(self.path, json.loads(body)) if body else hook.info
                status, say = say if isinstance(say, tuple) else (200, say)
                say = say if isinstance(say, bytes) else json.dumps(say).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(say)))
                self.end_headers()
                self.wfile.write(say)

            def do_GET(self):
                self.answer(None)

            def do_POST(self):
                self.answer(self.rfile.read(int(self.headers["Content-Length"])))

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
        server = Server(("127.0.0.1", 0), Handler)
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def posts(self):
        return [(path, json.loads(body)) for command, path, _, body in self.asked if command == "POST"]
