# SPDX-License-Identifier: Apache-2.0
"""The same rules, said in each peer's words.

N rules at the server: N - 2 peers of other nodes may reach its TCP port; the client may, by TCP and
UDP, and is told last. Nobody else may. What belongs to a connection that was allowed passes.
"""

from manifests import namespace, pod, policy
from wiring import PODS

PORT = 8080
NODE = "node1"


def others(n_rules):
    """Addresses of the peers beside the client."""
    return [f"10.{200 + (n >> 16)}.{n >> 8 & 255}.{n & 255}" for n in range(1, n_rules - 1)]


def pairs(n_rules):
    """(protocol, address) of every rule."""
    return [("tcp", a) for a in others(n_rules)] + [(p, PODS["client"]) for p in ("tcp", "udp")]


# ---- nftables, iptables, ipset --------------------------------------------------------------------


def nftables(n_rules):
    """A connection table and a verdict map."""
    elements = ",\n".join(f"{a} . {p} . {PORT} : accept" for p, a in pairs(n_rules))
    return f"""table ip peers {{
	map allowed {{
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = {{ {elements} }}
	}}
	chain to_pods {{
		type filter hook forward priority filter; policy accept;
		ct state established,related accept
		ip daddr {PODS["server"]} ip saddr . ip protocol . th dport vmap @allowed
		ip daddr {PODS["server"]} drop
	}}
}}
"""


def ipset(n_rules, name="allowed"):
    size = max(1024, 2 * n_rules)
    lines = [f"create {name} hash:ip,port hashsize {size} maxelem {size}"]
    lines += [f"add {name} {a},{p}:{PORT}" for p, a in pairs(n_rules)]
    return "\n".join(lines) + "\n"


def _iptables(matches):
    to_server = f"-A FORWARD -d {PODS['server']}"
    lines = ["*filter", "-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"]
    lines += [f"{to_server} {match} -j ACCEPT" for match in matches]
    return "\n".join([*lines, f"{to_server} -j DROP", "COMMIT"]) + "\n"


def iptables_with_set(name="allowed"):
    return _iptables([f"-m set --match-set {name} src,dst"])


def iptables_linear(n_rules):
    return _iptables(f"-s {a} -p {p} --dport {PORT}" for p, a in pairs(n_rules))


# ---- Bulkhead -------------------------------------------------------------------------------------


def manifests(n_rules, annotations=None):
    """Pods and one NetworkPolicy. Each peer has a label of its own, so that it is a class of its own."""
    far = others(n_rules)
    rules = [
        {
            "from": [{"podSelector": {"matchLabels": {"peer": f"p{n}"}}}],
            "ports": [{"protocol": "TCP", "port": PORT}],
        }
        for n in range(len(far))
    ]
    rules.append(
        {
            "from": [{"podSelector": {"matchLabels": {"app": "client"}}}],
            "ports": [{"protocol": p, "port": PORT} for p in ("TCP", "UDP")],
        }
    )
    spec = {
        "podSelector": {"matchLabels": {"app": "server"}},
        "policyTypes": ["Ingress"],
        "ingress": rules,
    }
    items = [namespace("bench"), policy("bench", "to-server", spec)]
    for name, address in PODS.items():
        items.append(pod("bench", name, [address], {"app": name}, node_name=NODE, annotations=annotations))
    for n, address in enumerate(far):
        items.append(pod("bench", f"peer-{n}", [address], {"peer": f"p{n}"}, node_name="elsewhere"))
    return {"apiVersion": "v1", "kind": "List", "items": items}
