"""The soak in small: its load is what it says, and its verdict follows from the figures."""

import argparse

import pytest

from benchmarks.common.constant_rate import BATCH_ITEMS, Answers, posting, three_feeds
from benchmarks.common.gates import Service, tidegate
from benchmarks.common.plan import FEEDS
from benchmarks.common.plots import MB
from benchmarks.soak.__main__ import judge, service_to_soak, warm_up_seconds
from benchmarks.soak.sampling import Figures, figures_of
from benchmarks.soak.trend import SECONDS_AN_HOUR
from tests.support.processes import wait_until

RATE = 400.0


def _until(gate: Service, batches: int) -> bool:
    delivered = batches * BATCH_ITEMS * len(FEEDS)
    ingest = gate.get("/stats")["ingest"]
    return bool(ingest["accepted"] + ingest["duplicate"] >= delivered)


def test_three_feeds_deliver_the_same_and_memory_of_both_processes_is_sampled() -> None:
    with tidegate() as gate, posting(gate.url, three_feeds(RATE)) as answers:
        assert wait_until(lambda: _until(gate, 4), 30.0, 0.1)
        sample = figures_of(gate)
    assert answers.statuses.keys() == {200}
    assert answers.items["accepted"] >= 4 * BATCH_ITEMS
    assert answers.items["duplicate"] >= 1.5 * answers.items["accepted"]
    assert min(sample["gate_rss_bytes"], sample["store_rss_bytes"]) > MB
    assert sample["transactions_entries"] >= 4 * BATCH_ITEMS
    assert sample["observations_entries"] >= sample["transactions_entries"]
    assert sample["store_info_used_bytes"] > MB / 2
    assert 20 * MB < sample["gate_live_bytes"] < sample["gate_rss_bytes"]


def test_a_figure_that_cannot_be_read_is_left_out_of_its_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_proc(_self: Service) -> dict[str, int]:
        raise FileNotFoundError(2, "No such file or directory", "/proc/stat")

    monkeypatch.setattr(Service, "resident", no_proc)
    with tidegate() as gate:
        assert "gate_rss_bytes" not in figures_of(gate)


def test_a_planted_leak_is_in_the_gate_and_in_no_other() -> None:
    ten_mb_a_second = 10 * SECONDS_AN_HOUR
    with service_to_soak(ten_mb_a_second) as leaking, service_to_soak(0) as clean:
        before, before_clean = leaking.resident()["gate"], clean.resident()["gate"]
        assert wait_until(lambda: leaking.resident()["gate"] > before + 20 * MB, 30.0, 0.1)
        assert clean.resident()["gate"] < before_clean + 5 * MB


def _recorded(
    gate_mb_per_hour: float,
    store_mb_per_hour: float,
    accepted_per_second: int = 1000,
    live_mb_per_hour: float = 0.0,
) -> list[Figures]:
    """Made-up samples of an hour."""

    def held(second: int) -> float:
        """What the maps hold follows a load that is never even, here one that rises."""
        return 50 * MB * (1 + second / SECONDS_AN_HOUR)

    return [
        {
            "seconds": float(second),
            "gate_rss_bytes": 80 * MB + gate_mb_per_hour * MB * second / SECONDS_AN_HOUR,
            "gate_live_bytes": 55 * MB + live_mb_per_hour * MB * second / SECONDS_AN_HOUR,
            "store_rss_bytes": 60 * MB + store_mb_per_hour * MB * second / SECONDS_AN_HOUR + held(second),
            "accepted": float(second * accepted_per_second),
            "signatures_bytes": 0.0,
            "transactions_bytes": held(second),
            "observations_bytes": 0.0,
        }
        for second in range(0, 3600, 5)
    ]


def _failures(samples: list[Figures], status: int = 200) -> list[str]:
    answers = Answers()
    answers.statuses[status] = 1
    figures = judge(samples, answers, argparse.Namespace(minutes=60.0, rate=1000.0, leak=0.0))
    return list(figures["failures"])


@pytest.mark.parametrize(
    ("samples", "named"),
    [
        (_recorded(0, 0), ""),
        (_recorded(4, 0), ""),
        (_recorded(20, 0), "gate"),
        (_recorded(0, 20), "store"),
        (_recorded(0, 0, live_mb_per_hour=1), ""),
        (_recorded(0, 0, live_mb_per_hour=4), "gate live"),
    ],
)
def test_the_verdict_names_the_process_that_grows(samples: list[Figures], named: str) -> None:
    failures = _failures(samples)
    assert len(failures) == (1 if named else 0)
    assert not named or failures[0].startswith(named)


def test_a_load_that_was_not_taken_is_no_proof() -> None:
    assert "900 of 1000" in _failures(_recorded(0, 0, accepted_per_second=900))[0]
    assert "503" in _failures(_recorded(0, 0), status=503)[0]


def test_the_warm_up_is_fifteen_minutes_or_a_quarter() -> None:
    assert (warm_up_seconds(60), warm_up_seconds(120), warm_up_seconds(4)) == (900, 900, 60)
