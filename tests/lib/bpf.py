# SPDX-License-Identifier: Apache-2.0
"""Just enough of bpf(2) to be somebody else, a program that passes everything put before ours, and to
read what is pinned."""

import ctypes
import os
import platform
import socket
import struct

_SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
_MAP_LOOKUP, _PROG_LOAD, _OBJ_PIN, _OBJ_GET, _LINK_CREATE = 1, 5, 6, 7, 28
_SCHED_CLS = 3
_F_BEFORE = 1 << 3
TCX_INGRESS, TCX_EGRESS = 46, 47
_TC_ACT_UNSPEC = -1

_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, max(len(attributes), 128))
    result = _libc.syscall(_SYS_BPF, command, buffer, len(buffer))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def load_passing_program(name=b"stranger"):
    """A classifier that says "next program" to every packet. Returns its file descriptor."""
    code = struct.pack("<BBhi", 0xB7, 0, 0, _TC_ACT_UNSPEC) + struct.pack("<BBhi", 0x95, 0, 0, 0)
    program = ctypes.create_string_buffer(code)
    licence = ctypes.create_string_buffer(b"GPL")
    return _bpf(
        _PROG_LOAD,
        struct.pack(
            "<IIQQIIQII16s",
            _SCHED_CLS,
            2,
            ctypes.addressof(program),
            ctypes.addressof(licence),
            0,
            0,
            0,
            0,
            0,
            name,
        ),
    )


def attach_tcx_before(program, interface, attach_type):
    """Attaches in front of everybody. The link lives as long as the returned descriptor is open."""
    index = socket.if_nametoindex(interface)
    return _bpf(_LINK_CREATE, struct.pack("<IIII", program, index, attach_type, _F_BEFORE))


def pin(fd, path):
    """Gives it a name in a BPF file system; unlink() takes it back."""
    name = ctypes.create_string_buffer(str(path).encode())
    _bpf(_OBJ_PIN, struct.pack("<QII", ctypes.addressof(name), fd, 0))


def obj_get(path):
    """A descriptor of what is pinned there."""
    name = ctypes.create_string_buffer(str(path).encode())
    return _bpf(_OBJ_GET, struct.pack("<QII", ctypes.addressof(name), 0, 0))


def lookup(fd, key, size):
    """The value of a map's key, `size` bytes, or None."""
    key = ctypes.create_string_buffer(key, len(key))
    value = ctypes.create_string_buffer(size)
    attributes = struct.pack("<IIQQQ", fd, 0, ctypes.addressof(key), ctypes.addressof(value), 0)
    try:
        _bpf(_MAP_LOOKUP, attributes)
    except FileNotFoundError:
        return None
    return value.raw
