# SPDX-License-Identifier: Apache-2.0
"""bulkhead-cni as a container runtime calls it, and the sandbox that it is called for."""

import json
import os
import subprocess

import cluster as clusters
import manifests
from agent import Agent
from bulkhead import build_folder

PREVIOUS = {
    "cniVersion": "1.0.0",
    "interfaces": [
        {"name": "cni0"},
        {"name": "veth0"},
        {"name": "eth0", "sandbox": "/run/netns/x"},
    ],
    "ips": [
        {"address": "10.88.0.77/24", "interface": 2, "gateway": "10.88.0.1"},
        {"address": "10.88.0.1/24", "interface": 0},
    ],
    "routes": [{"dst": "0.0.0.0/0"}],
}


def environment(command, pod=None, uid=None, **more):
    args = "IgnoreUnknown=1"
    if pod:
        ns, name = pod.split("/")
        args += f";K8S_POD_NAMESPACE={ns};K8S_POD_NAME={name}"
    if uid:
        args += f";K8S_POD_UID={uid}"
    return dict(
        {"PATH": os.environ["PATH"]},
        CNI_COMMAND=command,
        CNI_CONTAINERID="c1",
        CNI_NETNS="/run/netns/x",
        CNI_IFNAME="eth0",
        CNI_PATH="/usr/lib/cni",
        CNI_ARGS=args,
        **more,
    )


def config(w, previous=PREVIOUS, version="1.0.0", **more):
    made = {"cniVersion": version, "name": "net", "type": "bulkhead-cni", **more}
    made.setdefault("runDir", str(w.bulkhead.run_dir))
    if previous is not None:
        made["prevResult"] = previous
    return made


def begin(text, env):
    process = subprocess.Popen(
        [build_folder() / "bulkhead-cni"],
        env=env,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        process.stdin.write(text if isinstance(text, str) else json.dumps(text))
        process.stdin.close()
    except BrokenPipeError:
        pass  # it has said no already, for its environment, and reads nothing
    process.stdin = None
    return process


def finish(process, timeout=90):
    out, _ = process.communicate(timeout=timeout)
    return process.returncode, json.loads(out) if out.strip() else None


def call(text, env):
    return finish(begin(text, env))


def pending(ns, name, labels, uid=None):
    """A pod as the API server has it while its sandbox is being made: without an address."""
    made = manifests.pod(ns, name, ["0.0.0.0"], labels, uid=uid)
    made["status"] = {"phase": "Pending"}
    return made


def make_sandbox(w, name, number, netns=None):
    """
    What the plugins before ours do, in a namespace that is there already, if it is given. Returns
    the Host, and their result.
    """
    netns = netns or w.scope.netns(name)
    host = clusters.Host(name, "bridge", *clusters.addresses("bridge", number), netns)
    w.cluster._cni_finish(host, w.cluster._cni_start(host, "ADD"))
    return host, w.cluster._cni_results[name]


def enter(w, host):
    """The pod's container starts."""
    host.agent = Agent(w.scope, host.netns, host.name)
    host.agent.call("listen", host.ips, (80,), ())
    w.cluster.hosts[host.name] = host
    return host
