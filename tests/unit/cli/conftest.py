"""Runs the commands inside the test's process."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from threading import Event

import pytest
from click.testing import CliRunner, Result

from app.cli.main import tidegate
from tests.support.stand_in import Respond, StandIn, stand_in

Serve = Callable[[Respond], StandIn]
Run = Callable[..., Result]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a stand-in for the gate."""
    with ExitStack() as running:
        yield lambda respond: running.enter_context(stand_in(respond))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `tidegate` with these arguments, against a stand-in if one is given."""
    for name in ("URL", "HOST", "PORT", "TOKEN"):
        monkeypatch.delenv(f"TIDEGATE_{name}", raising=False)

    def call(*arguments: str, gate: StandIn | None = None, stdin: bytes | None = None) -> Result:
        where = ["--url", gate.url] if gate else []
        return CliRunner().invoke(tidegate, [*arguments, *where], input=stdin)

    return call


@pytest.fixture
def release() -> Iterator[Event]:
    """An event that is set in the end, so that no server waits on."""
    event = Event()
    yield event
    event.set()
