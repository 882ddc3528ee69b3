# SPDX-License-Identifier: Apache-2.0
"""A node and its pods, as network namespaces wired by the real CNI plugins.

    node       ip forwarding, Bulkhead runs here; the machine's own namespace is left alone
    bridge     pods on cni0: 10.88.0.N, fd00:88::N, gateway .1
    ptp        pods each with a veth of their own: 10.89.0.N, fd00:89::N
    far        what is not on this node: a router namespace behind the node's `uplink`, with as many
               addresses as the test wants: 192.0.2.N, 2001:db8::N

Addresses are fixed, so a test can say what it expects. An `Agent` lives in every namespace.
"""

import dataclasses
import json
import os
import subprocess

from agent import Agent, family_of
from scope import run

# s. An answer that shall come is waited for, however slow the machine; silence is believed sooner.
WELL = 10.0
SILENCE = 0.5

CNI = "/usr/lib/cni"
NETS = {
    "bridge": ("10.88.0", "fd00:88:"),
    "ptp": ("10.89.0", "fd00:89:"),
    "far": ("192.0.2", "2001:db8:"),
}

# No waiting for duplicate address detection, and no router solicitations in captures.
POD_SYSCTLS = """
net/ipv6/conf/all/accept_dad=0
net/ipv6/conf/default/accept_dad=0
net/ipv6/conf/default/dad_transmits=0
net/ipv6/conf/default/router_solicitations=0
net/ipv6/conf/default/accept_ra=0
"""
NODE_SYSCTLS = (
    POD_SYSCTLS
    + """
net/ipv4/ip_forward=1
net/ipv6/conf/all/forwarding=1
net/ipv4/conf/all/rp_filter=0
net/ipv4/conf/default/rp_filter=0
net/ipv4/conf/default/send_redirects=0
net/ipv4/conf/all/send_redirects=0
"""
)


@dataclasses.dataclass
class Host:
    """One end that can speak: a pod's namespace, a far address, or the node."""

    name: str
    wiring: str  # bridge, ptp, far, node
    ip4: str
    ip6: str
    netns: object = dataclasses.field(repr=False)
    agent: Agent = dataclasses.field(default=None, repr=False)

    @property
    def ips(self):
        return [ip for ip in (self.ip4, self.ip6) if ip]

    def ip(self, family):
        return self.ip6 if family in (6, "6", "v6") else self.ip4


def addresses(wiring, number):
    net4, net6 = NETS[wiring]
    return f"{net4}.{number}", f"{net6}:{number}"


class Hosts:
    """Ends that can speak, by name, and the traffic between them."""

    def __init__(self):
        self.hosts = {}

    def in_host(self, host, *command, check=True, **options):
        return run("nsenter", f"--net={host.netns}", *command, check=check, **options)

    def listen(self, hosts, tcp=(), udp=(), sctp=False):
        for host in hosts:
            host.agent.call("listen", host.ips, tcp, udp)
            if sctp:
                host.agent.call("listen_sctp", host.ips)

    def probe(self, jobs, timeout=WELL):
        """
        `jobs`: (source Host, protocol, destination address, port). Returns what happened, in order:
        the name of who answered, "timeout", or an errno's name. All agents work at the same time.
        """
        shares = {}
        for index, (host, protocol, address, port) in enumerate(jobs):
            # These have several addresses, and servers bound to one of them.
            own = host.wiring in ("far", "node")
            source = host.ip(6 if ":" in address else 4) if own else None
            _, _, share = shares.setdefault(id(host.agent), (host.agent, [], []))
            shares[id(host.agent)][1].append(index)
            share.append((protocol, source, address, port))
        for agent, _, share in shares.values():
            agent.post("probe", share, timeout)
        results = [None] * len(jobs)
        for agent, indices, share in shares.values():
            for index, result in zip(indices, agent.result(timeout * (2 + len(share) / 200) + 60)):
                results[index] = result
        return results

    def reaches(self, source, destination, protocol, port, family=4, timeout=WELL):
        """True if `destination` itself answers, False if nothing does; else an error."""
        result = self.probe([(source, protocol, destination.ip(family), port)], timeout)[0]
        if result == "timeout":
            return False
        if result != destination.agent.name:
            raise AssertionError(f"{source.name} to {destination.name} {protocol}/{port}: {result}")
        return True


class Cluster(Hosts):
    def __init__(self, scope):
        super().__init__()
        self.scope = scope
        self._cni_results = {}
        self.node_netns = scope.netns("node")
        sysctl(self.node_netns, NODE_SYSCTLS)
        self.in_node("ip", "link", "set", "lo", "up")
        self.node = Host("node", "node", *addresses("bridge", 1), self.node_netns)
        self.far_netns = None
        self._far_agent = None

    def in_node(self, *command, check=True, **options):
        return run("nsenter", f"--net={self.node_netns}", *command, check=check, **options)

    # ---- Pods -----------------------------------------------------------------------

    def add_pods(self, wanted):
        """`wanted`: {name: (wiring, number)}. Wires them all, and starts an agent in each."""
        started = []
        for name, (wiring, number) in wanted.items():
            netns = self.scope.netns(name)
            sysctl(netns, POD_SYSCTLS)
            run("nsenter", f"--net={netns}", "ip", "link", "set", "lo", "up")
            host = Host(name, wiring, *addresses(wiring, number), netns)
            self.hosts[name] = host
            started.append((host, self._cni_start(host, "ADD")))
            # The first one makes the bridge; two at a time are what two cores can use.
            if len(started) == 1 or len(started) % 3 == 0:
                for other, process in started:
                    self._cni_finish(other, process)
        for host, process in started:
            self._cni_finish(host, process)
        for host, _ in started:
            host.agent = Agent(self.scope, host.netns, host.name)
        if self.node.agent is None:
            self.node.agent = Agent(self.scope, self.node_netns, "node")
        return [self.hosts[name] for name in wanted]

    def add_pod(self, name, wiring, number):
        return self.add_pods({name: (wiring, number)})[0]

    def remove_pod(self, name):
        """As a kubelet does: the plugin's DEL, then the namespace."""
        host = self.hosts.pop(name)
        self._cni_finish(host, self._cni_start(host, "DEL"))
        host.agent.close()
        self.scope.delete_netns(host.netns)

    def _cni_start(self, host, command):
        config = self._cni_config(host)
        env = dict(
            os.environ,
            CNI_COMMAND=command,
            CNI_CONTAINERID=host.netns.name,
            CNI_NETNS=str(host.netns),
            CNI_IFNAME="eth0",
            CNI_PATH=CNI,
        )
        process = subprocess.Popen(
            ["nsenter", f"--net={self.node_netns}", f"{CNI}/{config['type']}"],
            env=env,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        process.stdin.write(json.dumps(config))
        process.stdin.close()
        process.stdin = None
        return process

    def _cni_finish(self, host, process):
        if process.returncode is not None:
            return
        out, err = process.communicate(timeout=60)
        if process.returncode != 0:
            raise RuntimeError(f"CNI plugin for {host.name}: {out or err}")
        if out.strip():
            self._cni_results[host.name] = json.loads(out)

    def _cni_config(self, host):
        gateways = addresses(host.wiring, 1)
        ipam = {
            "type": "static",
            "addresses": [
                {"address": f"{host.ip4}/24", "gateway": gateways[0]},
                {"address": f"{host.ip6}/64", "gateway": gateways[1]},
            ],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
        }
        config = {"cniVersion": "1.0.0", "name": host.wiring, "type": host.wiring, "ipam": ipam}
        if host.wiring == "bridge":
            config |= {"bridge": "cni0", "isGateway": True, "hairpinMode": True}
        return config

    def interface(self, name):
        """The node's end of a pod's veth."""
        listed = self._cni_results[name]["interfaces"]
        return next(i["name"] for i in listed if "sandbox" not in i and i["name"] != "cni0")

    # ---- What is not on this node ---------------------------------------------------

    def add_far(self, wanted):
        """`wanted`: {name: number}: addresses beyond the node's uplink, all served by one agent."""
        if self.far_netns is None:
            self._make_far()
        made = []
        for name, number in wanted.items():
            host = Host(name, "far", *addresses("far", number), self.far_netns)
            for address, *how in ((f"{host.ip4}/24",), (f"{host.ip6}/64", "nodad")):
                self.in_host(host, "ip", "address", "add", address, "dev", "uplink", *how)
            host.agent = self._far_agent
            self.hosts[name] = host
            made.append(host)
        return made

    def _make_far(self):
        self.far_netns = self.scope.netns("far")
        sysctl(self.far_netns, POD_SYSCTLS)
        gateway4, gateway6 = addresses("far", 1)
        self.in_node(
            "ip",
            "link",
            "add",
            "uplink",
            "type",
            "veth",
            "peer",
            "name",
            "uplink",
            "netns",
            self.far_netns.name,
        )
        self.in_node("ip", "address", "add", f"{gateway4}/24", "dev", "uplink")
        self.in_node("ip", "address", "add", f"{gateway6}/64", "dev", "uplink", "nodad")
        self.in_node("ip", "link", "set", "uplink", "up")
        enter = ("nsenter", f"--net={self.far_netns}", "ip")
        run(*enter, "link", "set", "lo", "up")
        run(*enter, "link", "set", "uplink", "up")
        run(*enter, "address", "add", f"{addresses('far', 2)[0]}/24", "dev", "uplink")
        run(*enter, "address", "add", f"{addresses('far', 2)[1]}/64", "dev", "uplink", "nodad")
        run(*enter, "route", "add", "default", "via", gateway4)
        run(*enter, "route", "add", "default", "via", gateway6)
        self._far_agent = Agent(self.scope, self.far_netns, "far")


def sysctl(netns, settings):
    lines = [line.split("=") for line in settings.split()]
    script = "; ".join(f"echo {value} > /proc/sys/{key}" for key, value in lines)
    run("nsenter", f"--net={netns}", "sh", "-c", script)


__all__ = [
    "Cluster",
    "Host",
    "Hosts",
    "NODE_SYSCTLS",
    "POD_SYSCTLS",
    "addresses",
    "family_of",
    "sysctl",
]
