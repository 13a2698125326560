"""Service KMS, self-authorisation and the policy service's protocol: specification sections 1.3, 1.4, 2.3, 3.1, 3.2, 3.4."""
import base64
import hashlib
import json
import time

import bed
from bed import APP, COMPOSE, IMAGE, INST, KMS_APP, WORK, ask, call, certs, check, good, hook, members, ports, refused, sh
from onboarding import own
from wire import Conn, kdf, post

QUOTE = (WORK / "good.quote").read_bytes()[48:]
MRTD, CONFIG, RTMR = QUOTE[136:184], QUOTE[184:328], [QUOTE[328 + 48 * i:376 + 48 * i] for i in range(4)]


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).hexdigest()


def asked(fn):
    """What the policy service is asked meanwhile: [(path, body)]."""
    before = len(hook.posts())
    fn()
    return hook.posts()[before:]


def scalar(name):
    return base64.b64decode("".join((certs / name).read_text().splitlines()[1:-1]))[36:68]


def pkcs8(d):
    """The 138 bytes; the public point by openssl."""
    short = bytes.fromhex("303102010104") + b"\x20" + d + bytes.fromhex("a00a06082a8648ce3d030107")
    spki = sh("openssl", "ec", "-inform", "DER", "-pubout", "-outform", "DER", input=short)
    return bytes.fromhex("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420") + d + bytes.fromhex("a144034200") + spki[-65:]


def x25519(secret):
    der = bytes.fromhex("302e020100300506032b656e04220420") + secret
    return sh("openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER", input=der)[-32:]


@check("GetMeta: every field; the policy service's chain, the roots' birth")
def _():
    meta = good("GetMeta")
    members(dict(list(meta.items())[:9]), "ca_cert", "allow_any_upgrade", "k256_pubkey", "bootstrap_info", "is_dev", "gateway_app_id", "kms_contract_address", "chain_id",
            "app_auth_implementation")
    assert meta["ca_cert"] == (certs / "root-ca.crt").read_text() and meta["k256_pubkey"] == own["info"]["k256_pubkey"]
    assert meta["bootstrap_info"] == own["info"] and meta["is_dev"] is True and meta["allow_any_upgrade"] is False
    assert (meta["gateway_app_id"], meta["kms_contract_address"], meta["chain_id"], meta["app_auth_implementation"]) == \
        ("cd" * 20, hook.INFO["kmsContractAddr"], 1 << 40, hook.INFO["appImplementation"]), meta
    assert not asked(lambda: good("GetMeta"))


@check("GetTempCaCert: the temporary CA with its key, the root; this KMS is asked about before")
def _():
    seen = asked(lambda: members(good("GetTempCaCert"), "temp_ca_cert", "temp_ca_key", "ca_cert"))
    assert [p for p, _ in seen] == ["/some/where/bootAuth/kms"], seen
    answer = good("GetTempCaCert")
    for name, member in (("tmp-ca.crt", "temp_ca_cert"), ("tmp-ca.key", "temp_ca_key"), ("root-ca.crt", "ca_cert")):
        assert answer[member] == (certs / name).read_text(), name


@check("GetAppEnvEncryptPubKey: this KMS is asked about, the app is not; the key is the app's")
def _():
    seen = asked(lambda: good("GetAppEnvEncryptPubKey", {"app_id": APP}))
    assert [p for p, _ in seen] == ["/some/where/bootAuth/kms"], seen
    answer = good("GetAppEnvEncryptPubKey", {"app_id": APP})
    assert list(answer)[:4] == ["public_key", "signature", "timestamp", "signature_v1"]
    child = kdf(scalar("root-ca.key"), bytes.fromhex(APP), b"env-encrypt-key")
    assert answer["public_key"] == x25519(hashlib.sha256(pkcs8(child)).digest()).hex()
    assert len(answer["signature"]) == len(answer["signature_v1"]) == 130 and abs(answer["timestamp"] - time.time()) < 5
    for n in (0, 19, 21, 32):
        refused("app_id must be 20 bytes", "GetAppEnvEncryptPubKey", {"app_id": "00" * n}, "kms.app_id")


@check("GetAppKey: upstream's fields first, the keys as derived from the root files")
def _():
    answer = good("GetAppKey", {"api_version": 1, "vm_config": ""}, cert="good")
    assert list(answer)[:8] == ["ca_cert", "disk_crypt_key", "env_crypt_key", "k256_key", "k256_signature", "tproxy_app_id", "gateway_app_id",
                                "os_image_hash"], list(answer)
    app, inst, ca = bytes.fromhex(APP), bytes.fromhex(INST), scalar("root-ca.key")
    disk = hashlib.sha256(pkcs8(kdf(ca, app, inst, b"app-disk-crypt-key"))).hexdigest()
    env = hashlib.sha256(pkcs8(kdf(ca, app, b"env-encrypt-key"))).hexdigest()
    k256 = kdf((certs / "root-k256.key").read_bytes(), app, b"app-key").hex()
    assert (answer["disk_crypt_key"], answer["env_crypt_key"], answer["k256_key"]) == (disk, env, k256)
    assert len(answer["k256_signature"]) == 130 and int(answer["k256_signature"][-2:], 16) < 4
    assert answer["ca_cert"] == (certs / "root-ca.crt").read_text() and answer["os_image_hash"] == IMAGE
    for version in (0, 1):
        assert good("GetAppKey", {"api_version": version}, cert="good")["k256_key"] == k256
    status, fields, body = ask(post("/prpc/GetAppKey", b"\x08\x01", None), cert="good")
    assert status == 200 and body[:1] == b"\x0a" and bytes.fromhex("1220" + disk) in body and bytes.fromhex("2220" + k256) in body


@check("gateway_app_id is the policy's, in both fields, without 0x")
def _():
    hook.say = lambda path, body: dict(hook.YES, gatewayAppId="0x" + "AB" * 20)
    answer = good("GetAppKey", cert="good")
    assert answer["gateway_app_id"] == answer["tproxy_app_id"] == "ab" * 20
    hook.say = lambda path, body: hook.YES


@check("GetAppKey: Unsupported API version, App not allowed: No attestation provided")
def _():
    for cert in (None, "bare", "good"):
        refused("Unsupported API version: 2", "GetAppKey", {"api_version": 2}, "kms.api_version", cert=cert)
    for cert in (None, "bare"):
        refused("App not allowed: No attestation provided", "GetAppKey", {}, "ratls.no_evidence", cert=cert)


@check("one release asks twice: /bootAuth/kms about the KMS, then /bootAuth/app; every time anew")
def _():
    for _ in range(3):
        seen = asked(lambda: good("GetAppKey", cert="good"))
        assert [p for p, _ in seen] == ["/some/where/bootAuth/kms", "/some/where/bootAuth/app"], seen


@check("ch_12 policy that changes, and a device that goes, hold at the next request of a connection that is kept")
def _():
    with Conn(ports["main"], bed.tls("good")) as c:
        ask_key = post("/prpc/GetAppKey?json", b"{}")
        assert c.ask(ask_key)[0] == 200
        hook.say = lambda path, body: dict(hook.YES, isAllowed=body["deviceId"] != own["device_id"] or path.endswith("kms"), reason="gone")
        assert json.loads(c.ask(ask_key)[2])["code"] == "policy.denied"
        hook.say = lambda path, body: dict(hook.YES, isAllowed=path.endswith("app"), reason="gone")
        assert json.loads(c.ask(ask_key)[2])["code"] == "kms.self_denied"
        hook.say = lambda path, body: hook.YES
        assert c.ask(ask_key)[0] == 200


@check("km_06 what the KMS makes of one app for several algorithms has nothing in common, in epoch 0 and after")
def _():
    answer, app = good("GetAppKey", cert="good"), bytes.fromhex(APP)
    ca = scalar("root-ca.key")
    made = [answer["disk_crypt_key"], answer["env_crypt_key"], answer["k256_key"], kdf(ca, app, b"app-ca").hex()]
    for epoch in ("0", "1", "2"):
        derived = json.loads(sh("dstack", "kms", "derive", "--cert-dir", certs, "--app-id", APP, "--instance-id", INST, "--epoch", epoch, "--json"))
        made += [derived[k] for k in ("disk_crypt_key", "env_crypt_key", "k256_key", "env_public_key")]
    for n in ("disk_crypt_key", "env_crypt_key", "k256_key"):
        made.remove(answer[n])  # epoch 0 is what was given out
    assert len(set(made)) == len(made), made


@check("the boot info: upstream's members, in hex without 0x, computed from the quote")
def _():
    body = asked(lambda: good("GetAppKey", cert="good"))[1][1]
    assert list(body)[:11] == ["teeVariant", "mrAggregated", "osImageHash", "mrSystem", "appId", "composeHash", "instanceId", "deviceId", "keyProviderInfo",
                               "tcbStatus", "advisoryIds"], list(body)
    assert (body["teeVariant"], body["osImageHash"], body["appId"], body["composeHash"], body["instanceId"]) == ("dstack-tdx", IMAGE, APP, COMPOSE, INST)
    assert body["mrSystem"] == sha(MRTD, *RTMR[:3], bytes(32)) and body["mrAggregated"] == sha(MRTD, *RTMR, CONFIG), body
    assert body["deviceId"] == own["device_id"] and body["keyProviderInfo"] == "" and body["tcbStatus"] == "UpToDate" and body["advisoryIds"] == []


@check("how the policy service is asked: POST, JSON, User-Agent dstack-kms/<version>, below any base; GET of the base for its description")
def _():
    for command, path, fields, body in hook.asked[-3:]:
        assert fields["User-Agent"].startswith("dstack-kms/") and path.startswith("/some/where"), fields
        assert command == "GET" or fields["Content-Type"] == "application/json", fields


@check("a refusal reads as upstream's: App not allowed: Boot denied: <reason>")
def _():
    hook.say = lambda path, body: hook.YES if path.endswith("kms") else {"isAllowed": False, "reason": "it is late", "gatewayAppId": ""}
    assert refused("App not allowed: Boot denied: ", "GetAppKey", {}, "policy.denied", cert="good")["error"] == "App not allowed: Boot denied: it is late"
    hook.say = lambda path, body: {"isAllowed": False, "reason": "who are you", "gatewayAppId": ""}
    for method, more in (("GetAppKey", {}), ("GetKmsKey", {}), ("GetTempCaCert", {}), ("GetAppEnvEncryptPubKey", {"app_id": APP})):
        answer = refused("KMS self authorization failed: KMS is not allowed: who are you", method, more, "kms.self_denied", cert="good")
    assert good("GetMeta")
    hook.say = lambda path, body: hook.YES


@check("an answer without each of its three members, of another type, status or form: no keys")
def _():
    whole = {"isAllowed": True, "gatewayAppId": "", "reason": ""}
    bad = [{k: v for k, v in whole.items() if k != missing} for missing in whole]
    bad += [dict(whole, isAllowed=v) for v in ("true", 1, None, [])] + [dict(whole, reason=None), dict(whole, gatewayAppId="any"), dict(whole, gatewayAppId=7)]
    bad += [b"", b"true", b"[]", b"<html>", b'{"isAllowed":true', (500, whole), (301, whole), (404, b""), (302, whole)]
    for say in bad:
        hook.say = lambda path, body: hook.YES if path.endswith("kms") else say
        status, answer = call("GetAppKey", {}, cert="good")
        assert status == 400 and answer["code"].startswith("policy."), (say, answer)
    for say in (dict(whole, more=[1]), (201, whole), (299, whole)):
        hook.say = lambda path, body: say
        assert good("GetAppKey", cert="good"), say
    hook.say = lambda path, body: hook.YES


@check("a reason of characters across byte 512 (upstream's handler falls over it)")
def _():
    hook.say = lambda path, body: hook.YES if path.endswith("kms") else {"isAllowed": False, "reason": "x" * 511 + "\u2603" * 40, "gatewayAppId": ""}
    refused("App not allowed: Boot denied: ", "GetAppKey", {}, "policy.denied", cert="good")
    hook.say = lambda path, body: hook.YES if path.endswith("kms") else (500, ("x" * 511 + "\u2603" * 40).encode())
    assert call("GetAppKey", {}, cert="good")[1]["code"] == "policy.status"
    hook.say = lambda path, body: hook.YES


@check("GetMeta goes on without what the policy service must say of itself, and without it (upstream fails)")
def _():
    for info in ({}, b"no", (500, {}), {k: v for k, v in hook.INFO.items() if k != "chainId"}):
        hook.info = info
        assert good("GetMeta")["ca_cert"]
    hook.info = hook.INFO


@check("OS image: Failed to verify os image hash, and no policy is asked about a guest that is not proved")
def _():
    for config, code in (({"os_image_hash": "11" * 32}, "measure.base_unverified"), ({}, "measure.base_unverified")):
        config = json.dumps(dict({"qemu_version": "7.2.0", "num_nics": 1, "swtpm": True, "tee": "soft", "cpu_count": 1, "memory_size": 1 << 31}, **config))
        seen = asked(lambda: refused("App not allowed: Failed to verify os image hash: ", "GetAppKey", {"vm_config": config}, code, cert="good"))
        assert not [p for p, _ in seen if p.endswith("app")], seen


@check("GetKmsKey: off unless core.handover, evidence demanded, /bootAuth/kms about who asks")
def _():
    refused("KMS not allowed: No attestation provided", "GetKmsKey", {}, "ratls.no_evidence")
    seen = asked(lambda: refused("", "GetKmsKey", {}, "kms.no_handover", cert="good"))
    assert [(p, b["appId"]) for p, b in seen] == [("/some/where/bootAuth/kms", KMS_APP), ("/some/where/bootAuth/kms", APP)], seen


@check("what the KMS says of itself to the policy: the whole log, with what came after its boot")
def _():
    body = asked(lambda: good("GetTempCaCert"))[0][1]
    assert body["mrAggregated"] == own["mr_aggregated"] and body["appId"] == KMS_APP and bytes.fromhex(body["keyProviderInfo"]).startswith(b'{"name":"kms"')
