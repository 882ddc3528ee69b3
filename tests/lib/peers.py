#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Ends of real protocols. Usage: peers.py serve|ask PROTOCOL ADDRESS PORT [tls]

What asks is the protocol's client library (but NATS's, whose protocol is lines of text). What serves MongoDB, Kafka
and AMQP answers as the specification has a server answer first, and knows nothing else.
"""

import json
import socket
import socketserver
import ssl
import struct
import sys


def receive(sock, n):
    data = b""
    while len(data) < n:
        part = sock.recv(n - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def serve_tcp(address, port, handle):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            try:
                handle(self.request)
            except (EOFError, ConnectionError):
                pass

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    Server((address, port), Handler).serve_forever()


# ---- MongoDB: the wire protocol, OP_QUERY (2004) and OP_REPLY (1), OP_MSG (2013) ------------------------------------

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013


def mongodb_answer(sock):
    import bson

    length, request, _, operation = struct.unpack("<iiii", receive(sock, 16))
    receive(sock, length - 16)
    document = bson.encode(
        {"ismaster": True, "minWireVersion": 0, "maxWireVersion": 8, "maxBsonObjectSize": 16 << 20,
         "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000, "readOnly": False, "ok": 1.0})
    if operation == OP_QUERY:
        # Flags, cursor, where it starts, one document.
        body, kind = struct.pack("<iqii", 8, 0, 0, 1) + document, OP_REPLY
    elif operation == OP_MSG:
        # Flags, and a section of kind 0: the body.
        body, kind = struct.pack("<IB", 0, 0) + document, OP_MSG
    else:
        raise EOFError
    sock.sendall(struct.pack("<iiii", 16 + len(body), 1, request, kind) + body)


def serve_mongodb(address, port):
    def handle(sock):
        while True:
            mongodb_answer(sock)

    serve_tcp(address, port, handle)


def ask_mongodb(address, port):
    import pymongo

    client = pymongo.MongoClient(address, port, serverSelectionTimeoutMS=5000)
    if client.admin.command("ping")["ok"] != 1.0:
        sys.exit("no pong")


# ---- Kafka: a request is its length, key, version, correlation id, client's name -------------------------------------

API_VERSIONS, METADATA = 18, 3


def serve_kafka(address, port):
    def handle(sock):
        while True:
            (length,) = struct.unpack(">i", receive(sock, 4))
            key, version, correlation = struct.unpack(">hhi", receive(sock, length)[:8])
            if (key, version) == (API_VERSIONS, 0):
                # No error, and the range of versions of every kind of request: of these two.
                body = struct.pack(">hi", 0, 2)
                body += struct.pack(">hhh", METADATA, 0, 1) + struct.pack(">hhh", API_VERSIONS, 0, 0)
            elif (key, version) == (METADATA, 0):
                body = struct.pack(">ii", 0, 0)  # no broker, no topic
            else:
                return
            sock.sendall(struct.pack(">ii", 4 + len(body), correlation) + body)

    serve_tcp(address, port, handle)


def ask_kafka(address, port):
    from kafka.conn import BrokerConnection

    connection = BrokerConnection(address, port, socket.AF_INET)
    if not connection.connect_blocking(timeout=10):
        sys.exit("no connection")
    connection.check_version(timeout=10)
    connection.close()


# ---- AMQP 0-9-1: the protocol's header, then methods of the class connection -----------------------------------------


def amqp_method(sock):
    """The next method's number within its class."""
    kind, _, length = struct.unpack(">BHI", receive(sock, 7))
    payload = receive(sock, length + 1)
    if kind != 1 or payload[-1:] != b"\xce":
        raise EOFError
    return struct.unpack(">HH", payload[:4])[1]


def amqp_say(sock, number, arguments=b""):
    payload = struct.pack(">HH", 10, number) + arguments
    sock.sendall(struct.pack(">BHI", 1, 0, len(payload)) + payload + b"\xce")


def serve_amqp(address, port):
    start, start_ok, tune, tune_ok, open_, open_ok, close, close_ok = 10, 11, 30, 31, 40, 41, 50, 51

    def long_text(text):
        return struct.pack(">I", len(text)) + text

    def handle(sock):
        if receive(sock, 8) != b"AMQP\x00\x00\x09\x01":
            sock.sendall(b"AMQP\x00\x00\x09\x01")
            return
        # Version 0-9, no properties, one mechanism, one locale.
        amqp_say(sock, start, b"\x00\x09" + long_text(b"") + long_text(b"PLAIN") + long_text(b"en_US"))
        while True:
            number = amqp_method(sock)
            if number == start_ok:
                amqp_say(sock, tune, struct.pack(">HIH", 2047, 131072, 0))
            elif number == open_:
                amqp_say(sock, open_ok, b"\x00")
            elif number == close:
                amqp_say(sock, close_ok)
                return
            elif number != tune_ok:
                return

    serve_tcp(address, port, handle)


def ask_amqp(address, port):
    import pika

    pika.BlockingConnection(pika.ConnectionParameters(address, port, connection_attempts=1)).close()


# ---- NATS: lines of text ---------------------------------------------------------------------------------------------


def ask_nats(address, port, tls=None):
    sock = socket.create_connection((address, port), timeout=10)
    line = b""
    while not line.endswith(b"\r\n"):  # not an octet more: what follows may be TLS
        line += receive(sock, 1)
    word, _, text = line.partition(b" ")
    if word != b"INFO" or bool(json.loads(text).get("tls_required")) != bool(tls):
        sys.exit(f"not as it should be: {line}")
    if tls:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        sock = context.wrap_socket(sock)
    sock.sendall(b'CONNECT {"verbose":false,"pedantic":false,"lang":"test"}\r\nPING\r\n')
    if receive(sock, 6) != b"PONG\r\n":
        sys.exit("no pong")


# ---- gRPC, without messages of anybody's: the method takes and returns octets ----------------------------------------

METHOD = "/shop.Cart/Get"


def serve_grpc(address, port):
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(lambda request, context: request[::-1])

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Handler()])
    server.add_insecure_port(f"{address}:{port}")
    server.start()
    server.wait_for_termination()


def ask_grpc(address, port):
    import grpc

    with grpc.insecure_channel(f"{address}:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        if channel.unary_unary(METHOD)(b"abc", timeout=10) != b"cba":
            sys.exit("another answer")


if __name__ == "__main__":
    role, protocol, address, port, *more = sys.argv[1:]
    globals()[f"{role}_{protocol}"](address, int(port), *more)
