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
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from benchmarks.common.constant_rate import Answers

PAUSE_SECONDS = 0.0005
STOP_SECONDS = 20.0


@contextmanager
def probing(path: str) -> Iterator[Answers]:
    """Ask the store that listens on a unix socket while the block runs; the calls are there after it."""
    answers, command = Answers(), (sys.executable, "-m", "benchmarks.bench.probe", path)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield answers
        finally:
            written, _ = process.communicate(timeout=STOP_SECONDS)
    answers.calls = [(at, seconds) for at, seconds in json.loads(written)]


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
