"""Certificates and SignCert: specification sections 2.2, 2.5, 2.6."""
import hashlib
import json
import time

import bed
from bed import ARC, APP, IMAGE, INST, WORK, call, certs, check, good, hook, refused, sh
from methods import CONFIG, MRTD, RTMR, asked, scalar, sha
from wire import Cert, csr, ders, items, kdf, sign, tlv, vec

DAY = 86400
ORG, CN = "2.5.4.10", "2.5.4.3"
SAN, USAGE, EKU, SKI, BASIC, AKI = "2.5.29.17", "2.5.29.15", "2.5.29.37", "2.5.29.14", "2.5.29.19", "2.5.29.35"
UTF8 = 0x0c


def read(name):
    return Cert(ders((certs / name).read_text())[0])


def shape(c, subject, issuer, ext, start="750101000000Z"):
    """What all certificates have in common, and the extensions in their order: [(oid, critical)]."""
    assert c.version == b"\x02\x01\x02", c.version
    digest = hashlib.sha256(c.point).digest()[:20]
    want = (int.from_bytes(digest, "big") & ~(0x80 << 152)).to_bytes(20, "big").lstrip(b"\0")
    if start:  # an app's are of chance, so that a list of revoked ones can name each
        assert c.serial.lstrip(b"\0") == want, (c.serial.hex(), want.hex())
    assert 0 < len(c.serial) <= 20 and c.serial[0] < 0x80
    assert c.alg == "1.2.840.10045.4.3.2" and c.subject == subject and c.issuer == issuer, (c.subject, c.issuer)
    assert all(tag == UTF8 for _, tag, _ in c.subject + c.issuer)
    if start:
        assert c.times[0] == (0x17, start) and abs(c.end() - time.time() - 3650 * DAY) < 2 * DAY, c.times
    assert [(o, crit) for o, crit, _ in c.ext] == ext, c.ext
    is_ca = (BASIC, True) in ext
    assert c.get(USAGE).hex() == ("03020186" if is_ca else "03020780"), c.get(USAGE).hex()
    if is_ca:
        assert c.get(SKI) == b"\x04\x14" + hashlib.sha256(c.spki).digest()[:20]
    assert c.get(AKI) is None and (is_ca or c.get(SKI) is None and c.get(BASIC) is None)


def content(c, which):
    """Of an extension of ours: an OCTET STRING within the extension's."""
    tag, value, end = tlv(c.get(ARC + which))
    assert tag == 4 and end == len(c.get(ARC + which)), which
    return value


def name(cn, org=None):
    return ([(ORG, UTF8, org)] if org else []) + [(CN, UTF8, cn)]


CA_EXT = [(USAGE, True), (SKI, False), (BASIC, True)]
ROOT, TEMP = name("Dstack KMS CA", "Dstack"), name("Dstack Client Temp CA", "Dstack")


@check("the root CA's and the temporary CA's certificate: names, serial of the key, 1975 to ten years on, path lengths")
def _():
    for file, subject, path in (("root-ca.crt", ROOT, 1), ("tmp-ca.crt", TEMP, 0)):
        c = read(file)
        shape(c, subject, subject, CA_EXT)
        assert c.get(BASIC).hex() == f"30060101ff0201{path:02x}", c.get(BASIC).hex()


@check("the RPC certificate: the domain as subject and IP name, usage kms:rpc, evidence over its key, no EKU")
def _():
    c = read("rpc.crt")
    shape(c, name("127.0.0.1"), ROOT, [(SAN, False), (USAGE, True), (ARC + "4", False), (ARC + "8", False)])
    assert c.get(SAN).hex() == "300687047f000001" and content(c, "4") == b"kms:rpc"
    assert hashlib.sha512(b"ratls-cert:" + c.spki).digest() in content(c, "8")


@check("the form upstream gives keyUsage (nine bits, trailing zeros) is taken from clients")
def _():
    conf = WORK / "nine.cnf"
    conf.write_text("[x]\nkeyUsage=critical,DER:0303078000\n")
    sh("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=RA-TLS TEMP Cert", "-keyout", WORK / "nine.key",
       "-out", WORK / "nine.csr")
    sh("openssl", "x509", "-req", "-in", WORK / "nine.csr", "-CA", certs / "tmp-ca.crt", "-CAkey", certs / "tmp-ca.key", "-days", "1", "-extfile", conf,
       "-extensions", "x", "-out", WORK / "nine.crt")
    assert Cert(ders((WORK / "nine.crt").read_text())[0]).get(USAGE).hex() == "0303078000"
    assert good("GetMeta", cert="nine")


# ---- SignCert

KEY = WORK / "good.key"
SPKI = sh("openssl", "pkey", "-in", KEY, "-pubout", "-outform", "DER")
# fakeguest's own request shows what the evidence is: everything behind the validity.
MADE = bytes.fromhex(json.loads(sh(bed.who[0], "csr", *bed.who[2:], "--key", KEY, "--quote", WORK / "good.quote", "--subject", "s"))["csr"])
EVIDENCE = MADE[len(csr(SPKI, b"", subject="s")):]


def request(version=2, key=KEY, data=None, sig=None, vm_config="", **kw):
    data = csr(kw.pop("pubkey", SPKI), kw.pop("evidence", EVIDENCE), **kw) if data is None else data
    return {"api_version": version, "csr": data.hex(), "signature": (sign(key, data) if sig is None else sig).hex(), "vm_config": vm_config}


def signed(*args, **kw):
    answer = good("SignCert", request(*args, **kw))
    assert list(answer) == ["certificate_chain"] and len(answer["certificate_chain"]) == 3
    return [Cert(ders(pem)[0]) for pem in answer["certificate_chain"]]


@check("SignCert: the chain leaf, app CA, root CA; their shapes; the app CA's key is derived")
def _():
    leaf, app_ca, root = signed(org="Org", subject="web", names=["app.test", "10.1.2.3", "2001:db8::1"], client=True)
    assert root.der == read("root-ca.crt").der
    app = name("Dstack App CA", "Dstack")
    shape(app_ca, app, ROOT, CA_EXT + [(ARC + "3", False), (ARC + "4", False)])
    assert app_ca.get(BASIC).hex() == "30060101ff020100" and content(app_ca, "3").hex() == APP and content(app_ca, "4") == b"app:ca"
    d = kdf(scalar("root-ca.key"), bytes.fromhex(APP), b"app-ca")
    short = bytes.fromhex("303102010104") + b"\x20" + d + bytes.fromhex("a00a06082a8648ce3d030107")
    assert app_ca.spki == sh("openssl", "ec", "-inform", "DER", "-pubout", "-outform", "DER", input=short)
    shape(leaf, name("web", "Org"), app, [(SAN, False), (USAGE, True), (EKU, False), (ARC + "3", False), (ARC + "4", False)], start=None)
    assert leaf.spki == SPKI and content(leaf, "3").hex() == APP and content(leaf, "4") == b"app:custom"
    assert [(t, v) for t, v, _ in items(tlv(leaf.get(SAN))[1])] == [(0x82, b"app.test"), (0x87, bytes([10, 1, 2, 3])),
                                                                   (0x87, bytes.fromhex("20010db8" + "00" * 11 + "01"))]
    assert leaf.get(EKU).hex() == "301406082b0601050507030106082b06010505070302"
    assert 89 * DAY < leaf.end() - time.time() <= 90 * DAY


@check("usages as asked for, each alone and none; not more")
def _():
    for server, client, want in ((True, False, "300a06082b06010505070301"), (False, True, "300a06082b06010505070302"), (False, False, None)):
        leaf = signed(server=server, client=client)[0]
        assert (leaf.get(EKU) and leaf.get(EKU).hex()) == want
        assert [o for o, _, _ in leaf.ext] == [USAGE] + ([EKU] if want else []) + [ARC + "3", ARC + "4"]


@check("ext_app_info and ext_quote: app info of nine elements before the usage, evidence behind it")
def _():
    leaf = signed(quote=True, info=True)[0]
    assert [o[len(ARC):] for o, _, _ in leaf.ext if o.startswith(ARC)][:4] == ["3", "9", "4", "8"], leaf.ext
    info = content(leaf, "9")
    assert info[0] == 0x99 and bytes.fromhex("c414" + APP) in info and bytes.fromhex("c420" + IMAGE) in info
    assert bytes.fromhex(sha(MRTD, *RTMR, CONFIG)) in info
    assert (WORK / "good.quote").read_bytes()[:600] in content(leaf, "8") and b"ACPI DATA" in content(leaf, "8")
    for only in ("quote", "info"):
        got = [o[len(ARC):] for o, _, _ in signed(**{only: True})[0].ext if o.startswith(ARC)]
        assert got[:3] == (["3", "4", "8"] if only == "quote" else ["3", "9", "4"]), got


@check("the asked-for validity, within certificates.max_days")
def _():
    now = int(time.time())
    leaf = signed(before=now + 100, after=now + 5 * DAY)[0]
    assert abs(leaf.end() - now - 5 * DAY) < 2 and leaf.times[0][1] == time.strftime("%y%m%d%H%M%SZ", time.gmtime(now + 100))
    assert signed(after=now + 3650 * DAY)[0].end() - now <= 90 * DAY + 5
    refused("", "SignCert", request(before=now + 100, after=now + 50), "csr.validity")


@check("the app CA is issued at every call: same key and serial")
def _():
    first = signed()[1]
    time.sleep(1.1)
    second = signed()[1]
    assert first.der != second.der and (first.serial, first.spki) == (second.serial, second.spki) and second.end() > first.end()


@check("policy is asked about the guest up to boot-mr-done, whatever came after; without key provider")
def _():
    who = bed.evidence("late", "--instance", INST, "--ready", "1")
    made = bytes.fromhex(json.loads(sh(who[0], "csr", *who[1:], "--quote", WORK / "late.quote", "--subject", "s"))["csr"])
    spki = sh("openssl", "pkey", "-in", WORK / "late.key", "-pubout", "-outform", "DER")
    late = {"key": WORK / "late.key", "pubkey": spki, "evidence": made[len(csr(spki, b"", subject="s")):]}
    body = asked(lambda: signed(**late))[-1]
    assert body[0].endswith("/bootAuth/app") and body[1]["keyProviderInfo"] == "" and body[1]["mrAggregated"] == sha(MRTD, *RTMR, CONFIG)
    full = asked(lambda: good("GetAppKey", cert="late"))[-1][1]
    assert full["mrAggregated"] != body[1]["mrAggregated"] and bytes.fromhex(full["keyProviderInfo"]).startswith(b'{"name":"kms"')
    k = hashlib.sha256(bytes.fromhex(full["keyProviderInfo"])).digest()
    assert full["mrSystem"] == sha(MRTD, *RTMR[:3], k)


@check("version 1: quote and event log side by side")
def _():
    made = json.loads(sh(bed.who[0], "csr", *bed.who[2:], "--key", KEY, "--quote", WORK / "good.quote", "--subject", "s", "--v1", "1"))
    assert len(good("SignCert", made)["certificate_chain"]) == 3
    refused("Failed to parse csr", "SignCert", dict(made, api_version=2))


@check("what is wrong with a request, in upstream's order and words")
def _():
    data, bad = csr(SPKI, EVIDENCE), bytes(8)
    p384 = sh("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384")
    (WORK / "p384.key").write_bytes(p384)
    rsa = sh("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    (WORK / "rsa.key").write_bytes(rsa)
    pub = {k: sh("openssl", "pkey", "-in", WORK / f"{k}.key", "-pubout", "-outform", "DER") for k in ("rsa", "p384", "stolen")}
    for body in (b"", b"\0", data[:40], csr(SPKI, b"")[:-3], b"\xff" * 100, data.replace(b"\x00\x0cweb", b"\x07\x0cweb"), vec("please sign cert:") * 9):
        refused("Failed to parse csr", "SignCert", request(data=body), None)
    for version in (0, 3, 7):
        refused("", "SignCert", request(version=version), "csr.version")
    refused("Unsupported algorithm", "SignCert", request(pubkey=pub["rsa"], key=WORK / "rsa.key"))
    assert call("SignCert", request(pubkey=pub["p384"], key=WORK / "p384.key"))[0] == 400
    for sig in (b"", bad, sign(KEY, data + b"x"), sign(WORK / "stolen.key", data)):
        refused("Invalid signature", "SignCert", request(sig=sig))
    for word in ("", "please sign cert", "Please sign cert:", "please sign cert: "):
        refused("Invalid confirm word", "SignCert", request(confirm=word))
        refused("Invalid signature", "SignCert", request(confirm=word, sig=bad))
    answer = refused("", "SignCert", request(pubkey=pub["stolen"], key=WORK / "stolen.key"), "report_data.mismatch")
    assert "report data mismatch" in answer["error"].lower(), answer
    flipped = EVIDENCE.replace((WORK / "good.quote").read_bytes()[:400], (WORK / "flipped.quote").read_bytes()[:400])
    assert flipped != EVIDENCE
    refused("Quote verification failed", "SignCert", request(evidence=flipped))
    for first in (b"\x10", b"\x7f", b"\x90"):
        assert "Unknown attestation wire format" in refused("", "SignCert", request(evidence=first + EVIDENCE[1:]))["error"]
    refused("Failed to verify os image hash", "SignCert", request(vm_config=json.dumps({"os_image_hash": "11" * 32, "cpu_count": 1, "memory_size": 1 << 31,
            "qemu_version": "7.2.0", "num_nics": 1, "swtpm": True, "tee": "soft"})))
    hook.say = lambda path, body: hook.YES if path.endswith("kms") else {"isAllowed": False, "reason": "no", "gatewayAppId": ""}
    refused("Boot denied: no", "SignCert", request(), "policy.denied")
    hook.say = lambda path, body: hook.YES


@check("ch_10 SignCert needs no client certificate; evidence of the client certificate is none for the request")
def _():
    assert call("SignCert", request())[0] == 200 and call("SignCert", request(), cert="good")[0] == 200
    assert call("SignCert", request(evidence=b""), cert="good")[0] == 400
