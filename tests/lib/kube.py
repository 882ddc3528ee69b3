# SPDX-License-Identifier: Apache-2.0
"""A real API server: kube-apiserver and etcd on loopback, both Debian's, in the node's namespace, so
that nothing of the machine's network is used. tests/kube/build builds the server, once."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys

import apiserver
import manifests
import tap
import world
from scope import die_with_parent, run

BUILD = pathlib.Path(__file__).resolve().parents[1] / "kube/build"
TOKENS = {"admin": "system:masters", "agent": "agents", "stranger": "strangers"}
PORT = 16443


class Cluster:
    """etcd and kube-apiserver in a network namespace, until stop()."""

    def __init__(self, w, program):
        self.w = w
        self.program = program
        self.folder = w.scope.folder / "kube"
        self.folder.mkdir(mode=0o700)
        self.ca = apiserver.make_ca(self.folder, "ca")
        apiserver.make_certificate(self.folder, "ca", "server", "IP:127.0.0.1,IP:10.96.0.1,DNS:kubernetes")
        run("openssl", "pkey", "-in", self.folder / "server.key", "-pubout", "-out", self.folder / "server.pub")
        (self.folder / "tokens").write_text(
            "".join(f'{name},{name},{name},"{group}"\n' for name, group in TOKENS.items())
        )
        for name in TOKENS:
            self.kubeconfig(name)
        self.etcd = self._start(
            "etcd", "etcd",
            *("--data-dir", self.folder / "etcd"),
            *("--listen-client-urls", "http://127.0.0.1:12379"),
            *("--advertise-client-urls", "http://127.0.0.1:12379"),
            *("--listen-peer-urls", "http://127.0.0.1:12380"),
        )
        self.api = None
        self.start()

    def start(self):
        self.api = self._start(
            "apiserver", self.program,
            *("--etcd-servers", "http://127.0.0.1:12379"),
            *("--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1"),
            *("--secure-port", PORT, "--service-cluster-ip-range", "10.96.0.0/24"),
            *("--tls-cert-file", self.folder / "server.crt"),
            *("--tls-private-key-file", self.folder / "server.key"),
            *("--client-ca-file", self.ca, "--token-auth-file", self.folder / "tokens"),
            *("--service-account-issuer", "https://kubernetes"),
            *("--service-account-key-file", self.folder / "server.pub"),
            *("--service-account-signing-key-file", self.folder / "server.key"),
            *("--authorization-mode", "RBAC"),
            # What would want controllers that do not run here.
            *("--disable-admission-plugins", "ServiceAccount,TaintNodesByCondition"),
            *("--cert-dir", self.folder / "certs"),
            # Short, so that the tests see watches end.
            *("--min-request-timeout", "5"),
        )
        tap.eventually(self._ready, "the API server", 90, every=0.3)

    def _ready(self):
        if self.api.poll() is not None:
            log = (self.folder / "apiserver.log").read_text(errors="replace").splitlines()
            raise SystemExit("kube-apiserver ended:\n" + "\n".join(log[-5:]))
        return self.kubectl("get", "--raw", "/readyz").stdout == "ok"

    def stop_api(self):
        """As a machine that dies: at SIGTERM it would let watches run on for a minute."""
        self.api.kill()
        self.api.wait(60)

    def stop(self):
        for process in (self.api, self.etcd):
            process.kill()
            process.wait()

    def _start(self, name, *command):
        with open(self.folder / f"{name}.log", "ab") as log:
            return subprocess.Popen(
                ["nsenter", f"--net={self.w.cluster.node_netns}", *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                preexec_fn=die_with_parent,
            )

    def kubeconfig(self, user, token=None):
        made = apiserver.kubeconfig(f"https://127.0.0.1:{PORT}", {"token": token or user}, self.ca)
        path = self.folder / f"{user}.kubeconfig"
        path.write_text(manifests.yaml.safe_dump(made))
        return path

    def kubectl(self, *arguments, stdin=None, check=True, user="admin"):
        done = subprocess.run(
            [
                *("nsenter", f"--net={self.w.cluster.node_netns}"),
                *("kubectl", "--kubeconfig", str(self.folder / f"{user}.kubeconfig")),
                *map(str, arguments),
            ],
            input=stdin, text=True, capture_output=True, timeout=60,
            env=dict(os.environ, HOME=str(self.folder)),
        )
        if check and done.returncode:
            tap.fail(f"kubectl {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done

    def apply(self, *objects):
        self.kubectl("apply", "--validate=false", "-f", "-", stdin=manifests.text(*objects))

    def run_pod(self, ns, name, labels, ips, **rest):
        """A pod, and the status that a kubelet would write."""
        made = manifests.pod(ns, name, ips, labels, **rest)
        status = made.pop("status")
        self.apply(made)
        self.patch_status(ns, name, status)

    def patch_status(self, ns, name, status):
        # kubectl patch --subresource is younger than some kubectls: read, change, replace.
        path = f"/api/v1/namespaces/{ns}/pods/{name}"
        made = json.loads(self.kubectl("get", "--raw", path).stdout)
        made["status"].update(status)
        self.kubectl("replace", "--raw", f"{path}/status", "-f", "-", stdin=json.dumps(made))


def fixture(pods):
    """The usual world, and `kube` in it."""
    if os.geteuid() != 0:
        sys.exit("the tests with a real API server need root: sudo make test-kube")
    done = subprocess.run([BUILD], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(1)
    program = done.stdout.strip()

    @contextlib.contextmanager
    def made():
        with world.world(pods) as w:
            w.kube = Cluster(w, program)
            yield w

    return made
