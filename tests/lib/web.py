# SPDX-License-Identifier: Apache-2.0
"""A client of the HTTP API that lives in one network namespace and connects in another."""

import contextlib
import http.client
import json
import os
import socket
import ssl

import scope as scopes


@contextlib.contextmanager
def inside(netns):
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if netns:
            scopes.enter_netns(netns)
        yield
    finally:
        if netns:
            scopes.enter_netns(f"/proc/self/fd/{here}")
        os.close(here)


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Web:
    """`token` None: none is shown. `ca`: PEM file to trust, then it speaks TLS."""

    def __init__(self, netns, port, token=None, address="127.0.0.1", ca=None, timeout=30):
        self.netns = netns
        self.port = port
        self.token = token
        self.address = address
        self.ca = ca
        self.timeout = timeout

    def with_token(self, token):
        return Web(self.netns, self.port, token, self.address, self.ca, self.timeout)

    def connect(self):
        with inside(self.netns):
            sock = socket.create_connection((self.address, self.port), self.timeout)
        if self.ca:
            context = ssl.create_default_context(cafile=self.ca)
            sock = context.wrap_socket(sock, server_hostname=self.address)
        return sock

    def connection(self):
        made = http.client.HTTPConnection(self.address, self.port, timeout=self.timeout)
        made.sock = self.connect()
        return made

    def headers(self, more=None, token=True):
        headers = {"Host": f"{self.address}:{self.port}"}
        if self.token and token:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers | (more or {})

    def request(self, method, path, body=None, headers=None, token=True, connection=None):
        made = connection or self.connection()
        headers = self.headers(headers, token)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        try:
            made.request(method, path, body, headers)
            answer = made.getresponse()
            return Response(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            if connection is None:
                made.close()

    def get(self, path, **rest):
        return self.request("GET", path, **rest)

    def stream(self, path="/api/v1/live"):
        return Stream(self, path)


class Stream:
    """Server-sent events, read as they come."""

    def __init__(self, web, path):
        self.connection = web.connection()
        self.connection.request("GET", path, headers=web.headers())
        self.response = self.connection.getresponse()
        self.status = self.response.status

    def event(self, *wanted):
        """The next event, or the next of those names: (name, data). None at the end."""
        name, data = None, []
        while True:
            line = self.response.readline()
            if not line:
                return None
            line = line.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data.append(line[6:])
            elif not line and name:
                if not wanted or name in wanted:
                    return name, json.loads("\n".join(data))
                name, data = None, []

    def close(self):
        self.response.close()
        self.connection.close()
