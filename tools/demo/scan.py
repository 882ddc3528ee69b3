#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an intruder does first: asks every address for every well-known port.

Usage: scan.py ADDRESS…   Prints one line for every port that answers: open ADDRESS PORT
"""

import asyncio
import sys

PORTS = (
    21,
    22,
    23,
    25,
    53,
    80,
    110,
    111,
    139,
    143,
    443,
    445,
    1433,
    2375,
    2379,
    3000,
    3306,
    5000,
    5432,
    5672,
    6379,
    6443,
    8000,
    8080,
    8443,
    9000,
    9090,
    9092,
    9200,
    10250,
    11211,
    27017,
)


async def knock(address, port):
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), 1.5)
    except (OSError, asyncio.TimeoutError):
        return
    print("open", address, port)
    writer.close()


async def main():
    await asyncio.gather(*(knock(a, port) for a in sys.argv[1:] for port in PORTS))


if __name__ == "__main__":
    asyncio.run(main())
