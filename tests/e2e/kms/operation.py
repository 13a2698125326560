"""Admin, configuration, policy files, metrics, restarts, and section 5's table of what goes wrong: sections 1.6, 2.2, 3.2, 4.2, 5."""
import base64
import json
import os
import subprocess
import time

import bed
from bed import APP, COMPOSE, IMAGE, WORK, ask, call, certs, check, good, hook, log, ports, sh
from onboarding import CONFIG
from wire import Cert, ders, get, post

def basic(user, password):
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() + "\r\n"


def admin(fields, path="/prpc/ClearImageCache?json"):
    status, head, _ = ask(post(path, b"{}", None, fields), "admin")
    assert status in (200, 401) and (status == 401) == ("www-authenticate" in head), (status, head)
    if status == 401:
        assert head["www-authenticate"] == 'Basic realm="dstack-kms admin"'
    return status


TOKEN = "the admin-token"  # its file has blanks around it


@check("op_06 the admin's secret in each of its places; a wrong X-Admin-Token falls through to Authorization")
def _():
    for fields in (f"X-Admin-Token: {TOKEN}\r\n", f"Authorization: Bearer {TOKEN}\r\n", f"authorization: bearer {TOKEN}\r\n", basic("any", TOKEN),
                   basic(TOKEN, ""), f"X-Admin-Token: no\r\nAuthorization: Bearer {TOKEN}\r\n", "X-Admin-Token: no\r\n" + basic("", TOKEN)):
        assert admin(fields) == 200, fields
    for fields in ("", "X-Admin-Token: \r\n", f"X-Admin-Token: {TOKEN}x\r\n", "Authorization: Bearer\r\n", "Authorization: Bearer x\r\n", basic(TOKEN, "x"),
                   basic("", ""), "Authorization: Basic !\r\n", f"Authorization: Digest {TOKEN}\r\n"):
        assert admin(fields) == 401, fields
    assert admin("", f"/prpc/ClearImageCache?json&token={TOKEN.replace(' ', '+')}") == 401
    for path in ("/", "/nope", "/prpc/Nope", "/health", "/prpc/GetAuditLog"):
        assert ask(get(path), "admin")[0] == 401, path


@check("metrics: upstream's two counters count the three attested methods, refusals before dispatch among them")
def _():
    def counters():
        status, fields, text = ask(get("/metrics"))
        assert status == 200 and fields["content-type"].startswith("text/plain")
        assert b"# TYPE dstack_kms_attestation_requests_total counter\n" in text
        line = {a: int(float(b)) for a, b in (x.split(" ") for x in text.decode().splitlines() if x.startswith("dstack_kms_attestation_"))}
        return line["dstack_kms_attestation_requests_total"], line["dstack_kms_attestation_failures_total"]
    before = counters()
    good("GetAppKey", cert="good")
    for method in ("GetAppKey", "GetKmsKey", "SignCert"):
        assert call(method)[0] == 400
    assert call("GetAppKey", cert="stolen")[0] == 400 and ask(post("/prpc/GetAppKey?json", b"{"))[0] == 400
    good("GetMeta"), good("GetTempCaCert")
    assert counters() == (before[0] + 6, before[1] + 5), (before, counters())
    assert ask(get("/health"))[::2] == (200, b"OK")
    assert json.loads(ask(get("/ready"))[2])["ready"] is True


# ---- a start again

def restart(more=""):
    bed.stop(bed.running[-1])
    path = CONFIG
    if more:
        path = WORK / "more.toml"
        path.write_text(CONFIG.read_text().replace("[rpc]", more + "\n[rpc]", 1))
    ports.clear()
    found, _ = bed.start(path, "main")
    ports.update(found)


def reissued(name, days):
    """The certificate of that CA once one that ends in so many days was there at a start."""
    subject = "/O=Dstack/CN=" + ("Dstack KMS CA" if name == "root-ca" else "Dstack Client Temp CA")
    path = 1 if name == "root-ca" else 0
    sh("openssl", "req", "-x509", "-new", "-key", certs / f"{name}.key", "-subj", subject, "-days", days, "-set_serial", "77", "-addext",
       "keyUsage=critical,digitalSignature,keyCertSign,cRLSign", "-addext", f"basicConstraints=critical,CA:TRUE,pathlen:{path}", "-out", certs / f"{name}.crt")


@check("every start makes an RPC certificate anew; the CAs' are made anew within 365 days of their end, with their keys")
def _():
    rpc, keys = (certs / "rpc.crt").read_text(), {n: (certs / f"{n}.key").read_bytes() for n in ("root-ca", "tmp-ca", "rpc")}
    old = {n: (certs / f"{n}.crt").read_text() for n in ("root-ca", "tmp-ca")}
    restart()
    assert (certs / "rpc.crt").read_text() != rpc and {n: (certs / f"{n}.crt").read_text() for n in old} == old
    reissued("tmp-ca", 364)
    reissued("root-ca", 367)
    kept = (certs / "root-ca.crt").read_text()
    restart()
    temp = Cert(ders((certs / "tmp-ca.crt").read_text())[0])
    assert temp.serial != b"\x4d" and temp.end() - time.time() > 3640 * 86400 and (certs / "root-ca.crt").read_text() == kept
    reissued("root-ca", 364)
    restart()
    assert Cert(ders((certs / "root-ca.crt").read_text())[0]).serial != b"\x4d"
    assert keys == {n: (certs / f"{n}.key").read_bytes() for n in keys}
    assert good("GetAppKey", cert="good")


@check("a root certificate of another key: CA certificate does not match private key")
def _():
    bed.stop(bed.running[-1])
    kept = (certs / "root-ca.crt").read_bytes()
    (certs / "root-ca.crt").write_bytes((certs / "tmp-ca.crt").read_bytes())
    p = subprocess.run(["dstack-kms", "-c", CONFIG], capture_output=True, timeout=20)
    assert p.returncode and b"CA certificate does not match private key" in p.stderr, p.stderr[-300:]
    (certs / "root-ca.crt").write_bytes(kept)
    found, _ = bed.start(CONFIG, "main")
    ports.update(found)


@check("the guest agent unreachable at a start: it serves what needs no evidence of its own, and heals (upstream does not start)")
def _():
    rpc = (certs / "rpc.crt").read_text()
    bed.agent.terminate()
    bed.agent.wait()
    restart("self_check_s = 5")
    assert good("GetMeta")["ca_cert"] and (certs / "rpc.crt").read_text() == rpc
    assert call("GetTempCaCert")[0] == 400 and json.loads(ask(get("/ready"))[2])["checks"]["own_evidence"] is False
    bed.running.insert(0, subprocess.Popen([*bed.agent.args], stderr=subprocess.DEVNULL))
    end = time.time() + 15
    while ask(get("/ready"))[0] != 200 and time.time() < end:
        time.sleep(0.2)
    assert good("GetAppKey", cert="good")
    while (certs / "rpc.crt").read_text() == rpc and time.time() < end:
        time.sleep(0.1)
    assert (certs / "rpc.crt").read_text() != rpc


# ---- configuration

UPSTREAM = """[default]
workers = 8
max_blocking = 64
ident = "DStack KMS"
temp_dir = "/tmp"
keep_alive = 10
log_level = "info"
[rpc]
address = "0.0.0.0"
port = 8000
[rpc.tls]
key = "/etc/kms/certs/rpc.key"
certs = "/etc/kms/certs/rpc.crt"
[rpc.tls.mutual]
ca_certs = "/etc/kms/certs/tmp-ca.crt"
mandatory = false
[core]
cert_dir = "/etc/kms/certs"
subject_postfix = ".dstack"
site_name = ""
enforce_self_authorization = true
attest_rpc_cert = true
sev_snp_key_release = false
aws_nitro_tpm_key_release = false
[core.attestation]
insecure_allow_external_trust_anchors = true
[core.attestation.urls]
pccs = "https://pccs.example"
amd_kds = "https://kds.example"
[core.attestation.root_ca]
tdx = "/root.pem"
sev_snp_milan = "/milan.pem"
[core.image]
verify = true
cache_dir = "/usr/share/dstack/images"
download_url = "http://localhost:8000/{OS_IMAGE_HASH}.tar.gz"
download_timeout = "2m"
[core.admin]
enabled = false
address = "127.0.0.1"
port = 8001
auth_token = ""
htpasswd_file = ""
insecure_no_auth = false
[core.metrics]
enabled = true
[core.auth_api]
type = "webhook"
[core.auth_api.webhook]
url = "http://auth-api:8000"
[core.auth_api.dev]
gateway_app_id = "any"
[core.onboard]
enabled = true
auto_bootstrap_domain = ""
address = "0.0.0.0"
port = 8000
"""
SAME = {"rpc.address", "core.cert_dir", "core.site_name", "core.enforce_self_authorization", "core.attest_rpc_cert", "core.admin.address",
        "core.admin.htpasswd_file", "core.metrics.enabled", "core.onboard.auto_bootstrap_domain", "core.onboard.address"}


def checked(path):
    p = subprocess.run(["dstack-kms", "-c", path, "--check"], capture_output=True, timeout=20)
    return p.returncode, p.stderr.decode()


@check("upstream's kms.toml is refused, every key of it that is another here with what to write instead")
def _():
    (WORK / "up.toml").write_text(UPSTREAM)
    status, said = checked(WORK / "up.toml")
    assert status and "code=config.unknown_key" in said
    table = ""
    for n, line in enumerate(UPSTREAM.splitlines(), 1):
        if line.startswith("["):
            table = line[1:-1]
            continue
        key = f"{table}.{line.split(' ')[0]}"
        assert (f"up.toml:{n}: {key}: here: " in said) == (key not in SAME), key


@check("unknown keys are refused anywhere, with their line")
def _():
    for more, key in (("[core]\nnope = 1", "core.nope"), ("[nope]\na = 1", "[nope]"), ("nope = 1", "nope")):
        (WORK / "odd.toml").write_text(more + "\n")
        status, said = checked(WORK / "odd.toml")
        assert status and "code=config.unknown_key" in said and key in said and "odd.toml:" in said, said


def small(name, policy, **kw):
    return bed.config(name, policy=policy, cert_dir=name, more='[core.onboard]\nauto_bootstrap_domain = "127.0.0.1"\n' + kw.pop("more", ""), **kw)


@check("mode dev: needs insecure_development; allows everything; GetMeta says is_dev, allow_any_upgrade, the gateway")
def _():
    dev = '[[policy.source]]\ntype = "dev"'
    plain = small("plain", dev, top="")
    plain.write_text(plain.read_text().replace("development_root", "# "))
    status, said = checked(plain)
    assert status and "code=config.development_only" in said, said
    main = dict(ports)
    found, p = bed.start(small("dev", dev), "main")
    ports["main"] = found["main"]
    try:
        root = bed.tls
        bed.tls = lambda cert=None, **kw: bed.context(WORK / "dev/root-ca.crt", str(WORK / cert) if cert else None, **kw)
        meta = good("GetMeta")
        assert meta["is_dev"] and meta["allow_any_upgrade"] and meta["gateway_app_id"] == "any", meta
        assert meta["bootstrap_info"]["attestation"] and "INSECURE" in log()
        sh(*bed.who, "--key", WORK / "good.key", "--quote", WORK / "good.quote", "--ca", WORK / "dev/tmp-ca.crt", "--ca-key", WORK / "dev/tmp-ca.key", "--out",
           WORK / "there.crt")
        (WORK / "there.key").write_bytes((WORK / "good.key").read_bytes())
        assert good("GetAppKey", cert="there")["gateway_app_id"] == "any"
    finally:
        bed.tls = root
        bed.stop(p)
        bed.running.remove(p)
        ports.update(main)


@check("auto-bootstrap of a KMS that the policy does not allow: KMS is not allowed to auto-bootstrap")
def _():
    hook.say = lambda path, body: {"isAllowed": False, "reason": "never", "gatewayAppId": ""}
    p = subprocess.run(["dstack-kms", "-c", small("denied", None)], capture_output=True, timeout=20)
    hook.say = lambda path, body: hook.YES
    assert p.returncode and b"KMS is not allowed to auto-bootstrap: " in p.stderr and b"never" in p.stderr and not (WORK / "denied").exists(), p.stderr


@check("op_06 the admin's token from the environment, upstream's names in upstream's order; without any it does not start")
def _():
    path = small("env", '[[policy.source]]\ntype = "dev"', more='[core.admin]\naddress = "tcp:127.0.0.1:0"\n')
    env = {k: v for k, v in os.environ.items() if "TOKEN" not in k}
    p = subprocess.run(["dstack-kms", "-c", path, "--check"], capture_output=True, env=env)
    assert p.returncode and b"admin.no_auth" in p.stderr
    p = subprocess.run(["dstack-kms", "-c", path, "--check"], capture_output=True, env=dict(env, ADMIN_API_TOKEN="  "))
    assert p.returncode and b"admin.token" in p.stderr, p.stderr
    for extra, token in (({"ADMIN_API_TOKEN": " one "}, "one"), ({"ADMIN_API_TOKEN": "one", "DSTACK_KMS_ADMIN_TOKEN": "two"}, "two")):
        found, p = bed.start(path, "main", env=extra)
        main, ports["admin"] = ports["admin"], found["admin"]
        try:
            assert admin(f"X-Admin-Token: {token}\r\n") == 200 and admin("X-Admin-Token: three\r\n") == 401
        finally:
            ports["admin"] = main
            bed.stop(p)
            bed.running.remove(p)


# ---- auth-config.json, and who serves it

@check("auth-config.json: upstream's order of reasons, each denial with the gateway")
def _():
    boot = {"teeVariant": "dstack-tdx", "mrAggregated": "aa" * 32, "osImageHash": IMAGE, "mrSystem": "bb" * 32, "appId": APP, "composeHash": COMPOSE,
            "instanceId": "", "deviceId": "cc" * 32, "keyProviderInfo": "", "tcbStatus": "OutOfDate", "advisoryIds": ["INTEL-SA-1"]}
    rules = {"gatewayAppId": "0x" + "dd" * 20, "osImages": [], "kms": {"mrAggregated": ["11" * 32]}, "apps": {"0x" + "11" * 20: {"composeHashes": []}}}
    (WORK / "auth-config.json").write_text(json.dumps(rules))
    sock = WORK / "auth.sock"
    (WORK / "auth.toml").write_text(f'address = "unix:{sock}"\n[policy]\nfile = "{WORK}/auth-config.json"\n')
    p = subprocess.Popen(["dstack-auth", "-c", WORK / "auth.toml"], stderr=subprocess.DEVNULL)
    bed.running.insert(0, p)
    end = time.time() + 5
    while not sock.exists() and time.time() < end:
        time.sleep(0.02)

    def says(kind):
        (WORK / "new.json").write_text(json.dumps(rules))
        (WORK / "new.json").rename(WORK / "auth-config.json")
        answer = json.loads(sh("curl", "-sS", "--unix-socket", sock, f"http://auth/bootAuth/{kind}", "-H", "content-type: application/json", "-d",
                               json.dumps(boot)))
        assert set(answer) >= {"isAllowed", "gatewayAppId", "reason"}, answer
        assert answer["gatewayAppId"].lower().removeprefix("0x") == "dd" * 20, answer
        return answer["reason"] if not answer["isAllowed"] else True
    for kind in ("app", "kms"):
        rules.update(osImages=[], allowedTcbStatuses=["UpToDate"], allowedAdvisoryIds=[])
        assert says(kind).startswith("TCB status is not allowed")
        rules["allowedTcbStatuses"] = ["UpToDate", "OutOfDate"]
        assert says(kind).startswith("advisory ID is not allowed")
        rules["allowedAdvisoryIds"] = ["INTEL-SA-1"]
        assert says(kind).startswith("OS image is not allowed")
        rules["osImages"] = ["0x" + IMAGE.upper()]
    assert says("app").startswith("app not registered")
    rules["apps"]["0x" + APP] = {"composeHashes": ["ab" * 32]}
    assert says("app").startswith("compose hash not allowed")
    rules["apps"]["0x" + APP] = {"composeHashes": [COMPOSE], "devices": ["ab" * 32]}
    assert says("app").startswith("app is not allowed to boot on this device")
    rules["apps"]["0x" + APP]["devices"] = ["0x" + "CC" * 32]
    assert says("app") is True
    assert says("kms").startswith("aggregated MR not allowed")
    rules["kms"] = {"mrAggregated": ["aa" * 32]}
    assert says("kms").startswith("KMS is not allowed to boot on this device")  # an empty list is no device (upstream: any)
    rules["kms"]["allowAnyDevice"] = True
    assert says("kms") is True
    p.terminate()


@check("collateral once had outlives its service (upstream: every verification fails)")
def _():
    serve = subprocess.Popen(["dstack-softtee", "serve", "--dir", WORK / "pki", "--listen", "tcp:127.0.0.1:0"], stderr=subprocess.PIPE)
    port = serve.stderr.readline().decode().split("port=")[1].split()[0]
    path = small("cached", '[[policy.source]]\ntype = "dev"', more="")
    path.write_text(path.read_text().replace(bed.PCCS, f"http://127.0.0.1:{port}").replace("[attestation]", f'[attestation]\ncache_dir = "{WORK}/collateral"'))
    _, p = bed.start(path, "main")
    bed.stop(p)
    bed.running.remove(p)
    serve.terminate()
    found, p = bed.start(path, "main")
    main, ports["main"], root = ports["main"], found["main"], bed.tls
    bed.tls = lambda cert=None, **kw: bed.context(WORK / "cached/root-ca.crt", str(WORK / cert) if cert else None, **kw)
    try:
        sh(*bed.who, "--key", WORK / "good.key", "--quote", WORK / "good.quote", "--ca", WORK / "cached/tmp-ca.crt", "--ca-key", WORK / "cached/tmp-ca.key",
           "--out", WORK / "there.crt")
        assert good("GetAppKey", cert="there")
    finally:
        ports["main"], bed.tls = main, root
        bed.stop(p)
        bed.running.remove(p)
