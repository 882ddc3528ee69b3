# SPDX-License-Identifier: Apache-2.0
"""A controller that is alone on loopback: no data plane, and a folder for manifests."""

import pathlib
import re
import signal
import subprocess
import tempfile

import scope as scopes
import tap
from bulkhead import build_folder
from web import Web

PATIENCE = 15  # seconds for an answer: generous, but well below what slow ones are given (20 s)


class Server:
    """bulkhead-controller with no data plane, in a folder of its own, or in `home`, another one's."""

    def __init__(self, folder, *arguments, http="127.0.0.1:0", home=None):
        self.folder = home or pathlib.Path(tempfile.mkdtemp(dir=folder))
        (self.folder / "manifests").mkdir(exist_ok=True)
        self.state = self.folder / "state"
        self.log_path = self.folder / "log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [
                    str(build_folder() / "bulkhead-controller"), "--run-dir", str(self.folder), "--state-dir",
                    str(self.state), "--node", "n1", "--manifests", str(self.folder / "manifests"), "--http", http,
                    *arguments,
                ],  # fmt: skip
                stdin=subprocess.DEVNULL,
                stderr=log,
                stdout=log,
                preexec_fn=lambda: scopes.die_with_parent(signal.SIGKILL),
            )

    def log(self):
        return self.log_path.read_text(errors="replace")

    def web(self, **rest):
        def listens():
            if self.process.poll() is not None:
                tap.fail(f"the controller ended:\n{self.log()}")
            return re.search(r"HTTP on https?://\S+:(\d+)/", self.log())

        port = int(tap.eventually(listens, "HTTP", 20).group(1))
        token = (self.state / "operator.token").read_text().strip()
        return Web(None, port, token, timeout=PATIENCE, **rest)

    def token(self, role, *namespaces):
        """A new one's text."""
        bound = [word for name in namespaces for word in ("--namespace", name)]
        made = subprocess.run(
            [
                str(build_folder() / "bulkhead"), "--run-dir", str(self.folder), "token", "create", "--role", role,
                *bound,
            ],  # fmt: skip
            capture_output=True,
            text=True,
            check=True,
        )
        return made.stdout.strip()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            tap.equal(self.process.wait(30), 0, f"status after SIGTERM\n{self.log()}")
        assert "Sanitizer" not in self.log(), self.log()
