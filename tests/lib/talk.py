# SPDX-License-Identifier: Apache-2.0
"""Servers and clients that speak real protocols between the pods `server` and `client`, and what
Bulkhead says that they speak."""

import importlib.util
import pathlib
import shutil
import subprocess

import tap

NAME = "db.shop.svc.cluster.local"
PEERS = pathlib.Path(__file__).with_name("peers.py")
PYTHON = "/usr/bin/python3"


def servers(w):
    """The servers' processes; their files are in w.files."""
    if not hasattr(w, "processes"):
        w.processes = []
        w.files = w.scope.folder / "servers"
        w.files.mkdir(mode=0o755)
        certificate(w.files)
    return w.processes


def certificate(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", f"/CN={NAME}", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True)


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            tap.skip(f"{program} is not installed")


def need_module(name):
    if not importlib.util.find_spec(name):
        tap.skip(f"Python's {name} is not installed")


def start(w, *command, user=None):
    """A server in the server's network namespace; it ends with the test."""
    drop = [] if user is None else [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    with open(w.files / "log", "ab") as log:
        process = subprocess.Popen(
            ["nsenter", f"--net={w.server.netns}", "setpriv", "--pdeathsig=KILL", *drop, *map(str, command)],
            cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    servers(w).append(process)


def ask(w, *command, wanted=""):
    """Runs a client until it works: its server may only be starting."""

    def once():
        done = subprocess.run(
            ["nsenter", f"--net={w.client.netns}", *map(str, command)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0 or wanted not in done.stdout:
            raise RuntimeError(f"status {done.returncode}: {(done.stderr or done.stdout)[-300:]}")
        return True

    tap.eventually(once, f"an answer to {command[0]}")


def start_peer(w, protocol, port, *more):
    """A server of peers.py."""
    start(w, PYTHON, PEERS, "serve", protocol, "0.0.0.0", port, *more)


def ask_peer(w, protocol, port, *more):
    """A client of peers.py, until it works."""
    ask(w, PYTHON, PEERS, "ask", protocol, w.server.ip4, port, *more)


def edge(w, port, protocol="TCP"):
    found = [e for e in w.bulkhead.edges() if e["port"] == port and e["client"]["name"] == "client"
             and e["protocol"] == protocol]
    return found[0] if found else None


def expect(w, port, app, encrypted, version="", name="", protocol="TCP"):
    wanted = {"app": app, "encrypted": encrypted, "tlsVersion": version, "sni": name}

    def as_wanted():
        found = edge(w, port, protocol)
        return found and {key: found[key] for key in wanted} == wanted

    try:
        tap.eventually(as_wanted, "the edge")
    except tap.Failed:
        found = edge(w, port, protocol)
        tap.equal(found and {key: found[key] for key in wanted}, wanted, f"what is spoken at port {port}")
    for end in ("egress", "ingress"):
        tap.equal(edge(w, port, protocol)[end]["app"], app, f"what the {end} end says")


def finish(w):
    for process in servers(w):
        process.kill()
        process.wait()
    w.finish()
