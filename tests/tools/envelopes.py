#!/usr/bin/env python3
"""Writes tests/vectors/envelopes.txt: attestation envelopes of every kind and form, sound and broken.

Encoders of SCALE and MessagePack of their own, from their specifications, so that the core's are not their own proof.
A line is `name want hex`; want is `exact` (accepted, and encodes to the same bytes again), `ok` (accepted) or the
reason code.
"""
import struct


def pack(v):
    """MessagePack, shortest forms. A list of pairs in a tuple ('map', …) is a map, so that keys may repeat."""
    def head(n, fix, room, eight, sixteen):
        if fix is not None and n <= room:
            return bytes([fix | n])
        if n < 256 and eight:
            return bytes([eight, n])
        return bytes([sixteen]) + struct.pack(">H", n) if n < 65536 else bytes([sixteen + 1]) + struct.pack(">I", n)

    if v is None:
        return b"\xc0"
    if isinstance(v, bool):
        return b"\xc3" if v else b"\xc2"
    if isinstance(v, int):
        for limit, tag, form in ((128, None, "B"), (256, 0xcc, "B"), (65536, 0xcd, ">H"), (1 << 32, 0xce, ">I")):
            if v < limit:
                return (b"" if tag is None else bytes([tag])) + struct.pack(form, v)
        return b"\xcf" + struct.pack(">Q", v)
    if isinstance(v, str):
        return head(len(v.encode()), 0xa0, 31, 0xd9, 0xda) + v.encode()
    if isinstance(v, bytes):
        return head(len(v), None, 0, 0xc4, 0xc5) + v
    if isinstance(v, list):
        return head(len(v), 0x90, 15, 0, 0xdc) + b"".join(map(pack, v))
    if isinstance(v, dict):
        v = ("map", *v.items())
    return head(len(v) - 1, 0x80, 15, 0, 0xde) + b"".join(pack(k) + pack(x) for k, x in v[1:])


def compact(n):
    return bytes([n << 2]) if n < 64 else struct.pack("<H", n << 2 | 1) if n < 1 << 14 else struct.pack("<I", n << 2 | 2)


def vec(b):
    b = b.encode() if isinstance(b, str) else b
    return compact(len(b)) + b


def many(items):
    items = list(items)
    return compact(len(items)) + b"".join(items)


QUOTE, RD, DIGEST = bytes(range(7)), bytes(range(64)), bytes([0xd1]) * 48
EVENTS = [(0, 10, DIGEST, "acpi-loader", b"ACPI DATA"), (3, 134217729, DIGEST, "app-id", b"\x01\x02"), (1, 7, DIGEST, "", b"")]
RUNTIME = [("app-id", b"\x01\x02"), ("system-ready", b"")]
TPM = dict(message=b"m", signature=b"s", pcrs=[(14, "sha256", b"v" * 32)], ak=b"c", log=[(4, b"d" * 32), (5, b"e" * 32)])
CHAIN, DOCUMENT, CONFIG = [b"ask", b"vcek"], "{\"version\":3}", "{\"cpu_count\":1}"


# ---- V0

def v0_log(events=EVENTS):
    return many([struct.pack("<II", i, t) + vec(d) + vec(n) + vec(p) for i, t, d, n, p in events])


def v0_tpm(platform=1):
    return (vec(TPM["message"]) + vec(TPM["signature"]) +
            many([struct.pack("<I", i) + vec(a) + vec(v) for i, a, v in TPM["pcrs"]]) + vec(TPM["ak"]) + bytes([platform]) +
            many([struct.pack("<I", i) + vec(d) for i, d in TPM["log"]]))


def v0(kind, rest=b"", config=CONFIG):
    return b"\0" + bytes([kind]) + vec(QUOTE) + rest + many([vec(n) + vec(p) for n, p in RUNTIME]) + RD + vec(config)


# ---- V1

def ints(b):
    return list(b)


def v1_events(events=EVENTS, **more):
    return [dict(imr=i, event_type=t, digest=d, event=n, event_payload=p, **more) for i, t, d, n, p in events]


def v1_tpm(platform="gcp"):
    return dict(message=TPM["message"], signature=TPM["signature"],
                pcr_values=[dict(index=i, algorithm=a, value=v) for i, a, v in TPM["pcrs"]], ak_cert=TPM["ak"],
                platform=platform, event_log=[dict(pcr_index=i, digest=d) for i, d in TPM["log"]])


STACK = dict(report_data=ints(RD), runtime_events=[dict(event=n, payload=p, version=2) for n, p in RUNTIME], config=CONFIG)
POD = dict(STACK, report_data_payload="payload")
TDX = dict(quote=ints(QUOTE), event_log=v1_events())
SNP = dict(report=ints(QUOTE), cert_chain=[ints(c) for c in CHAIN], mr_config=DOCUMENT)


def v1(kind="tdx", data=None, stack="dstack", body=None, version=1):
    return dict(version=version, platform=dict(kind=kind, data=TDX if data is None else data),
                stack=dict(kind=stack, data=STACK if body is None else body))


def without(d, key):
    return {k: x for k, x in d.items() if k != key}


def twice(d, key):
    return ("map", *d.items(), (key, d[key]))


def order(d):
    return ("map", *reversed(d.items()))


CASES = [
    ("v0-tdx", "exact", v0(0, v0_log())),
    ("v0-gcp-tdx", "exact", v0(1, v0_log() + v0_tpm())),
    ("v0-nitro", "exact", v0(2)),
    ("v0-snp", "exact", v0(3, many(map(vec, CHAIN)) + vec(DOCUMENT))),
    ("v0-nitro-tpm", "exact", v0(4)),
    ("v0-kind", "envelope.format", v0(5)),
    ("v0-platform", "envelope.format", v0(1, v0_log() + v0_tpm(4))),
    ("v0-imr", "envelope.format", v0(0, v0_log([(4, 1, DIGEST, "", b"")]))),
    ("v0-more-events", "envelope.format", v0(0, v0_log([(1, 1, b"", "", b"")] * 17))),
    ("v0-long-chain", "envelope.format", v0(3, many([vec(b"c")] * 9) + vec(DOCUMENT))),
    ("v0-many-pcrs", "envelope.format", v0(1, v0_log() + vec(b"") + vec(b"") + many([b"\0" * 6] * 25))),
    ("v0-cut-pcrs", "envelope.format", b"\0\x01" + vec(QUOTE) + v0_log() + vec(b"") + vec(b"") + compact(3) + b"\0\0"),
    ("v0-cut-tpm-log", "envelope.format",
     b"\0\x01" + vec(QUOTE) + v0_log() + vec(b"") + vec(b"") + compact(0) + vec(b"") + b"\0" + compact(3) + b"\0\0"),
    ("v0-trailing", "envelope.trailing", v0(2) + b"\0"),
    ("empty", "envelope.format", b""),
    ("version-1-byte", "envelope.version", b"\x01"),
    ("version-array", "envelope.version", b"\x90"),
    ("version-map-16", "envelope.format", b"\xde\x00\x00"),
    ("version-map-32", "envelope.format", b"\xdf\x00\x00\x00\x00"),
    ("v1-tdx", "exact", pack(v1())),
    ("v1-gcp-tdx", "exact", pack(v1("gcp-tdx", dict(TDX, tpm_quote=v1_tpm())))),
    ("v1-nitro", "exact", pack(v1("nitro-enclave", dict(nsm_quote=ints(QUOTE))))),
    ("v1-snp", "exact", pack(v1("sev-snp", SNP))),
    ("v1-nitro-tpm", "exact", pack(v1("aws-nitro-tpm", dict(attestation_doc=ints(QUOTE))))),
    ("v1-pod", "exact", pack(v1(stack="dstack-pod", body=POD))),
    ("v1-preimage", "exact", pack(v1(data=dict(TDX, event_log=v1_events(version=2, preimage=b"{}"))))),
    ("v1-bin", "ok", pack(v1(data=dict(TDX, quote=QUOTE), body=dict(STACK, report_data=RD)))),
    ("v1-order", "ok", pack(order(dict(version=1, platform=order(dict(kind="tdx", data=order(TDX))),
                                       stack=order(dict(kind="dstack", data=order(STACK))))))),
    ("v1-unknown-members", "ok", pack(dict(v1(data=dict(TDX, x=[1, {"y": None}]), body=dict(STACK, x=2)), x="y"))),
    ("v1-unknown-in-event", "ok", pack(v1(data=dict(TDX, event_log=v1_events(x=b"")), body=dict(
        STACK, runtime_events=[dict(event="a", payload=b"", imr=9, event_type="t", digest=1, event_payload=None)])))),
    ("v1-nil-preimage", "ok", pack(v1(data=dict(TDX, event_log=v1_events(preimage=None))))),
    ("v1-nil-mr-config", "ok", pack(v1("sev-snp", dict(SNP, mr_config=None)))),
    ("v1-snp-report-alone", "ok", pack(v1("sev-snp", dict(report=QUOTE)))),
    ("v1-other-kinds-member", "ok", pack(v1("sev-snp", dict(SNP, quote="not looked at")))),
    ("v1-platform-number", "ok", pack(v1("gcp-tdx", dict(TDX, tpm_quote=v1_tpm(3))))),
    ("v1-platform-aws", "ok", pack(v1("gcp-tdx", dict(TDX, tpm_quote=v1_tpm("aws-ec2"))))),
    ("v1-tpm-unknown", "ok", pack(v1("gcp-tdx", dict(TDX, tpm_quote=dict(v1_tpm(), x=1, pcr_values=[dict(index=1, x=2)]))))),
    ("v1-version-2", "envelope.version", pack(v1(version=2))),
    ("v1-trailing", "envelope.trailing", pack(v1()) + b"\xc0"),
    ("v1-no-version", "envelope.format", pack(without(v1(), "version"))),
    ("v1-no-stack", "envelope.format", pack(without(v1(), "stack"))),
    ("v1-version-twice", "envelope.format", pack(twice(v1(), "version"))),
    ("v1-top-twice", "envelope.format", pack(twice(v1(), "stack"))),
    ("v1-kind", "envelope.format", pack(v1("tdx2"))),
    ("v1-stack-kind", "envelope.format", pack(v1(stack="stack"))),
    ("v1-kind-number", "envelope.format", pack(v1(1))),
    ("v1-no-kind", "envelope.format", pack(dict(v1(), platform=dict(data=TDX)))),
    ("v1-no-data", "envelope.format", pack(dict(v1(), stack=dict(kind="dstack")))),
    ("v1-data-twice", "envelope.format", pack(dict(v1(), platform=twice(dict(kind="tdx", data=TDX), "data")))),
    ("v1-data-cut", "envelope.format", pack(v1())[:60]),
    ("v1-platform-cut", "envelope.format", b"\x83" + pack("version") + b"\x01" + pack("platform") + b"\x82" + pack("data") + b"\x92"),
    ("v1-platform-no-map", "envelope.format", pack(v1(data=[1]))),
    ("v1-stack-no-map", "envelope.format", pack(v1(body=[1]))),
    ("v1-no-quote", "envelope.format", pack(v1(data=without(TDX, "quote")))),
    ("v1-no-log", "envelope.format", pack(v1(data=without(TDX, "event_log")))),
    ("v1-no-tpm", "envelope.format", pack(v1("gcp-tdx"))),
    ("v1-quote-twice", "envelope.format", pack(v1(data=twice(TDX, "quote")))),
    ("v1-quote-text", "envelope.format", pack(v1(data=dict(TDX, quote="q")))),
    ("v1-quote-number-too-big", "envelope.format", pack(v1(data=dict(TDX, quote=[1, 256, 3])))),
    ("v1-event-without-name", "envelope.format", pack(v1(data=dict(TDX, event_log=[without(v1_events()[0], "event")])))),
    ("v1-event-name-twice", "envelope.format", pack(v1(data=dict(TDX, event_log=[twice(v1_events()[0], "event")])))),
    ("v1-event-imr-4", "envelope.format", pack(v1(data=dict(TDX, event_log=v1_events([(4, 1, b"", "", b"")] + EVENTS))))),
    ("v1-event-version-0", "envelope.format", pack(v1(data=dict(TDX, event_log=v1_events(version=0))))),
    ("v1-event-version-3", "envelope.format", pack(v1(data=dict(TDX, event_log=v1_events(version=3))))),
    ("v1-event-no-map", "envelope.format", pack(v1(data=dict(TDX, event_log=[1, 2])))),
    ("v1-more-events", "envelope.format", pack(v1(data=dict(TDX, event_log=v1_events([EVENTS[2]] * 17))))),
    ("v1-more-runtime-events", "envelope.format", pack(v1(body=dict(STACK, runtime_events=[dict(event="a", payload=b"")] * 17)))),
    ("v1-long-chain", "envelope.format", pack(v1("sev-snp", dict(SNP, cert_chain=[b"c"] * 9)))),
    ("v1-chain-text", "envelope.format", pack(v1("sev-snp", dict(SNP, cert_chain=[b"a", "b", b"c"])))),
    ("v1-many-pcrs", "envelope.format", pack(v1("gcp-tdx", dict(TDX, tpm_quote=dict(v1_tpm(), pcr_values=[dict(index=1)] * 25))))),
    ("v1-pcr-text", "envelope.format", pack(v1("gcp-tdx", dict(TDX, tpm_quote=dict(v1_tpm(), pcr_values=[dict(index="1", value=b""), {}]))))),
    ("v1-pcr-twice", "envelope.format", pack(v1("gcp-tdx", dict(TDX, tpm_quote=dict(v1_tpm(), pcr_values=[twice(dict(index=1), "index")]))))),
    ("v1-tpm-text", "envelope.format", pack(v1("gcp-tdx", dict(TDX, tpm_quote=dict(message="m", signature=b"s"))))),
    ("v1-tpm-platform", "envelope.format", pack(v1("gcp-tdx", dict(TDX, tpm_quote=v1_tpm("azure"))))),
    ("v1-tpm-platform-4", "envelope.format", pack(v1("gcp-tdx", dict(TDX, tpm_quote=v1_tpm(4))))),
    ("v1-no-report-data", "envelope.format", pack(v1(body=without(STACK, "report_data")))),
    ("v1-no-config", "envelope.format", pack(v1(body=without(STACK, "config")))),
    ("v1-short-report-data", "envelope.format", pack(v1(body=dict(STACK, report_data=ints(RD[:63]))))),
    ("v1-config-bytes", "envelope.format", pack(v1(body=dict(config=b"{}", report_data=RD, runtime_events=[])))),
    ("v1-pod-without-payload", "envelope.format", pack(v1(stack="dstack-pod"))),
    ("v1-stack-twice", "envelope.format", pack(v1(body=twice(STACK, "config")))),
]

if __name__ == "__main__":
    for name, want, data in CASES:
        print(name, want, data.hex() or "-")
