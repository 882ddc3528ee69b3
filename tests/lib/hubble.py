# SPDX-License-Identifier: Apache-2.0
"""Hubble's exported flows: which fields a line may have, and of which types.

As Cilium's api/v1/flow/flow.proto and api/v1/observer/observer.proto have them (1.17), in protobuf's mapping to JSON
with the names of the schema, which is how Hubble writes them. What reads such a line refuses a field that is not in
the schema or has another type; so does check().
"""

import re

# Of enum DropReason: those that Bulkhead has a use for.
DROP_REASONS = {
    "DROP_REASON_UNKNOWN": 0,
    "INVALID_SOURCE_MAC": 130,
    "INVALID_SOURCE_IP": 132,
    "POLICY_DENIED": 133,
    "INVALID_PACKET_DROPPED": 134,
    "CT_TRUNCATED_OR_INVALID_HEADER": 135,
    "UNSUPPORTED_L3_PROTOCOL": 139,
    "UNKNOWN_ICMPV4_TYPE": 144,
    "UNKNOWN_ICMPV6_TYPE": 146,
    "CT_MAP_INSERTION_FAILED": 155,
    "INVALID_IPV6_EXTENSION_HEADER": 156,
    "UNKNOWN_CONNECTION_TRACKING_STATE": 163,
    "NO_CONFIGURATION_AVAILABLE_TO_PERFORM_POLICY_DECISION": 165,
    "UNSUPPORTED_L2_PROTOCOL": 166,
    "FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND": 175,
    "FORBIDDEN_ICMPV6_MESSAGE": 176,
    "POLICY_DENY": 181,
    "DROP_EP_NOT_READY": 203,
}
# Of enum TraceObservationPoint, with what a trace's sub_type (pkg/monitor/api) is there.
TRACE_POINTS = {"FROM_ENDPOINT": 5, "TO_ENDPOINT": 0}

ENUMS = {
    "Verdict": {"VERDICT_UNKNOWN", "FORWARDED", "DROPPED", "ERROR", "AUDIT", "REDIRECTED", "TRACED", "TRANSLATED"},
    "FlowType": {"UNKNOWN_TYPE", "L3_L4", "L7", "SOCK"},
    "TrafficDirection": {"TRAFFIC_DIRECTION_UNKNOWN", "INGRESS", "EGRESS"},
    "IPVersion": {"IP_NOT_USED", "IPv4", "IPv6"},
    "DropReason": set(DROP_REASONS),
    "TraceObservationPoint": set(TRACE_POINTS),
}

_PORTS = {"source_port": "uint32", "destination_port": "uint32"}
_ICMP = {"type": "uint32", "code": "uint32"}
_POLICIES = "[Policy]"

# message: {field: type}. Of Flow, what only Cilium can know (tunnels, proxies, sockets, layer 7) is left out.
MESSAGES = {
    "ExportEvent": {"flow": "Flow", "node_name": "string", "time": "timestamp"},
    "Flow": {
        "time": "timestamp",
        "uuid": "string",
        "verdict": "Verdict",
        "drop_reason": "uint32",
        "ethernet": "Ethernet",
        "IP": "IP",
        "l4": "Layer4",
        "source": "Endpoint",
        "destination": "Endpoint",
        "Type": "FlowType",
        "node_name": "string",
        "node_labels": "[string]",
        "source_names": "[string]",
        "destination_names": "[string]",
        "reply": "bool",
        "event_type": "CiliumEventType",
        "source_service": "Service",
        "destination_service": "Service",
        "traffic_direction": "TrafficDirection",
        "policy_match_type": "uint32",
        "trace_observation_point": "TraceObservationPoint",
        "drop_reason_desc": "DropReason",
        "is_reply": "bool",
        "interface": "NetworkInterface",
        "egress_allowed_by": _POLICIES,
        "ingress_allowed_by": _POLICIES,
        "egress_denied_by": _POLICIES,
        "ingress_denied_by": _POLICIES,
        "extensions": "any",
        "Summary": "string",
    },
    "Ethernet": {"source": "string", "destination": "string"},
    "IP": {"source": "string", "destination": "string", "ipVersion": "IPVersion", "encrypted": "bool"},
    "Layer4": {"TCP": "TCP", "UDP": "UDP", "SCTP": "SCTP", "ICMPv4": "ICMPv4", "ICMPv6": "ICMPv6"},
    "TCP": dict(_PORTS, flags="TCPFlags"),
    "TCPFlags": dict.fromkeys(("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS"), "bool"),
    "UDP": _PORTS,
    "SCTP": _PORTS,
    "ICMPv4": _ICMP,
    "ICMPv6": _ICMP,
    "Endpoint": {
        "ID": "uint32",
        "identity": "uint32",
        "cluster_name": "string",
        "namespace": "string",
        "labels": "[string]",
        "pod_name": "string",
        "workloads": "[Workload]",
    },
    "Workload": {"name": "string", "kind": "string"},
    "CiliumEventType": {"type": "int32", "sub_type": "int32"},
    "Service": {"name": "string", "namespace": "string"},
    "NetworkInterface": {"index": "uint32", "name": "string"},
    "Policy": {"name": "string", "namespace": "string", "labels": "[string]", "revision": "uint64", "kind": "string"},
}

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_NUMBERS = {"int32": (-(2**31), 2**31), "uint32": (0, 2**32), "uint64": (0, 2**64)}
DROP, TRACE, POLICY_VERDICT = 1, 4, 5


class Wrong(Exception):
    """What Hubble's reader would not take."""


def _number(value, kind):
    low, high = _NUMBERS[kind]
    if kind == "uint64" and isinstance(value, str) and value.isdecimal():
        value = int(value)  # as protobuf writes what a double cannot hold
    return type(value) is int and low <= value < high


def _is(value, kind):
    if kind in _NUMBERS:
        return _number(value, kind)
    if kind in ENUMS:
        return value in ENUMS[kind]
    if kind == "timestamp":
        return isinstance(value, str) and bool(_TIMESTAMP.fullmatch(value))
    if kind == "any":  # it says which message it is; a Struct, a wrapper that JSON has its own form for, is in `value`
        return (isinstance(value, dict) and set(value) == {"@type", "value"} and isinstance(value["value"], dict)
                and value["@type"] == "type.googleapis.com/google.protobuf.Struct")
    return type(value) is {"string": str, "bool": bool}[kind]


def _check(value, kind, where):
    if kind.startswith("["):
        if not isinstance(value, list):
            raise Wrong(f"{where} is no list: {value!r}")
        for at, item in enumerate(value):
            _check(item, kind[1:-1], f"{where}[{at}]")
    elif kind in MESSAGES:
        if not isinstance(value, dict):
            raise Wrong(f"{where} is no {kind}: {value!r}")
        for name, item in value.items():
            if name not in MESSAGES[kind]:
                raise Wrong(f"{kind} has no field {name} ({where})")
            _check(item, MESSAGES[kind][name], f"{where}.{name}")
    elif not _is(value, kind):
        raise Wrong(f"{where} is no {kind}: {value!r}")


def _agree(flow):
    """What the schema's comments say about fields that go with one another."""
    event, dropped = flow["event_type"], flow["verdict"] == "DROPPED"
    reason = DROP_REASONS[flow["drop_reason_desc"]] if "drop_reason_desc" in flow else None
    for what, holds in (
        ("uuid", bool(_UUID.fullmatch(flow["uuid"]))),
        ("one protocol in l4", len(flow.get("l4", "1")) == 1),
        ("a drop is a drop", dropped == (event["type"] == DROP) == (reason is not None)),
        ("drop_reason is drop_reason_desc", flow.get("drop_reason") == reason),
        ("a drop's sub_type is its reason", not dropped or event.get("sub_type", 0) == reason),
        ("a trace has a point", (event["type"] == TRACE) == ("trace_observation_point" in flow)),
        ("its sub_type", event["type"] != TRACE
         or event.get("sub_type", 0) == TRACE_POINTS.get(flow.get("trace_observation_point"))),
        ("a verdict has what matched", (event["type"] == POLICY_VERDICT) == ("policy_match_type" in flow)),
    ):
        if not holds:
            raise Wrong(f"{what}: {flow}")


def check(line):
    """Raises Wrong if Hubble's reader would refuse the line (parsed), or be told what contradicts itself."""
    _check(line, "ExportEvent", "line")
    _agree(line["flow"])
