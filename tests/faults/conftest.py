"""Fixtures of the tests that break things."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import schedule
from tests.support.faulty_gates import running_in
from tests.support.processes import wait_until
from tests.support.sentinels import Watched, watched_servers
from tests.support.servers import OVER_TCP, StoreServer, valkey_server


@pytest.fixture
def own_valkey() -> Iterator[StoreServer]:
    """A Valkey that a test may break."""
    with valkey_server(unix=True) as server:
        yield server


@pytest.fixture(scope="module", params=["valkey", "redis", "valkey-cluster"])
def breakable(request: pytest.FixtureRequest) -> Iterator[StoreServer]:
    """Each kind of store in turn, over TCP, which the tests of a file may break."""
    with OVER_TCP[request.param]() as server:
        yield server


@pytest.fixture
def watched() -> Iterator[Watched]:
    """A primary with two replicas, and three sentinels that watch it, all of which a test may break."""
    with watched_servers("valkey") as started:
        yield started


@pytest.fixture
def no_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate reads the ledgers when it starts, and then when a test asks for `/stats`."""
    monkeypatch.setattr(schedule, "TICK_SECONDS", 3600)


@pytest.fixture
def gate_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files of the gates that a test starts; in the end none of them runs.

    Its path is short: a unix socket's may have 107 bytes.
    """
    folder = Path(tempfile.mkdtemp(prefix="gates-"))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    monkeypatch.undo()
    left = not wait_until(lambda: not running_in(folder), 30.0)
    shutil.rmtree(folder, ignore_errors=True)
    assert not left, "a process outlived its test"
