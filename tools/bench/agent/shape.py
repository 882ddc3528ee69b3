# SPDX-License-Identifier: Apache-2.0
"""What the cluster looks like: names, labels, owners, policies in the proportions of real ones.

Everything follows from numbers, so two runs measure the same cluster. A pod is some 5 kB of JSON, as
one with environment, volumes, conditions and managed fields is.
"""

import random

NODE = "node-0"
TEAMS = ("shop", "data", "web", "ops", "ml", "pay", "auth", "media")
TIERS = ("front", "api", "worker", "cache", "db")
APPS_PER_NAMESPACE = 12
PODS_PER_NODE = 110


def namespace_name(number):
    return f"{TEAMS[number % len(TEAMS)]}-{number // len(TEAMS)}"


def namespace(number):
    name = namespace_name(number)
    return {
        "kind": "Namespace",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "uid": f"ns-{number:06d}",
            "labels": {
                "kubernetes.io/metadata.name": name,
                "team": TEAMS[number % len(TEAMS)],
                "stage": ("production", "staging", "test")[number % 3],
            },
        },
    }


def node(number):
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": f"node-{number}", "uid": f"node-uid-{number}"},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": f"172.16.{number // 250}.{1 + number % 250}"},
                {"type": "Hostname", "address": f"node-{number}"},
            ]
        },
    }


def local_address(number):
    return f"10.88.0.{10 + number}"


def remote_address(number):
    return f"10.{100 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def pod(number, namespaces, local, labels=None):
    """The pod of that number; the first ones of a cluster are on the node that is measured."""
    ns, app = number % namespaces, number // namespaces % APPS_PER_NAMESPACE
    tier, name = TIERS[app % len(TIERS)], f"app-{app}"
    stateful = tier == "db"
    suffix = f"{number // namespaces // APPS_PER_NAMESPACE}" if stateful else f"7d9f8b6c4-{number:05x}"
    address = local_address(number) if local else remote_address(number)
    made = {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/part-of": TEAMS[ns % len(TEAMS)],
        "tier": tier,
        "version": f"v{number % 3}",
    }
    if stateful:
        made["statefulset.kubernetes.io/pod-name"] = f"{name}-{suffix}"
    else:
        made["pod-template-hash"] = "7d9f8b6c4"
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": f"{name}-{suffix}",
            "namespace": namespace_name(ns),
            "uid": f"{number:08x}-5b1d-4f8e-9d35-0242ac120002",
            "creationTimestamp": "2026-03-01T10:20:30Z",
            "labels": {**made, **(labels or {})},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9102"},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "StatefulSet" if stateful else "ReplicaSet",
                    "name": name if stateful else f"{name}-7d9f8b6c4",
                    "uid": f"owner-{ns}-{app}",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
            "managedFields": _managed_fields(),
        },
        "spec": _pod_spec(name, NODE if local else f"node-{1 + number // PODS_PER_NODE}"),
        "status": {
            "phase": "Running",
            "conditions": [
                {
                    "type": t,
                    "status": "True",
                    "lastProbeTime": None,
                    "lastTransitionTime": "2026-03-01T10:20:33Z",
                }
                for t in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
            ],
            "hostIP": "172.16.0.1",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": "2026-03-01T10:20:30Z",
            "containerStatuses": [
                {
                    "name": "main",
                    "ready": True,
                    "started": True,
                    "restartCount": 0,
                    "image": f"registry.example/{name}:1.2.3",
                    "imageID": "registry.example/x@sha256:" + "ab" * 32,
                    "containerID": "containerd://" + "cd" * 32,
                    "state": {"running": {"startedAt": "2026-03-01T10:20:32Z"}},
                }
            ],
            "qosClass": "Burstable",
        },
    }


def _managed_fields():
    fields = {f"k:{{\"name\":\"VARIABLE_{i}\"}}": {".": {}, "f:name": {}, "f:value": {}} for i in range(12)}
    spec = {"f:containers": {"k:{\"name\":\"main\"}": {"f:env": fields, "f:image": {}, "f:resources": {}}}}
    return [
        {
            "manager": "kube-controller-manager",
            "operation": "Update",
            "apiVersion": "v1",
            "time": "2026-03-01T10:20:30Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:tier": {}}}, "f:spec": spec},
        }
    ]


def _pod_spec(name, node_name):
    return {
        "nodeName": node_name,
        "serviceAccountName": name,
        "containers": [
            {
                "name": "main",
                "image": f"registry.example/{name}:1.2.3",
                "env": [{"name": f"VARIABLE_{i}", "value": f"value number {i}"} for i in range(12)],
                "ports": [
                    {"name": "http", "containerPort": 8080, "protocol": "TCP"},
                    {"name": "metrics", "containerPort": 9102, "protocol": "TCP"},
                ],
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
                "volumeMounts": [
                    {
                        "name": "kube-api-access",
                        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                        "readOnly": True,
                    }
                ],
                "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10},
            }
        ],
        "volumes": [
            {
                "name": "kube-api-access",
                "projected": {
                    "defaultMode": 420,
                    "sources": [
                        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                        {"configMap": {"name": "kube-root-ca.crt"}},
                    ],
                },
            }
        ],
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}],
    }


def policy(ns, name, spec):
    return {
        "kind": "NetworkPolicy",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {"name": name, "namespace": ns, "uid": f"np-{ns}-{name}"},
        "spec": spec,
    }


def _app(number):
    return {"matchLabels": {"app.kubernetes.io/name": f"app-{number}"}}


def policies(namespaces, wanted):
    """Each namespace: deny by default, DNS, metrics; then one for each application in turn."""
    made = []
    for n in range(namespaces):
        ns = namespace_name(n)
        everywhere = {"podSelector": {}}
        made.append(policy(ns, "default-deny", {**everywhere, "policyTypes": ["Ingress", "Egress"]}))
        dns = {
            "to": [
                {
                    "namespaceSelector": {"matchLabels": {"team": "ops"}},
                    "podSelector": {"matchLabels": {"tier": "cache"}},
                }
            ],
            "ports": [{"protocol": p, "port": 53} for p in ("UDP", "TCP")],
        }
        made.append(policy(ns, "dns", {**everywhere, "policyTypes": ["Egress"], "egress": [dns]}))
        scrape = {
            "from": [{"namespaceSelector": {"matchLabels": {"team": "ops", "stage": "production"}}}],
            "ports": [{"port": "metrics"}],
        }
        made.append(policy(ns, "metrics", {**everywhere, "policyTypes": ["Ingress"], "ingress": [scrape]}))
    number = 0
    while len(made) < wanted:
        made.append(application_policy(number, namespaces))
        number += 1
    return made[:wanted]


def application_policy(number, namespaces, port=8080):
    """Who may speak to an application, and where it may go itself."""
    n, app = number % namespaces, number // namespaces % APPS_PER_NAMESPACE
    chance = random.Random(number)
    peers = [
        {"podSelector": _app((app + 1) % APPS_PER_NAMESPACE)},
        {
            "namespaceSelector": {"matchLabels": {"team": chance.choice(TEAMS)}},
            "podSelector": {"matchLabels": {"tier": chance.choice(TIERS)}},
        },
    ]
    outside = {"cidr": f"203.0.{chance.randrange(64)}.0/24", "except": [f"203.0.{number % 64}.128/25"]}
    if not outside["except"][0].startswith(outside["cidr"].rsplit(".", 1)[0] + "."):
        del outside["except"]
    spec = {
        "podSelector": _app(app),
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": peers, "ports": [{"port": port}, {"port": "http"}]}],
        "egress": [
            {"to": [{"podSelector": _app((app + 2) % APPS_PER_NAMESPACE)}], "ports": [{"port": 8080}]},
            {"to": [{"ipBlock": outside}], "ports": [{"port": 443}]},
        ],
    }
    return policy(namespace_name(n), f"app-{app}-{number // namespaces // APPS_PER_NAMESPACE}", spec)


def services(namespaces):
    """One for each application, with a slice of the pods behind it."""
    for n in range(namespaces):
        for app in range(APPS_PER_NAMESPACE):
            ns, name, number = namespace_name(n), f"app-{app}", n * APPS_PER_NAMESPACE + app
            yield {
                "kind": "Service",
                "apiVersion": "v1",
                "metadata": {"name": name, "namespace": ns, "uid": f"svc-{number:06d}"},
                "spec": {
                    "type": "ClusterIP",
                    "clusterIP": f"10.96.{number >> 8}.{number & 255}",
                    "clusterIPs": [f"10.96.{number >> 8}.{number & 255}"],
                    "selector": _app(app)["matchLabels"],
                    "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": "http"}],
                },
            }


def slices(pods):
    """The EndpointSlices of those services, from the pods."""
    behind = {}
    for made in pods:
        metadata = made["metadata"]
        at = metadata["namespace"], metadata["labels"]["app.kubernetes.io/name"]
        behind.setdefault(at, []).append(made["status"]["podIP"])
    for (ns, name), addresses in behind.items():
        yield {
            "kind": "EndpointSlice",
            "apiVersion": "discovery.k8s.io/v1",
            "metadata": {
                "name": f"{name}-x7k2p",
                "namespace": ns,
                "uid": f"slice-{ns}-{name}",
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
            "endpoints": [{"addresses": [a], "conditions": {"ready": True}} for a in addresses],
        }
