"""How many series a source, a feed, a consumer and a worker cost is what the page of metrics says."""

import re

import pytest

from app.models import TransactionOutcome
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, Api, open_api
from tests.support.feed_calls import feeds_file
from tests.support.metric_families import parsed
from tests.support.pages import ROOT
from tests.support.processes import wait_until
from tests.support.servers import StoreServer
from tests.support.worker_gates import two_workers

pytestmark = pytest.mark.server


def told(whose: str) -> int:
    """The number that the page's table has for each of these."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    [number] = re.findall(rf"^\| {whose}\b[^|]*\| (\d+) \|", page, re.MULTILINE)
    return int(number)


def count(text: str, **labels: str) -> int:
    """How many series have one of these labels."""
    samples = [sample for _, family in parsed(text).values() for sample in family]
    return sum(any(sample.labels.get(name) == value for name, value in labels.items()) for sample in samples)


async def _deliver(api: Api, source: str) -> None:
    await api.post_many("kept", 3, source)
    for outcome in TransactionOutcome:
        api.runtime.metrics.count_transactions(source, outcome)


async def test_of_a_source_and_of_a_feed(
    valkey: StoreServer, settings_for: MakeSettings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = feeds_file(tmp_path_factory.mktemp("feeds"), "[feeds.helius-a]\n")
    async with open_api(settings_for(valkey, feeds_file=file, **QUIET)) as api:
        await _deliver(api, "rpc-1")
        await _deliver(api, "helius-a")
        text = await api.metrics()
        assert count(text, source="rpc-1", feed="rpc-1") == told("source")
        assert count(text, source="helius-a", feed="helius-a") == told("source") + told("feed")
        assert api.runtime.settings.max_sources == 64, "as the page says"


async def test_of_a_consumer(api: Api) -> None:
    await api.http.post("/consumers/bot/lease")
    await api.runtime.consumer_metrics.refresh()
    assert count(await api.metrics(), consumer="bot") == told("consumer")


def test_of_a_worker() -> None:
    with two_workers(memory_sample_seconds=0.2) as gate, gate.client() as client:

        def counts() -> set[int]:
            text = client.get("/metrics").text
            return {count(text, process=worker) for worker in ("worker-1", "worker-2")}

        # Figures of memory come with the first readings.
        assert wait_until(lambda: counts() == {told("worker")}, 30), counts()
