# SPDX-License-Identifier: Apache-2.0
"""Nodes and pods wired by hand, the way other CNIs than the plugins of cluster.py wire them.

    node1, node2   each a namespace with an uplink; pods 10.244.K.N, fd00:244:K::N on node K
    fabric         what lies between them: a router, which knows the pods' routes where the CNI says so

What a wiring does is the class of its name, at the end. Each leaves the pods without a veth in common
with the node's other pods, or on a bridge, and finds its own way to the other node.
"""

import contextlib

from agent import Agent
from bulkhead import Bulkhead, build_folder
from cluster import NODE_SYSCTLS, POD_SYSCTLS, Host, Hosts, sysctl
from scope import Scope, pin_folder, run
import tap

GATEWAY4 = "169.254.1.1"
GATEWAY6 = "fe80::1"


def batch(netns, script, *options):
    """Many commands of ip(8), one process."""
    lines = "\n".join(line.strip() for line in script.strip().splitlines() if line.strip())
    run("nsenter", f"--net={netns}", "ip", *options, "-batch", "-", input=lines)


class Node:
    """One node, in the words of Cluster that an instance of Bulkhead needs."""

    def __init__(self, fabric, number):
        self.fabric = fabric
        self.name = f"node{number}"
        self.number = number
        self.node_netns = fabric.scope.netns(self.name)
        sysctl(self.node_netns, NODE_SYSCTLS)
        batch(self.node_netns, "link set lo up")
        self.ip4, self.ip6 = f"192.0.{number}.1", f"2001:db8:{number}::1"
        self.host = Host(self.name, "node", self.ip4, self.ip6, self.node_netns)

    def uplink(self, name="uplink", third=None):
        """Another leg of the router: 192.0.THIRD.1 here, .254 there."""
        third = third or self.number
        far = f"{self.name}-{name}"
        batch(
            self.node_netns,
            f"""
            link add {name} type veth peer name {far} netns {self.fabric.router.name}
            address add 192.0.{third}.1/24 dev {name}
            address add 2001:db8:{third}::1/64 dev {name}
            link set {name} up
            """,
        )
        batch(
            self.fabric.router,
            f"""
            address add 192.0.{third}.254/24 dev {far}
            address add 2001:db8:{third}::fe/64 dev {far}
            link set {far} up
            """,
        )
        return f"192.0.{third}.254", f"2001:db8:{third}::fe"

    def in_node(self, *command, check=True, **options):
        return run("nsenter", f"--net={self.node_netns}", *command, check=check, **options)

    def batch(self, script, *options):
        batch(self.node_netns, script, *options)

    def mac(self, interface):
        shown = self.in_node("ip", "-o", "link", "show", interface).stdout
        return shown.split("link/ether ")[1].split()[0]


class Fabric(Hosts):
    """`wiring`: a class below. `pods`: {name: node number}; `families`: which addresses they get."""

    def __init__(self, scope, wiring, pods, nodes=2, families=(4, 6)):
        super().__init__()
        self.scope = scope
        self.families = families
        self.router = scope.netns("router")
        sysctl(self.router, NODE_SYSCTLS)
        batch(self.router, "link set lo up")
        self.nodes = {n: Node(self, n) for n in range(1, nodes + 1)}
        self.of = {}  # pod's name → its node
        self.numbers = {}
        self.wiring = wiring(self)
        for node in self.nodes.values():
            self.wiring.node(node)
        for name, number in pods.items():
            self.add_pod(name, number)
        for node in self.nodes.values():
            node.host.agent = Agent(scope, node.node_netns, node.name)

    def add_pod(self, name, node_number, agent=True, number=None):
        node = self.nodes[node_number]
        number = number or 10 + sum(n is node for n in self.of.values())
        host = Host(
            name,
            "fabric",
            f"10.244.{node.number}.{number}" if 4 in self.families else None,
            f"fd00:244:{node.number}::{number}" if 6 in self.families else None,
            self.scope.netns(name),
        )
        sysctl(host.netns, POD_SYSCTLS)
        batch(host.netns, "link set lo up")
        self.of[name], self.hosts[name], self.numbers[name] = node, host, number
        self.wiring.pod(node, host)
        if agent:
            host.agent = Agent(self.scope, host.netns, name)
        return host

    def remove_pod(self, name):
        host = self.hosts.pop(name)
        del self.of[name], self.numbers[name]
        self.wiring.forget(host)
        if host.agent:
            host.agent.close()
        self.scope.delete_netns(host.netns)

    def interface(self, name):
        return self.wiring.interface(self.hosts[name])


# ---- Wirings ----------------------------------------------------------------------------------------


class Routed:
    """What the routed wirings have in common: a /32 and a /128 in the pod, routes to them here."""

    PREFIX = "veth"
    MAC = None
    GATEWAY6 = GATEWAY6

    def __init__(self, fabric):
        self.fabric = fabric

    def interface(self, host):
        return f"{self.PREFIX}{host.name}"

    def node(self, node):
        gateway4, gateway6 = node.uplink()
        node.batch(f"route add default via {gateway4}\nroute add default via {gateway6}")
        # The pods' blocks, as BGP or a cloud's route table tells them.
        batch(
            self.fabric.router,
            f"""
            route add 10.244.{node.number}.0/24 via {node.ip4}
            route add fd00:244:{node.number}::/64 via {node.ip6}
            """,
        )

    def pod(self, node, host):
        veth = self.interface(host)
        address = f"address {self.MAC}" if self.MAC else ""
        node.batch(f"link add {veth} {address} type veth peer name eth0 netns {host.netns.name}")
        sysctl(node.node_netns, self.sysctls(veth))
        node.batch(f"link set {veth} up")
        script = "link set eth0 up\n"
        if host.ip4:
            script += f"""
                address add {host.ip4}/32 dev eth0
                route add {GATEWAY4} dev eth0 scope link
                route add default via {GATEWAY4} dev eth0
            """
            node.batch(f"route add {host.ip4}/32 dev {veth} scope link")
        if host.ip6:
            script += f"""
                address add {host.ip6}/128 dev eth0 nodad
                route add default via {self.GATEWAY6} dev eth0
            """
            node.batch(f"route add {host.ip6}/128 dev {veth}")
        batch(host.netns, script)
        self.more(node, host, veth)

    def sysctls(self, veth):
        return f"net/ipv4/conf/{veth}/forwarding=1"

    def more(self, node, host, veth):
        pass

    def forget(self, host):
        """The veth goes with the pod's namespace, and its routes with it."""


class Calico(Routed):
    """Proxy ARP and one MAC for every host's end; the other node by a plain route, no tunnel."""

    PREFIX = "cali"
    MAC = "ee:ee:ee:ee:ee:ee"
    GATEWAY6 = "fe80::ecee:eeff:feee:eeee"

    def sysctls(self, veth):
        return f"""
            net/ipv4/conf/{veth}/proxy_arp=1
            net/ipv4/conf/{veth}/forwarding=1
            net/ipv4/neigh/{veth}/proxy_delay=0
            net/ipv6/conf/{veth}/proxy_ndp=1
        """


class CalicoProxied(Calico):
    """The same with an IPv6 gateway that is not there: proxy_ndp answers for it."""

    GATEWAY6 = GATEWAY6

    def sysctls(self, veth):
        return super().sysctls(veth) + f"net/ipv6/neigh/{veth}/proxy_delay=0"

    def more(self, node, host, veth):
        node.batch(f"neigh add proxy {GATEWAY6} dev {veth}")


class CalicoFlat(Calico):
    """Both nodes on one link: each is the other's next hop."""

    def node(self, node):
        super().node(node)
        if node.number != 2:
            return
        first = node.fabric.nodes[1]
        first.batch(f"link add flat type veth peer name flat netns {node.node_netns.name}")
        for here, there in ((first, node), (node, first)):
            here.batch(
                f"""
                address add 198.51.100.{here.number}/24 dev flat
                address add 2001:db8:f::{here.number}/64 dev flat nodad
                link set flat up
                """
            )
        for here, there in ((first, node), (node, first)):
            here.batch(
                f"""
                route add 10.244.{there.number}.0/24 via 198.51.100.{there.number} dev flat
                route add fd00:244:{there.number}::/64 via 2001:db8:f::{there.number} dev flat
                """
            )


class AwsVpc(Routed):
    """
    Two network cards: a pod's address belongs to one of them, and what the pod sends leaves by it,
    whatever the node's own routes say: a rule and a table for each. The gateway is a static
    neighbour, and nobody answers for it.
    """

    PREFIX = "eni"

    def card(self, host):
        return "uplink" if self.fabric.numbers[host.name] % 2 == 0 else "eth1"

    def node(self, node):
        super().node(node)
        gateway4, gateway6 = node.uplink("eth1", 100 + node.number)
        node.batch(
            f"""
            route add default via {gateway4} dev eth1 table 2
            route add default via {gateway6} dev eth1 table 2
            """
        )

    def more(self, node, host, veth):
        mac = node.mac(veth)
        batch(
            host.netns,
            f"""
            neigh add {GATEWAY4} lladdr {mac} dev eth0 nud permanent
            neigh add {GATEWAY6} lladdr {mac} dev eth0 nud permanent
            """,
        )
        second = self.card(host) == "eth1"
        for option, ip, bits, via in (
            ("-4", host.ip4, 32, f"192.0.{100 + node.number}.1"),
            ("-6", host.ip6, 128, f"2001:db8:{100 + node.number}::1"),
        ):
            if not ip:
                continue
            node.batch(f"rule add to {ip} lookup main priority 512", option)
            if second:
                node.batch(f"rule add from {ip} lookup 2 priority 1536", option)
                # The network knows which card has the address.
                batch(self.fabric.router, f"route replace {ip}/{bits} via {via}")


class Flannel:
    """A bridge on each node, a VXLAN device between them: the pods' MTU is larger than its."""

    def __init__(self, fabric):
        self.fabric = fabric

    def interface(self, host):
        return f"veth{host.name}"

    def node(self, node):
        gateway4, gateway6 = node.uplink()
        k = node.number
        node.batch(f"route add default via {gateway4}\nroute add default via {gateway6}")
        node.batch(
            f"""
            link add cni0 type bridge
            address add 10.244.{k}.1/24 dev cni0
            address add fd00:244:{k}::1/64 dev cni0 nodad
            link set cni0 up
            link add flannel.1 address 0a:58:0a:f4:0{k}:04 type vxlan id 1 dstport 8472 local {node.ip4} dev uplink nolearning
            link add flannel-v6.1 address 0a:58:0a:f4:0{k}:06 type vxlan id 1 dstport 8472 local {node.ip6} dev uplink nolearning
            address add 10.244.{k}.0/32 dev flannel.1
            address add fd00:244:{k}::/128 dev flannel-v6.1 nodad
            link set flannel.1 up
            link set flannel-v6.1 up
            """
        )
        if k != 2:
            return
        first = self.fabric.nodes[1]
        for here, there in ((first, node), (node, first)):
            far, mac = there.number, f"0a:58:0a:f4:0{there.number}"
            here.batch(
                f"""
                neigh add 10.244.{far}.0 lladdr {mac}:04 dev flannel.1 nud permanent
                neigh add fd00:244:{far}:: lladdr {mac}:06 dev flannel-v6.1 nud permanent
                route add 10.244.{far}.0/24 via 10.244.{far}.0 dev flannel.1 onlink
                route add fd00:244:{far}::/64 via fd00:244:{far}:: dev flannel-v6.1 onlink
                """
            )
            here.in_node(*f"bridge fdb add {mac}:04 dst {there.ip4} dev flannel.1".split())
            here.in_node(*f"bridge fdb add {mac}:06 dst {there.ip6} dev flannel-v6.1".split())

    def pod(self, node, host):
        veth, k = self.interface(host), node.number
        node.batch(
            f"""
            link add {veth} type veth peer name eth0 netns {host.netns.name}
            link set {veth} master cni0
            link set {veth} type bridge_slave hairpin on
            link set {veth} up
            """
        )
        script = "link set eth0 up\n"
        if host.ip4:
            script += f"""
                address add {host.ip4}/24 dev eth0
                route add default via 10.244.{k}.1
            """
        if host.ip6:
            script += f"""
                address add {host.ip6}/64 dev eth0 nodad
                route add default via fd00:244:{k}::1
            """
        batch(host.netns, script)

    def forget(self, host):
        pass


# ---- The fixture ------------------------------------------------------------------------------------


class FabricWorld:
    """A fabric with its pods listening, and an instance of Bulkhead on each node."""

    def __init__(self, scope, wiring, pods, tcp=(80, 443), udp=(53,), **rest):
        self.scope = scope
        self.fabric = Fabric(scope, wiring, pods, **rest)
        self.fabric.listen(self.fabric.hosts.values(), tcp, udp)
        self.bulkheads = {
            number: Bulkhead(scope, node, node.name, node=node.name)
            for number, node in self.fabric.nodes.items()
        }

    def __getattr__(self, name):
        """world.web1 is the host called web1."""
        try:
            return self.__dict__["fabric"].hosts[name]
        except KeyError:
            raise AttributeError(name) from None

    def bulkhead_of(self, name):
        return self.bulkheads[self.fabric.of[name].number]

    def diagnose(self):
        text = ""
        for bulkhead in self.bulkheads.values():
            text += f"{bulkhead.name}, log:\n{bulkhead.log()}\n"
            if bulkhead.process:
                text += bulkhead.cli("status", check=False).stdout
        return text

    def finish(self):
        for bulkhead in self.bulkheads.values():
            if bulkhead.process:
                tap.equal(bulkhead.stop(), 0, "status of `bulkhead up` after SIGTERM")
            bulkhead.down()
            if bulkhead.log_path.exists():
                bulkhead.check_sanitizers()
            if pin_folder(bulkhead.run_dir).exists():
                tap.fail(f"`down` left {pin_folder(bulkhead.run_dir)}")


@contextlib.contextmanager
def world(wiring, pods, **rest):
    with Scope(build=build_folder()) as scope:
        yield FabricWorld(scope, wiring, pods, **rest)
