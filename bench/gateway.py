"""Started by gateway.sh. Each round runs both proxies once, in turn, so that noise falls on both alike; figures
are medians over rounds. CPU is user and system time of the proxy's processes, from /proc/PID/stat."""
import os, shutil, socket, statistics, subprocess, sys, tempfile, time

BUILD, EACH, ROUNDS = sys.argv[1], float(os.environ.get("SECONDS_EACH", 1.5)), int(os.environ.get("ROUNDS", 2))
IDLE = int(os.environ.get("IDLE", 4000))
TICK, CPUS = os.sysconf("SC_CLK_TCK"), sorted(os.sched_getaffinity(0))
PROXY_CPU, LOAD_CPU = CPUS[-1], CPUS[0]
W = tempfile.mkdtemp(prefix="bench-gateway.")
APP, INSTANCE = "b2" * 20, "11" * 20
BACKEND, RAW, TLS, PORT = "10.8.0.2", 9444, 9443, 18443
NAMES = {"raw": f"{APP}-{RAW}s.app.test", "tls": f"{APP}-{TLS}s.app.test"}
IFACE = f"gwb{os.getpid()}"


def pinned(cpu):
    def start():
        os.setsid()
        os.sched_setaffinity(0, {cpu})
    return start


def run(*command, **more):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more).stdout


def wait_port(host, port):
    for _ in range(200):
        try:
            socket.create_connection((host, port), 0.5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nobody listens on {host}:{port}")


def cpu(p):
    f = open(f"/proc/{p.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / TICK


def memory_kib(p):
    return sum(int(x.split()[1]) for x in open(f"/proc/{p.pid}/smaps_rollup") if x.startswith("Pss:"))


def write(name, text):
    with open(f"{W}/{name}", "w") as f:
        f.write(text)
    return f"{W}/{name}"


def haproxy():
    most = (int(run("sh", "-c", "ulimit -n")) - 1000) // 2
    conf = write("haproxy.cfg", f"""global
  nbthread 1
  maxconn {most}
defaults
  mode tcp
  maxconn {most}
  timeout connect 10s
  timeout client 1h
  timeout server 1h
frontend f
  bind 127.0.0.1:{PORT} backlog 4096
  tcp-request inspect-delay 5s
  tcp-request content accept if {{ req_ssl_hello_type 1 }}
  use_backend raw if {{ req_ssl_sni -i {NAMES['raw']} }}
  use_backend tls if {{ req_ssl_sni -i {NAMES['tls']} }}
backend raw
  server s {BACKEND}:{RAW}
backend tls
  server s {BACKEND}:{TLS}
""")
    p = subprocess.Popen(["haproxy", "-db", "-f", conf], preexec_fn=pinned(PROXY_CPU), stderr=open(f"{W}/haproxy.log", "w"))
    wait_port("127.0.0.1", PORT)
    return p


def gateway():
    conf = write("gateway.toml", f"""state = "{W}/gateway.db"
[rpc]
listen = "tcp:127.0.0.1:18010"
cert = "{W}/gateway.pem"
key = "{W}/gateway.key"
kms_ca = "{W}/ca.pem"
[wg]
interface = "{IFACE}"
private_key_file = "{W}/wg.key"
endpoint = "192.0.2.1:51820"
[proxy]
listen = "127.0.0.1:{PORT}"
domain = "app.test"
max_connections_per_app = 0
""")
    p = subprocess.Popen([f"{BUILD}/gateway/dstack-gateway", "-c", conf], preexec_fn=pinned(PROXY_CPU),
                         stderr=open(f"{W}/gateway.log", "w"))
    wait_port("127.0.0.1", PORT)
    wait_port("127.0.0.1", 18010)
    key = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
    answer = run("curl", "-sS", "--cacert", f"{W}/ca.pem", "--cert", f"{W}/one.pem", "--key", f"{W}/one.key",
                 "https://127.0.0.1:18010/prpc/RegisterCvm?json", "-d", f'{{"client_public_key":"{key}"}}')
    if BACKEND not in answer:
        raise SystemExit(f"registration: {answer}")
    return p


def load(kind, mode, connections):
    out = run(f"{BUILD}/bench/bench-gateway-load", f"127.0.0.1:{PORT}", NAMES[kind], kind, mode, str(connections),
              str(EACH), preexec_fn=pinned(LOAD_CPU))
    ops, errors, size, seconds, p50 = out.split()
    if int(errors) > 0.01 * int(ops) or int(ops) + int(size) == 0:
        raise SystemExit(f"{kind} {mode}: {errors} errors of {ops}")
    return int(ops), int(size) / 1e9, float(p50)


def idle(p):
    before = memory_kib(p)
    g = subprocess.Popen([f"{BUILD}/bench/bench-gateway-load", f"127.0.0.1:{PORT}", NAMES["raw"], "raw", "idle", str(IDLE), "0"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=pinned(LOAD_CPU))
    ops, errors = g.stdout.readline().split()[:2]
    time.sleep(0.5)
    after = memory_kib(p)
    g.stdin.close()
    g.wait()
    if int(errors):
        raise SystemExit(f"idle: {errors} errors of {ops}")
    return before / 1024, (after - before) / max(1, int(ops))


def measure(start):
    p, m = start(), {}
    try:
        load("raw", "conn", 16)
        c = cpu(p)
        ops, _, _ = load("raw", "conn", 64)
        m["connection"] = (cpu(p) - c) / ops * 1e6
        c = cpu(p)
        ops, _, m["round_trip"] = load("raw", "rr", 64)
        m["request"] = (cpu(p) - c) / ops * 1e6
        _, _, m["round_trip"] = load("raw", "rr", 1)
        for key, kind, n in (("raw_1", "raw", 1), ("raw_16", "raw", 16), ("tls_16", "tls", 16)):
            c = cpu(p)
            _, gb, _ = load(kind, "bulk", n)
            m[key] = (cpu(p) - c) / gb
        m["rest"], m["idle"] = idle(p)
    finally:
        p.terminate()
        p.wait()
    return m


METRICS = (("gateway.cpu_per_gb_raw_1", "raw_1", "s/GB"), ("gateway.cpu_per_gb_raw_16", "raw_16", "s/GB"),
           ("gateway.cpu_per_gb_tls_16", "tls_16", "s/GB"), ("gateway.cpu_per_connection", "connection", "us"),
           ("gateway.cpu_per_request", "request", "us"), ("gateway.round_trip_p50", "round_trip", "us"),
           ("gateway.idle_memory", "idle", "KiB/conn"), ("gateway.rest_memory", "rest", "MiB"))


def main():
    run("bash", "-c", f". tests/e2e/gateway/pki.sh; pki_root {W}; pki_server {W}; pki_instance {W} one {APP} {INSTANCE}")
    sink = subprocess.Popen([f"{BUILD}/bench/bench-gateway-sink", BACKEND, str(RAW), str(TLS), f"{W}/gateway.pem",
                             f"{W}/gateway.key"], preexec_fn=pinned(LOAD_CPU))
    samples = {"gateway": [], "haproxy": []}
    try:
        wait_port(BACKEND, TLS)
        for i in range(ROUNDS):
            for name, start in (("gateway", gateway), ("haproxy", haproxy))[::1 if i % 2 == 0 else -1]:
                samples[name].append(measure(start))
    finally:
        sink.kill()
        subprocess.run(["rm", "-f", f"/var/run/wireguard/{IFACE}.sock"])
        shutil.rmtree(W, ignore_errors=True)
    print(f"{'':28}{'gateway':>12}{'haproxy':>12}{'ratio':>8}")
    lines = []
    for metric, key, unit in METRICS:
        ours, ref = (statistics.median(m[key] for m in samples[n]) for n in ("gateway", "haproxy"))
        ratio = ours / ref if ref else 0
        print(f"{metric[8:]:28}{ours:12.3f}{ref:12.3f}{ratio:8.2f}  {unit}")
        lines.append(f"{metric}\t{ours:.4g}\t{unit}\t{ref:.4g}\t{ratio:.3f}")
    print("\n".join(lines))


main()
