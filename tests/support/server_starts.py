"""Holds tests without the mark `server` to their word: they start no store, no gate and no other server.

`make test-quick` leaves out what bears the mark, and takes a tenth of the time of `make test`. A test that
asks for a store by a fixture gets the mark by itself; a file whose tests start a server on their own says so:

    pytestmark = pytest.mark.server
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

STORE_FIXTURES = frozenset({"valkey_session", "matrix_session"})
UNIT_TESTS = Path(__file__).parents[1] / "unit"
SERVERS = (
    "valkey-server",
    "redis-server",
    "redis-sentinel",
    "nginx",
    "caddy",
    "prometheus",
    "prometheus-alertmanager",
)

_current: pytest.Item | None = None


class UnmarkedServer(RuntimeError):
    """A test without the mark started a server."""


def mark(item: pytest.Item) -> None:
    """Give the mark to a test that asks for a store, and to every test that is no unit test."""
    fixtures = getattr(item, "fixturenames", ())
    if STORE_FIXTURES.intersection(fixtures) or UNIT_TESTS not in item.path.parents:
        item.add_marker("server")


def watch(item: pytest.Item) -> None:
    """Hold this test to its word from now on."""
    global _current  # noqa: PLW0603  an audit hook has no other way to know which test runs
    if _current is None:
        sys.addaudithook(_check)
    _current = item


def _check(event: str, arguments: tuple[object, ...]) -> None:
    if event == "subprocess.Popen" and isinstance(arguments[1], Sequence):
        check(list(map(str, arguments[1])))


def check(command: Sequence[str]) -> None:
    """Let the current test start this, unless it is a server and the test has no mark."""
    if _current is None or _current.get_closest_marker("server"):
        return
    if _starts_a_server(command):
        raise UnmarkedServer(f"{_current.nodeid} starts {command}: mark it with pytest.mark.server")


def _starts_a_server(command: Sequence[str]) -> bool:
    """Tell `tidegate serve`, `python -m app.workers.process` and stores from commands that end."""
    is_gate = "serve" in command or any(part.startswith("app.workers") for part in command)
    return is_gate or Path(command[0]).name in SERVERS
