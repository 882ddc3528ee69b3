# SPDX-License-Identifier: Apache-2.0
"""What kube-proxy does, as far as packets can tell: a service's address becomes a backend's.

    proxy = Proxy(cluster, "iptables")            or "nftables"
    proxy.forward("tcp", "10.96.0.1", 80, "10.88.0.12", 8080)
    proxy.masquerade("all")                       nothing, "hairpin" or "all"

One backend at a time: a test wants to say which one it is. `forward` replaces the one before, and
the connections of the old one go on by the node's connection tracking, as they do with kube-proxy.
"""

import ipaddress

from scope import run

# What was never answered.
_FORGOTTEN = (("tcp_timeout_syn_sent", 1), ("udp_timeout", 2))


class Proxy:
    def __init__(self, cluster, kind):
        self.cluster = cluster
        self.kind = kind
        self.rules = {}  # (protocol, address, port) → (backend, port)
        self.masquerades = "hairpin"
        # A SYN that policy dropped leaves the node's connection tracking with a mapping for two
        # minutes. Who takes the same source port in that time would get the old backend.
        for timeout, seconds in _FORGOTTEN:
            path = f"/proc/sys/net/netfilter/nf_conntrack_{timeout}"
            self._in_node("sh", "-c", f"echo {seconds} > {path}")

    def forward(self, protocol, address, port, backend, backend_port):
        self.rules[protocol, address, port] = (backend, backend_port)
        self.write()

    def clear(self):
        self.rules.clear()
        self.masquerades = "hairpin"
        self.write()

    def masquerade(self, what):
        self.masquerades = what
        self.write()

    def write(self):
        for family in (4, 6):
            getattr(self, f"_write_{self.kind}")(family)

    def _of(self, family):
        for (protocol, address, port), (backend, backend_port) in self.rules.items():
            if ipaddress.ip_address(address).version == family:
                yield protocol, address, port, backend, backend_port

    def _backends(self, family):
        return sorted({rule[3] for rule in self._of(family)})

    def _write_iptables(self, family):
        lines = ["*nat", ":PREROUTING ACCEPT", ":OUTPUT ACCEPT", ":POSTROUTING ACCEPT"]
        for protocol, address, port, backend, backend_port in self._of(family):
            target = f"[{backend}]:{backend_port}" if family == 6 else f"{backend}:{backend_port}"
            for chain in ("PREROUTING", "OUTPUT"):
                lines.append(
                    f"-A {chain} -d {address} -p {protocol} --dport {port} "
                    f"-j DNAT --to-destination {target}"
                )
        translated = "-A POSTROUTING -m conntrack --ctstate DNAT"
        if self.masquerades == "all":
            lines.append(f"{translated} -j MASQUERADE")
        elif self.masquerades == "hairpin":
            for backend in self._backends(family):
                lines.append(f"{translated} -s {backend} -d {backend} -j MASQUERADE")
        program = "iptables-restore" if family == 4 else "ip6tables-restore"
        self._in_node(program, input="\n".join([*lines, "COMMIT", ""]))

    def _write_nftables(self, family):
        ip = "ip" if family == 4 else "ip6"
        rewrites = [
            f"{ip} daddr {address} {protocol} dport {port} dnat to "
            + (f"[{backend}]:{backend_port}" if family == 6 else f"{backend}:{backend_port}")
            for protocol, address, port, backend, backend_port in self._of(family)
        ]
        masquerades = []
        if self.masquerades == "all":
            masquerades = ["ct status dnat masquerade"]
        elif self.masquerades == "hairpin":
            masquerades = [
                f"ct status dnat {ip} saddr {backend} {ip} daddr {backend} masquerade"
                for backend in self._backends(family)
            ]
        chains = {
            "pre": ("nat hook prerouting priority -100", rewrites),
            "out": ("nat hook output priority -100", rewrites),
            "post": ("nat hook postrouting priority 100", masquerades),
        }
        text = f"table {ip} proxy {{}}\nflush table {ip} proxy\ntable {ip} proxy {{\n"
        for name, (hook, rules) in chains.items():
            body = "\n".join([f"type {hook};", *rules])
            text += f"chain {name} {{\n{body}\n}}\n"
        self._in_node("nft", "-f", "-", input=text + "}\n")

    def _in_node(self, *command, **options):
        run("nsenter", f"--net={self.cluster.node_netns}", *command, check=True, **options)
