"""Guests that ask a KMS for their keys over and over on connections that stay open, each time with evidence to be judged anew."""
import http.client
import itertools
import json
import ssl
import threading
import time


def context(ca, cert=None, key=None):
    c = ssl.create_default_context(cafile=ca)
    if cert:
        c.load_cert_chain(cert, key)
    return c


class Clients:
    """`results`: (began, ended, code) of each request, on the monotonic clock; code "" when keys came, "connection" when it broke."""

    def __init__(self, port, tls, vm_config, n, fresh=True):
        self.port, self.tls, self.vm_config, self.fresh = port, tls, vm_config, fresh
        self.results, self.secrets, self.stop, self.numbers = [], set(), threading.Event(), itertools.count(1)
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(n)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()

    def body(self, number=None, more=""):
        """The same vm_config in other white space: nothing that was kept of it applies."""
        blanks = "" if number is None else "".join(" \t"[number >> i & 1] for i in range(20))
        return json.dumps({"vm_config": self.vm_config.replace('"num_nics":', '"num_nics":' + blanks) + more})

    def ask(self, conn, body):
        conn.request("POST", "/prpc/GetAppKey?json", body, {"Content-Type": "application/json"})
        r = conn.getresponse()
        answer = json.loads(r.read())
        if r.status == 200:
            self.secrets.add(answer["disk_crypt_key"])
            return ""
        return answer.get("code") or answer["error"]

    def connect(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=20)

    def once(self, body):
        c = self.connect()
        try:
            return self.ask(c, body)
        finally:
            c.close()

    def _run(self):
        c = None
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                c = c or self.connect()
                code = self.ask(c, self.body(next(self.numbers) if self.fresh else None))
            except (OSError, http.client.HTTPException):
                c, code = None, "connection"
            self.results.append((began, time.monotonic(), code))
