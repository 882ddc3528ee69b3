# SPDX-License-Identifier: Apache-2.0
"""A collector of IPFIX (RFC 7011) written from the standard, and nothing else: it keeps what came."""

import ipaddress
import socket
import struct
import threading

import scope as scopes

ENTERPRISE = 32473
REVERSE = 29305

# (enterprise, element): name; the names of IANA's registry.
NAMES = {
    (0, 1): "octetDeltaCount",
    (0, 2): "packetDeltaCount",
    (0, 4): "protocolIdentifier",
    (0, 6): "tcpControlBits",
    (0, 7): "sourceTransportPort",
    (0, 8): "sourceIPv4Address",
    (0, 11): "destinationTransportPort",
    (0, 12): "destinationIPv4Address",
    (0, 27): "sourceIPv6Address",
    (0, 28): "destinationIPv6Address",
    (0, 61): "flowDirection",
    (0, 89): "forwardingStatus",
    (0, 96): "applicationName",
    (0, 136): "flowEndReason",
    (0, 152): "flowStartMilliseconds",
    (0, 153): "flowEndMilliseconds",
    (0, 233): "firewallEvent",
    (0, 256): "ethernetType",
    (REVERSE, 1): "reverseOctetDeltaCount",
    (REVERSE, 2): "reversePacketDeltaCount",
    (ENTERPRISE, 100): "sourceNamespace",
    (ENTERPRISE, 101): "sourcePod",
    (ENTERPRISE, 102): "sourceWorkload",
    (ENTERPRISE, 103): "destinationNamespace",
    (ENTERPRISE, 104): "destinationPod",
    (ENTERPRISE, 105): "destinationWorkload",
    (ENTERPRISE, 106): "verdict",
    (ENTERPRISE, 107): "pendingVerdict",
    (ENTERPRISE, 108): "reason",
    (ENTERPRISE, 109): "pendingReason",
    (ENTERPRISE, 110): "rule",
    (ENTERPRISE, 111): "pendingRule",
    (ENTERPRISE, 112): "suppressed",
    (ENTERPRISE, 113): "node",
    (ENTERPRISE, 114): "encrypted",
    (ENTERPRISE, 115): "tlsVersion",
    (ENTERPRISE, 116): "roundTrip",
}


class Session:
    """What one transport session said. Anything against the standard raises."""

    def __init__(self):
        self.templates = {}
        self.template_sets = 0
        self.records = []
        self.raw = b""
        self.domains = set()

    def message(self, data):
        version, length, _, sequence, domain = struct.unpack("!HHIII", data[:16])
        assert version == 10, f"version {version}"
        assert length == len(data), f"length {length} of {len(data)} bytes"
        assert sequence == len(self.records), f"sequence {sequence}, had {len(self.records)}"
        self.domains.add(domain)
        self.raw += data
        at = 16
        while at < length:
            number, size = struct.unpack("!HH", data[at : at + 4])
            assert size >= 4 and at + size <= length, f"set {number} of {size} bytes"
            self._set(number, data[at + 4 : at + size])
            at += size

    def _set(self, number, data):
        if number == 2:
            self.template_sets += 1
            while data:
                data = self._template(data)
        else:
            assert number in self.templates, f"no template {number} yet"
            while data:
                record, data = self._record(self.templates[number], data)
                self.records.append(record)

    def _template(self, data):
        number, count = struct.unpack("!HH", data[:4])
        data, fields = data[4:], []
        for _ in range(count):
            element, length = struct.unpack("!HH", data[:4])
            data, enterprise = data[4:], 0
            if element & 0x8000:
                enterprise, data = struct.unpack("!I", data[:4])[0], data[4:]
            fields.append((NAMES[enterprise, element & 0x7FFF], length))
        known = self.templates.setdefault(number, fields)
        assert known == fields, f"template {number} changed"
        return data

    @staticmethod
    def _record(fields, data):
        record = {}
        for name, length in fields:
            if length == 65535:
                length, data = data[0], data[1:]
                assert length < 255
                record[name] = data[:length].decode()
            elif name.endswith("Address"):
                record[name] = str(ipaddress.ip_address(data[:length]))
            else:
                record[name] = int.from_bytes(data[:length], "big")
            assert len(data) >= length, "a record is cut short"
            data = data[length:]
        return record, data


class Collector:
    """Listens in a namespace until closed; a session for each connection or source port."""

    def __init__(self, netns, tcp, port=0, address="127.0.0.1"):
        self.sessions = []
        self.error = None
        self._open = True
        self._connections = []
        kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
        thread = threading.Thread(target=self._bind, args=(netns, kind, address, port))
        thread.start()
        thread.join()
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._tcp if tcp else self._udp, daemon=True)
        self._thread.start()

    def _bind(self, netns, kind, address, port):
        scopes.enter_netns(netns)  # of this thread; the socket stays there
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.socket(family, kind)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if kind == socket.SOCK_DGRAM:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind((address, port))
        if kind == socket.SOCK_STREAM:
            self._socket.listen(8)

    def _new(self):
        self.sessions.append(Session())
        return self.sessions[-1]

    def _udp(self):
        sessions = {}
        while self._open:
            try:
                data, peer = self._socket.recvfrom(65536)
            except OSError:
                return
            if not data:  # shut down
                return
            try:
                if peer not in sessions:
                    sessions[peer] = self._new()
                sessions[peer].message(data)
            except Exception as error:
                self.error = error

    def _tcp(self):
        while self._open:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._connections.append(connection)
            try:
                self._read(connection.makefile("rb"), self._new())
            except OSError:
                pass
            except Exception as error:
                self.error = error

    @staticmethod
    def _read(stream, session):
        while len(header := stream.read(4)) == 4:
            rest = struct.unpack("!H", header[2:])[0] - 4
            data = stream.read(rest)
            if len(data) < rest:
                return
            session.message(header + data)

    @property
    def records(self):
        if self.error:
            raise self.error
        return [record for session in list(self.sessions) for record in session.records]

    def close(self):
        """As a collector that dies: connections are reset, datagrams refused."""
        self._open = False
        for connection in self._connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()
        self._thread.join(10)
