"""Asks a store `PING` every half millisecond, in a process of its own, and notes how long each answer took.

    python -m benchmarks.bench.probe SOCKET

prints one JSON array of [moment of `time.monotonic`, seconds] when its standard input ends.
"""

import gc
import json
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Self

import redis

from benchmarks.services import module

PAUSE_SECONDS = 0.0005
STOP_SECONDS = 20.0

Call = tuple[float, float]


@dataclass
class Probe:
    """The process; `calls` are there once it was stopped."""

    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, path: str) -> Self:
        """Start asking the store that listens on a unix socket."""
        command = module("benchmarks.bench.probe")
        return cls(subprocess.Popen([*command, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE))

    def stop(self) -> list[Call]:
        """End it; every call it made."""
        written, _ = self.process.communicate(timeout=STOP_SECONDS)
        return [(at, seconds) for at, seconds in json.loads(written)]


def main() -> None:
    """Ask until told to stop."""
    gc.disable()
    store, calls = redis.Redis(unix_socket_path=sys.argv[1]), []
    while not select.select([sys.stdin], [], [], PAUSE_SECONDS)[0]:
        started = time.monotonic()
        store.ping()
        calls.append((started, time.monotonic() - started))
    json.dump(calls, sys.stdout)


if __name__ == "__main__":
    main()
