"""`make bench`, on a small scale: real servers, true answers, and a verdict that can fail."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.bench import __main__ as bench
from benchmarks.bench import loads
from benchmarks.bench.result import Case, Result
from benchmarks.common.bodies import SMALL_BYTES, pool_of
from benchmarks.common.load import MeasurementError
from benchmarks.common.plan import Measure, Plan
from benchmarks.common.turns import (
    HAND_WRITTEN,
    LONE,
    LONE_SIDES,
    NOTHING,
    SET_NX,
    TIDEGATE,
    Rounds,
    Side,
    compare,
    rival,
)
from benchmarks.rivals.jetstream import jetstream

TINY = Plan("small", batch_items=20, connections=3, behind=(40, 80), warm_up_seconds=0.1, seconds=0.3)
SINGLES = dataclasses.replace(TINY, batch_items=1, connections=8, behind=(5, 20))
MOST_SECONDS = 30.0


def something(side: Side, plan: Plan) -> Measure:
    """Measure for longer and longer until something was finished: a busy machine takes its time."""
    while not (measure := side.measure(plan)).transactions and plan.seconds < MOST_SECONDS:
        plan = dataclasses.replace(plan, seconds=2 * plan.seconds)
    return measure


def result(measured: list[float], bound: float | None, **fields: object) -> Result:
    given: dict[str, object] = {
        "work": "batches",
        "against": "somebody",
        "wanted": "at least",
        "unit": "×",
        "details": {},
        **fields,
    }
    return Result(bound=bound, measured=measured, **given)  # type: ignore[arg-type]


def run_main(monkeypatch: pytest.MonkeyPatch, cases: dict[str, Case], *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    return bench.main(cases)


@pytest.mark.parametrize("plan", [TINY, SINGLES], ids=["batches", "singles"])
def test_a_round_loads_every_side_and_finds_its_answers_true(plan: Plan) -> None:
    taken = compare([TIDEGATE, HAND_WRITTEN], plan, 1)
    for measures in taken.values():
        [measure] = measures
        assert measure.transactions > 0
        assert measure.checked_transactions > 0
        assert measure.cpu_seconds.keys() == {"gate", "store", "loader"}
    compared = loads.Beside(taken, TIDEGATE, HAND_WRITTEN).row("work", 1.0)
    assert (compared.against, compared.wanted) == ("hand-written", "at least")
    assert compared.measured == [taken["tidegate"][0].rate / taken["handwritten"][0].rate]


@pytest.mark.parametrize("processes", [1, 3])
def test_jetstream_is_loaded_by_its_own_client_and_accepts_each_transaction_once(processes: int) -> None:
    measure = something(jetstream(processes), TINY)
    assert measure.transactions > 0
    assert measure.checked_transactions > 0
    assert measure.cpu_seconds["loader"] > 0


def test_a_service_that_accepts_everything_is_found_out() -> None:
    with pytest.raises(MeasurementError, match="accepted a second time"):
        rival("bare").measure(SINGLES)


def test_a_service_that_refuses_is_found_out_even_when_nobody_asks_for_true_answers() -> None:
    with pytest.raises(MeasurementError, match="status 422"):
        NOTHING.measure(TINY)


def test_a_service_that_does_nothing_is_measured_when_nobody_asks_for_true_answers() -> None:
    measure = something(NOTHING, SINGLES)
    assert measure.transactions > 0
    assert measure.cpu_seconds.keys() == {"gate", "loader"}


def test_a_store_without_a_service_claims_each_signature_once() -> None:
    measure = something(SET_NX, SINGLES)
    assert measure.checked_transactions > 0
    assert measure.cpu_seconds.keys() == {"store", "loader"}


def test_at_a_constant_rate_all_that_was_due_is_answered_and_timed() -> None:
    plan = dataclasses.replace(LONE, connections=4, per_second=200, warm_up_seconds=0.1, seconds=0.3)
    measure = TIDEGATE.measure(plan)
    assert measure.is_kept
    assert measure.requests == pytest.approx(200 * measure.seconds, abs=1)
    assert measure.figures()["p50_ms"] is not None


def test_a_service_that_does_not_keep_up_with_a_rate_has_no_times() -> None:
    plan = dataclasses.replace(LONE, per_second=20_000, warm_up_seconds=0.1, seconds=0.3)
    measure = something(HAND_WRITTEN, plan)
    assert not measure.is_kept
    assert measure.transactions > 0
    assert [measure.figures()[name] for name in ("p50_ms", "p99_ms", "p999_ms")] == [None, None, None]


def test_rows_of_latency_judge_the_hand_written_service_and_tell_who_did_not_keep_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def taken(sides: Sequence[Side], plan: Plan, count: int) -> Rounds:
        def of(place: int) -> Measure:
            times = {"p50_ms": 1.0 + place, "p99_ms": 2.0 + place, "p999_ms": 9.0}
            spent = {"gate": 0.1 * (1 + place), "store": 0.1}
            return Measure(plan.seconds, 1000, 1000, times, spent, 1.0, 1000, is_kept=place != 1)

        return {side.name: [of(place)] * count for place, side in enumerate(sides)}

    monkeypatch.setattr(loads, "compare", taken)
    rows = loads.latency(2, 1.0)
    rivals = [side.title for side in LONE_SIDES[1:]]
    assert [one.against for one in rows] == [*rivals, HAND_WRITTEN.title, *rivals]
    assert {one.wanted for one in rows} == {"at most"}
    assert [one.bound for one in rows] == [0.55, None, None, None, 0.6, None, None]
    assert [one.measured for one in rows][3:5] == [pytest.approx([2 / 3] * 2), pytest.approx([2 / 3] * 2)]
    assert rows[0].remark.endswith(
        "p50 / p99 / p99.9 2.00 / 3.00 / 9.00 ms, 300 µs of CPU a post, kept up 0 times of 2"
    )


def test_a_renewed_body_has_signatures_it_never_had_and_payloads_that_name_the_same() -> None:
    [small] = pool_of(Plan("small", batch_items=30), 1, seed=1)
    [enhanced] = pool_of(Plan("enhanced", batch_items=30), 1, seed=1)
    seen: set[str] = set()
    for generation in range(3):
        for body in (small, enhanced):
            body.renew(generation)
            items = json.loads(body.data)
            fresh = {item["signature"] for item in items}
            assert len(fresh) == 30
            assert not seen & fresh
            seen |= fresh
        assert all(item["payload"]["signature"] == item["signature"] for item in json.loads(enhanced.data))
    assert len(small.data) == 30 * (SMALL_BYTES + 1) + 1


def test_one_failing_case_is_reported_and_the_others_still_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(pairs: int, seconds: float) -> list[Result]:
        raise SystemExit(f"no server, {pairs} pairs of {seconds} s")

    cases: dict[str, Case] = {"broken": broken, "sound": lambda *_: [result([12.0, 11.0], 10.0)]}
    assert run_main(monkeypatch, cases, "--pairs", "2", "--out", str(tmp_path / "bench")) == 1
    document = json.loads((tmp_path / "bench.json").read_text())
    assert document["failed"] == {"broken": "SystemExit: no server, 2 pairs of 4.0 s"}
    assert [one["median"] for one in document["rows"]] == [11.5]
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert "failed: broken" in capsys.readouterr().err


def test_a_missed_row_fails_the_run_and_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases: dict[str, Case] = {"slow": lambda *_: [result([9.0, 9.5, 20.0], 10.0)]}
    assert run_main(monkeypatch, cases, "--out", str(tmp_path / "bench")) == 1
    assert "missed: batches, against somebody: 9.50 ×, wanted ≥ 10.0 ×" in capsys.readouterr().err


def test_a_run_that_has_all_it_wanted_succeeds_and_a_partial_one_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "bench")
    cases: dict[str, Case] = {
        "good": lambda *_: [result([11.0], 10.0), result([3.0], None)],
        "bad": lambda *_: [result([1.0], 10.0)],
    }
    assert run_main(monkeypatch, cases, "--only", "good") == 0
    assert list(tmp_path.iterdir()) == []


def test_what_one_feed_costs_another_is_not_for_the_readme() -> None:
    cases: dict[str, Case] = {name: lambda *_: [result([11.0], 10.0)] for name in ("singles", "feeds-block")}
    assert [one.is_for_readme for one in bench.run(cases, 1, 1.0).rows] == [True, False]
    assert bench.CASES.keys() >= bench.NOT_IN_README
