"""The row about readers in numbers that read nothing: what they cost the gate, and whether it ends them."""

import re
import select
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, replace
from statistics import median

import psutil

from benchmarks.common.background import sampled
from benchmarks.common.gates import Service, tidegate
from benchmarks.common.load import run_loader
from benchmarks.common.plan import Measure
from benchmarks.common.readers import (
    LAST_CHUNK,
    LOOK_SECONDS,
    READ_BYTES,
    Order,
    Reader,
    beside,
    connected,
    head,
)
from benchmarks.common.turns import STEADY
from benchmarks.consumers.rows import WARM_UP_SECONDS, Figures, compared, in_turns

IDLE, SILENT, KIB = 64, 1000, 1024
# What the kernel takes for a silent reader, before the gate is left with the rest of its stream.
TAKEN_BYTES = 4096
# The gate cuts off a client that takes nothing for ten seconds; one that took a little meanwhile, ten later.
CUT_OFF_SECONDS = 40.0
# A reader that has not ended so long after its gate was told to stop is counted as one that does not.
ENDS_SECONDS = 30.0
OK = "200"


@dataclass
class Crowd:
    """What became of readers that read nothing until the gate stopped."""

    idle: int
    silent: int
    answers: Counter[str]
    """How often each status was answered; empty: there was no answer."""
    ended: int
    """How many of all were ended."""
    complete: int
    """How many silent ones got the end of a chunked body; the others were cut off."""


def crowd(order: Order, port: int, idle: int, silent: int) -> Crowd:
    """Hold waiting consumers and streams that are not read, until it is ordered to read all to their end.

    A consumer that is answered reads that, keeps its lease and asks for no more. A client that does not read
    is not even told that it was cut off, so none comes again.
    """
    leases = (f"/consumers/idle-{number}/lease?from=now&wait_seconds=60" for number in range(idle))
    waiting = [_Client(port, head("POST", path, "Content-Length: 0")) for path in leases]
    streams = [_Client(port, head("GET", "/stream"), TAKEN_BYTES) for _ in range(silent)]
    order.begun()
    while not order.is_over:
        for client in select.select([one for one in waiting if not one.has_ended], [], [], LOOK_SECONDS)[0]:
            client.read()
    until = time.monotonic() + ENDS_SECONDS
    for client in [*waiting, *streams]:
        while not client.has_ended and time.monotonic() < until:
            client.read()
    return Crowd(
        idle,
        silent,
        answers=Counter(client.status for client in [*waiting, *streams]),
        ended=sum(client.has_ended for client in [*waiting, *streams]),
        complete=sum(client.last == LAST_CHUNK for client in streams),
    )


class _Client:
    """A connection with one request, and the beginning and the end of what was read of the answer."""

    def __init__(self, port: int, request: bytes, taken_bytes: int | None = None) -> None:
        self._socket = connected(port, taken_bytes)
        self._socket.settimeout(LOOK_SECONDS)
        self._socket.sendall(request)
        self._first = self.last = b""
        self.has_ended = False

    @property
    def status(self) -> str:
        return self._first[len(b"HTTP/1.1 ") :][: len(OK)].decode()

    def fileno(self) -> int:
        """Return what `select` asks for."""
        return self._socket.fileno()

    def read(self) -> None:
        """Read what there is, or find that the connection has ended."""
        try:
            read = self._socket.recv(READ_BYTES)
        except TimeoutError:
            return
        except OSError:
            read = b""
        self._first = self._first or read
        self.last = (self.last + read)[-len(LAST_CHUNK) :]
        if not read:
            self.has_ended = True
            self._socket.close()


def crowded(pairs: int, seconds: float) -> Figures:
    """Single posts, beside consumers and streams that do nothing and without them."""
    crowds, then = list[Figures](), list[Measure]()

    def measured(has_crowd: bool) -> Measure:
        with tidegate() as gate, ExitStack() as stack:
            run_loader(replace(STEADY, seconds=WARM_UP_SECONDS), gate.target())
            before = _resident(gate.process.pid)
            if not has_crowd:
                return _posted(gate, seconds)[0]
            reader = stack.enter_context(beside(crowd, gate.target().port, IDLE, SILENT))
            connected = _resident(gate.process.pid)
            measure, most = _posted(gate, seconds)
            cut = _cut_off(gate)
            again, most_then = _posted(gate, seconds)  # while they are cut off
            then.append(again)
            crowds.append(
                {
                    "kib_each_connected": _each(connected - before),
                    "kib_each": _each(max(most, most_then) - before),
                    "cut_off": cut,
                    "then_p99_ms": again.figures()["p99_ms"],
                    "then_cut_off": _cut_off_in_the_end(gate),
                    **_stopped(gate, reader),
                }
            )
            return measure

    found = in_turns(pairs, measured)
    then_ratios = _ratios(then, found["without"])
    return compared(found, _ratios(found["with"], found["without"])) | {
        "then_ratio": round(median(then_ratios), 3),
        "then_ratios": [round(ratio, 3) for ratio in then_ratios],
        "crowd": crowds,
    }


def _ratios(measures: list[Measure], calm: list[Measure]) -> list[float]:
    """The p99 of each load over that of the one without a crowd in its pair."""
    pairs = zip(measures, calm, strict=True)
    return [one.times_ms["p99_ms"] / other.times_ms["p99_ms"] for one, other in pairs]


def _posted(gate: Service, seconds: float) -> tuple[Measure, int]:
    """Post, and watch how much the gate has resident at most; a look at it takes some 20 µs."""
    with sampled(lambda: _resident(gate.process.pid), LOOK_SECONDS) as resident:
        measure = run_loader(replace(STEADY, seconds=seconds), gate.target())
    return measure, max(resident)


def _resident(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)


def _each(size: int) -> float:
    return round(size / KIB / (IDLE + SILENT), 1)


def _cut_off(gate: Service) -> int:
    """How many clients the gate has cut off, since they took nothing."""
    with gate.client() as client:
        metrics = client.get("/metrics").text
    counts = re.findall(r'connection_refusals_total{.*reason="send-timeout".*} (\S+)', metrics)
    return round(sum(map(float, counts)))


def _cut_off_in_the_end(gate: Service) -> int:
    """Wait until each silent client was cut off, but not for longer than that may take."""
    until = time.monotonic() + CUT_OFF_SECONDS
    while (cut := _cut_off(gate)) < SILENT and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
    return cut


def _stopped(gate: Service, reader: Reader) -> Figures:
    """Stop the gate beside readers that do not read, and have them read to the end."""
    began = time.monotonic()
    exit_code, seconds = gate.terminate(), time.monotonic() - began
    reader.stop()
    return dict(vars(reader.result)) | {"exit_code": exit_code, "stop_seconds": round(seconds, 2)}
