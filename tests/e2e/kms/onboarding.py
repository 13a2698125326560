"""Service Onboard and the first start: specification sections 1.5, 2.1, 2.2, 2.7."""
import base64
import hashlib
import json
import stat

import bed
from bed import JSON, KMS_APP, TOKEN, WORK, ask, call, check, good, hook, members, ports, refused
from wire import Cert, ders, get, keccak256, post

AT = 'address = "tcp:127.0.0.1:0"'
CONFIG = bed.config("kms", more=f'''[core.onboard]
{AT}
token_file = "{WORK}/setup-token"
[core.admin]
{AT}
token_file = "{WORK}/admin-token"
''')
found, kms = bed.start(CONFIG, "setup")
ports.update(found)
own = {}  # what it says of itself


@check("without keys: the set-up's listener and nothing else, no TLS")
def _():
    assert list(ports) == ["setup"] and not (WORK / "certs").exists()
    assert ask(get("/health"), "setup")[::2] == (200, b"OK")
    status, fields, page = ask(get("/"), "setup")
    assert status == 200 and fields["content-type"].startswith("text/html") and b"src=" not in page and b"href=" not in page


@check("Onboard's methods with the prefix, without it, and with it twice")
def _():
    for prefix in ("", "Onboard.", "Onboard.Onboard."):
        own.update(good(prefix + "GetAttestationInfo", where="setup"))
    status, answer = call("KMS.GetMeta", where="setup")
    assert status == 400 and answer["error"] == "Service not found: KMS.GetMeta", answer


@check("GetAttestationInfo: every field, what the policy service says of the chain among them")
def _():
    members(own, "device_id", "mr_aggregated", "os_image_hash", "tee_variant", "site_name", "eth_rpc_url", "kms_contract_address", "ppid")
    assert own["tee_variant"] == "dstack-tdx" and own["site_name"] == 'site "1"' and own["os_image_hash"] == bed.IMAGE
    assert len(own["ppid"]) == 32 and own["device_id"] == hashlib.sha256(bytes.fromhex(own["ppid"])).hexdigest()
    assert (own["eth_rpc_url"], own["kms_contract_address"]) == ("https://node.example", "0x" + "ab" * 20), own
    assert hook.asked[0][:2] == ("GET", "/some/where"), hook.asked[0]


@check("the domain's rule, for Bootstrap and for Onboard")
def _():
    long = ".".join(["a" * 63] * 4)
    first = "domain must be a non-empty ASCII DNS name of at most 253 bytes"
    for domain, text in (("", first), (long, first), ("a" * 254, first), ("caf\u00e9.test", ""), ("a..b", ""), ("-a.test", ""), ("a-.test", ""), ("a_b", ""),
                         ("a" * 64 + ".test", ""), (".a", ""), ("a.", ""), ("a b", ""), ("*.a", "")):
        for method, more in (("Bootstrap", {}), ("Onboard", {"source_url": "https://127.0.0.1:1"})):
            refused(text or "domain contains an invalid DNS label", method, {"domain": domain, **more}, "kms.domain", "setup")
    assert not hook.posts()


@check("a KMS that the policy does not allow: KMS is not allowed to bootstrap")
def _():
    hook.say = lambda path, body: {"isAllowed": False, "gatewayAppId": "", "reason": "not you"}
    answer = refused("KMS is not allowed to bootstrap: ", "Bootstrap", {"domain": "127.0.0.1"}, "kms.self_denied", "setup")
    assert "not you" in answer["error"]
    path, body = hook.posts()[-1]
    assert path == "/some/where/bootAuth/kms" and body["mrAggregated"] == own["mr_aggregated"] and body["appId"] == KMS_APP
    refused("Failed to onboard: ", "Onboard", {"domain": "kms.test", "source_url": "https://127.0.0.1:1"}, "kms.self_denied", "setup")
    hook.say = lambda path, body: hook.YES


@check("finish before there are keys is refused (upstream ends without any)")
def _():
    assert ask(get("/finish", TOKEN["setup"]), "setup")[0] == 409
    refused("there is nothing to finish", "Finish", None, "setup.no_keys", "setup")


@check("a source that is no URL, or answers nothing: Failed to onboard")
def _():
    for url in ("http://127.0.0.1:1", "https://a b", "", "ftp://x", "https://127.0.0.1:1/"):
        refused("Failed to onboard: ", "Onboard", {"domain": "kms.test", "source_url": url}, None, "setup")
    assert not (WORK / "certs").exists()


@check("Bootstrap: the public halves and their attestation")
def _():
    own["info"] = good("Bootstrap", {"domain": "127.0.0.1"}, "setup")
    members(own["info"], "ca_pubkey", "k256_pubkey", "attestation")
    ca, k = own["info"]["ca_pubkey"], own["info"]["k256_pubkey"]
    assert len(ca) == 182 and len(k) == 66 and k[:2] in ("02", "03")
    want = keccak256(f"dstack-kms-genereted-keys-v1:{ca};{k};".encode()) + bytes(32)
    assert want.hex() in own["info"]["attestation"], "the attestation is of something else"


@check("once: KMS has already been bootstrapped, KMS has already been onboarded")
def _():
    refused("KMS has already been bootstrapped", "Bootstrap", {"domain": "127.0.0.1"}, "kms.bootstrapped", "setup")
    refused("Failed to onboard: KMS has already been onboarded", "Onboard", {"domain": "a.test", "source_url": "https://127.0.0.1:1"}, "kms.bootstrapped",
            "setup")


@check("Finish answers null, and the process goes straight on to serve")
def _():
    status, fields, body = ask(post("/prpc/Finish", b"", JSON, TOKEN["setup"]), "setup")
    assert (status, body) == (200, b"null")
    ports.clear()
    (WORK / "kms.log").write_text("")  # the set-up's lines
    ports.update(bed.listening(kms, "main"))
    assert set(ports) == {"main", "admin"}, ports
    assert kms.poll() is None


@check("the key folder: upstream's files, their modes and forms")
def _():
    certs = WORK / "certs"
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in certs.iterdir()}
    assert set(modes) >= {"root-ca.key", "root-ca.crt", "root-k256.key", "tmp-ca.key", "tmp-ca.crt", "rpc.key", "rpc.crt", "rpc-domain",
                          "bootstrap-info.json"}, modes
    for name, mode in modes.items():
        assert (mode == 0o600) == name.endswith(".key"), (name, oct(mode))
    assert len((certs / "root-k256.key").read_bytes()) == 32
    assert (certs / "rpc-domain").read_text().strip() == "127.0.0.1"
    assert json.loads((certs / "bootstrap-info.json").read_text()) == own["info"]
    for name in ("root-ca.key", "tmp-ca.key", "rpc.key"):
        pem = (certs / name).read_bytes()
        der = base64.b64decode(b"".join(pem.split(b"\n")[1:-2]))
        assert pem.startswith(b"-----BEGIN PRIVATE KEY-----\n") and b"\r" not in pem and len(der) == 138, name
        assert der[:36].hex() == "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420"[:72], name
    assert len(ders((certs / "rpc.crt").read_text())) == 1
    assert Cert(ders((certs / "root-ca.crt").read_text())[0]).spki.hex() == own["info"]["ca_pubkey"]


