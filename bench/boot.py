"""Boot stages of the (stopped, never started) VM NAME of the local stack in HOME: seconds from the start of QEMU.

    boot.py NAME HOME

Stages are stamped when their line appears on the guest's console. The reference is a bare boot of the same firmware,
kernel, initramfs and root image under the same accelerator until dstack-init has mounted the root: no TPM, no software
TEE, no network, no other disks.
"""
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time

LIMIT_S = 180
TICK_S = 0.02
TO_QEMU_S = 0.05  # the budget of design.md
ROOT_MOUNTED = re.compile(rb"dstack-init: \[([0-9.]+)\] root mounted")
STAGES = {  # each ends with what the guest's console says then
    "kernel": ROOT_MOUNTED,
    "network": re.compile(rb"dstack-boot: \[[0-9.]+\] network ready"),
    "measured": re.compile(rb" setup requesting app keys"),
    "keys": re.compile(rb" setup mounting data disk"),
    "disk": re.compile(rb" setup data disk ready"),
    "tunnel": re.compile(rb" setup setting up docker"),
    "services": re.compile(rb"dstack-boot: \[[0-9.]+\] starting containers"),
    "containers": re.compile(rb"dstack-boot: \[[0-9.]+\] done"),
}


def fail(text):
    sys.exit(f"bench boot: {text}")


def dstack(*args):
    done = subprocess.run(["dstack", *args, "--json"], capture_output=True, text=True)
    if done.returncode:
        fail(f"dstack {args[0]}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def vm_of(name):
    return next(vm for vm in dstack("ls")["vms"] if vm["name"] == name)


def qemu_of(folder):
    """PID, command line and start (Unix time) of the QEMU that works in `folder`; None while there is none."""
    with open("/proc/uptime") as f:
        booted = time.time() - float(f.read().split()[0])
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.path.realpath(f"/proc/{pid}/cwd") != folder:
                continue
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                argv = [a.decode() for a in f.read().split(b"\0")[:-1]]
            with open(f"/proc/{pid}/stat") as f:
                ticks = int(f.read().rsplit(")", 1)[1].split()[19])
        except (OSError, ValueError):
            continue
        if argv and os.path.basename(argv[0]).startswith("qemu-system"):
            return pid, argv, booted + ticks / os.sysconf("SC_CLK_TCK")
    return None


class Console:
    """A console log that grows: when did a pattern first appear?"""

    def __init__(self, path):
        self.path, self.text, self.seen = path, b"", {}

    def look(self, *patterns):
        try:
            with open(self.path, "rb") as f:
                f.seek(len(self.text))
                self.text += f.read()
        except FileNotFoundError:
            return
        for p in patterns:
            if p not in self.seen and (m := p.search(self.text)):
                self.seen[p] = (time.time(), m)


def folder_of(name, home):
    return os.path.realpath(f"{home}/vmm/vm/{vm_of(name)['id']}")


def measured(name, home):
    """When the start was asked for, QEMU, and when each stage ended."""
    folder = folder_of(name, home)
    console, qemu = Console(f"{folder}/serial.log"), None
    asked = time.time()
    dstack("start", name)
    while STAGES["containers"] not in console.seen:
        time.sleep(TICK_S)
        qemu = qemu or qemu_of(folder)
        console.look(*STAGES.values())
        if time.time() > asked + LIMIT_S or (qemu and not os.path.exists(f"/proc/{qemu[0]}")):
            fail(f"the guest did not come up: {vm_of(name)['boot_error'] or console.text[-500:]}")
    if missing := [label for label, p in STAGES.items() if p not in console.seen]:
        fail(f"the guest's console does not show {missing}")
    return asked, qemu, {label: console.seen[p] for label, p in STAGES.items()}


def again(name, home):
    """Seconds from asking for a later start until there is a QEMU."""
    folder, qemu = folder_of(name, home), None
    asked = time.time()
    dstack("start", name)
    while not qemu and time.time() < asked + LIMIT_S:
        qemu = qemu_of(folder)
    dstack("stop", name, "--force")
    return qemu[2] - asked if qemu else fail("the second start starts nothing")


def first_answer(name, home):
    """When the app's port first answered 200 through the gateway."""
    conf = {}
    with open(f"{home}/config.toml") as f:
        for line in f:
            if m := re.match(r'(\w+) = "?([^"\n]*)"?', line):
                conf[m[1]] = m[2]
    host = f"{vm_of(name)['app_id']}-8080.{conf['domain']}"
    context = ssl.create_default_context(cafile=f"{home}/{conf['gateway_ca']}")
    end, why = time.time() + 60, ""
    while time.time() < end:
        try:
            with socket.create_connection(("127.0.0.1", int(conf["gateway_port"])), 5) as plain, context.wrap_socket(
                    plain, server_hostname=host) as tls:
                tls.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                why = tls.recv(12).decode()
                if why == "HTTP/1.1 200":
                    return time.time()
        except OSError as e:
            why = str(e)
        time.sleep(TICK_S)
    fail(f"{host} does not answer: {why}")


def bare(argv):
    """Seconds from the start of QEMU until dstack-init has mounted the root."""
    value = {a: argv[i + 1] for i, a in enumerate(argv[:-1]) if a in (
        "-accel", "-cpu", "-bios", "-kernel", "-initrd", "-append", "-smp", "-m", "-machine")}
    value["-machine"] = ",".join(p for p in value["-machine"].split(",") if not p.startswith("memory-backend="))
    root = next(a for i, a in enumerate(argv) if argv[i - 1] == "-drive" and "rootfs" in a)
    with tempfile.TemporaryDirectory() as work:
        console = Console(f"{work}/serial.log")
        line = [argv[0], "-nographic", "-nodefaults", "-no-reboot", "-serial", f"file:{console.path}",
                *(w for pair in value.items() for w in pair), "-drive", root, "-device", "virtio-blk-pci,drive=hd0"]
        began = time.time()
        with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as qemu:
            while not console.seen and time.time() < began + LIMIT_S and qemu.poll() is None:
                time.sleep(TICK_S)
                console.look(ROOT_MOUNTED)
            qemu.kill()
        if not console.seen:
            fail(f"the bare boot did not mount its root: {console.text[-500:]!r}")
        return console.seen[ROOT_MOUNTED][0] - began


def main(name, home):
    asked, (_, argv, power), seen = measured(name, home)
    answered = first_answer(name, home)
    dstack("stop", name, "--force")
    later, reference = again(name, home), bare(argv)
    mounted, match = seen["kernel"]
    ends = {"firmware": mounted - float(match[1])} | {label: when for label, (when, _) in seen.items()}
    took, before = {}, power
    print(f"# from `dstack start` to QEMU: {power - asked:.2f} s, with a new TPM; {later:.2f} s at the second start")
    print("# stage        until s   took s")
    for label, end in (ends | {"answer": answered}).items():
        took[label] = end - before
        print(f"# {label:10} {end - power:9.2f} {took[label]:8.2f}")
        before = end

    def figure(metric, value, ref):
        print(f"boot.{metric}\t{value:.2f}\ts\t{ref:.2f}\t{value / ref:.2f}")

    figure("to_qemu", later, TO_QEMU_S)
    figure("root_mounted", mounted - power, reference)
    for label in list(STAGES)[1:]:
        figure(label, took[label], reference)
    engine = took["services"] + took["containers"]  # the container engine's own time: its start, the app's start
    figure("done", ends["containers"] - power, reference + engine)
    figure("first_answer", answered - power, reference + engine)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: boot.py NAME HOME")
    main(sys.argv[1], sys.argv[2])
