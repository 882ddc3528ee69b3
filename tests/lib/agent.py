# SPDX-License-Identifier: Apache-2.0
"""Somebody in each network namespace who opens connections, answers them, and tells.

An `Agent` is a child process forked into a namespace once; thousands of connections then cost no
further process. The test calls it through a socket pair: `call(method, …)`, or `post()` to
several agents and `result()` from each, so that all of them work at the same time.

What the servers speak: TCP says its name and a newline on accept, then echoes. UDP answers every
datagram with its name, a space, and the datagram. The name proves who answered.
"""

import asyncio
import collections
import errno
import fcntl
import gc
import itertools
import os
import pickle
import signal
import socket
import struct
import time
import traceback

import bpf
import scope as scopes

_HEADER = struct.Struct("!I")
_PACKET_OUTGOING = 4
_SCTP_INIT, _SCTP_INIT_ACK = 1, 2


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class AgentError(RuntimeError):
    pass


class Agent:
    """The test's end of it."""

    def __init__(self, scope, netns, name):
        self.name = name
        self.netns = netns
        self._pending = 0
        self._socket, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                scope.forked()
                scopes.die_with_parent()
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                # Other agents' sockets were inherited: their end must be seen when the test ends.
                # What Python still has of them must not be collected later: that would close
                # descriptors by the same number, which are this agent's by then.
                gc.freeze()
                for fd in range(3, 1024):
                    if fd != theirs.fileno():
                        try:
                            os.close(fd)
                        except OSError:
                            pass
                scopes.enter_netns(netns)
                _Worker(theirs, name).run()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        theirs.close()

    def post(self, method, *args, **kwargs):
        data = pickle.dumps((method, args, kwargs))
        self._socket.sendall(_HEADER.pack(len(data)) + data)
        self._pending += 1

    def result(self, timeout=60):
        self._pending -= 1
        self._socket.settimeout(timeout)
        ok, value = pickle.loads(self._read(_HEADER.unpack(self._read(4))[0]))
        if not ok:
            raise AgentError(f"{self.name}: {value}")
        return value

    def call(self, method, *args, **kwargs):
        self.post(method, *args, **kwargs)
        return self.result()

    def _read(self, size):
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                raise AgentError(f"{self.name}: the agent ended")
            data += part
        return data

    def close(self):
        self._socket.close()
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass


class _Stream:
    """Numbered messages sent at an interval, and which of them came back."""

    def __init__(self):
        self.sent = 0
        self.back = set()
        self.last = time.monotonic()
        self.longest_gap = 0.0
        self.error = None
        self.task = None
        self.socket = None

    def received(self, number):
        now = time.monotonic()
        self.longest_gap = max(self.longest_gap, now - self.last)
        self.last = now
        self.back.add(number)

    def report(self):
        return {
            "sent": self.sent,
            "back": len(self.back),
            "lost": sorted(set(range(self.sent)) - self.back),
            "error": self.error,
            "longest_gap": max(self.longest_gap, time.monotonic() - self.last),
        }


class _Worker:
    """The child's end: one event loop; requests are served one after the other."""

    def __init__(self, control, name):
        self.control = control
        self.name = name.encode()
        self.loop = asyncio.new_event_loop()
        self.servers = []
        self.accepted = set()  # connections of the servers' that are open
        self.arrived = (
            collections.Counter()
        )  # (protocol, source address, port) → connections, datagrams
        self.connections = {}
        self.streams = {}
        self.captures = {}
        self.strangers = {}
        self.tasks = set()
        self.sctp_waiting = {}
        self.sctp_ports = itertools.count()

    def run(self):
        self.control.setblocking(False)
        self.loop.run_until_complete(self._serve_requests())

    def _task(self, coroutine):
        task = self.loop.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def _serve_requests(self):
        while True:
            header = await self._read(4)
            if header is None:
                return
            method, args, kwargs = pickle.loads(await self._read(_HEADER.unpack(header)[0]))
            try:
                value = getattr(self, "do_" + method)(*args, **kwargs)
                answer = (True, await value if asyncio.iscoroutine(value) else value)
            except Exception:
                answer = (False, traceback.format_exc())
            data = pickle.dumps(answer)
            await self.loop.sock_sendall(self.control, _HEADER.pack(len(data)) + data)

    async def _read(self, size):
        data = b""
        while len(data) < size:
            part = await self.loop.sock_recv(self.control, size - len(data))
            if not part:
                return None
            data += part
        return data

    # ---- Servers --------------------------------------------------------------------

    def do_listen(self, addresses, tcp=(), udp=()):
        """Serves these ports at each of these addresses."""
        for address, port in itertools.product(addresses, tcp):
            sock = _socket(address, socket.SOCK_STREAM)
            sock.bind((address, port))
            sock.listen(1024)
            self.loop.add_reader(sock, self._accept, sock, port)
            self.servers.append(sock)
        for address, port in itertools.product(addresses, udp):
            sock = _socket(address, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            sock.bind((address, port))
            self.loop.add_reader(sock, self._datagram, sock, port)
            self.servers.append(sock)

    def _accept(self, server, port):
        try:
            while True:
                sock, peer = server.accept()
                sock.setblocking(False)
                self.arrived["tcp", peer[0], port] += 1
                self._task(self._echo(sock))
        except BlockingIOError:
            pass

    async def _echo(self, sock):
        self.accepted.add(sock)
        with sock:
            try:
                await self.loop.sock_sendall(sock, self.name + b"\n")
                while data := await self.loop.sock_recv(sock, 65536):
                    await self.loop.sock_sendall(sock, data)
            except OSError:
                pass
            finally:
                self.accepted.discard(sock)

    async def do_tell(self, word):
        """Says it on every connection that a server here has, of its own accord."""
        await asyncio.gather(*(self.loop.sock_sendall(sock, word) for sock in self.accepted))

    def _datagram(self, sock, port):
        try:
            while True:
                data, peer = sock.recvfrom(65536)
                self.arrived["udp", peer[0], port] += 1
                sock.sendto(self.name + b" " + data, peer)
        except OSError:
            pass

    def do_listen_sctp(self, addresses):
        """Answers the INIT of any association, without a kernel that knows SCTP: raw sockets."""
        for address in addresses:
            sock = self._sctp_socket(address)
            self.loop.add_reader(sock, self._sctp_packet, sock)
            self.servers.append(sock)

    def _sctp_socket(self, address):
        sock = socket.socket(family_of(address), socket.SOCK_RAW, socket.IPPROTO_SCTP)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind((address, 0))
        return sock

    def _sctp_packet(self, sock):
        try:
            while True:
                data, peer = sock.recvfrom(65536)
                if sock.family == socket.AF_INET:
                    data = data[(data[0] & 15) * 4 :]
                source, destination = struct.unpack("!HH", data[:4])
                if data[12] == _SCTP_INIT:
                    self.arrived["sctp", peer[0], destination] += 1
                    sock.sendto(_sctp(destination, source, _SCTP_INIT_ACK), (peer[0], 0))
                elif data[12] == _SCTP_INIT_ACK and destination in self.sctp_waiting:
                    waiting = self.sctp_waiting.pop(destination)
                    if not waiting.done():
                        waiting.set_result(None)
        except OSError:
            pass

    async def _probe_sctp(self, source, address, port, timeout):
        """Sends an INIT; what answers it comes to the sockets of do_listen_sctp()."""
        own = 20000 + next(self.sctp_ports) % 40000
        answered = self.sctp_waiting[own] = self.loop.create_future()
        with socket.socket(family_of(address), socket.SOCK_RAW, socket.IPPROTO_SCTP) as sock:
            if source:
                sock.bind((source, 0))
            async with asyncio.timeout(timeout):
                sock.sendto(_sctp(own, port, _SCTP_INIT), (address, 0))
                await answered
        return "sctp"

    def do_arrived(self):
        """How many connections and datagrams the servers saw, by (protocol, source, port)."""
        return dict(self.arrived)

    def do_forget_arrived(self):
        self.arrived.clear()

    # ---- Probes ---------------------------------------------------------------------

    async def do_probe(self, jobs, timeout, parallel=200):
        """
        Tries each (protocol, source or None, destination, port). A result is the name of who
        answered, "timeout", or the name of the error.
        """
        gate = asyncio.Semaphore(parallel)
        one = {"tcp": self._probe_tcp, "udp": self._probe_udp, "sctp": self._probe_sctp}

        async def guarded(job):
            async with gate:
                try:
                    return await one[job[0]](*job[1:], timeout)
                except TimeoutError:
                    return "timeout"
                except OSError as error:
                    return errno.errorcode.get(error.errno, str(error))

        return await asyncio.gather(*map(guarded, jobs))

    async def do_probe_from(self, jobs, own_port, timeout):
        """As do_probe(), one after the other, each from the same port."""
        results = []
        for _, source, address, port in jobs:
            try:
                results.append(await self._probe_tcp(source, address, port, timeout, own_port))
            except TimeoutError:
                results.append("timeout")
        return results

    async def _probe_tcp(self, source, address, port, timeout, own_port=0):
        with _socket(address, socket.SOCK_STREAM, source) as sock:
            if own_port:
                sock.bind(("::" if ":" in address else "0.0.0.0", own_port))
            async with asyncio.timeout(timeout):
                await self.loop.sock_connect(sock, (address, port))
                return (await self.loop.sock_recv(sock, 256)).decode().strip() or "closed"

    async def _probe_udp(self, source, address, port, timeout):
        with _socket(address, socket.SOCK_DGRAM, source) as sock:
            sock.connect((address, port))
            async with asyncio.timeout(timeout):
                while True:
                    sock.send(b"probe")
                    try:
                        async with asyncio.timeout(timeout / 2.5):
                            return (await self.loop.sock_recv(sock, 256)).split()[0].decode()
                    except TimeoutError:
                        pass

    # ---- Connections that stay ------------------------------------------------------

    async def do_open(self, name, address, port, timeout=30):
        """Opens a TCP connection, kept under a name. Returns (source port, who answered)."""
        sock = _socket(address, socket.SOCK_STREAM)
        async with asyncio.timeout(timeout):
            await self.loop.sock_connect(sock, (address, port))
            who = await self.loop.sock_recv(sock, 256)
        self.connections[name] = sock
        return sock.getsockname()[1], who.decode().strip()

    async def do_say(self, name, timeout):
        """True if what is said on the connection comes back in time."""
        sock = self.connections[name]
        word = os.urandom(8)
        heard = b""
        try:
            async with asyncio.timeout(timeout):
                await self.loop.sock_sendall(sock, word)
                while word not in heard:
                    part = await self.loop.sock_recv(sock, 65536)
                    if not part:
                        return False
                    heard += part
            return True
        except (TimeoutError, OSError):
            return False

    async def do_hear_all(self, names, timeout):
        """What the other end says of its own accord, in time: {name: bytes}."""

        async def hear(name):
            try:
                async with asyncio.timeout(timeout):
                    return await self.loop.sock_recv(self.connections[name], 65536)
            except (TimeoutError, OSError):
                return b""

        return dict(zip(names, await asyncio.gather(*map(hear, names))))

    async def do_say_all(self, names, timeout):
        """do_say() on all of them at the same time: {name: bool}."""
        return dict(zip(names, await asyncio.gather(*(self.do_say(n, timeout) for n in names))))

    def do_close(self, name):
        self.connections.pop(name).close()

    def do_close_all(self):
        for name in list(self.connections):
            self.do_close(name)

    async def do_open_udp(self, name, address, port, timeout=30):
        """A UDP socket that has had one answer, kept under a name."""
        sock = self.connections[name] = _socket(address, socket.SOCK_DGRAM)
        sock.connect((address, port))
        sock.send(b"hello")
        async with asyncio.timeout(timeout):
            await self.loop.sock_recv(sock, 256)

    def do_local_port(self, name):
        return self.connections[name].getsockname()[1]

    async def do_hears(self, name, timeout):
        """True if anything arrives on the socket in time."""
        try:
            async with asyncio.timeout(timeout):
                return bool(await self.loop.sock_recv(self.connections[name], 256))
        except TimeoutError:
            return False

    def do_push(self, port, address, peer_port):
        """A datagram nobody asked for, from the UDP server at `port`."""
        for sock in self.servers:
            if (
                sock.type == socket.SOCK_DGRAM
                and sock.family == family_of(address)
                and sock.getsockname()[1] == port
            ):
                sock.sendto(b"push", (address, peer_port))
                return
        raise LookupError(f"no UDP server at {port}")

    # ---- Streams --------------------------------------------------------------------

    async def do_start_udp(self, name, address, port, interval):
        """Sends a numbered datagram every `interval` seconds to an echo."""
        stream = self.streams[name] = _Stream()
        sock = stream.socket = _socket(address, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.connect((address, port))

        def readable():
            try:
                while True:
                    stream.received(int(sock.recv(256).split()[1]))
            except OSError:
                pass

        async def send():
            while True:
                try:
                    sock.send(b"%d" % stream.sent)
                    stream.sent += 1
                except OSError as error:
                    stream.error = str(error)
                await asyncio.sleep(interval)

        self.loop.add_reader(sock, readable)
        stream.task = self._task(send())

    async def do_start_tcp(self, name, address, port, interval):
        """The same in one TCP connection; what is lost there is only late, see longest_gap."""
        stream = self.streams[name] = _Stream()
        sock = stream.socket = _socket(address, socket.SOCK_STREAM)
        async with asyncio.timeout(30):
            await self.loop.sock_connect(sock, (address, port))
            await self.loop.sock_recv(sock, 256)

        async def receive():
            rest = b""
            try:
                while data := await self.loop.sock_recv(sock, 65536):
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        stream.received(int(line))
                stream.error = stream.error or "closed by the other end"
            except OSError as error:
                stream.error = str(error)

        async def send():
            try:
                while True:
                    await self.loop.sock_sendall(sock, b"%d\n" % stream.sent)
                    stream.sent += 1
                    await asyncio.sleep(interval)
            except OSError as error:
                stream.error = str(error)

        stream.last = time.monotonic()
        self._task(receive())
        stream.task = self._task(send())

    async def do_start_connects(self, name, address, port, interval, timeout=3.0):
        """Opens a connection every `interval`; every one is to succeed: what fails is lost."""
        stream = self.streams[name] = _Stream()

        async def one(number):
            try:
                await self._probe_tcp(None, address, port, timeout)
                stream.received(number)
            except (OSError, TimeoutError) as error:
                stream.error = f"connection {number}: {error!r}"

        async def send():
            while True:
                self._task(one(stream.sent))
                stream.sent += 1
                await asyncio.sleep(interval)

        stream.task = self._task(send())

    async def do_start_attempts(self, name, protocol, address, port, interval):
        """Knocks from a new port every `interval`; nobody is to answer."""
        stream = self.streams[name] = _Stream()
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM

        async def one(number):
            with _socket(address, kind) as sock:
                try:
                    async with asyncio.timeout(2):
                        await self.loop.sock_connect(sock, (address, port))
                        if protocol == "udp":
                            sock.send(b"knock")
                            await self.loop.sock_recv(sock, 256)
                    stream.received(number)
                except (OSError, TimeoutError):
                    pass

        async def knock():
            while True:
                self._task(one(stream.sent))
                stream.sent += 1
                await asyncio.sleep(interval)

        stream.task = self._task(knock())

    def do_look(self, name):
        return self.streams[name].report()

    async def do_stop(self, name, drain=3.0):
        """Stops sending, waits until all is back or `drain` seconds passed, and reports."""
        stream = self.streams.pop(name)
        stream.task.cancel()
        deadline = time.monotonic() + drain
        while len(stream.back) < stream.sent and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        report = stream.report()
        if stream.socket:
            self.loop.remove_reader(stream.socket)
            stream.socket.close()
        return report

    async def do_stop_all(self):
        for name in list(self.streams):
            await self.do_stop(name, 0)

    async def do_send_counted(self, address, port, sizes, source_port, timeout=30):
        """Sends a datagram of each payload size from one socket, each after the answer."""
        with _socket(address, socket.SOCK_DGRAM) as sock:
            sock.bind(("::" if ":" in address else "0.0.0.0", source_port))
            sock.connect((address, port))
            answers = []
            for size in sizes:
                sock.send(b"x" * size)
                async with asyncio.timeout(timeout):
                    answers.append(len(await self.loop.sock_recv(sock, 65536)))
            return answers

    def do_send_only(self, address, port, sizes, source_port):
        """The same, waiting for nothing."""
        with _socket(address, socket.SOCK_DGRAM) as sock:
            sock.bind(("::" if ":" in address else "0.0.0.0", source_port))
            for size in sizes:
                sock.sendto(b"x" * size, (address, port))

    def do_send_to(self, address, port, payload):
        with _socket(address, socket.SOCK_DGRAM) as sock:
            sock.sendto(payload, (address, port))

    # ---- Frames ---------------------------------------------------------------------

    def do_mac(self, interface="eth0"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            request = struct.pack("256s", interface.encode())
            return fcntl.ioctl(sock, 0x8927, request)[18:24].hex(":")

    def do_send_frames(self, frames, interface="eth0"):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind((interface, 0))
            for frame in frames:
                sock.send(frame)

    def do_flood(self, template, port_offset, count, interface="eth0"):
        """Sends one frame `count` times, each with another sequence number and source port."""
        frame = bytearray(template)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind((interface, 0))
            for number in range(count):
                struct.pack_into(
                    "!HHI",
                    frame,
                    port_offset,
                    1024 + number % 64000,
                    struct.unpack_from("!H", template, port_offset + 2)[0],
                    number,
                )
                sock.send(frame)

    def do_ifindex(self, interface):
        return socket.if_nametoindex(interface)

    def do_put_before(self, interface, ending=False):
        """
        Attaches a strange TCX program in front of what is there, for take_away() to remove.
        `ending`: nobody behind it sees a packet.
        """
        program = bpf.load_ending_program() if ending else bpf.load_passing_program()
        self.strangers[interface] = [program] + [
            bpf.attach_tcx_before(program, interface, way)
            for way in (bpf.TCX_INGRESS, bpf.TCX_EGRESS)
        ]

    def do_take_away(self, interface):
        for fd in self.strangers.pop(interface):
            os.close(fd)

    def do_capture(self, name, interface="eth0"):
        """Keeps every frame that arrives from now on."""
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        sock.setblocking(False)
        sock.bind((interface, 3))
        frames = []

        def readable():
            try:
                while True:
                    frame, address = sock.recvfrom(65536)
                    if address[2] != _PACKET_OUTGOING:
                        frames.append(frame)
            except OSError:
                pass

        self.loop.add_reader(sock, readable)
        self.captures[name] = (sock, frames)

    def do_captured(self, name):
        return list(self.captures[name][1])

    def do_capture_stop(self, name):
        sock, frames = self.captures.pop(name)
        self.loop.remove_reader(sock)
        sock.close()
        return frames


_IP_FREEBIND, _IPV6_FREEBIND = 15, 78


def _socket(address, kind, source=None):
    sock = socket.socket(family_of(address), kind)
    sock.setblocking(False)
    # An address that was only just given is tentative until the kernel's workqueue has run.
    if family_of(address) == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    if kind == socket.SOCK_STREAM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if family_of(address) == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if source:
        sock.bind((source, 0))
    return sock


def _sctp(source, destination, chunk):
    """A common header and an INIT or INIT ACK chunk (RFC 9260, 3.3.2). Nobody checks the CRC."""
    body = struct.pack("!BBHIIHHI", chunk, 0, 20, 1, 65536, 1, 1, 1)
    return struct.pack("!HHII", source, destination, 0, 0) + body
