"""A real Prometheus watches consumers: it names who lags before anything is missed, and who is gone."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.gate import GateProcess, gate_process
from tests.support.monitoring import Prometheus, prometheus
from tests.support.panel_proof import load
from tests.support.processes import wait_until
from tests.support.quick_monitoring import quick_prometheus
from tests.support.servers import valkey_server

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 90.0
RETENTION_SECONDS = 24
STEP_SECONDS = 0.25
RULES = "consumers.rules.yml"
FIRING = 'ALERTS{{alertname="{name}", consumer="{consumer}", alertstate="firing"}}'


@dataclass
class Watched:
    """A gate under load, and the Prometheus that watches it."""

    gate: GateProcess
    prometheus: Prometheus
    since: float

    def call(self, method: str, path: str, **body: object) -> Any:
        """What the gate answers."""
        with self.gate.client() as client:
            answer = client.request(method, path, json=body or None)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def take(self, consumer: str) -> Any:
        """What the consumer is given and commits."""
        given = self.call("POST", f"/consumers/{consumer}/lease?limit=10000")
        if given["lease"] is not None:
            self.call("POST", f"/consumers/{consumer}/commit", lease=given["lease"])
        return given

    def is_firing(self, name: str, consumer: str) -> bool:
        return bool(self.prometheus.query(FIRING.format(name=name, consumer=consumer)))

    def is_known(self, consumer: str) -> bool:
        """Whether Prometheus has seen the consumer, which calls meanwhile."""
        self.take(consumer)
        return bool(self.prometheus.query(f'tidegate_consumer_idle_seconds{{consumer="{consumer}"}}'))

    def first_time(self, expression: str) -> float:
        """When an expression first had a value, seconds since the epoch; infinite if it never had."""
        found = self.prometheus.query_range(expression, self.since, time.time(), STEP_SECONDS)
        return min((float(at) for one in found for at, _ in one["values"]), default=float("inf"))


def comes_true(done: Callable[[], bool]) -> bool:
    return wait_until(done, PATIENCE_SECONDS, STEP_SECONDS)


def _configuration(folder: Path, gate: GateProcess) -> Path:
    """That of a Prometheus with the rules on consumers: all of them, four times a second, take much."""
    file = quick_prometheus(folder, {"tidegate": [gate.url.removeprefix("http://")]})
    for rules in (folder / "rules").iterdir():
        if rules.name != RULES:
            rules.unlink()
    return file


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The shipped rules, their time running 120 times as fast; a consumer has 24 seconds until it misses."""
    since = time.time()
    settings = {
        "transaction_retention_seconds": RETENTION_SECONDS,
        "emergency_transaction_retention_seconds": RETENTION_SECONDS,
    }
    with (
        gate_process(**settings) as gate,
        load(gate),
        prometheus(_configuration(tmp_path_factory.mktemp("prometheus"), gate)) as server,
    ):
        yield Watched(gate, server, since)


def test_a_consumer_that_stops_is_reported_before_it_misses_anything_and_when_it_has(
    watched: Watched,
) -> None:
    left = (
        'tidegate_consumer_lag_transactions{consumer="bot"} > on () tidegate_map_entries{map="transactions"}'
    )
    assert comes_true(lambda: watched.is_known("bot"))
    assert comes_true(lambda: bool(watched.prometheus.query(left))), "some that it has not taken have left"
    lagged = watched.first_time(FIRING.format(name="TidegateConsumerLagging", consumer="bot"))
    assert lagged < watched.first_time(left)
    assert watched.first_time(FIRING.format(name="TidegateConsumerMisses", consumer="bot")) > lagged
    assert any("The consumer bot is " in warning for warning in watched.call("GET", "/stats")["warnings"])
    assert comes_true(lambda: watched.is_firing("TidegateConsumerMisses", "bot")), "while it makes no call"
    given = watched.take("bot")
    assert given["missed"] > 0
    missed = 'tidegate_consumer_missed_total{consumer="bot"}'
    assert comes_true(lambda: watched.prometheus.value(missed) == given["missed"])

    def has_caught_up() -> bool:
        watched.take("bot")
        return not watched.is_firing("TidegateConsumerLagging", "bot")

    assert comes_true(has_caught_up)


@pytest.mark.long
def test_a_consumer_that_was_forgotten_is_gone_and_one_that_was_deleted_is_not(watched: Watched) -> None:
    watched.call("PATCH", "/settings", lease_seconds=1, consumer_idle_seconds=12)
    assert comes_true(lambda: watched.is_known("deleted") and watched.is_known("forgotten"))
    watched.call("DELETE", "/consumers/deleted")
    assert comes_true(lambda: watched.is_firing("TidegateConsumerGone", "forgotten"))
    assert "forgotten" not in str(watched.call("GET", "/consumers"))
    assert watched.first_time('ALERTS{alertname="TidegateConsumerGone", consumer="deleted"}') == float("inf")
    assert comes_true(lambda: watched.is_known("forgotten"))
    assert comes_true(lambda: not watched.is_firing("TidegateConsumerGone", "forgotten"))


def test_a_store_that_loses_everything_is_reported_of_a_consumer_that_it_knows_no_more(
    tmp_path: Path,
) -> None:
    with (
        valkey_server() as store,
        gate_process(store_url=store.url) as gate,
        prometheus(_configuration(tmp_path, gate)) as server,
    ):
        watched = Watched(gate, server, time.time())
        assert comes_true(lambda: watched.is_known("bot"))
        assert not watched.is_firing("TidegateConsumerMisses", "bot")
        store.flush()
        assert comes_true(lambda: watched.is_firing("TidegateConsumerMisses", "bot"))
        assert watched.call("GET", "/consumers") == {"consumers": []}
        warned = "The store has lost its data, and with it what the consumer bot had not taken"
        assert any(text.startswith(warned) for text in watched.call("GET", "/stats")["warnings"])
