# SPDX-License-Identifier: Apache-2.0
"""Debian's Prometheus in a network namespace, and what it may be mistaken for: a server of nonsense."""

import contextlib
import http.server
import shutil
import socket
import subprocess
import threading
import urllib.parse

import scope as scopes
import tap
from web import Web, inside


class Prometheus:
    """`config`: the text of its scrape_configs. Listens on all addresses of `netns`."""

    def __init__(self, scope, netns, config, port=9090):
        program = shutil.which("prometheus")
        if not program:
            tap.skip("prometheus is not installed")
        self.program, self.netns, self.port = program, netns, port
        self.folder = scope.folder / "prometheus"
        self.folder.mkdir()
        (self.folder / "conf.yml").write_text(config)
        self.web = Web(netns, port)
        self.start()

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    "nsenter",
                    f"--net={self.netns}",
                    self.program,
                    f"--config.file={self.folder}/conf.yml",
                    f"--storage.tsdb.path={self.folder}/data",
                    f"--web.listen-address=0.0.0.0:{self.port}",
                ],
                stdout=log,
                stderr=log,
                preexec_fn=scopes.die_with_parent,
            )

    def ask(self, expression):
        query = urllib.parse.urlencode({"query": expression})
        answer = self.web.get(f"/api/v1/query?{query}").json
        if answer["status"] != "success":
            tap.fail(f"{expression}: {answer}")
        return answer["data"]["result"]

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


@contextlib.contextmanager
def impostor(netns, answer):
    """
    A server on 127.0.0.1 of `netns`; yields its port. `answer(request)` gets the handler, with the
    form in `request.form`, and returns (status, headers, body).
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.form = dict(urllib.parse.parse_qsl(body.decode()))
            status, headers, text = answer(self)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(text)

        def log_message(self, *_):
            pass

    with inside(netns):
        sock = socket.create_server(("127.0.0.1", 0))
    server = http.server.ThreadingHTTPServer(sock.getsockname(), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = sock
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield sock.getsockname()[1]
    finally:
        server.shutdown()
        server.server_close()
