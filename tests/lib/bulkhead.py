# SPDX-License-Identifier: Apache-2.0
"""An instance of Bulkhead under test: its run directory, its manifests, its two daemons."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import manifests
import scope as scopes
from tap import PATIENCE, eventually, fail

ROOT = pathlib.Path(__file__).resolve().parents[2]
_SANITIZER = re.compile(r"ERROR: \w+Sanitizer|LeakSanitizer|runtime error:")


def build_folder():
    """The build to test; tests/run says which in BULKHEAD_BUILD."""
    return pathlib.Path(os.environ.get("BULKHEAD_BUILD", ROOT / "build")).resolve()


class Bulkhead:
    def __init__(self, scope, cluster, name="bh", build=None, node=manifests.NODE):
        self.scope = scope
        self.cluster = cluster
        self.name = name
        self.node = node
        self.build = pathlib.Path(build) if build else build_folder()
        self.run_dir = scope.instance(name, cluster.node_netns)
        self.folder = scope.folder / f"{name}.manifests"
        self.folder.mkdir()
        self.source = ["--manifests", str(self.folder)]
        self.log_path = scope.folder / f"{name}.log"
        self.process = None

    # ---- Life -----------------------------------------------------------------------

    def up(self, mode="enforce", *arguments, wait=True):
        """Starts both daemons, and returns when everything in the folder is in force.

        BULKHEAD_ATTACH=clsact runs any test the way that kernels without TCX (before 6.6) do it.
        """
        if "BULKHEAD_ATTACH" in os.environ and "--attach" not in arguments:
            arguments += ("--attach", os.environ["BULKHEAD_ATTACH"])
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [
                    *self._enter(),
                    str(self.build / "bulkhead"),
                    "--run-dir",
                    str(self.run_dir),
                    "up",
                    *self.source,
                    "--node",
                    self.node,
                    "--mode",
                    mode,
                    *arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: scopes.die_with_parent(signal.SIGTERM),
            )
        if wait:
            self.ready()
        return self

    def ready(self, timeout=PATIENCE):
        """Waits for daemons that only start: `wait` itself would say that nobody is there."""

        def try_wait():
            if self.process.poll() is not None:
                fail(f"bulkhead up ended with status {self.process.returncode}:\n{self.log()}")
            done = self.cli("wait", "--timeout", "10s", check=False)
            if done.returncode != 0:
                raise RuntimeError(done.stderr.strip())
            return True

        eventually(try_wait, "ready", timeout, every=0.05)

    def stop(self, number=signal.SIGTERM):
        """Ends the daemons as a service manager would. Enforcement stays. Returns the status."""
        if self.process is None:
            return None
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        self.process = None
        return status

    def down(self, check=True):
        done = self.cli("down", check=check)
        if self.process:
            self.process.wait(PATIENCE)
            self.process = None
        return done

    def pid(self, program):
        return int((self.run_dir / f"{program}.pid").read_text().split()[0])

    def kill(self, program):
        """kill -9 of `dataplane` or `controller`; returns the pid it had."""
        pid = self.pid(program)
        os.kill(pid, signal.SIGKILL)
        return pid

    def restarted(self, program, old_pid, timeout=PATIENCE):
        def another():
            pid = self.pid(program)
            return pid != old_pid and os.path.exists(f"/proc/{pid}")

        eventually(another, f"{program} was started again", timeout)

    def use_copy(self):
        """From now on runs a copy of the programs from another folder: what an upgrade does."""
        folder = self.scope.folder / f"{self.name}.build-{time.monotonic_ns()}"
        folder.mkdir()
        for name in ("bulkhead", "bulkhead-dataplane", "bulkhead-controller"):
            shutil.copy2(self.build / name, folder / name)
        self.build = folder

    # ---- Manifests ------------------------------------------------------------------

    def put(self, name, *objects):
        """Writes a file of manifests and renames it into place."""
        self.put_text(f"{name}.yaml", manifests.text(*objects))

    def put_text(self, file_name, text):
        temporary = self.folder / f".{file_name}.tmp"
        temporary.write_text(text)
        temporary.rename(self.folder / file_name)

    def remove(self, name):
        (self.folder / f"{name}.yaml").unlink()

    def apply(self, name, *objects):
        """put(), and waits until it is in force."""
        self.put(name, *objects)
        self.wait()

    def wait(self, timeout="60s"):
        self.cli("wait", "--timeout", timeout)

    # ---- Questions ------------------------------------------------------------------

    def cli(self, *arguments, check=True, timeout=1.5 * PATIENCE):
        done = subprocess.run(
            [
                *self._enter(),
                str(self.build / "bulkhead"),
                "--run-dir",
                str(self.run_dir),
                *map(str, arguments),
            ],
            text=True,
            capture_output=True,
            timeout=timeout,
        )
        if check and done.returncode != 0:
            fail(
                f"bulkhead {' '.join(map(str, arguments))}: status {done.returncode}: "
                f"{(done.stderr or done.stdout).strip()}"
            )
        return done

    def json(self, *arguments):
        return json.loads(self.cli(*arguments, "-o", "json").stdout)

    def flows(self, *arguments):
        """Every record there is, or that the filters let through."""
        out = self.cli("flows", "-o", "json", *arguments).stdout
        return [json.loads(line) for line in out.splitlines() if line.strip()]

    def newest_flow(self):
        return max((f["sequence"] for f in self.flows("--limit", 1)), default=0)

    def flows_since(self, sequence, verdict=None):
        """Records that came after one, of a verdict: allowed, would-deny, denied."""
        arguments = ["--since", sequence + 1] + (["--verdict", verdict] if verdict else [])
        return self.flows(*arguments)

    def status(self):
        return self.json("status")

    def problems(self, code=None):
        return [p for p in self.status()["problems"] if code is None or p["code"] == code]

    def pods(self):
        return {p["name"]: p for p in self.json("pods")}

    def edges(self):
        return self.json("edges")

    def drops(self):
        """How many packets were dropped, by the reason's word."""
        return self.status()["drops"]

    def doctor(self, *arguments, prefix=(), conf=None):
        """What `doctor` found: its status, and {check: (result, found, advice)}."""
        done = subprocess.run(
            [
                *self._enter(),
                *prefix,
                str(self.build / "bulkhead"),
                *("--run-dir", str(self.run_dir), "doctor"),
                *("--conf-dir", str(conf or self.scope.folder / "no-net.d"), "-o", "json"),
                *arguments,
            ],
            text=True,
            capture_output=True,
        )
        answer = json.loads(done.stdout)
        if answer["healthy"] != (done.returncode == 0):
            fail(f"doctor: healthy is {answer['healthy']}, the status {done.returncode}")
        return done.returncode, {
            c["check"]: (c["result"], c["found"], c["advice"]) for c in answer["checks"]
        }

    def log(self, lines=40):
        try:
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"

    def check_sanitizers(self):
        if _SANITIZER.search(self.log_path.read_text(errors="replace")):
            fail(f"a sanitizer spoke up:\n{self.log(120)}")

    def _enter(self):
        # Not `ip netns exec`: it would mount another /sys, without bpffs.
        return ["nsenter", f"--net={self.cluster.node_netns}"]
