"""What is compared, and how: the sides, each started anew for a measurement, and taking turns."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from benchmarks.common.gates import Service, module, port_of, service, tidegate
from benchmarks.common.load import LOAD, run_loader
from benchmarks.common.plan import Measure, Plan, Target
from benchmarks.common.results import say
from tests.support.servers import valkey_server

Name = TypeVar("Name")
Found = TypeVar("Found")
Rounds = Mapping[str, Sequence[Measure]]
"""The measures of each side by its name, a round each."""


def order(names: Iterable[Name], number: int) -> list[Name]:
    """Who comes when in a round; every second one goes backwards: what changes meanwhile meets all alike."""
    return list(names)[:: -1 if number % 2 else 1]


def in_turn(sides: Mapping[Name, Callable[[], Found]], rounds: int) -> dict[Name, list[Found]]:
    """Measure each side once a round."""
    taken: dict[Name, list[Found]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in order(sides, number):
            say(f"  round {number + 1} of {rounds}, {name}")
            taken[name].append(sides[name]())
    return taken


@dataclass(frozen=True)
class Side:
    """One contestant."""

    name: str
    title: str
    """What tables call it."""
    start: Callable[[], AbstractContextManager[Target]]
    plan: Mapping[str, Any] = field(default_factory=dict)
    """What is different in its plan."""
    loader: Sequence[str] = LOAD

    def measure(self, plan: Plan) -> Measure:
        """Start the contestant, load it and stop it."""
        with self.start() as target:
            return run_loader(replace(plan, **self.plan), target, self.loader)


def compare(sides: Iterable[Side], plan: Plan, rounds: int) -> Rounds:
    """Load each side once a round."""
    return in_turn({side.name: partial(side.measure, plan) for side in sides}, rounds)


def gate(
    name: str = "tidegate", title: str = "Tidegate", plan: Mapping[str, Any] | None = None, **settings: object
) -> Side:
    """Tidegate as it is shipped, with the embedded store."""
    return Side(name, title, lambda: _loaded(tidegate(**settings)), plan or {})


def rival(name: str, title: str = "", **plan: object) -> Side:
    """A service of `benchmarks/rivals`."""
    return Side(name, title, lambda: _loaded(service(*module(f"benchmarks.rivals.{name}"))), plan)


@contextmanager
def _loaded(started: AbstractContextManager[Service]) -> Iterator[Target]:
    with started as running:
        yield running.target()


@contextmanager
def _store() -> Iterator[Target]:
    with valkey_server() as store:
        yield Target(port_of(store.url), {"store": [store.processes[0].pid]})


TIDEGATE, HAND_WRITTEN = gate(), rival("handwritten", "hand-written")
# The answers of these two are not true.
BARE = rival("bare", "bare ASGI function under the same uvicorn", is_verified=False)
NOTHING = rival("nothing", "FastAPI route that does nothing", is_verified=False)
# A feed that claims its signatures in a store itself: no payloads, no lookup, no counts, and no service. Its
# commands go over TCP and through the same loader as the posts, so no side pays for a client library.
SET_NX = Side("set", "`SET NX` by the feed, no service", _store, {"form": "set"})
# Posts of one new transaction each, for whose answer a feed waits, and four sides that take it.
LONE = Plan("small", batch_items=1, connections=1, copies=1.0)
LONE_SIDES = (TIDEGATE, HAND_WRITTEN, BARE, SET_NX)
STEADY = replace(LONE, connections=16, per_second=1000)
# Four connections a feed for small transactions: it sends on while it waits for answers. The second and the
# third feed are some 30 and 120 ms behind the first, at the rates measured.
SMALL = Plan("small", batch_items=500, connections=12, behind=(1500, 6000), warm_up_seconds=1.5)
