"""The rights that docs/stores.md names are enough: for transactions, consumers, figures and reports."""

import re
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from app.errors import StoreDenied
from app.guard.guard import FAILED_READINGS
from app.ingest.flush import Flusher
from app.settings.model import Settings
from app.store.partitions import signature_hash
from app.store.store_url import parse_address
from tests.support.deliver import connected_gate, transaction
from tests.support.gate import running
from tests.support.handed import IDLE_MS, Reader, deliver, read_all
from tests.support.pages import ROOT
from tests.support.scripted_sentinels import scripted_sentinels
from tests.support.servers import OVER_TCP, StoreServer

pytestmark = pytest.mark.server

NAMES = [f"name-{number}" for number in range(30)]


@pytest.fixture(scope="module", params=OVER_TCP)
def guarded(request: pytest.FixtureRequest) -> Iterator[StoreServer]:
    """A store with the user of the page, whose line is sent as it stands there."""
    page = (ROOT / "docs" / "stores.md").read_text(encoding="utf-8")
    [line] = re.findall(r"^    (ACL SETUSER tidegate .*)$", page, re.MULTILINE)
    with OVER_TCP[request.param]() as server:
        for node in server.nodes():
            with node:
                node.execute_command(*line.split())  # type: ignore[no-untyped-call]
        yield server


@pytest.fixture(autouse=True)
def _empty(guarded: StoreServer) -> None:
    guarded.flush()


def _change_user(server: StoreServer, rule: str) -> None:
    for node in server.nodes():
        with node:
            node.execute_command("ACL", "SETUSER", "tidegate", rule)  # type: ignore[no-untyped-call]


def _settings(server: StoreServer, **settings: object) -> Settings:
    url = server.url.replace("redis://", "redis://tidegate:password@")
    return Settings(store_url=url, store_deadline_seconds=10, **settings)  # type: ignore[arg-type]


async def test_transactions_are_taken_in_and_figures_and_reports_are_kept(guarded: StoreServer) -> None:
    with capture_logs() as logs:
        async with running(_settings(guarded)) as runtime:
            flusher = Flusher(runtime.plane.maps, runtime.metrics, runtime.plane.sources)
            answers = await flusher.flush([transaction(name) for name in NAMES])
            assert {answer.verdict for answer in answers} == {"accepted"}
            await runtime.sample_memory()
            await runtime.recorder.record()
            assert runtime.sizes.store is not None
            assert runtime.readiness.reasons() == []
    assert [log for log in logs if log["log_level"] not in ("debug", "info")] == []


@pytest.mark.parametrize("guarded", ["valkey", "valkey-cluster"], indirect=True)
async def test_figures_that_the_store_withholds_are_not_shown_any_more(guarded: StoreServer) -> None:
    async with running(_settings(guarded)) as runtime:
        await runtime.sample_memory()
        assert runtime.guard.blind_spots == []
        _change_user(guarded, "-info")
        for _ in range(FAILED_READINGS):
            await runtime.sample_memory()
        with pytest.raises(StoreDenied):
            runtime.sizes.readable_store()
        assert runtime.guard.blind_spots == ["store"]
        assert runtime.readiness.reasons() == []
        _change_user(guarded, "+info")
        await runtime.sample_memory()
        assert runtime.sizes.readable_store() is not None
        assert runtime.guard.blind_spots == []


async def test_consumers_are_served(guarded: StoreServer) -> None:
    gate = await connected_gate(_settings(guarded, dedup_window_seconds=60))
    await deliver(gate, NAMES)
    reader = Reader(gate)
    assert sorted(await reader.drain(7)) == sorted(NAMES)
    await reader.consumers.seek("bot", "oldest", IDLE_MS)
    assert await read_all(gate, await gate.accepted.find("oldest"))
    assert [one.lag_transactions for one in await reader.consumers.figures()] == [len(NAMES)]
    assert await reader.consumers.forget("bot")
    await gate.session.close()


async def test_late_duplicates_are_found(guarded: StoreServer) -> None:
    gate = await connected_gate(_settings(guarded, dedup_window_seconds=0.1, late_sample=1))
    accepted = 0
    while accepted < 2:
        [answer] = await gate.flusher.flush([transaction("late")])
        accepted += answer.verdict == "accepted"
    assert await gate.queries.deliverers([signature_hash("late")])
    await gate.late.tick()
    await gate.session.close()
    [source] = gate.sources.view().sources
    assert source.late is not None


@pytest.mark.parametrize("guarded", ["valkey", "redis"], indirect=True)
async def test_a_primary_that_sentinels_name_is_believed(guarded: StoreServer) -> None:
    async with scripted_sentinels(parse_address(guarded.url).port) as sentinels:
        url = sentinels.url.replace("//", "//tidegate:password@")
        async with running(Settings(store_url=url, store_deadline_seconds=10)) as runtime:
            assert runtime.readiness.reasons() == []
