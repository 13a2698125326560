"""HTTP and TLS: specification sections 1.1, 1.2."""
import json
import socket
import ssl
import subprocess

import bed
from bed import APP, JSON, PB, TOKEN, WORK, ask, call, check, evidence, good, ports, refused, sh, tls
from wire import Conn, get, post

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
ENV_KEY = bytes.fromhex("0a14" + APP)  # AppId, protobuf


def s_client(*args, send=b""):
    p = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{ports['main']}", *args], input=send, capture_output=True, timeout=20)
    return (p.stdout + p.stderr).decode(errors="replace")


def handshake_fails(**kw):
    cert, odd = kw.pop("cert", None), kw.pop("odd", None)
    ctx = tls(cert, **kw)
    if odd:
        odd(ctx)
    try:
        with Conn(ports["main"], ctx) as c:
            c.ask(get("/health"))
    except (ssl.SSLError, ConnectionError):
        return
    raise AssertionError("was let in")


@check("methods with and without KMS., also several; other services' prefixes are no method's")
def _():
    for name in ("GetMeta", "KMS.GetMeta", "KMS.KMS.GetMeta"):
        assert "ca_cert" in good(name)
    for name in ("Admin.ClearImageCache", "ClearImageCache", "Onboard.Bootstrap", "Bootstrap", "Finish", "GetAuditLog", "kms.GetMeta", "KMS.", "getmeta"):
        refused("Service not found: ", name, None, "rpc.unknown_method")
    assert good("Admin.ClearImageCache", where="admin") is None and good("Admin.Admin.ClearImageCache", where="admin") is None
    refused("Service not found: ", "KMS.ClearImageCache", None, None, "admin")


@check("JSON by GET, by ?json and by content type, else protobuf; the answer in the same")
def _():
    path, body = "/prpc/GetAppEnvEncryptPubKey", json.dumps({"app_id": APP})
    for request in (get(f"{path}?app_id={APP}"), get(f"{path}?app_id=0x{APP.upper()}&json=0&other=1"), post(path + "?json", body), post(path + "?json=", body),
                    post(path + "?json=1", body), post(path + "?json=true", body, "text/plain"), post(path, body, JSON),
                    post(path, body, JSON + "; charset=utf-8"), post("/prpc/KMS.GetAppEnvEncryptPubKey?a=b&json", body)):
        status, fields, text = ask(request)
        assert (status, fields["content-type"]) == (200, JSON) and len(json.loads(text)["public_key"]) == 64, (request, text)
    for query in ("", "?json=0", "?json=false", "?JSON", "?jso"):
        status, fields, text = ask(post(path + query, ENV_KEY, "text/plain"))
        assert (status, fields["content-type"]) == (200, PB) and text[:2] == b"\x0a\x20", (query, text)


@check("JSON: hex in lower case, numbers as numbers, 0x taken, unknown members ignored, absent optionals null")
def _():
    for body in ({"app_id": APP}, {"app_id": "0x" + APP.upper()}, {"app_id": APP, "x": [{}], "appId": 3}):
        answer = good("GetAppEnvEncryptPubKey", body)
        assert type(answer["timestamp"]) is int and answer["public_key"] == answer["public_key"].lower()
    for body in ({"app_id": 1}, {"app_id": None}, {"app_id": "zz"}, {"app_id": "0"}, [], "x"):
        assert call("GetAppEnvEncryptPubKey", body)[0] == 400, body
    assert call("GetAppEnvEncryptPubKey", {})[1]["error"] == "app_id must be 20 bytes"  # a missing field is its default
    old, bed.hook.info = bed.hook.info, {}
    assert good("GetMeta")["chain_id"] == 1 << 40  # beyond 32 bits, a number
    bed.hook.info = old


@check("Empty: no body, null, {} and anything else will do; an empty answer is null, and no byte in protobuf")
def _():
    for body in (b"", b"null", b"{}", b" {\n} ", b"[]"):
        for kind in (JSON, None):
            assert ask(post("/prpc/GetMeta", body, kind))[0] == 200, body
    assert ask(post("/prpc/ClearImageCache?json", b"{}", None, TOKEN["admin"]), "admin")[2] == b"null"
    status, fields, text = ask(post("/prpc/ClearImageCache", b"", None, TOKEN["admin"]), "admin")
    assert (status, fields["content-type"], text) == (200, PB, b"")


@check("errors: 400, JSON printed over lines with `error` first, protobuf with the text as field 1")
def _():
    status, fields, text = ask(post("/prpc/GetAppEnvEncryptPubKey?json", b'{"app_id":"00"}'))
    assert (status, fields["content-type"]) == (400, JSON) and text.startswith(b'{\n  "error": "app_id must be 20 bytes"'), text
    status, fields, text = ask(post("/prpc/GetAppEnvEncryptPubKey", b"\x0a\x01\0"))
    assert (status, fields["content-type"]) == (400, PB) and text.startswith(b"\x0a\x17app_id must be 20 bytes"), text
    for request in (post("/prpc/Nope?json"), get("/prpc/Nope"), post("/prpc/KMS.Nope", b"", JSON)):
        status, fields, text = ask(request)
        assert (status, fields["content-type"], json.loads(text)["error"]) == (400, JSON, "Service not found: Nope"), text
    assert ask(post("/prpc/Nope"))[2].startswith(b"\x0a\x17Service not found: Nope")
    for body in (b"{", b'{"app_id":}', b'{"app_id":"' + APP.encode() + b'","app_id":""}'):
        assert ask(post("/prpc/GetAppEnvEncryptPubKey?json", body))[0] == 400, body


@check("404 for paths that are none, 405 for other methods of HTTP, no OpenAPI")
def _():
    for path in ("/", "/prpc", "/prpc/", "/prpc/a/GetMeta", "/GetMeta", "/openapi.json", "/prpc/openapi.json/x", "/docs", "/finish"):
        status, fields, text = ask(get(path))
        assert status == 404 and json.loads(text)["error"], (path, status)
    assert ask(b"PUT /prpc/GetMeta HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")[0] == 405


@check("X-App-Version in every answer of the main listener")
def _():
    for request in (get("/prpc/GetMeta"), get("/prpc/Nope"), get("/nope"), get("/health"), post("/prpc/GetAppKey")):
        assert ask(request)[1]["x-app-version"], request


@check("bodies up to 64 KiB (SignCert 2 MiB), one byte more is refused in the request's encoding")
def _():
    for method, most in (("GetAppEnvEncryptPubKey", 64 << 10), ("GetAppKey", 64 << 10), ("SignCert", 2 << 20)):
        body = b'{"app_id":"' + APP.encode() + b'"}'
        assert b"too large" not in ask(post(f"/prpc/{method}?json", body + b" " * (most - len(body))))[2]
        status, fields, text = ask(post(f"/prpc/{method}?json", body + b" " * (most + 1 - len(body))))
        assert (status, fields["content-type"]) == (400, JSON) and "too large" in json.loads(text)["error"], text


@check("many requests on a connection, errors among them; HTTP/1.0; answers in the order of pipelined requests")
def _():
    with Conn(ports["main"], tls()) as c:
        for i in range(30):
            assert c.ask(get("/prpc/Nope" if i % 3 else "/prpc/GetMeta"))[0] == (400 if i % 3 else 200)
        c.s.sendall(get("/prpc/GetMeta") + get("/health") + get("/prpc/Nope"))
        assert [c.answer()[0] for _ in range(3)] == [200, 200, 400]
    assert ask(b"GET /health HTTP/1.0\r\n\r\n")[0] == 200


# ---- TLS

@check("TLS 1.2 and 1.3, with and without a client certificate")
def _():
    who = evidence("good", "--instance", bed.INST)
    bed.who = [who[0], "cert", *who[1:who.index("--key")], "--instance", bed.INST]
    for version, name in ((V12, "TLSv1.2"), (V13, "TLSv1.3")):
        for cert in (None, "good"):
            with Conn(ports["main"], tls(cert, version=version)) as c:
                assert c.s.version() == name and c.s.compression() is None
                assert c.ask(get("/prpc/GetMeta"))[0] == 200
                suite = c.s.cipher()[0]
                assert suite.startswith(("ECDHE-ECDSA-", "TLS_")) and ("GCM" in suite or "CHACHA20" in suite), suite


@check("of 1.2 suites with ECDHE and AEAD only, and extended master secret; nothing older")
def _():
    for suites in ("ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256", "NULL"):
        def odd(ctx):
            ctx.minimum_version, ctx.maximum_version = V12, V12
            ctx.set_ciphers(suites + ":@SECLEVEL=0")
        handshake_fails(odd=odd)

    def no_ems(ctx):
        ctx.maximum_version = V12
        ctx.options |= 1  # SSL_OP_NO_EXTENDED_MASTER_SECRET
    handshake_fails(odd=no_ems)
    for old in ("-tls1", "-tls1_1"):
        assert "Cipher is (NONE)" in s_client(old, "-cipher", "ALL:@SECLEVEL=0"), old


@check("ch_12 nothing is resumed and no early data is taken, in either version; 1.2 is not renegotiated")
def _():
    for version in (V12, V13):
        ctx = tls(version=version)
        with Conn(ports["main"], ctx) as c:
            c.ask(get("/health"))
            session = c.s.session
            assert not session or not session.has_ticket, "a ticket"
        raw = socket.create_connection(("127.0.0.1", ports["main"]))
        with ctx.wrap_socket(raw, server_hostname="127.0.0.1", session=session) as s:
            assert not s.session_reused
    said = s_client("-tls1_2", send=b"R\n")
    assert "Secure Renegotiation IS supported" in said and "RENEGOTIATING" in said and "no renegotiation" in said, said[-600:]
    said = s_client("-tls1_3")
    assert "Max Early Data: 0" in said or "New Session Ticket" not in said
    assert "Compression: NONE" in s_client("-tls1_2")


@check("a client certificate is asked for, of the temporary CA, and not demanded")
def _():
    for version in ("-tls1_2", "-tls1_3"):
        assert "Acceptable client certificate CA names\nO = Dstack, CN = Dstack Client Temp CA\n" in s_client(version)


@check("ch_10 ch_11 a client certificate of any other issuer, or of yesterday, fails the handshake")
def _():
    sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj",
       "/O=Dstack/CN=Dstack Client Temp CA", "-keyout", WORK / "alien.key", "-out", WORK / "alien.crt")
    sh("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=late", "-keyout", WORK / "late.key", "-out",
       WORK / "late.csr")
    for cert, ca, days in (("child", "alien", "1"), ("rooted", "certs/root-ca", "1"), ("late", "certs/tmp-ca", "-1")):
        sh("openssl", "x509", "-req", "-in", WORK / "late.csr", "-CA", WORK / f"{ca}.crt", "-CAkey", WORK / f"{ca}.key", "-days", days, "-out",
           WORK / f"{cert}.crt")
        (WORK / f"{cert}.key").write_bytes((WORK / "late.key").read_bytes())
    for cert in ("alien", "child", "rooted", "late"):
        for version in (V12, V13):
            handshake_fails(cert=cert, version=version)


@check("any server name, or none, gets the same certificate")
def _():
    seen = set()
    for sni in ("127.0.0.1", "kms.test", "nobody.example", None):
        with Conn(ports["main"], tls(), sni) as c:
            seen.add(c.s.getpeercert(True))
    assert len(seen) == 1


# ---- evidence before anything

def certificate(name, quote=None, key=None):
    """The guest's, with a quote that is not its key's, or none."""
    if key:
        (WORK / f"{name}.key").write_bytes((WORK / f"{key}.key").read_bytes())
    sh(*bed.who, "--key", WORK / f"{name}.key", *(["--quote", WORK / f"{quote}.quote"] if quote else []), "--ca", WORK / "certs/tmp-ca.crt", "--ca-key",
       WORK / "certs/tmp-ca.key", "--out", WORK / f"{name}.crt")


@check("ch_11 evidence that is shown is verified before any method, whether it needs any or not: invalid quote")
def _():
    certificate("stolen", "good")
    for method, body in (("GetMeta", {}), ("GetTempCaCert", {}), ("GetAppKey", {}), ("GetAppKey", {"api_version": 9}), ("GetKmsKey", {}),
                         ("GetAppEnvEncryptPubKey", {"app_id": APP}), ("GetAppEnvEncryptPubKey", {"app_id": "00"}), ("SignCert", {}),
                         ("GetAuditCheckpoint", {}), ("GetAuditProof", {})):
        before = len(bed.hook.posts())
        answer = refused("invalid quote: ", method, body, "ratls.key_mismatch", cert="stolen")
        assert "report data mismatch" in answer["error"] and len(bed.hook.posts()) == before, (method, answer)


@check("ch_11 evidence that is none: invalid quote; a certificate without any is as none")
def _():
    quote = (WORK / "good.quote").read_bytes()
    for name, bad in (("cut", quote[:700]), ("flipped", quote[:200] + bytes([quote[200] ^ 1]) + quote[201:])):
        (WORK / f"{name}.quote").write_bytes(bad)
        certificate(name, name, "good")
        for method in ("GetMeta", "GetAppKey"):
            refused("invalid quote: ", method, {}, None, cert=name)
    certificate("bare")
    assert "ca_cert" in good("GetMeta", cert="bare")
