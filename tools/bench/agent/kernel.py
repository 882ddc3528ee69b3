# SPDX-License-Identifier: Apache-2.0
"""What is in force, read from the pinned maps themselves: a system call or a memory mapping, no agent.

The layouts are include/bulkhead/abi.h's.
"""

import mmap
import os
import pathlib
import socket
import struct

import bpf

ENDPOINTS_MAX = 4096
_ENDPOINT = struct.Struct("<IIQI")  # active, pending, epoch, ifindex
_ENDPOINT_SIZE = 128
_IDENTITY = struct.Struct("<IIII")  # class, workload, slot, flags


class Kernel:
    def __init__(self, folder):
        """`folder`: where the instance pins. Raises OSError while it has not yet."""
        folder = next(iter(pathlib.Path(folder).glob("abi*")), None)
        if folder is None:
            raise FileNotFoundError("no map is pinned")
        self.addresses = bpf.obj_get(folder / "bh_addr4")
        endpoints = bpf.obj_get(folder / "bh_endpoints")
        try:
            size = ENDPOINTS_MAX * _ENDPOINT_SIZE
            self.endpoints = mmap.mmap(endpoints, size, mmap.MAP_SHARED, mmap.PROT_READ)
        finally:
            os.close(endpoints)

    def close(self):
        self.endpoints.close()
        os.close(self.addresses)

    def identity(self, address):
        """(class, workload, slot) of an IPv4 address; None if it has no entry."""
        value = bpf.lookup(self.addresses, socket.inet_aton(address), _IDENTITY.size)
        return value and _IDENTITY.unpack(value)[:3]

    def programs(self, slot):
        """(active, pending) of an endpoint."""
        return _ENDPOINT.unpack_from(self.endpoints, slot * _ENDPOINT_SIZE)[:2]

    def count_endpoints(self):
        """How many endpoints have an interface, an epoch, and a program that is not `open`."""
        n = 0
        for slot in range(1, ENDPOINTS_MAX):
            active, _, epoch, ifindex = _ENDPOINT.unpack_from(self.endpoints, slot * _ENDPOINT_SIZE)
            n += bool(active and epoch and ifindex)
        return n
