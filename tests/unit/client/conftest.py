"""A stand-in for a gate, which the client asks without waiting between two tries."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.stand_in import Answer, StandIn, in_turn, stand_in
from tidegate import answers

Serve = Callable[..., StandIn]
LOST = Answer(0, None)


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "FIRST_WAIT_SECONDS", 0.0)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a stand-in that answers these in turn, and hangs up from then on."""
    with ExitStack() as running:
        yield lambda *answers: running.enter_context(stand_in(in_turn(*answers, then=lambda _: LOST)))
