# SPDX-License-Identifier: Apache-2.0
"""The page in a browser that lives in a network namespace, driven by JavaScript (tests/web/driver.mjs)."""

import json
import os
import pathlib
import shutil
import subprocess

import scope as scopes
from tap import fail

ROOT = pathlib.Path(__file__).resolve().parents[2]


def missing():
    """What a browser test lacks here; None if nothing."""
    if not (ROOT / "build/web/index.html").exists():
        return "the page is not built (make WEB=no?)"
    if not shutil.which("node"):
        return "node is missing"
    if not os.path.exists(os.environ.get("CHROMIUM", "/usr/bin/chromium")):
        return "chromium is missing"
    return None


class Page:
    def __init__(self, netns):
        self.process = subprocess.Popen(
            ["nsenter", f"--net={netns}", "node", str(ROOT / "tests/web/driver.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: scopes.die_with_parent(15),
        )
        self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            fail(f"the browser ended with status {self.process.wait()}")
        return json.loads(line)

    def run(self, code, **values):
        """Runs JavaScript; `values` are constants in it. Fails if it throws."""
        head = "".join(f"const {name} = {json.dumps(value)};" for name, value in values.items())
        self.process.stdin.write(json.dumps({"code": head + code}) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        if "error" in answer:
            fail(f"in the page: {answer['error']}")
        return answer["result"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
