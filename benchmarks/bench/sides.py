"""The two sides of a pair: what is started, loaded and stopped for one measurement."""

import json
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

from benchmarks.bench.plan import Measure, Order, Plan, Target
from benchmarks.bench.rivals.jetstream import server
from benchmarks.services import Service, module, service, tidegate

SPARE_SECONDS = 60.0


class MeasurementError(Exception):
    """A side could not be measured; says why."""


@dataclass(frozen=True)
class Side:
    """One contestant."""

    name: str
    measure: Callable[[Plan], Measure]


def http_side(name: str, start: Callable[[], AbstractContextManager[Service]]) -> Side:
    """A service that answers `POST /transactions`, started anew for each measurement."""

    def measure(plan: Plan) -> Measure:
        with start() as running:
            return run_loader("benchmarks.bench.loader", Order(plan, target_of(running)))

    return Side(name, measure)


def gate(name: str = "tidegate", **settings: object) -> Side:
    """Tidegate as it is shipped, with the embedded store."""
    return http_side(name, lambda: tidegate(**settings))


def rival(name: str) -> Side:
    """A service of `benchmarks/bench/rivals`."""
    return http_side(name, lambda: service(*module(f"benchmarks.bench.rivals.{name}")))


def jetstream(processes: int) -> Side:
    """NATS JetStream, its publishers in so many processes."""

    def measure(plan: Plan) -> Measure:
        with server() as target:
            order = Order(plan, target, {"processes": processes})
            return run_loader("benchmarks.bench.rivals.jetstream", order)

    return Side(f"jetstream-{processes}", measure)


def target_of(running: Service) -> Target:
    """The port of a service, and the ids of its processes."""
    main = psutil.Process(running.process.pid)
    parts: dict[str, list[int]] = {"gate": [main.pid]}
    for child in main.children(recursive=True):
        parts.setdefault("store" if "valkey" in child.name() else "gate", []).append(child.pid)
    return Target(int(urlsplit(running.url).port or 0), parts)


def run_loader(name: str, order: Order) -> Measure:
    """Run a loader process to its end.

    Raises:
        MeasurementError: it failed, or found an answer that is not true.
    """
    allowed = order.plan.warm_up_seconds + order.plan.seconds + SPARE_SECONDS
    try:
        ran = subprocess.run(
            module(name), input=order.encode(), capture_output=True, text=True, timeout=allowed, check=False
        )
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"the load did not end within {allowed:g} s") from None
    if ran.returncode:
        raise MeasurementError(ran.stderr.strip()[-1500:] or f"the loader ended with {ran.returncode}")
    return Measure(**json.loads(ran.stdout))
