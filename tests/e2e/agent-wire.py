#!/usr/bin/env python3
"""A client that is nothing but a socket, against a running dstack-guest-agent: the prpc wire, sentence by sentence (guest
agent specification, sections 1.2 and 2), on its four listeners.

    agent-wire.py DSTACK_SOCK TAPPD_SOCK GUEST_SOCK EXTERNAL_PORT
Prints `ok - text` or `not ok - text` a check.
"""
import hashlib
import json
import socket
import sys
import time

DSTACK, TAPPD, GUEST = sys.argv[1:4]
EXTERNAL = ("127.0.0.1", int(sys.argv[4]))
JSON = "application/json"
MIB10 = 10 << 20
failed = 0
ROOT_KEY = "f6c1ed94488394d78e0a4e5ab75d62e9f085d73b0b555d0614fb90ca13d9464d"  # GetKey("/"), spec section 13

STRING, BYTES, BOOL, LIST, OPTIONAL = "string", "bytes", "bool", "list", "optional number"
METHODS = {  # request fields of every method of dstack.sock
    "GetTlsKey": {"subject": STRING, "alt_names": LIST, "usage_ra_tls": BOOL, "usage_server_auth": BOOL, "usage_client_auth": BOOL,
                  "not_before": OPTIONAL, "not_after": OPTIONAL, "with_app_info": BOOL},
    "GetKey": {"path": STRING, "purpose": STRING, "algorithm": STRING},
    "GetQuote": {"report_data": BYTES},
    "Attest": {"report_data": BYTES},
    "Sign": {"algorithm": STRING, "data": BYTES},
    "Verify": {"algorithm": STRING, "data": BYTES, "signature": BYTES, "public_key": BYTES},
}
TAPPD_METHODS = {
    "DeriveKey": {"path": STRING, "subject": STRING, "alt_names": LIST, "usage_ra_tls": BOOL, "usage_server_auth": BOOL,
                  "usage_client_auth": BOOL, "random_seed": BOOL},
    "DeriveK256Key": {"path": STRING, "purpose": STRING, "algorithm": STRING},
    "TdxQuote": {"report_data": BYTES, "hash_algorithm": STRING, "prefix": STRING},
    "RawQuote": {"report_data": BYTES},
}
WRONG = {
    STRING: [1, True, None, [], {}, 1.5],
    BYTES: [1, True, None, [1, 2], {}, "abc", "0xzz", "a b0"],
    BOOL: [0, 1, "true", "", None, [], {}],
    LIST: ["a", 1, None, {}, [1], [None], [["a"]]],
    OPTIONAL: ["5", 1.5, 1.0, -1, 1 << 64, True, [], {}, 1e3],
}


class Closed(Exception):
    pass


class Wire:
    def __init__(self, where):
        self.s = socket.create_connection(where) if isinstance(where, tuple) else socket.socket(socket.AF_UNIX)
        if not isinstance(where, tuple):
            self.s.connect(where)
        self.s.settimeout(20)
        self.left = b""

    def send(self, data):
        self.s.sendall(data if isinstance(data, bytes) else data.encode())
        return self

    def half_close(self):
        self.s.shutdown(socket.SHUT_WR)
        return self

    def more(self):
        got = self.s.recv(65536)
        if not got:
            raise Closed
        self.left += got

    def answer(self, head_only=False):
        """(status, headers, body): exactly one, by Content-Length."""
        while b"\r\n\r\n" not in self.left:
            self.more()
        head, self.left = self.left.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        fields = {}
        for line in lines[1:]:
            name, value = line.split(": ", 1)  # upstream's JS client splits there
            assert name.lower() not in fields, f"{name} twice"
            fields[name.lower()] = value
        assert "transfer-encoding" not in fields, "chunked"
        n = 0 if head_only else int(fields["content-length"])
        while len(self.left) < n:
            self.more()
        body, self.left = self.left[:n], self.left[n:]
        return int(lines[0].split(" ")[1]), fields, body

    def is_closed(self, within):
        self.s.settimeout(within)
        try:
            return not self.left and self.s.recv(1) == b""
        except (TimeoutError, socket.timeout):
            return False
        except ConnectionResetError:
            return True
        finally:
            self.s.settimeout(20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()


def post(path, body=b"", kind=JSON, more=""):
    body = body if isinstance(body, bytes) else body.encode()
    line = f"Content-Type: {kind}\r\n" if kind else ""
    return f"POST {path} HTTP/1.1\r\nHost: dstack\r\n{line}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


def get(path, more=""):
    return f"GET {path} HTTP/1.1\r\nHost: dstack\r\n{more}\r\n".encode()


def ask(where, request):
    with Wire(where) as w:
        return w.send(request).answer()


def call(path, body, where=DSTACK):
    status, _, text = ask(where, post(path, body if isinstance(body, (str, bytes)) else json.dumps(body)))
    return status, json.loads(text)


def refused(path, body, code, where=DSTACK):
    status, answer = call(path, body, where)
    assert status == 400 and answer.get("code") == code, f"{path} {str(body)[:80]}: {status} {str(answer)[:200]}"


def check(text):
    def run(fn):
        global failed
        try:
            fn()
            print("ok -", text, flush=True)
        except Exception as e:  # whatever it is, it is a failure
            failed += 1
            print("not ok -", text, flush=True)
            print(f"  # {type(e).__name__}: {str(e)[:400]}", flush=True)
    return run


def is_key(body):
    assert json.loads(body)["key"] == ROOT_KEY, body[:100]


# ---- 1.2: where methods are

@check("GetKey under each of its names, on both sockets")
def _():
    for where in (DSTACK, TAPPD):
        for path in ("/GetKey", "/DstackGuest.GetKey", "/prpc/GetKey", "/prpc/DstackGuest.GetKey", "/DstackGuest.DstackGuest.GetKey"):
            is_key(ask(where, post(path, '{"path":"/"}'))[2])


@check("Tappd's methods with and without the prefix; not on dstack.sock")
def _():
    for path in ("/prpc/Tappd.Version", "/prpc/Version", "/prpc/Tappd.Tappd.Version"):
        assert "version" in call(path, {}, TAPPD)[1]
    assert call("/prpc/Tappd.DeriveKey", {}, DSTACK)[1]["error"].startswith("Service not found")


@check("Worker and GuestApi with and without the prefix, each only where it belongs")
def _():
    for where, path in ((EXTERNAL, "/prpc/Worker.Version"), (EXTERNAL, "/prpc/Version"), (GUEST, "/api/Info"), (GUEST, "/api/GuestApi.Info")):
        assert "version" in call(path, {}, where)[1], path
    for where, path in ((EXTERNAL, "/api/Info"), (GUEST, "/prpc/Worker.Info"), (DSTACK, "/api/Info"), (EXTERNAL, "/Version")):
        assert call(path, {}, where)[0] == 404, path


@check("other paths are 404, with a JSON body that says so; other methods of HTTP are 405")
def _():
    for path in ("/", "//GetKey", "/GetKey/", "/a/GetKey", "/prpc/", "/prpc/prpc/GetKey"):
        status, answer = call(path, {})
        assert status == 404 and answer["error"], path
    for verb in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert ask(DSTACK, f"{verb} /GetKey HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())[0] == 405, verb


# ---- 2.1: requests

@check("JSON by GET, by ?json, by content type; else protobuf, whatever the type")
def _():
    for request in (get("/GetKey?path=/"), get("/GetKey?path=%2F&json"), post("/GetKey?json", '{"path":"/"}', None), post("/GetKey?json=1", '{"path":"/"}', "text/plain"),
                    post("/GetKey?json=true", '{"path":"/"}', None), post("/GetKey", '{"path":"/"}'), post("/GetKey", '{"path":"/"}', JSON + "; charset=utf-8")):
        status, fields, body = ask(DSTACK, request)
        assert status == 200 and fields["content-type"] == JSON, request
        is_key(body)
    for kind in (None, "text/plain", "application/octet-stream", "application/jsonp"):
        status, fields, body = ask(DSTACK, post("/GetKey", b"\x0a\x01/", kind))
        assert (status, fields["content-type"]) == (200, "application/octet-stream") and body[:2] == b"\x0a\x20", kind
        assert body[2:34].hex() == ROOT_KEY


@check("HEAD is GET without the body")
def _():
    with Wire(DSTACK) as w:
        status, fields, _ = w.send(b"HEAD /Version HTTP/1.1\r\nHost: x\r\n\r\n").answer(head_only=True)
        assert status == 200 and int(fields["content-length"]) > 10
        assert w.send(get("/Version")).answer()[0] == 200


@check("queries: hex, repeated fields, percent and plus")
def _():
    status, _, body = ask(DSTACK, get("/GetTlsKey?subject=a+b%2Bc&alt_names[0]=x.test&alt_names%5B1%5D=y.test&alt_names[]=10.0.0.1"
                                      "&usage_server_auth=true&not_before=0&not_after=4102444800&unknown=1"))
    assert status == 200 and len(json.loads(body)["certificate_chain"]) == 2, body[:200]
    assert json.loads(ask(DSTACK, get("/GetQuote?report_data=0x0aFF"))[2])["report_data"].startswith("0aff00")
    for query in ("/GetQuote?report_data=abc", "/GetTlsKey?usage_ra_tls=yes", "/GetTlsKey?not_after=1.5", "/GetKey?path=%zz", "/GetKey?path=a&path=b"):
        status, _, body = ask(DSTACK, get(query))
        assert status == 400 and json.loads(body)["code"] == "rpc.query", query


@check("a body of no bytes is all defaults; methods without arguments take any body")
def _():
    want = call("/GetKey", {})[1]
    assert call("/GetKey", "")[1] == want and json.loads(ask(DSTACK, get("/GetKey"))[2]) == want
    assert ask(DSTACK, post("/GetKey", b"", None))[2][2:34].hex() == want["key"]
    for body in ("", "{}", "null", "[", "text", '{"a":1}', b"\xff\xff"):
        assert "version" in call("/Version", body)[1], body


@check("10 MiB pass the limit, one more byte does not; the answer is in the request's encoding")
def _():
    with Wire(DSTACK) as w:  # JSON with blanks, so that it is the method that refuses
        text = b'{"report_data":"' + b"00" * 65 + b'"' + b" " * (MIB10 - 16 - 130 - 2) + b"}"
        assert len(text) == MIB10
        status, _, body = w.send(post("/GetQuote", text)).answer()
        assert status == 400 and json.loads(body)["code"] == "agent.report_data", body[:200]
        assert w.send(get("/Version")).answer()[0] == 200  # and the connection goes on
    for kind, begins in ((JSON, b'{\n  "error"'), (None, b"\x0a")):
        with Wire(DSTACK) as w:
            try:
                w.send(post("/GetKey", b" " * (MIB10 + 1), kind))
            except (BrokenPipeError, ConnectionResetError):
                pass  # it was told before it was sent
            status, _, body = w.answer()
            assert status == 400 and body.startswith(begins) and b"payload too large" in body, body[:100]
            assert w.is_closed(2)


# ---- 2.2: the JSON mapping, for every field of every method

@check("a wrong type is refused for every field of every method, null where it may not be among them")
def _():
    for methods, where, mount in ((METHODS, DSTACK, "/"), (TAPPD_METHODS, TAPPD, "/prpc/Tappd.")):
        for method, fields in methods.items():
            for name, kind in fields.items():
                for value in WRONG[kind]:
                    refused(mount + method, {name: value}, "rpc.json", where)


@check("null for an optional number, and for nothing else, is its absence")
def _():
    status, answer = call("/GetTlsKey", {"not_before": None, "not_after": None})
    assert status == 200 and answer["key"], answer


@check("unknown members are ignored, in any place and of any shape")
def _():
    for method, where in [("/" + m, DSTACK) for m in METHODS] + [("/prpc/Tappd." + m, TAPPD) for m in TAPPD_METHODS]:
        plain, odd = call(method, {}, where), call(method, {"zz": [1, {"a": None}], "Path": 7, "": 0, "_": {}}, where)
        assert plain[0] == odd[0], f"{method}: {plain[0]} {odd[0]}"
        assert (plain[1].get("code"), plain[1].keys()) == (odd[1].get("code"), odd[1].keys()), method
    body = b"\x78\x07\x0a\x01/\x82\x01\x02hi\x89\x01" + bytes(8) + b"\x95\x01" + bytes(4)  # fields 15 to 18
    assert ask(DSTACK, post("/GetKey", body, None))[2][2:34].hex() == ROOT_KEY


@check("a request that is no object, or no JSON, or a member twice")
def _():
    for body in ("[]", '"path"', "7", "true", "path=a", "{", '{"path":"a"}}', '{"path":"a",}', "{'path':'a'}", b'{"path":"\xff"}', '{"path":"\\ud800"}',
                 '{"path":"a","path":"a"}', '{"path":"a","p\\u0061th":"a"}', '{"path":"a\\u0000"}'):
        refused("/GetKey", body, "rpc.json")
    for body in (b"\x0a", b"\x0a\x05a", b"\x0a\x01\xff", b"\x08\x01\x0b", b"\x0a\x01a\x0a\x01b", b"\xff" * 11):
        status, fields, text = ask(DSTACK, post("/GetKey", body, None))
        assert status == 400 and fields["content-type"] == "application/octet-stream" and b"rpc.protobuf" in text, body


@check("bytes: any number of 0x, either case, lower case out")
def _():
    assert call("/GetQuote", {"report_data": "0x0x0xAbCd"})[1]["report_data"].startswith("abcd00")
    assert call("/GetQuote", {"report_data": "0x"})[1]["report_data"] == "00" * 64


@check("every answer has every field, and is ASCII with the length it says")
def _():
    want = {"/GetKey": {"key", "signature_chain"}, "/GetTlsKey": {"key", "certificate_chain"}, "/GpuInfo": {"attestation"}, "/Attest": {"attestation"},
            "/GetQuote": {"quote", "event_log", "report_data", "vm_config"}, "/Version": {"version", "rev"},
            "/Info": {"app_id", "instance_id", "app_cert", "tcb_info", "app_name", "device_id", "mr_aggregated", "os_image_hash",
                      "key_provider_info", "compose_hash", "vm_config", "cloud_vendor", "cloud_product"}}
    for path, members in want.items():
        status, _, body = ask(DSTACK, post(path, "{}"))
        assert status == 200 and set(json.loads(body)) == members, (path, body[:200])
        assert max(body) < 0x80, path
    assert "\u00e9" in json.loads(ask(DSTACK, get("/Info"))[2])["app_name"]


# ---- what methods refuse, to the code

@check("GA-06: what no certificate may be made of, each with its code, by both methods that make them")
def _():
    bad = [({"not_before": 2000000000, "not_after": 1900000000}, "agent.validity"), ({"not_before": 5, "not_after": 5}, "agent.validity"),
           ({"not_after": (1 << 63) - 1}, "agent.validity"), ({"not_before": (1 << 64) - 1}, "agent.validity"),
           ({"alt_names": [f"n{i}.test" for i in range(129)]}, "agent.name"), ({"alt_names": [f"n{i}.test" for i in range(20000)]}, "agent.name"),
           ({"alt_names": ["a\0b.test"]}, "rpc.json"), ({"subject": "s" * 254}, "agent.name")]
    bad += [({"alt_names": [n]}, "agent.name") for n in ("", "x" * 254, "a\nb.test", "caf\u00e9.test", "*", "*.", "*.*.test", "a.*.test", "a*.test")]
    for args, code in bad:
        refused("/GetTlsKey", args, code)
        if "alt_names" in args or "subject" in args:
            refused("/prpc/Tappd.DeriveKey", args, code, TAPPD)
    for names in (["*.x.test"], [f"n{i}.test" for i in range(128)], ["10.0.0.1", "2001:db8::1"]):
        assert len(call("/GetTlsKey", {"alt_names": names})[1]["certificate_chain"]) == 2, names[:1]


@check("GA-05: report data of 0 to 65 bytes and more; every hash over its tag and content")
def _():
    for n in (0, 1, 63, 64):
        for method in ("/GetQuote", "/Attest"):
            status, answer = call(method, {"report_data": "ab" * n})
            assert status == 200 and ("ab" * n).ljust(128, "0") in (answer.get("quote") or answer["attestation"]), (method, n)
    for n in (65, 128, 500000):
        for method in ("/GetQuote", "/Attest"):
            refused(method, {"report_data": "ab" * n}, "agent.report_data")
    for n in (0, 63, 65):
        refused("/prpc/Tappd.RawQuote", {"report_data": "ab" * n}, "agent.report_data", TAPPD)
        refused("/prpc/Tappd.TdxQuote", {"report_data": "ab" * n, "hash_algorithm": "raw"}, "agent.report_data", TAPPD)
    hashes = {"": "sha512", "sha256": "sha256", "sha384": "sha384", "sha512": "sha512", "sha3-256": "sha3_256", "sha3-384": "sha3_384", "sha3-512": "sha3_512"}
    for name, of in hashes.items():
        for prefix in ("", "mine"):
            answer = call("/prpc/Tappd.TdxQuote", {"report_data": "c0de", "hash_algorithm": name, "prefix": prefix}, TAPPD)[1]
            want = hashlib.new(of, (prefix or "app-data").encode() + b":\xc0\xde").hexdigest().ljust(128, "0")
            assert answer["quote"][1136:1264] == want and (answer["hash_algorithm"], answer["prefix"]) == (name or "sha512", prefix or "app-data"), name
    seen = {call("/prpc/Tappd.TdxQuote", {"hash_algorithm": f"keccak{n}"}, TAPPD)[1]["quote"][1136:1264] for n in (256, 384, 512)}
    assert len(seen) == 3
    for name in ("md5", "SHA256", "sha-256", "keccak224", " sha256"):
        refused("/prpc/Tappd.TdxQuote", {"hash_algorithm": name}, "agent.hash", TAPPD)


# ---- 2.3: errors

@check("errors: 400, pretty JSON with the text first, or a message with field 1")
def _():
    status, fields, body = ask(DSTACK, post("/Sing", "{}"))
    assert status == 400 and body.startswith(b'{\n  "error": "Service not found: Sing"'), body
    status, fields, body = ask(DSTACK, post("/DstackGuest.Sing", b"", None))
    assert body.startswith(b"\x0a\x17Service not found: Sing"), body
    status, _, body = ask(DSTACK, post("/GetKey", '{"algorithm":"caf\\u00e9"}'))
    assert (status, json.loads(body)["error"]) == (400, "Unsupported algorithm") and max(body) < 0x80


# ---- 2.4: the connection

@check("one byte a write, head and body, two requests")
def _():
    with Wire(DSTACK) as w:
        w.s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        for c in post("/GetKey", '{"path":"/"}') + get("/Version"):
            w.send(bytes([c]))
            time.sleep(0.0005)
        is_key(w.answer()[2])
        assert w.answer()[0] == 200


@check("any number of requests on a connection, errors among them")
def _():
    with Wire(DSTACK) as w:
        for i in range(200):
            status, fields, body = w.send(post("/GetKey", '{"path":1}' if i % 3 == 2 else '{"path":"/"}')).answer()
            assert status == (400 if i % 3 == 2 else 200) and fields.get("connection") != "close", i


@check("pipelined requests are answered in order, slow ones and quick ones and wrong ones")
def _():
    with Wire(DSTACK) as w:
        w.send(post("/GetQuote", '{"report_data":"01"}') + post("/GetKey", '{"path":"/"}') + post("/Nope", "{}") + get("/GetTlsKey?subject=x") +
               post("/GetKey", b"\x0a\x01/", None) + get("/GetQuote?report_data=02") + get("/Version"))
        assert json.loads(w.answer()[2])["report_data"].startswith("01")
        is_key(w.answer()[2])
        assert w.answer()[0] == 400
        assert "certificate_chain" in json.loads(w.answer()[2])
        assert w.answer()[2][2:34].hex() == ROOT_KEY
        assert json.loads(w.answer()[2])["report_data"].startswith("02")
        assert "version" in json.loads(w.answer()[2])


@check("half-close before the answer: it comes whole, then the end at once")
def _():
    for request in (get("/GetQuote?report_data=01"), post("/GetKey", '{"path":"/"}'), get("/Info")) * 5:
        with Wire(DSTACK) as w:
            status, _, body = w.send(request).half_close().answer()
            assert status == 200 and len(body) > 50 and w.is_closed(2)


@check("half-close after the answer: the end at once")
def _():
    began = time.time()
    for _ in range(30):
        with Wire(DSTACK) as w:
            assert w.send(get("/Version")).answer()[0] == 200
            assert w.half_close().is_closed(2)
    assert time.time() - began < 5


@check("half-close within a request: no answer within the head, 400 within the body, and the end")
def _():
    with Wire(DSTACK) as w:
        assert w.send(b"POST /GetKey HTTP/1.1\r\nHo").half_close().is_closed(2)
    with Wire(DSTACK) as w:
        status, _, _ = w.send(post("/GetKey", " " * 20)[:-15]).half_close().answer()
        assert status == 400 and w.is_closed(2)


@check("Connection: close and HTTP/1.0 are honoured")
def _():
    for request in (get("/Version", "Connection: close\r\n"), b"GET /Version HTTP/1.0\r\n\r\n"):
        with Wire(DSTACK) as w:
            assert w.send(request).answer()[0] == 200 and w.is_closed(2)


@check("any Host, any User-Agent, or none")
def _():
    for fields in ("Host: dstack", "Host:", "host: [::1]:80\r\nuser-agent: \u00e9 (a; b)", "Host: %2Fvar%2Frun\r\nUser-Agent:", 'HOST: "odd" host'):
        assert ask(DSTACK, f"GET /Version HTTP/1.1\r\n{fields}\r\n\r\n".encode())[0] == 200, fields


@check("a Content-Length short by what is not ASCII, as JS clients send: 400 and the end")
def _():
    text = '{"path":"caf\u00e9\u2603"}'
    with Wire(DSTACK) as w:
        w.send(f"POST /GetKey HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nContent-Length: {len(text)}\r\n\r\n{text}")
        status, _, _ = w.answer()
        assert status == 400 and w.is_closed(2)


@check("heads that readers disagree on are refused and the connection ends")
def _():
    for head in ("Content-Length: 2\r\nContent-Length: 2", "Content-Length: 2\r\nTransfer-Encoding: chunked", "Content-Length: +2", "Content-Length : 2",
                 "Transfer-Encoding: gzip, chunked", "A: b\n", " Content-Length: 2"):
        with Wire(DSTACK) as w:
            w.send(f"POST /GetKey HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n{{}}")
            assert w.answer()[0] >= 400 and w.is_closed(2), head


@check("Info within 500 ms on every listener")
def _():
    for where, path in ((DSTACK, "/Info"), (TAPPD, "/prpc/Tappd.Info"), (EXTERNAL, "/prpc/Info"), (GUEST, "/api/Info")):
        ask(where, get(path))
        began = time.time()
        assert ask(where, get(path))[0] == 200 and time.time() - began < 0.5, path


@check("the external listener names its version in every answer")
def _():
    for path in ("/prpc/Version", "/prpc/Nope", "/nope"):
        assert ask(EXTERNAL, get(path))[1]["x-app-version"].startswith("v"), path


sys.exit(1 if failed else 0)
