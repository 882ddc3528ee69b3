# SPDX-License-Identifier: Apache-2.0
"""An API server that costs as little as it can, so that it is not what is measured.

Objects are turned into text once; a page of a list is those texts joined, an event is one write from
the thread that makes it to each watcher's connection. TLS, HTTP/1.1, pages, watches, bookmarks: what
a real one does and an agent pays for. It does nothing wrong; tests/lib/apiserver.py is for that.
"""

import collections
import contextlib
import http.server
import json
import ssl
import threading
import time
import urllib.parse

PATHS = {
    "/api/v1/namespaces": ("Namespace", "v1"),
    "/api/v1/nodes": ("Node", "v1"),
    "/api/v1/pods": ("Pod", "v1"),
    "/api/v1/services": ("Service", "v1"),
    "/apis/discovery.k8s.io/v1/endpointslices": ("EndpointSlice", "discovery.k8s.io/v1"),
    "/apis/networking.k8s.io/v1/networkpolicies": ("NetworkPolicy", "networking.k8s.io/v1"),
    "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies": (
        "ClusterNetworkPolicy",
        "policy.networking.k8s.io/v1alpha2",
    ),
}
BOOKMARK_S = 30


def key_of(made):
    return made["metadata"].get("namespace", ""), made["metadata"]["name"]


class Server:
    """`tls`: (certificate, key). Listens in the calling thread's network namespace."""

    def __init__(self, tls):
        self.lock = threading.Lock()
        self.version = 1
        self.texts = {kind: {} for kind, _ in PATHS.values()}
        self.events = collections.defaultdict(list)  # kind → (version, chunk)
        self.watchers = collections.defaultdict(set)  # kind → handlers
        self.snapshots = {}  # continue → texts that are left, version
        self._httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler, False)
        self._httpd.daemon_threads = True
        self._httpd.request_queue_size = 64
        self._httpd.api = self
        self._httpd.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._httpd.tls.load_cert_chain(*tls)
        self._httpd.server_bind()
        self._httpd.server_activate()
        self.url = f"https://127.0.0.1:{self._httpd.server_address[1]}"
        threading.Thread(target=self._httpd.serve_forever, args=(0.1,), daemon=True).start()

    def load(self, objects):
        """What is there before anybody asks: no events."""
        for made in objects:
            made["metadata"].setdefault("resourceVersion", str(self.version))
            kind, text = made["kind"], {k: v for k, v in made.items() if k not in ("kind", "apiVersion")}
            self.texts[kind][key_of(made)] = json.dumps(text, separators=(",", ":"))

    def tell(self, type_, made):
        """One event. Returns the moment before the first byte was written."""
        kind = made["kind"]
        with self.lock:
            self.version += 1
            made["metadata"]["resourceVersion"] = str(self.version)
            text = json.dumps({"type": type_, "object": made}, separators=(",", ":")) + "\n"
            chunk = b"%x\r\n%s\r\n" % (len(text), text.encode())
            if type_ == "DELETED":
                self.texts[kind].pop(key_of(made), None)
            else:
                self.load([made])
            self.events[kind].append((self.version, chunk))
            began = time.perf_counter()
            for watcher in list(self.watchers[kind]):
                watcher.send(chunk)
        return began

    def page(self, kind, version, limit, token):
        """(text of a page, as bytes)"""
        with self.lock:
            if token:
                texts, number = self.snapshots.pop(token)
            else:
                texts, number = list(self.texts[kind].values()), self.version
            limit = limit or len(texts)
            metadata = {"resourceVersion": str(number)}
            if len(texts) > limit:
                metadata["continue"] = f"{kind}-{number}-{len(texts)}"
                self.snapshots[metadata["continue"]] = (texts[limit:], number)
        head = json.dumps({"kind": f"{kind}List", "apiVersion": version, "metadata": metadata})
        return (head[:-1] + ',"items":[' + ",".join(texts[:limit]) + "]}").encode()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self):
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, *_):
        pass

    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        kind, version = PATHS.get(parts.path, (None, None))
        if kind is None or not self.server.api.texts[kind] and kind == "ClusterNetworkPolicy":
            return self._answer(404, b'{"kind":"Status","apiVersion":"v1","status":"Failure","code":404}')
        if "watch" in query:
            return self._watch(kind, version, query)
        limit = int(query.get("limit", 0))
        return self._answer(200, self.server.api.page(kind, version, limit, query.get("continue")))

    def _answer(self, code, body):
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send(self, chunk):
        with contextlib.suppress(OSError):
            self.wfile.write(chunk)

    def _watch(self, kind, version, query):
        api = self.server.api
        end = time.monotonic() + int(query.get("timeoutSeconds", 300))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with api.lock:
            for number, chunk in api.events[kind]:
                if number > int(query["resourceVersion"]):
                    self.send(chunk)
            api.watchers[kind].add(self)
        while (rest := end - time.monotonic()) > 0:
            time.sleep(min(rest, BOOKMARK_S))
            with api.lock:
                metadata = {"resourceVersion": str(api.version), "creationTimestamp": None}
                mark = {"kind": kind, "apiVersion": version, "metadata": metadata}
                text = json.dumps({"type": "BOOKMARK", "object": mark}) + "\n"
                self.send(b"%x\r\n%s\r\n" % (len(text), text.encode()))
        with api.lock:
            api.watchers[kind].discard(self)
        self.send(b"0\r\n\r\n")
