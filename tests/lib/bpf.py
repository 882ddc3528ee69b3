# SPDX-License-Identifier: Apache-2.0
"""Just enough of bpf(2) to be somebody else, a program that passes everything put before ours, and to
read what is pinned."""

import ctypes
import os
import platform
import socket
import struct

_SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE = 0, 1, 2
_PROG_LOAD, _OBJ_PIN, _OBJ_GET, _LINK_CREATE = 5, 6, 7, 28
_SCHED_CLS, _PROG_ARRAY = 3, 3
_F_BEFORE = 1 << 3
TCX_INGRESS, TCX_EGRESS = 46, 47
_TC_ACT_UNSPEC = -1
_EXIT = 0x95

_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, max(len(attributes), 128))
    result = _libc.syscall(_SYS_BPF, command, buffer, len(buffer))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _instruction(code, registers=0, offset=0, value=0):
    return struct.pack("<BBhi", code, registers, offset, value)


def load(code, name):
    """A classifier from its instructions. Returns its file descriptor."""
    program = ctypes.create_string_buffer(code)
    licence = ctypes.create_string_buffer(b"GPL")
    fields = (_SCHED_CLS, len(code) // 8, ctypes.addressof(program), ctypes.addressof(licence))
    return _bpf(_PROG_LOAD, struct.pack("<IIQQIIQII16s", *fields, 0, 0, 0, 0, 0, name))


def load_passing_program(name=b"stranger"):
    """A classifier that says "next program" to every packet. Returns its file descriptor."""
    return load(_instruction(0xB7, 0, 0, _TC_ACT_UNSPEC) + _instruction(_EXIT), name)


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


# ---- Programs that redirect -----------------------------------------------------------------------


def load_ending_program(name=b"stranger"):
    """Passes every packet, and lets nobody else look at it (TC_ACT_OK)."""
    return load(_instruction(0xB7) + _instruction(_EXIT), name)


def load_redirecting_program(ifindex, mac, marker, name=b"stranger"):
    """
    What eBPF host routing does: a TCP or UDP packet over IPv4 for the last octet `marker` of its
    destination gets the MAC of the pod's end and goes straight in there, behind the veth `ifindex`.
    """
    store = struct.unpack("<iH", bytes(mac))
    code = b"".join(
        (
            _instruction(0xBF, 0x16),  # r6 = the packet
            _instruction(0x61, 0x12, 76),  # r2 = data
            _instruction(0x61, 0x13, 80),  # r3 = end
            _instruction(0xBF, 0x24),
            _instruction(0x07, 0x04, 0, 34),
            _instruction(0x2D, 0x34, 17),  # shorter than Ethernet and IPv4: pass on
            _instruction(0x69, 0x25, 12),
            _instruction(0x55, 0x05, 15, 0x0008),  # not IPv4
            _instruction(0x71, 0x25, 33),
            _instruction(0x55, 0x05, 13, marker),  # not for that pod
            _instruction(0x62, 0x0A, -8, store[0]),
            _instruction(0x6A, 0x0A, -4, store[1]),
            _instruction(0xBF, 0x61),
            _instruction(0xB7, 0x02, 0, 0),
            _instruction(0xBF, 0xA3),
            _instruction(0x07, 0x03, 0, -8),
            _instruction(0xB7, 0x04, 0, 6),
            _instruction(0xB7, 0x05, 0, 0),
            _instruction(0x85, 0, 0, 9),  # bpf_skb_store_bytes
            _instruction(0xB7, 0x01, 0, ifindex),
            _instruction(0xB7, 0x02, 0, 0),
            _instruction(0x85, 0, 0, 155),  # bpf_redirect_peer
        )
    )
    # The verdict is the helper's; who was not taken jumps over this exit.
    code = code + _instruction(_EXIT) + _instruction(0xB7, 0, 0, _TC_ACT_UNSPEC) + _instruction(_EXIT)
    return load(code, name)


def load_tail_calling_program(callee, name=b"caller"):
    """Passes on whatever the program it tail-calls does not take."""
    table = _bpf(_MAP_CREATE, struct.pack("<IIIII", _PROG_ARRAY, 4, 4, 3, 0))
    try:
        key, value = ctypes.c_uint32(1), ctypes.c_uint32(callee)
        fields = (table, 0, ctypes.addressof(key), ctypes.addressof(value), 0)
        _bpf(_MAP_UPDATE, struct.pack("<IIQQQ", *fields))
        code = b"".join(
            (
                _instruction(0x18, 0x12, 0, table),  # r2 = the table
                _instruction(0),
                _instruction(0xB7, 0x03, 0, 1),
                _instruction(0x85, 0, 0, 12),  # bpf_tail_call
                _instruction(0xB7, 0, 0, _TC_ACT_UNSPEC),
                _instruction(_EXIT),
            )
        )
        return load(code, name), table
    except OSError:
        os.close(table)
        raise
