# SPDX-License-Identifier: Apache-2.0
"""Random namespaces, pods and policies over the whole grammars of NetworkPolicy v1 and, in every
other cluster, ClusterNetworkPolicy v1alpha2.

One seed makes one cluster, always the same. The vocabulary is small, so that selectors match often
and policies overlap; what has tripped other implementations is in it: label values that YAML
would read as booleans or numbers, empty values, keys that are absent, namespaces without an object,
pods that ended and left their address to somebody else, pods on the host's network.
"""

import ipaddress
import random

import manifests

TCP = (80, 443, 8080, 9000)
UDP = (53, 8080)
SCTP = (3868,)
SERVED = [("tcp", p) for p in TCP] + [("udp", p) for p in UDP] + [("sctp", p) for p in SCTP]

_KEYS = {
    "app": ["web", "db", "cache"],
    "tier": ["front", "back", ""],
    "tls": ["yes", "no", "1"],
    "team/owner": ["a", "b.c", "true"],
}
_NAMESPACE_KEYS = {"env": ["prod", "test", "y"], "zone": ["0", "1"], "app": ["web", "db"]}
_NODE_KEYS = {"role": ["worker", "master"], "zone": ["0", "1"]}
_NAMESPACES = ["alpha", "beta", "gamma"]


class Generator:
    def __init__(self, seed, local, remote, outside, node_addresses):
        """
        `local`, `remote`: lists of address pairs for pods of this node and of another one.
        `outside`: addresses of no pod at all.
        """
        self.random = random.Random(seed)
        self.with_tiers = seed % 2 == 0
        self.local, self.remote, self.outside = local, remote, outside
        self.node_addresses = node_addresses

    def objects(self):
        rnd = self.random
        # gamma may have no Namespace object: it then has only the label every namespace has.
        made = [
            manifests.namespace(name, self._labels(_NAMESPACE_KEYS))
            for name in _NAMESPACES
            if name != "gamma" or rnd.random() < 0.6
        ]
        made += self._pods()
        for number in range(rnd.randint(3, 9)):
            spec = self._policy()
            made.append(manifests.policy(rnd.choice(_NAMESPACES), f"policy-{number}", spec))
        made.append(
            manifests.node(manifests.NODE, self.node_addresses, self._labels(_NODE_KEYS))
        )
        if self.with_tiers:
            made.append(manifests.node("node3", self.outside[0], self._labels(_NODE_KEYS)))
            made += [self._cluster_policy(number) for number in range(rnd.randint(1, 6))]
        rnd.shuffle(made)
        return made

    # ---- Pods -----------------------------------------------------------------------

    def _pods(self):
        rnd = self.random
        made = []
        for number, ips in enumerate(self.local + self.remote):
            where = manifests.NODE if number < len(self.local) else "node2"
            made.append(
                manifests.pod(
                    rnd.choice(_NAMESPACES),
                    f"pod-{number}",
                    list(ips),
                    self._labels(_KEYS),
                    self._ports(),
                    where,
                )
            )
        # Neither of these two is at the address any more, or ever was as a pod.
        gone = rnd.choice(self.local + self.outside)
        made.append(
            manifests.pod(
                rnd.choice(_NAMESPACES),
                "ended",
                list(gone),
                self._labels(_KEYS),
                self._ports(),
                rnd.choice([manifests.NODE, "node2"]),
                phase=rnd.choice(["Succeeded", "Failed"]),
            )
        )
        made.append(
            manifests.pod(
                rnd.choice(_NAMESPACES),
                "host",
                self.node_addresses,
                self._labels(_KEYS),
                self._ports(),
                host_network=True,
            )
        )
        return made

    def _labels(self, keys):
        return {
            key: self.random.choice(values)
            for key, values in keys.items()
            if self.random.random() < 0.7
        }

    def _ports(self):
        rnd = self.random
        return [
            port
            for port in [
                ("http", "TCP", rnd.choice([80, 8080])),
                ("metrics", "TCP", rnd.choice([443, 9000])),
                ("dns", "UDP", rnd.choice([53, 8080])),
                ("sig", rnd.choice(["SCTP", "UDP"]), 3868),
            ]
            if rnd.random() < 0.8
        ]

    # ---- Policies -------------------------------------------------------------------

    def _policy(self):
        rnd = self.random
        spec = {"podSelector": self._selector(_KEYS)}
        for section, peers in (("ingress", "from"), ("egress", "to")):
            if rnd.random() < (0.75 if section == "ingress" else 0.5):
                # An empty list and a missing one mean the same, and are both written.
                spec[section] = [self._rule(peers) for _ in range(rnd.choice([0, 1, 1, 2, 3]))]
        if rnd.random() < 0.6:
            spec["policyTypes"] = rnd.choice(
                [["Ingress"], ["Egress"], ["Ingress", "Egress"], ["Egress", "Ingress"], []]
            )
        return spec

    def _cluster_policy(self, number):
        rnd = self.random
        return manifests.cluster_policy(
            f"cnp-{number}",
            rnd.choice(["Admin", "Admin", "Baseline"]),
            rnd.choice([0, 10, 10, 500, 1000]),
            self._cluster_pods(),
            **{
                section: [self._cluster_rule(peers) for _ in range(rnd.randint(0, 4))]
                for section, peers in (("ingress", "from"), ("egress", "to"))
                if rnd.random() < 0.8
            },
        )

    def _cluster_pods(self):
        namespaces = self._selector(_NAMESPACE_KEYS | {manifests.METADATA_NAME: _NAMESPACES})
        if self.random.random() < 0.5:
            return {"namespaces": namespaces}
        return {"pods": {"namespaceSelector": namespaces, "podSelector": self._selector(_KEYS)}}

    def _cluster_rule(self, peers):
        rnd = self.random
        named = rnd.random() < 0.3
        rule = {
            "action": rnd.choice(["Accept", "Deny", "Pass"]),
            peers: [
                self._cluster_peer(peers == "to" and not named)
                for _ in range(rnd.choice([1, 1, 2, 3]))
            ],
        }
        if rnd.random() < 0.7:
            rule["protocols"] = [self._protocol(named) for _ in range(rnd.choice([1, 2, 4]))]
        if rnd.random() < 0.3:
            rule["name"] = "why: " + rnd.choice(["a", "b"])
        return rule

    def _cluster_peer(self, anything):
        kind = self.random.choice(["pods", "pods", "nodes", "networks"]) if anything else "pods"
        if kind == "pods":
            return self._cluster_pods()
        if kind == "nodes":
            return {"nodes": self._selector(_NODE_KEYS)}
        return {
            "networks": sorted({self._block()["cidr"] for _ in range(self.random.randint(1, 3))})
        }

    def _protocol(self, named):
        rnd = self.random
        if named:
            return {"destinationNamedPort": rnd.choice(["http", "metrics", "dns", "sig", "nowhere"])}
        protocol = rnd.choice(["tcp", "tcp", "udp", "sctp"])
        numbers = {"udp": UDP, "sctp": SCTP}.get(protocol, TCP)
        if rnd.random() < 0.6:
            return {protocol: {"destinationPort": {"number": rnd.choice(numbers)}}}
        low = rnd.choice([1, 53, 80, 81, 443, 8000])
        high = rnd.choice([p for p in (442, 443, 3868, 8080, 9000, 65535) if p > low])
        return {protocol: {"destinationPort": {"range": {"start": low, "end": high}}}}

    def _rule(self, peers):
        rnd = self.random
        rule = {}
        if rnd.random() < 0.85:
            rule[peers] = [self._peer() for _ in range(rnd.choice([0, 1, 1, 2, 3]))]
        if rnd.random() < 0.7:
            rule["ports"] = [self._port() for _ in range(rnd.choice([0, 1, 2, 3, 8]))]
        return rule

    def _peer(self):
        kind = self.random.choice(["pod", "namespace", "both", "block", "block"])
        if kind == "block":
            return {"ipBlock": self._block()}
        peer = {}
        if kind in ("pod", "both"):
            peer["podSelector"] = self._selector(_KEYS)
        if kind in ("namespace", "both"):
            peer["namespaceSelector"] = self._selector(
                _NAMESPACE_KEYS | {manifests.METADATA_NAME: _NAMESPACES}
            )
        return peer

    def _selector(self, keys):
        rnd = self.random
        selector = {}
        if rnd.random() < 0.5:
            key = rnd.choice(list(keys))
            selector["matchLabels"] = {key: rnd.choice(keys[key])}
        if rnd.random() < 0.4:
            selector["matchExpressions"] = [
                self._expression(keys) for _ in range(rnd.choice([1, 1, 2]))
            ]
        return selector

    def _expression(self, keys):
        rnd = self.random
        key = rnd.choice(list(keys))
        operator = rnd.choice(["In", "NotIn", "Exists", "DoesNotExist"])
        expression = {"key": key, "operator": operator}
        if operator in ("In", "NotIn"):
            expression["values"] = rnd.sample(keys[key], rnd.randint(1, len(keys[key])))
        return expression

    def _block(self):
        rnd = self.random
        pair = rnd.choice(self.local + self.remote + self.outside)
        address = ipaddress.ip_address(rnd.choice(pair))
        whole = address.max_prefixlen
        bits = rnd.choice([0, 8, whole - 8, whole - 6, whole - 4, whole - 2, whole])
        network = ipaddress.ip_network(f"{address}/{bits}", strict=False)
        # Bits beyond the prefix are accepted and mean nothing.
        block = {"cidr": f"{address}/{bits}" if rnd.random() < 0.2 else str(network)}
        if bits < whole and rnd.random() < 0.6:
            block["except"] = self._excepts(network)
        return block

    def _excepts(self, network):
        """Strictly inside, around addresses that are in use, so that they matter."""
        rnd = self.random
        inside = [
            ip
            for pair in self.local + self.remote + self.outside
            for ip in map(ipaddress.ip_address, pair)
            if ip.version == network.version and ip in network
        ]
        excepts = set()
        for ip in rnd.sample(inside, min(len(inside), rnd.randint(1, 3))):
            bits = rnd.randint(max(network.prefixlen + 1, ip.max_prefixlen - 8), ip.max_prefixlen)
            excepts.add(str(ipaddress.ip_network(f"{ip}/{bits}", strict=False)))
        return sorted(excepts)

    def _port(self):
        rnd = self.random
        protocol = rnd.choice(["TCP", "TCP", "UDP", "SCTP", None])
        entry = {"protocol": protocol} if protocol else {}
        kind = rnd.choice(["number", "number", "name", "range", "all"])
        numbers = {"UDP": UDP, "SCTP": SCTP}.get(protocol, TCP)
        if kind == "number":
            entry["port"] = rnd.choice([*numbers, 8081])
        elif kind == "name":
            entry["port"] = rnd.choice(["http", "metrics", "dns", "sig", "nowhere"])
        elif kind == "range":
            low = rnd.choice([1, 53, 80, 81, 443, 8000, 9000])
            entry |= {
                "port": low,
                "endPort": rnd.choice(
                    [p for p in (80, 442, 443, 3868, 8079, 8080, 9000, 65535) if p >= low]
                ),
            }
        return entry
