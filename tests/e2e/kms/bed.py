"""A KMS under a policy service that remembers, its guest agent, and how its methods are asked. Arguments as of checks.py."""
import json
import os
import re
import subprocess
import sys
import time
import traceback
from pathlib import Path

from wire import Conn, Hook, context, post

WORK, PCCS, IMAGE = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
APP, COMPOSE, INST = "00112233445566778899aabbccddeeff00112233", "5a" * 32, "01" * 20
KMS_APP, KMS_COMPOSE = "ee" * 20, "a1" * 32
GUEST = "build/tests/tools/fakeguest"
JSON, PB = "application/json", "application/octet-stream"
ARC = "1.3.6.1.4.1.62397.1."
failed, running = 0, []


def check(text):
    def run(fn):
        global failed
        try:
            fn()
            print("ok -", text, flush=True)
        except Exception as e:  # whatever it is, it is a failure
            failed += 1
            print("not ok -", text, flush=True)
            at = traceback.extract_tb(e.__traceback__)[1:]
            print(f"  # {type(e).__name__}: {str(e)[:600]}", *(f"\n  # {Path(f.filename).name}:{f.lineno}: {f.line}" for f in at), flush=True)
    return run


def sh(*args, **kw):
    return subprocess.run(list(map(str, args)), capture_output=True, check=True, **kw).stdout


# ---- the KMS, its agent, its policy

hook = Hook()
(WORK / "agent").mkdir()
agent = subprocess.Popen([GUEST, "agent", "--image", WORK / "images/one", "--app", KMS_APP, "--compose", KMS_COMPOSE, "--ready", "1",
                          "--pki", WORK / "pki", "--out", f"unix:{WORK}/agent/sock"], stderr=subprocess.DEVNULL)
running.append(agent)
for name in ("setup-token", "admin-token"):
    os.close(os.open(WORK / name, os.O_CREAT | os.O_WRONLY, 0o600))
    (WORK / name).write_text(f"  the {name}\n")


def config(name, core="", policy=None, more="", cert_dir="certs", top="insecure_development = true"):
    policy = policy or f'[[policy.source]]\ntype = "webhook"\nurl = "http://127.0.0.1:{hook.port}/some/where"\ntimeout = 2'
    path = WORK / f"{name}.toml"
    path.write_text(f"""{top}
[core]
cert_dir = "{WORK}/{cert_dir}"
agent = "unix:{WORK}/agent/sock"
attest_rpc_cert = true
enforce_self_authorization = true
site_name = "site \\"1\\""
{core}
[rpc]
address = "tcp:127.0.0.1:0"
[image]
dir = "{WORK}/images"
[attestation]
pccs_url = "{PCCS}"
development_root = "{WORK}/pki/root.der"
{more}
{policy}
""")
    return path


def start(path, want, env=None, **kw):
    """A KMS; ({"setup" | "admin" | "main": port}, process) once as many listen."""
    log = WORK / "kms.log"
    with open(log, "w") as err:
        p = subprocess.Popen(["dstack-kms", "-c", path], stderr=err, env=dict(os.environ, **(env or {})), **kw)
    running.append(p)
    return listening(p, want), p


def listening(p, want):
    end = time.time() + 10
    while time.time() < end and p.poll() is None:
        lines = re.findall(r"listening address=\S+ port=(\d+) tls=(\w+)", (WORK / "kms.log").read_text())
        ports = {"main": int(n) for n, tls in lines if tls == "yes"}
        plain = [int(n) for n, tls in lines if tls == "no"]
        ports.update(zip(("setup", "admin") if want == "setup" or len(plain) > 1 else ("admin",), plain))
        if want in ports:
            return ports
        time.sleep(0.02)
    raise AssertionError("does not listen: " + (WORK / "kms.log").read_text()[-600:])


def stop(p):
    p.terminate()
    assert p.wait(10) == 0


def log():
    return (WORK / "kms.log").read_text()


ports, certs = {}, WORK / "certs"


def tls(cert=None, **kw):
    return context(WORK / "certs/root-ca.crt", str(WORK / cert) if cert else None, **kw)


def ask(request, where="main", cert=None, **kw):
    with Conn(ports[where], tls(cert, **kw) if where == "main" else None) as c:
        return c.ask(request)


TOKEN = {"setup": "X-Admin-Token: the setup-token\r\n", "admin": "X-Admin-Token: the admin-token\r\n", "main": ""}


def call(method, body=None, where="main", cert=None):
    status, fields, text = ask(post(f"/prpc/{method}?json", json.dumps({} if body is None else body), None, TOKEN[where]), where, cert)
    assert fields["content-type"] == JSON, fields
    return status, json.loads(text)


def good(method, body=None, where="main", cert=None):
    status, answer = call(method, body, where, cert)
    assert status == 200, f"{method}: {status} {answer}"
    return answer


def refused(text, method, body=None, code=None, where="main", cert=None):
    """`text`: what upstream's chain of contexts begins with."""
    status, answer = call(method, body, where, cert)
    assert status == 400 and answer["error"].startswith(text) and (not code or answer["code"] == code), f"{method}: {status} {answer}"
    return answer


def evidence(name, *more, app=APP, compose=COMPOSE):
    who = [GUEST, "--image", WORK / "images/one", "--app", app, "--compose", compose, "--key", WORK / f"{name}.key", *more]
    args = sh(who[0], "quote-args", *who[1:]).decode().split()
    sh("dstack-softtee", "quote", "--dir", WORK / "pki", "--out", WORK / f"{name}.quote", *args)
    sh(who[0], "cert", *who[1:], "--quote", WORK / f"{name}.quote", "--ca", WORK / "certs/tmp-ca.crt", "--ca-key", WORK / "certs/tmp-ca.key",
       "--out", WORK / f"{name}.crt")
    return who


def members(answer, *names):
    assert list(answer) == list(names), list(answer)
