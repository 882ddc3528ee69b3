# SPDX-License-Identifier: Apache-2.0
"""What every benchmark here says about itself, and how samples become figures."""

import json
import os
import pathlib
import platform
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build/bench"


def load_average():
    return list(os.getloadavg())


def machine():
    """Kind of machine, date, and how busy it is as the run begins."""
    name = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    return {
        "kernel": platform.release(),
        "processor": name,
        "processors": os.cpu_count(),
        "date": time.strftime("%F"),
        "load_at_start": load_average(),
    }


def headline(machine):
    """The same, on one line."""
    loads = ", ".join(
        f"load {machine[key][0]:.1f} {text}"
        for key, text in (("load_at_start", "at start"), ("load_at_end", "at end"))
        if key in machine
    )
    return (
        f"Linux {machine['kernel']}, {machine['processor']}, {machine['processors']} processors, "
        f"{machine['date']}; {loads}"
    )


def spread(values):
    """Median, tenth and ninetieth percentile."""
    ordered = sorted(values)
    n = len(ordered)
    return {
        "median": statistics.median(ordered),
        "p10": ordered[n // 10],
        "p90": ordered[n - 1 - n // 10],
        "n": n,
    }


def keep(name, result):
    """Writes build/bench/NAME.json, whole or not at all. Returns its path."""
    result["machine"]["load_at_end"] = load_average()
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = FOLDER / f".{name}.json.new"
    made.write_text(json.dumps(result, indent=1) + "\n")
    path = FOLDER / f"{name}.json"
    made.rename(path)
    return path


def say(what):
    """What is under way, for who looks on."""
    if sys.stderr.isatty():
        print(f"\r{what:60}\r", end="", file=sys.stderr, flush=True)
