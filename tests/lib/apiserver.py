# SPDX-License-Identifier: Apache-2.0
"""A small Kubernetes API server that does what a test tells it to, the wrong things above all.

It keeps objects, lists them in pages from a snapshot, and streams what changes to its watchers:

    server = ApiServer()
    server.put(manifests.pod("shop", "web", ["10.0.0.1"]))
    server.once("pods", Status(429, retry_after=2))       # instead of the next request for pods
    server.once("pods", Cut(after=3), watch=False)        # of the next list only
    server.requests                                       # everything that was asked, in order

resourceVersions look like "rv-17~a", so that nobody takes them for numbers.
"""

import base64
import contextlib
import dataclasses
import http.server
import json
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

import scope

PATHS = {
    "/api/v1/pods": ("pods", "Pod", "v1"),
    "/api/v1/namespaces": ("namespaces", "Namespace", "v1"),
    "/api/v1/nodes": ("nodes", "Node", "v1"),
    "/apis/networking.k8s.io/v1/networkpolicies": (
        "networkpolicies",
        "NetworkPolicy",
        "networking.k8s.io/v1",
    ),
    "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies": (
        "clusternetworkpolicies",
        "ClusterNetworkPolicy",
        "policy.networking.k8s.io/v1alpha2",
    ),
    "/api/v1/services": ("services", "Service", "v1"),
    "/apis/discovery.k8s.io/v1/endpointslices": (
        "endpointslices",
        "EndpointSlice",
        "discovery.k8s.io/v1",
    ),
    "/apis/discovery.k8s.io/v1beta1/endpointslices": (
        "endpointslices",
        "EndpointSlice",
        "discovery.k8s.io/v1beta1",
    ),
}
KINDS = {kind: resource for resource, kind, _ in PATHS.values()}


@dataclasses.dataclass
class Request:
    resource: str
    watch: bool
    query: dict
    headers: dict
    time: float


# ---- What may go wrong ------------------------------------------------------------------------------


@dataclasses.dataclass
class Status:
    """Answers with a Status of this HTTP code."""

    code: int
    message: str = "so it is"
    retry_after: int = None

    def __call__(self, handler, request):
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after else {}
        handler.answer(self.code, status_object(self.code, self.message), headers)


@dataclasses.dataclass
class Text:
    """Answers 200 with these bytes, whatever they are."""

    text: str
    content_type: str = "application/json"

    def __call__(self, handler, request):
        handler.answer_text(200, self.text, {"Content-Type": self.content_type})


@dataclasses.dataclass
class Cut:
    """The list breaks off in the middle of an object, after so many; or ends there, as if well."""

    after: int
    well: bool = False

    def __call__(self, handler, request):
        whole = json.dumps(handler.server.api.list(request, PATHS[handler.route]))
        items = json.loads(whole)["items"]
        keep = whole.index(json.dumps(items[self.after])) + 20
        if self.well:
            handler.answer_text(200, whole[:keep])
        else:
            handler.head(200, {"Content-Length": str(len(whole))})
            handler.wfile.write(whole[:keep].encode())
            handler.drop()


class Hang:
    """Accepts the request and says nothing, until the client has had enough."""

    def __call__(self, handler, request):
        handler.api.frozen_until_closed(handler)


class HangHead:
    """The head of an answer, and then nothing."""

    def __call__(self, handler, request):
        handler.begin_stream()
        handler.api.frozen_until_closed(handler)


@dataclasses.dataclass
class WatchEvents:
    """A watch with these events (texts go out as they are), and then its end."""

    events: list
    drop: bool = False

    def __call__(self, handler, request):
        handler.begin_stream()
        for event in self.events:
            handler.chunk(event if isinstance(event, str) else json.dumps(event) + "\n")
        handler.drop() if self.drop else handler.end_stream()


def status_object(code, message="", reason=""):
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason or {410: "Expired", 429: "TooManyRequests"}.get(code, ""),
        "code": code,
    }


def gone_event(message="too old resource version"):
    return {"type": "ERROR", "object": status_object(410, message)}


# ---- The server -------------------------------------------------------------------------------------


class ApiServer:
    def __init__(self, token=None, tls=None, client_ca=None, bookmark_every=None):
        """`tls`: (certificate, key) files."""
        self.token = token
        self.tls = tls
        self.client_ca = client_ca
        self.bookmark_every = bookmark_every
        self.changed = threading.Condition()
        self.version_number = 100
        self.compacted = 0
        self.objects = {resource: {} for resource in KINDS.values()}
        self.events = []  # (number, resource, type, object)
        self.snapshots = {}
        self.frozen = False
        self.gone_as_event = False
        self.requests = []
        self.missing = {"clusternetworkpolicies"}  # resources whose definition is not installed
        self.older_slices = False  # EndpointSlices as before Kubernetes 1.21: v1beta1 only
        self._instead = []
        self._port = 0
        self._httpd = None
        self.start()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._port}"

    def start(self):
        self._httpd = _Httpd(("127.0.0.1", self._port), _Handler)
        self._httpd.api = self
        self._port = self._httpd.server_address[1]
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            if self.client_ca:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(self.client_ca)
            self._httpd.tls = context
        threading.Thread(target=self._httpd.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        """Connections end and new ones are refused, until start()."""
        self._httpd.shutdown()
        self._httpd.server_close()
        self._httpd.drop_all()

    def drop_connections(self):
        self._httpd.drop_all()

    # ---- Objects --------------------------------------------------------------------

    def put(self, *objects):
        with self.changed:
            for given in objects:
                made = json.loads(json.dumps(given))
                resource = KINDS[made["kind"]]
                key = _key(made)
                old = self.objects[resource].get(key)
                metadata = made["metadata"]
                metadata.setdefault("uid", old["metadata"]["uid"] if old else f"uid-{made['kind']}-{key}")
                metadata["resourceVersion"] = self._next_version()
                self.objects[resource][key] = made
                self._log(resource, "MODIFIED" if old else "ADDED", made)
            self.changed.notify_all()

    def delete(self, kind, name, namespace=""):
        with self.changed:
            made = dict(self.objects[KINDS[kind]].pop(f"{namespace}/{name}"))
            made["metadata"] = dict(made["metadata"], resourceVersion=self._next_version())
            self._log(KINDS[kind], "DELETED", made)
            self.changed.notify_all()

    def install(self, resource):
        """Its definition appears; it has no objects yet."""
        with self.changed:
            self.missing.discard(resource)
            self._next_version()

    def uninstall(self, resource):
        """Its definition goes, and its objects with it. Watches just end."""
        with self.changed:
            self.missing.add(resource)
            self.objects[resource].clear()
            self._next_version()
            self.changed.notify_all()

    def compact(self):
        """Forgets all events: who watches from before gets 410."""
        with self.changed:
            self.version_number += 1
            self.compacted = self.version_number
            self.changed.notify_all()

    def expire_continues(self):
        with self.changed:
            self.snapshots.clear()

    def version(self):
        return f"rv-{self.version_number}~a"

    def _next_version(self):
        self.version_number += 1
        return self.version()

    def _log(self, resource, kind, made):
        self.events.append((self.version_number, resource, kind, made))

    # ---- Scripts --------------------------------------------------------------------

    def once(self, resource, action, watch=None, times=1):
        """Does `action` instead of answering the next `times` requests for it (None: for any)."""
        with self.changed:
            self._instead += [(resource, watch, action)] * times

    def always(self, resource, action, watch=None):
        with self.changed:
            self._instead.append((resource, watch, action, True))

    def behave(self):
        with self.changed:
            self._instead.clear()
            self.frozen = False
            self.changed.notify_all()

    def _take_action(self, request):
        with self.changed:
            for entry in self._instead:
                resource, watch, action = entry[:3]
                if resource in (None, request.resource) and watch in (None, request.watch):
                    if len(entry) == 3:
                        self._instead.remove(entry)
                    return action
        return None

    def asked(self, resource, watch=None):
        with self.changed:
            return [
                r for r in self.requests if r.resource == resource and watch in (None, r.watch)
            ]

    def frozen_until_closed(self, handler):
        with contextlib.suppress(OSError):
            handler.connection.settimeout(60)
            while handler.connection.recv(1):
                pass
        handler.close_connection = True

    # ---- Answers --------------------------------------------------------------------

    def list(self, request, what):
        resource, kind, version = what
        with self.changed:
            limit = int(request.query.get("limit", 0))
            token = request.query.get("continue")
            if token:
                number, at = json.loads(base64.b64decode(token))
                if number not in self.snapshots:
                    return None
                rv, items = self.snapshots[number]
            else:
                number, at = len(self.snapshots) + self.version_number * 1000, 0
                rv, items = self.version(), list(self.objects[resource].values())
                self.snapshots[number] = (rv, items)
            page = items[at : at + limit] if limit else items[at:]
            metadata = {"resourceVersion": rv}
            if at + len(page) < len(items):
                rest = json.dumps([number, at + len(page)]).encode()
                metadata["continue"] = base64.b64encode(rest).decode()
        # As the real one: the items of a list do not say what they are.
        stripped = [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in page]
        return {"kind": f"{kind}List", "apiVersion": version, "metadata": metadata, "items": stripped}

    def watch(self, handler, request, what):
        resource, kind, version = what
        number = int(request.query["resourceVersion"].split("-")[1].split("~")[0])
        deadline = time.monotonic() + int(request.query.get("timeoutSeconds", 300))
        if number < self.compacted:
            if self.gone_as_event:
                return WatchEvents([gone_event()])(handler, request)
            return Status(410, "too old resource version")(handler, request)
        handler.begin_stream()
        bookmark_at = time.monotonic() + self.bookmark_every if self.bookmark_every else deadline
        while time.monotonic() < deadline:
            if resource in self.missing:
                return handler.end_stream()
            if self.frozen:
                return self.frozen_until_closed(handler)
            with self.changed:
                news = [e for e in self.events if e[0] > number and e[1] == resource]
                if not news:
                    self.changed.wait(max(0, min(bookmark_at, deadline) - time.monotonic()))
            for number, _, type_, made in news:
                handler.chunk(json.dumps({"type": type_, "object": made}) + "\n")
            if not news and self.bookmark_every and time.monotonic() >= bookmark_at:
                with self.changed:
                    number = max(number, self.version_number)
                    rv = self.version()
                mark = {"kind": kind, "apiVersion": version, "metadata": {"resourceVersion": rv}}
                handler.chunk(json.dumps({"type": "BOOKMARK", "object": mark}) + "\n")
                bookmark_at = time.monotonic() + self.bookmark_every
            if handler.close_connection:
                return None
        return handler.end_stream()


class NodeServer(ApiServer):
    """Listens in a node's namespace."""

    def __init__(self, netns, **options):
        self.netns = netns
        super().__init__(**options)

    def start(self):
        with scope.inside_netns(self.netns):
            super().start()


class _Httpd(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    tls = None

    def __init__(self, *arguments):
        self.connections = set()
        super().__init__(*arguments)

    def get_request(self):
        connection, address = super().get_request()
        self.connections.add(connection)
        return connection, address

    def finish_request(self, request, client_address):
        if self.tls:
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except (ssl.SSLError, OSError):
                return
            self.connections.add(request)
        self.RequestHandlerClass(request, client_address, self)

    def shutdown_request(self, request):
        super().shutdown_request(request)
        self.connections.discard(request)

    def handle_error(self, request, client_address):
        pass  # clients that go away are what this is for

    def drop_all(self):
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    @property
    def api(self):
        return self.server.api

    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        self.route = parts.path
        if self.route not in PATHS:
            return self.answer(404, status_object(404, f"no {self.route}"))
        resource, _, version = PATHS[self.route]
        if resource == "endpointslices" and version.endswith("beta1") != self.api.older_slices:
            return self.answer(404, status_object(404, f"no {self.route}"))
        request = Request(
            resource, "watch" in query, query, dict(self.headers), time.monotonic()
        )
        with self.api.changed:
            self.api.requests.append(request)
        if self.api.token and self.headers.get("Authorization") != f"Bearer {self.api.token}":
            return self.answer(401, status_object(401, "Unauthorized"))
        action = self.api._take_action(request)
        if action:
            return action(self, request)
        if resource in self.api.missing:
            return self.answer_text(404, "404 page not found\n", {"Content-Type": "text/plain"})
        if request.watch:
            return self.api.watch(self, request, PATHS[self.route])
        made = self.api.list(request, PATHS[self.route])
        if made is None:
            return self.answer(410, status_object(410, "The provided continue parameter is too old"))
        return self.answer(200, made)

    # ---- Sending --------------------------------------------------------------------

    def head(self, code, headers):
        self.send_response(code)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def answer(self, code, made, headers=None):
        self.answer_text(code, json.dumps(made), headers)

    def answer_text(self, code, text, headers=None):
        body = text.encode()
        self.head(code, {"Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def begin_stream(self):
        self.head(200, {"Transfer-Encoding": "chunked"})

    def chunk(self, text):
        body = text.encode() if isinstance(text, str) else text
        try:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
        except OSError:
            self.close_connection = True

    def end_stream(self):
        self.wfile.write(b"0\r\n\r\n")

    def drop(self):
        self.wfile.flush()
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


def _key(made):
    return f"{made['metadata'].get('namespace', '')}/{made['metadata']['name']}"


# ---- Certificates -----------------------------------------------------------------------------------


def make_ca(folder, name):
    """A certificate authority: NAME.crt and NAME.key in the folder."""
    _openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt",
        "-days", "2", "-subj", f"/CN={name}",
    )
    return folder / f"{name}.crt"


def make_certificate(folder, ca, name, subject_names):
    """A certificate by that authority; returns (certificate, key)."""
    key, request, certificate = (folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
    extensions = folder / f"{name}.ext"
    extensions.write_text(f"subjectAltName={subject_names}\n" if subject_names else "\n")
    _openssl(
        "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", key, "-out", request, "-subj", f"/CN={name}",
    )
    _openssl(
        "x509", "-req", "-in", request, "-CA", folder / f"{ca}.crt", "-CAkey", folder / f"{ca}.key",
        "-CAcreateserial", "-out", certificate, "-days", "2", "-extfile", extensions,
    )
    return certificate, key


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


# ---- Kubeconfig -------------------------------------------------------------------------------------


def kubeconfig(server, user=None, ca=None, **cluster):
    """One with one context, called `here`."""
    made = {"server": server, **cluster}
    if ca:
        made["certificate-authority-data"] = base64.b64encode(ca.read_bytes()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": made}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }
