# SPDX-License-Identifier: Apache-2.0
"""Tests as functions, their results as TAP.

    @tap.test
    def denies_what_no_rule_allows(world): ...

    if __name__ == "__main__":
        tap.main(world)

`world` is a context manager; what it yields is handed to every test, in the order they are written.
A test fails by raising. `tap.skip(why)` names what is missing. The first argument on the command
line, if any, selects the tests whose name contains it.
"""

import signal
import sys
import time
import traceback

# s; what a test waits for comes in a fraction of it, and a machine ten times slower must do as well.
PATIENCE = 60.0

_tests = []


class Skip(Exception):
    pass


class Failed(AssertionError):
    """A failure whose message says all there is to say: printed without a stack."""


def test(function):
    _tests.append(function)
    return function


def skip(why):
    raise Skip(why)


def fail(message):
    raise Failed(message)


def equal(got, wanted, what):
    if got != wanted:
        fail(f"{what}: got {got!r}, wanted {wanted!r}")


def note(text):
    for line in str(text).splitlines():
        print(f"# {line}", flush=True)


def eventually(condition, what, timeout=PATIENCE, every=0.02):
    """Calls `condition` until it returns something true, and returns that. Or fails in the end."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            result = condition()
            if result:
                return result
            last = None
        except Exception as error:  # what is not there yet may well raise
            last = error
        if time.monotonic() > deadline:
            fail(f"{what}: not within {timeout:g} s" + (f" ({last})" if last else ""))
        time.sleep(every)


def _diagnose(world):
    tell = getattr(world, "diagnose", None)
    if tell:
        try:
            note(tell())
        except Exception as error:
            note(f"no diagnosis: {error}")


def main(fixture):
    def end(number, _frame):
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    tests = [t for t in _tests if wanted in t.__name__]
    print(f"1..{len(tests)}", flush=True)
    failures = 0
    with fixture() as world:
        for number, function in enumerate(tests, 1):
            name = function.__name__
            began = time.monotonic()
            try:
                function(world)
                print(f"ok {number} - {name}", flush=True)
            except Skip as why:
                print(f"ok {number} - {name} # SKIP {why}", flush=True)
            except Exception as error:
                failures += 1
                print(f"not ok {number} - {name}", flush=True)
                note(error if isinstance(error, Failed) else traceback.format_exc())
                _diagnose(world)
            note(f"{time.monotonic() - began:.1f} s")
    sys.exit(1 if failures else 0)
