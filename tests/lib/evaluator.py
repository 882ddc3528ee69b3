# SPDX-License-Identifier: Apache-2.0
"""What NetworkPolicy v1 and ClusterNetworkPolicy v1alpha2 allow, read off the API documentation
sentence by sentence.

Slow and plain on purpose: this is what the compiler is compared with, so it shares nothing with
it. It works on the objects as written, and asks each question from the beginning every time.
The quoted sentences are of the API reference for NetworkPolicy, networking.k8s.io/v1, and of the
comments of the types of ClusterNetworkPolicy, policy.networking.k8s.io/v1alpha2.
"""

import ipaddress

from manifests import METADATA_NAME


class World:
    """All objects there are, and the name of the node whose pods are enforced (None: all are)."""

    def __init__(self, objects, node=None):
        self.node = node
        self.namespaces = {}
        self.pods = []
        self.policies = []
        self.cluster_policies = []
        self.nodes = []
        for thing in objects:
            kind, metadata = thing["kind"], thing["metadata"]
            if kind == "Namespace":
                self.namespaces[metadata["name"]] = dict(metadata.get("labels") or {})
            elif kind == "Pod" and not _is_outside_the_pod_network(thing):
                self.pods.append(thing)
            elif kind == "NetworkPolicy":
                self.policies.append(thing)
            elif kind == "ClusterNetworkPolicy":
                self.cluster_policies.append(thing)
            elif kind == "Node":
                self.nodes.append(thing)

    def pod_at(self, address):
        """The pod that has the address, or None for everything else in the world."""
        wanted = ipaddress.ip_address(address)
        for pod in self.pods:
            if wanted in [ipaddress.ip_address(entry["ip"]) for entry in pod["status"]["podIPs"]]:
                return pod
        return None

    def allows(self, source, destination, protocol, port):
        """
        True if a connection from one address to another may be opened. "For a connection from a
        source pod to a destination pod to be allowed, both the egress policy on the source pod and
        the ingress policy on the destination pod need to allow the connection."
        """
        protocol = protocol.upper()
        return self._direction_allows(
            "Egress", source, destination, destination, protocol, port
        ) and self._direction_allows("Ingress", destination, source, destination, protocol, port)

    def isolated(self, pod, direction):
        return bool(self._policies_of(pod, direction))

    def _policies_of(self, pod, direction):
        return [
            p
            for p in self.policies
            if p["metadata"]["namespace"] == pod["metadata"]["namespace"]
            and selects(p["spec"].get("podSelector") or {}, labels_of(pod))
            and direction in policy_types(p["spec"])
        ]

    def _direction_allows(self, direction, subject, peer, destination, protocol, port):
        subject_pod = self.pod_at(subject)
        if subject_pod is None or self.node not in (None, subject_pod["spec"]["nodeName"]):
            return True
        connection = (direction, subject_pod, peer, destination, protocol, port)
        # "Policy tiers are evaluated in the following order: Admin tier, NetworkPolicy tier,
        # Baseline tier."
        for tier in (
            lambda: self._tier_decides("Admin", *connection),
            lambda: self._network_policies_decide(*connection),
            lambda: self._tier_decides("Baseline", *connection),
        ):
            decided = tier()
            if decided is not None:
                return decided
        # "If a given connection wasn't allowed or denied by any of the tiers, the default
        # kubernetes policy is applied, which says that all pods can communicate with each other."
        return True

    # ---- NetworkPolicy --------------------------------------------------------------

    def _network_policies_decide(self, direction, subject_pod, peer, destination, protocol, port):
        """
        True, False, or None where no policy isolates the pod. "v1.NetworkPolicy always makes a
        final decision for selected pods. Further evaluation only happens for Pods not selected by
        a v1.NetworkPolicy."
        """
        policies = self._policies_of(subject_pod, direction)
        # "By default, a pod is non-isolated […]; all connections are allowed."
        if not policies:
            return None
        # "Network policies […] are additive": any rule of any policy is enough.
        section, peers = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
        return any(
            self._peers_match(policy, rule.get(peers), peer)
            and self._ports_match(rule.get("ports"), destination, protocol, port)
            for policy in policies
            for rule in policy["spec"].get(section) or []
        )

    def _peers_match(self, policy, peers, address):
        # "If this field is empty or missing, this rule matches all sources (traffic not restricted
        # by source)."
        if not peers:
            return True
        return any(self._peer_matches(policy, peer, address) for peer in peers)

    def _peer_matches(self, policy, peer, address):
        if "ipBlock" in peer:
            return block_contains(peer["ipBlock"], address)
        pod = self.pod_at(address)
        if pod is None:
            return False
        namespace = pod["metadata"]["namespace"]
        if "namespaceSelector" in peer:
            if not selects(peer["namespaceSelector"], self._namespace_labels(namespace)):
                return False
        elif namespace != policy["metadata"]["namespace"]:
            # "Otherwise it selects the pods matching podSelector in the policy's own namespace."
            return False
        return "podSelector" not in peer or selects(peer["podSelector"], labels_of(pod))

    def _ports_match(self, ports, destination, protocol, port):
        # "If this field is empty or missing, this rule matches all ports (traffic not restricted
        # by port)."
        if not ports:
            return True
        return any(self._port_matches(entry, destination, protocol, port) for entry in ports)

    def _port_matches(self, entry, destination, protocol, port):
        # "protocol […] which traffic must match. If not specified, this field defaults to TCP."
        if entry.get("protocol", "TCP") != protocol:
            return False
        # "If this field is not provided, this matches all port names and numbers."
        if "port" not in entry:
            return True
        wanted = entry["port"]
        if isinstance(wanted, str):
            return port in named_ports(self.pod_at(destination), wanted, protocol)
        # "endPort indicates that the range of ports from port to endPort if set, inclusive,
        # should be allowed by the policy."
        return wanted <= port <= entry.get("endPort", wanted)


    def _namespace_labels(self, namespace):
        # "selects namespaces using cluster-scoped labels": those of the Namespace object. The API
        # server sets this label on every namespace.
        return {**self.namespaces.get(namespace, {}), METADATA_NAME: namespace}

    # ---- ClusterNetworkPolicy -------------------------------------------------------

    def _tier_decides(self, tier, direction, subject_pod, peer, destination, protocol, port):
        """True (Accept), False (Deny), or None (Pass, or no rule matches)."""
        section, peers = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
        # "Policies with lower priority values have higher precedence, and are checked before
        # policies with higher priority values in the same tier." Ties: by name, that is ours.
        for policy in sorted(
            (p for p in self.cluster_policies if p["spec"]["tier"] == tier),
            key=lambda p: (p["spec"]["priority"], p["metadata"]["name"]),
        ):
            if not self._pods_match(policy["spec"]["subject"], subject_pod):
                continue
            # "a rule that appears at the top of the ingress rules would take the highest
            # precedence"
            for rule in policy["spec"].get(section) or []:
                # "If any element matches […] then the specified action is applied."
                if any(self._cluster_peer_matches(p, peer) for p in rule[peers]) and (
                    "protocols" not in rule
                    or any(
                        self._protocol_matches(p, destination, protocol, port)
                        for p in rule["protocols"]
                    )
                ):
                    # "Pass: Skips all further ClusterNetworkPolicy rules in the current tier for
                    # the selected traffic, and passes evaluation to the next tier."
                    return {"Accept": True, "Deny": False, "Pass": None}[rule["action"]]
        return None

    def _pods_match(self, selector, pod):
        """`namespaces` "to select all pods within a set of Namespaces", `pods` "via namespace AND
        pod selectors"."""
        labels = self._namespace_labels(pod["metadata"]["namespace"])
        if "namespaces" in selector:
            return selects(selector["namespaces"], labels)
        both = selector["pods"]
        return selects(both["namespaceSelector"], labels) and selects(
            both["podSelector"], labels_of(pod)
        )

    def _cluster_peer_matches(self, peer, address):
        if "networks" in peer:
            # "cluster-internal traffic will be checked against the rule as well"
            return any(block_contains({"cidr": cidr}, address) for cidr in peer["networks"])
        if "nodes" in peer:
            # "matching on the IPs present in the node.Status.Addresses field of the node"
            wanted = ipaddress.ip_address(address)
            return any(
                selects(peer["nodes"], node["metadata"].get("labels") or {})
                for node in self.nodes
                for entry in node["status"]["addresses"]
                if ipaddress.ip_address(entry["address"]) == wanted
            )
        pod = self.pod_at(address)
        return pod is not None and self._pods_match(peer, pod)

    def _protocol_matches(self, entry, destination, protocol, port):
        # "DestinationNamedPort selects a destination port on a pod based on the ContainerPort name."
        if "destinationNamedPort" in entry:
            name = entry["destinationNamedPort"]
            return port in named_ports(self.pod_at(destination), name, protocol)
        ((name, match),) = entry.items()
        if name.upper() != protocol:
            return False
        wanted = match["destinationPort"]
        if "range" in wanted:  # "inclusive"
            return wanted["range"]["start"] <= port <= wanted["range"]["end"]
        return wanted["number"] == port


def _is_outside_the_pod_network(pod):
    """Pods on the host's network are the node to others; pods that ended have no address."""
    return pod["spec"].get("hostNetwork", False) or pod["status"].get("phase") in (
        "Succeeded",
        "Failed",
    )


def labels_of(pod):
    return pod["metadata"].get("labels") or {}


def policy_types(spec):
    # "If this field is not specified, it will default based on the existence of ingress or egress
    # rules; policies that contain an egress section are assumed to affect egress, and all policies
    # (whether or not they contain an ingress section) are assumed to affect ingress." An empty list
    # has no rules: "if you want to write a policy that specifies that no egress is allowed, you
    # must specify a policyTypes value that include "Egress"".
    if spec.get("policyTypes"):
        return spec["policyTypes"]
    return ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def selects(selector, labels):
    """LabelSelector: "The result of matchLabels and matchExpressions are ANDed. An empty label
    selector matches all objects." """
    return all(
        labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()
    ) and all(_expression_holds(e, labels) for e in selector.get("matchExpressions") or [])


def _expression_holds(expression, labels):
    key, operator = expression["key"], expression["operator"]
    if operator == "In":
        return key in labels and labels[key] in expression["values"]
    if operator == "NotIn":  # also "objects without the key"
        return key not in labels or labels[key] not in expression["values"]
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    raise ValueError(operator)


def block_contains(block, address):
    """IPBlock: "except is a slice of CIDRs that should not be included within an IPBlock"."""

    def inside(cidr):
        network = ipaddress.ip_network(cidr, strict=False)
        return network.version == ip.version and ip in network

    ip = ipaddress.ip_address(address)
    return inside(block["cidr"]) and not any(map(inside, block.get("except") or []))


def named_ports(pod, name, protocol):
    """A name is "a named port on a pod": the one that is asked for the connection."""
    if pod is None:
        return []
    return [
        p["containerPort"]
        for c in pod["spec"]["containers"]
        for p in c.get("ports") or []
        if p.get("name") == name and p.get("protocol", "TCP") == protocol
    ]
