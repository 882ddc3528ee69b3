# SPDX-License-Identifier: Apache-2.0
"""Programs for a pod that does not wait: it sends before it has an interface, and while it gets one."""

import subprocess

# Sends from its first microsecond: before it has an interface, and while it gets one.
SENDER = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sent = 0
end = time.monotonic() + float(sys.argv[3])
print("ready", flush=True)
while time.monotonic() < end:
    try:
        s.sendto(b"x", (sys.argv[1], int(sys.argv[2])))
        sent += 1
    except OSError:
        pass
print(sent, flush=True)
"""

LISTENER = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
s.settimeout(float(sys.argv[3]))
n = 0
try:
    while True:
        s.recv(2048)
        n += 1
except TimeoutError:
    print(n, flush=True)
"""


# To each of the ports, alternately, until its standard input ends; then it says how often.
KNOCKER = """
import select, socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
sent = 0
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    for port in sys.argv[2:]:
        try:
            s.sendto(b"x", (sys.argv[1], int(port)))
            sent += 1
        except OSError:
            pass
print(sent, flush=True)
"""


def inside(w, netns, script, *arguments):
    return subprocess.Popen(
        ["nsenter", f"--net={netns}", "/usr/bin/python3", "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
