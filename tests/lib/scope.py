# SPDX-License-Identifier: Apache-2.0
"""What one run makes on the machine, and that it goes away again.

A scope is a name (`bht-3fa2`), a folder /run/NAME, and network namespaces NAME-*. The folder
holds a lock for as long as anyone answers for the scope. Three things clean up:

- the end of the `with` block, whatever ended it;
- a janitor process, when the run was killed: it notices by a pipe that nobody holds open any more;
- the start of the next run, for scopes whose lock nobody holds (the machine was reset, say).

Instances of Bulkhead have their run directories in the folder (`instance()`), so that the clean-up
finds them, takes them down, and removes what they pinned.
"""

import contextlib
import ctypes
import ctypes.util
import fcntl
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import time

NETNS = pathlib.Path("/run/netns")
BPFFS = pathlib.Path("/sys/fs/bpf")
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)


def enter_netns(path):
    """Moves the calling thread into the network namespace at `path`."""
    fd = os.open(path, os.O_RDONLY)
    try:
        if _libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {path}")
    finally:
        os.close(fd)


@contextlib.contextmanager
def inside_netns(path):
    """The sockets that this thread makes meanwhile are the namespace's."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        enter_netns(path)
        try:
            yield
        finally:
            enter_netns(f"/proc/self/fd/{before}")
    finally:
        os.close(before)


def die_with_parent(number=signal.SIGKILL):
    """For a child just forked: it is sent `number` when its parent ends."""
    _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


def run(*command, check=True, **options):
    """Runs a command to its end; its output is in the error if it fails."""
    done = subprocess.run([str(c) for c in command], text=True, capture_output=True, **options)
    if check and done.returncode != 0:
        raise RuntimeError(
            f"{' '.join(map(str, command))}: status {done.returncode}: "
            f"{(done.stderr or done.stdout).strip()}"
        )
    return done


def pin_folder(run_dir):
    """Where an instance pins its maps and links: named by the hash of its run directory."""
    value = 0xCBF29CE484222325
    for byte in str(run_dir).encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return BPFFS / "bulkhead" / f"bh{value:016x}"


class Scope:
    def __init__(self, prefix="bht", build=None):
        self.prefix = prefix
        sweep(prefix)
        self.name = f"{prefix}-{secrets.token_hex(2)}"
        self.folder = pathlib.Path("/run") / self.name
        # Locked before it has its name: another run's sweep must never find it unlocked.
        made = self.folder.with_name(f".{self.name}.new")
        made.mkdir(mode=0o755)
        made.chmod(0o755)
        self._lock = _try_lock(made)
        made.rename(self.folder)
        if build:
            (self.folder / "build").write_text(str(build))
        self._janitor()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self._pipe is None:
            return
        os.close(self._pipe)
        self._pipe = None
        os.waitpid(self._janitor_pid, 0)
        os.close(self._lock)

    def forked(self):
        """To be called in a child that does not exec: it must not hold the scope alive."""
        os.close(self._pipe)
        os.close(self._lock)
        self._pipe = None

    def _janitor(self):
        reader, self._pipe = os.pipe()
        pid = os.fork()
        if pid:
            os.close(reader)
            self._janitor_pid = pid
            return
        # The lock stays open here: until the janitor is done the scope is somebody's.
        status = 1
        try:
            os.close(self._pipe)
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            os.read(reader, 1)
            clean(self.folder)
            status = 0
        finally:
            os._exit(status)

    # ---- Namespaces -----------------------------------------------------------------

    def netns(self, short):
        """Makes the namespace NAME-short and returns its path."""
        path = self.netns_path(short)
        run("ip", "netns", "add", path.name)
        return path

    def netns_path(self, short):
        return NETNS / f"{self.name}-{short}"

    def delete_netns(self, path):
        _kill_inside(path)
        run("ip", "netns", "del", path.name)

    def instance(self, short="bh", netns=None):
        """
        The run directory of an instance of Bulkhead that lives in a namespace, which is the one
        called "node" if none is said. Not made yet.
        """
        if netns:
            (self.folder / f"{short}.netns").write_text(str(netns))
        return self.folder / f"{short}.run"


def sweep(prefix):
    """Cleans up after runs of the same prefix that nobody answers for any more."""
    for folder in pathlib.Path("/run").glob(f"{prefix}-????"):
        lock = _try_lock(folder)
        if lock is not None:
            clean(folder)
            os.close(lock)
    for path in NETNS.glob(f"{prefix}-????-*"):
        if not (pathlib.Path("/run") / path.name[: len(prefix) + 5]).exists():
            _remove_netns(path)


def clean(folder):
    """Takes everything of the scope away. Goes on whatever fails; safe to repeat."""
    build = folder / "build"
    program = pathlib.Path(build.read_text()) / "bulkhead" if build.exists() else None
    for run_dir in folder.glob("*.run"):
        said = run_dir.with_suffix(".netns")
        node = said.read_text() if said.exists() else NETNS / f"{folder.name}-node"
        _take_down(program, run_dir, pathlib.Path(node))
    for path in NETNS.glob(f"{folder.name}-*"):
        _remove_netns(path)
    shutil.rmtree(folder, ignore_errors=True)


def _take_down(program, run_dir, node):
    enter = ["nsenter", f"--net={node}"] if node.exists() else []
    if program and program.exists():
        try:
            subprocess.run(
                [*enter, str(program), "--run-dir", str(run_dir), "down"],
                timeout=60,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pass
    # What is left now was left by a failure: no process, no pin may outlive the scope.
    for name in ("up", "controller", "dataplane"):
        _kill_by_pid_file(run_dir / f"{name}.pid")
    shutil.rmtree(pin_folder(run_dir), ignore_errors=True)


def _kill_by_pid_file(path):
    try:
        pid = int(path.read_text().split()[0])
        name = pathlib.Path(f"/proc/{pid}/comm").read_text()
    except (OSError, ValueError, IndexError):
        return
    if name.startswith("bulkhead"):
        _kill(pid)


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + 5
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        try:
            if pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except OSError:
            return
        time.sleep(0.005)


def _kill_inside(path):
    """A namespace of ours holds only processes of ours."""
    for pid in run("ip", "netns", "pids", path.name, check=False).stdout.split():
        if int(pid) != os.getpid():
            _kill(int(pid))


def _remove_netns(path):
    _kill_inside(path)
    run("ip", "netns", "del", path.name, check=False)


def _try_lock(folder):
    try:
        fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fd
    except OSError:
        os.close(fd)
        return None
