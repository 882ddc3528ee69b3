# SPDX-License-Identifier: Apache-2.0
"""Kubernetes objects as plain dictionaries, and as text."""

import re

import yaml

NODE = "node1"
METADATA_NAME = "kubernetes.io/metadata.name"


def _object(api, kind, name, namespace=None, labels=None, annotations=None, **rest):
    metadata = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = dict(labels)
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def namespace(name, labels=None, annotations=None):
    return _object("v1", "Namespace", name, labels=labels, annotations=annotations)


def node(name, addresses, labels=None):
    listed = [{"type": "InternalIP", "address": a} for a in addresses]
    return _object("v1", "Node", name, labels=labels, status={"addresses": listed})


def pod(
    ns,
    name,
    ips,
    labels=None,
    ports=(),
    node_name=NODE,
    annotations=None,
    phase="Running",
    host_network=False,
    uid=None,
    owner=None,
):
    """`ports`: (name, protocol, number) each. `owner`: (kind, name) of the controlling object."""
    spec = {
        "nodeName": node_name,
        "containers": [
            {
                "name": "main",
                "image": "example/main",
                "ports": [
                    {"name": n, "protocol": p, "containerPort": number} for n, p, number in ports
                ],
            }
        ],
    }
    if host_network:
        spec["hostNetwork"] = True
    made = _object(
        "v1",
        "Pod",
        name,
        ns,
        labels,
        annotations,
        spec=spec,
        status={"phase": phase, "podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]},
    )
    if uid:
        made["metadata"]["uid"] = uid
    if owner:
        made["metadata"]["ownerReferences"] = [
            {
                "apiVersion": "apps/v1",
                "kind": owner[0],
                "name": owner[1],
                "controller": True,
                "uid": f"owner-{owner[1]}",
            }
        ]
    return made


def policy(ns, name, spec, annotations=None):
    return _object(
        "networking.k8s.io/v1", "NetworkPolicy", name, ns, annotations=annotations, spec=spec
    )


def cluster_policy(name, tier, priority, subject=None, annotations=None, **directions):
    """`directions`: lists of rules, `ingress` and `egress`. The subject is everyone if none is given."""
    spec = {"tier": tier, "priority": priority, "subject": subject or {"namespaces": {}}, **directions}
    return _object(
        "policy.networking.k8s.io/v1alpha2",
        "ClusterNetworkPolicy",
        name,
        annotations=annotations,
        spec=spec,
    )


def service(ns, name, ips, ports, selector=None, **spec):
    """`ips`: its clusterIPs. `ports`: dictionaries as in the manifest."""
    spec = {"clusterIP": ips[0], "clusterIPs": list(ips), "ports": ports, **spec}
    if selector:
        spec["selector"] = selector
    return _object("v1", "Service", name, ns, spec=spec)


def slice(ns, name, service, ips, ports, version="v1"):
    """An EndpointSlice of these backends; the family is the first one's."""
    return _object(
        f"discovery.k8s.io/{version}",
        "EndpointSlice",
        name,
        ns,
        labels={"kubernetes.io/service-name": service},
        addressType="IPv6" if ips and ":" in ips[0] else "IPv4",
        endpoints=[{"addresses": [ip], "conditions": {"ready": True}} for ip in ips],
        ports=ports,
    )


def dry_run(mode="dry-run"):
    return {"bulkhead.io/mode": mode}


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 reads as a boolean and PyYAML does not, as kubectl does."""


_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^[yYnN]$"), list("yYnN"))


def text(*objects):
    return yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False)
