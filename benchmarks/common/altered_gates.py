"""Gates that differ from the shipped one in a point for which there is no setting, to measure that point.

    TIDEGATE_PORT=8000 python -m benchmarks.common.altered_gates unguarded
    TIDEGATE_PORT=8000 python -m benchmarks.common.altered_gates parses-each-head
    TIDEGATE_PORT=8000 python -m benchmarks.common.altered_gates watched SOCKET

`unguarded` leaves out the rounds of the memory guard, `parses-each-head` never takes a head for a known one.
`watched` times each turn of the event loop by a callback in every turn, so this gate is never idle. Whoever
connects to the Unix socket is told the longest turn since somebody last did, as JSON: seconds on the clock,
and of CPU, which is how long it takes when nobody else wants the processor.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterable

import app.runtime
from app.cli.serve import run
from app.server.heads import KnownHeads
from app.tasks import Seconds, Task, Tasks
from benchmarks.common.gates import module

# Rounds of app/runtime.py that belong to the guard.
LEFT_OUT = ("memory", "ceiling")


def altered(alteration: str, *arguments: str) -> tuple[str, ...]:
    """The command that serves an altered gate."""
    return module("benchmarks.common.altered_gates", alteration, *arguments)


class TasksWithoutGuard(Tasks):
    """Runs every round but those of the guard."""

    def every(self, seconds: Seconds, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Repeat a round that is not left out."""
        if name not in LEFT_OUT:
            super().every(seconds, name, work)

    async def once(self, name: str, work: Callable[[], Awaitable[object]]) -> bool:
        """Run the first round of what is not left out."""
        return name in LEFT_OUT or await super().once(name, work)


class Watch:
    """Times every turn of the event loop."""

    def __init__(self) -> None:
        self._seconds = self._cpu_seconds = 0.0
        self._last = self._last_cpu = 0.0

    def begin(self) -> None:
        """Run in every turn from now on."""
        self._last, self._last_cpu = time.perf_counter(), time.thread_time()
        self._turn()

    def _turn(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        self._seconds = max(self._seconds, now - self._last)
        self._cpu_seconds = max(self._cpu_seconds, cpu - self._last_cpu)
        self._last, self._last_cpu = now, cpu
        asyncio.get_running_loop().call_soon(self._turn)

    async def tell(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer somebody who connected, and begin anew."""
        found = {"seconds": self._seconds, "cpu_seconds": self._cpu_seconds}
        self._seconds = self._cpu_seconds = 0.0
        writer.write(json.dumps(found).encode())
        await writer.drain()
        writer.close()


def watched(path: str) -> type[Tasks]:
    """The tasks of a gate whose watch listens on a Unix socket."""
    watch = Watch()

    class WatchedTasks(Tasks):
        """Starts the watch together with the gate's own tasks."""

        def start(self, tasks: Iterable[Task]) -> None:
            """Begin to watch, and to tell of it."""
            super().start(tasks)
            watch.begin()
            self._server = asyncio.create_task(asyncio.start_unix_server(watch.tell, path))

    return WatchedTasks


def main() -> int:
    """Alter what the runtime is about to look up, then serve."""
    match sys.argv[1:]:
        case ["unguarded"]:
            vars(app.runtime)["Tasks"] = TasksWithoutGuard
        case ["parses-each-head"]:
            KnownHeads.note = lambda *_: None  # type: ignore[method-assign]
        case ["watched", path]:
            vars(app.runtime)["Tasks"] = watched(path)
        case unknown:
            raise SystemExit(f"no such gate: {unknown}")
    return run({}, insecure=False)


if __name__ == "__main__":
    sys.exit(main())
