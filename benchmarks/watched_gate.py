"""The gate as it is shipped, whose event loop is timed in every turn; it is therefore never idle.

    TIDEGATE_PORT=8000 python -m benchmarks.watched_gate SOCKET

Whoever connects to the Unix socket is told the longest turn since somebody last did, as JSON: seconds on the
clock, and of CPU, which is how long it takes when nobody else wants the processor.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterable

import app.runtime
from app.cli.serve import run
from app.tasks import Task, Tasks


async def watch(path: str) -> None:
    """Time every turn of the event loop by being in each, and tell of the longest on a Unix socket."""
    longest = {"seconds": 0.0, "cpu_seconds": 0.0}

    async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer somebody who connected, and begin anew."""
        writer.write(json.dumps(longest).encode())
        longest.update(dict.fromkeys(longest, 0.0))
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(tell, path):
        last = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter(), time.thread_time()
            for name, began, ended in zip(longest, last, now, strict=True):
                longest[name] = max(longest[name], ended - began)
            last = now


class WatchedTasks(Tasks):
    """Starts the watch together with the gate's own tasks."""

    def start(self, tasks: Iterable[Task]) -> None:
        """Run the gate's tasks, and the watch."""
        super().start(tasks)
        self._watch = asyncio.create_task(watch(sys.argv[1]))


if __name__ == "__main__":
    vars(app.runtime)["Tasks"] = WatchedTasks
    sys.exit(run({}, insecure=False))
