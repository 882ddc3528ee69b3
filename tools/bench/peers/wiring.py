# SPDX-License-Identifier: Apache-2.0
"""A node in a network namespace of its own with three pods, wired as the ptp or the bridge plugin does."""

import scope as scopes

PODS = {"client": "10.88.0.11", "stranger": "10.88.0.12", "server": "10.88.0.13"}
GATEWAY = "10.88.0.1"
WIRINGS = ("ptp", "bridge")


class Node:
    """`short` names it within the scope. Every node has the same addresses: they never meet."""

    def __init__(self, scope, short, wiring):
        self.short = short
        self.node_netns = scope.netns(f"{short}-node")
        self.pods = {pod: scope.netns(f"{short}-{pod}").name for pod in PODS}
        getattr(self, f"_{wiring}")()
        for pod in self.pods.values():
            # Ports that were used a second ago may be used again: connections come by the thousand.
            self._set(pod, "net.ipv4.tcp_tw_reuse=1", "net.ipv4.ip_local_port_range=1024 65535")

    @staticmethod
    def _batch(netns, *lines):
        scopes.run("ip", "-n", netns, "-batch", "-", input="\n".join(lines) + "\n")

    @staticmethod
    def _set(netns, *settings):
        scopes.run("nsenter", f"--net=/run/netns/{netns}", "sysctl", "-qw", *settings)

    def run(self, *command, **options):
        return scopes.run("nsenter", f"--net={self.node_netns}", *command, **options)

    def interfaces(self):
        return [f"veth-{pod}" for pod in PODS]

    def _ptp(self):
        node = self.node_netns.name
        lines = ["link set lo up"]
        for pod, address in PODS.items():
            lines += [
                f"link add veth-{pod} type veth peer name eth0 netns {self.pods[pod]}",
                f"address add {GATEWAY}/32 dev veth-{pod}",
                f"link set veth-{pod} up",
                f"route add {address}/32 dev veth-{pod} scope link",
            ]
        self._batch(node, *lines)
        self._set(node, "net.ipv4.ip_forward=1")
        for pod, address in PODS.items():
            self._batch(
                self.pods[pod],
                "link set lo up",
                f"address add {address}/32 dev eth0",
                "link set eth0 up",
                f"route add {GATEWAY}/32 dev eth0 scope link",
                f"route add default via {GATEWAY}",
            )

    def _bridge(self):
        node = self.node_netns.name
        lines = [
            "link set lo up",
            "link add cni0 type bridge",
            f"address add {GATEWAY}/24 dev cni0",
            "link set cni0 up",
        ]
        for pod in PODS:
            lines += [
                f"link add veth-{pod} type veth peer name eth0 netns {self.pods[pod]}",
                f"link set veth-{pod} master cni0 up",
            ]
        self._batch(node, *lines)
        self._set(node, "net.ipv4.ip_forward=1")
        self.bridge_to_netfilter(False)
        for pod, address in PODS.items():
            self._batch(
                self.pods[pod],
                "link set lo up",
                f"address add {address}/24 dev eth0",
                "link set eth0 up",
                f"route add default via {GATEWAY}",
            )

    def bridge_to_netfilter(self, on):
        """Whether what a bridge forwards goes past iptables and nftables of the family ip, too."""
        self._set(self.node_netns.name, f"net.bridge.bridge-nf-call-iptables={int(on)}")
