# SPDX-License-Identifier: Apache-2.0
"""What is compared: each a way of putting the same rules in force on a node, or none."""

import contextlib
import json
import os

import bpf
import rules
import scope as scopes
from bulkhead import Bulkhead


class Variant:
    """Nothing at all: what the others are compared with."""

    filters = False

    def __init__(self, name):
        self.name = name
        self.detail = ""

    def install(self, scope, node, n_rules):
        pass

    def remove(self):
        pass


class EmptyTcx(Variant):
    """A TCX program that does nothing, at all hooks that Bulkhead has."""

    def install(self, scope, node, n_rules):
        program = bpf.load_passing_program(b"empty")
        self.fds = [program]
        with scopes.inside_netns(node.node_netns):
            for interface in node.interfaces():
                for way in (bpf.TCX_INGRESS, bpf.TCX_EGRESS):
                    self.fds.append(bpf.attach_tcx_before(program, interface, way))

    def remove(self):
        for fd in self.fds:
            os.close(fd)


class BulkheadVariant(Variant):
    def __init__(self, name, *arguments, mode="enforce", annotations=None, export=False):
        super().__init__(name)
        self.arguments = arguments
        self.mode = mode
        self.annotations = annotations
        self.export = export
        self.filters = mode == "enforce"

    def install(self, scope, node, n_rules):
        self.bulkhead = bulkhead = Bulkhead(scope, node, name=node.short, node=rules.NODE)
        text = json.dumps(rules.manifests(n_rules, self.annotations))
        bulkhead.put_text("cluster.json", text)
        arguments = list(self.arguments)
        if self.export:
            folder = scope.folder / f"{node.short}.export"
            folder.mkdir()
            folder.chmod(0o777)
            arguments += ["--export-json", str(folder / "flows.json")]
        bulkhead.up(self.mode, *arguments, wait=False)

    def settle(self):
        self.bulkhead.ready(timeout=120)
        hooks = {p["hook"] for p in self.bulkhead.json("pods") if p.get("hook")}
        self.detail = f"hook {', '.join(sorted(hooks))}"
        bad = [p for p in self.bulkhead.problems() if p["code"] != "map-pressure"]
        if bad:
            raise RuntimeError(f"{self.name}: {bad[0]['code']}: {bad[0]['text']}")

    def remove(self):
        self.bulkhead.stop()
        self.bulkhead.down()


class Nftables(Variant):
    filters = True

    def install(self, scope, node, n_rules):
        with contextlib.suppress(RuntimeError):  # only where there are bridges
            node.bridge_to_netfilter(True)
        node.run("nft", "-f", "-", input=rules.nftables(n_rules))


class Iptables(Variant):
    filters = True

    def __init__(self, name, linear):
        super().__init__(name)
        self.linear = linear

    def install(self, scope, node, n_rules):
        with contextlib.suppress(RuntimeError):
            node.bridge_to_netfilter(True)
        if self.linear:
            text = rules.iptables_linear(n_rules)
        else:
            node.run("ipset", "restore", input=rules.ipset(n_rules))
            text = rules.iptables_with_set()
        # The kernel has two of them, and the older one walks its rules natively.
        for tool in ("iptables-legacy", "iptables"):
            try:
                node.run(f"{tool}-restore", input=text)
            except RuntimeError:
                continue
            self.detail = tool
            return
        raise RuntimeError(f"{self.name}: neither iptables-legacy nor iptables takes the rules")


NOTHING = "nothing"


def all_variants():
    """In the order of the table."""
    return [
        Variant(NOTHING),
        Variant("nothing, again"),
        EmptyTcx("empty TCX program"),
        BulkheadVariant("Bulkhead, tcx", "--attach", "tcx"),
        BulkheadVariant("Bulkhead, clsact", "--attach", "clsact"),
        BulkheadVariant("Bulkhead, xdp", annotations={"bulkhead.io/hook": "xdp"}),
        BulkheadVariant("Bulkhead, dry-run", mode="dry-run"),
        BulkheadVariant("Bulkhead, flow export", export=True),
        Nftables("nftables, verdict map"),
        Iptables("iptables, ipset", linear=False),
        Iptables("iptables, linear", linear=True),
    ]
