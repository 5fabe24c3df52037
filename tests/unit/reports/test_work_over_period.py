"""What a report says of the work that was done: traffic, latency, cleanups, and where plots begin."""

import msgspec
import pytest

from app.metrics.catalogue import SECONDS_BUCKETS
from app.models import TransactionOutcome
from app.reports.period import Period
from app.reports.samples import Work
from app.reports.work_over_period import WorkFold, quantile
from tests.support.recording_gates import HOUR, MINUTE, NOON_MS, Bench, Machine, busy_sample, work_of

BUCKETS = len(SECONDS_BUCKETS) + 1


@pytest.mark.server
async def test_work_since_the_sample_before_is_added_up_over_gates_and_restarts(on_valkey: Bench) -> None:
    machine = Machine(work=work_of([100], accepted=60, invalid=3, cleanups=1, cleanup_seconds=0.5))
    first, second = on_valkey.recorder(machine, "a"), on_valkey.recorder(machine, "b")
    on_valkey.hands.go(MINUTE)
    await first.record()
    await second.record()
    machine.work = work_of([100, 300], accepted=180, invalid=3, cleanups=4, cleanup_seconds=0.8)
    await on_valkey.minutes(1, first)
    document = await on_valkey.reports.recent(1)
    assert document.traffic.transactions == {
        TransactionOutcome.ACCEPTED: 240,
        TransactionOutcome.DUPLICATE: 0,
        TransactionOutcome.INVALID: 6,
        TransactionOutcome.REFUSED: 0,
        TransactionOutcome.FAILED: 0,
    }
    assert [point[1:] for point in document.traffic.points] == [(2.0, 0.0, 0.1), (2.0, 0.0, 0.0)]
    assert document.latency.requests == 500
    assert [round(mean, 3) for _, mean in document.cleanup.points] == [0.5, 0.1]
    assert document.cleanup.mean_seconds == pytest.approx(1.3 / 5)


@pytest.mark.server
async def test_the_plots_of_a_young_gate_begin_with_it(on_valkey: Bench) -> None:
    on_valkey.hands.go(3 * HOUR)
    await on_valkey.minutes(30, on_valkey.recorder(Machine()))
    document = await on_valkey.reports.daily(None)
    assert document.plot_from_ms == document.gates[0].first_ms
    assert document.block_seconds == 60
    assert len(document.processes[0].points) == 30
    assert (await on_valkey.reports.daily("2026-11-22")).plot_from_ms < document.from_ms


@pytest.mark.server
async def test_a_gate_of_before_the_period_is_plotted_from_its_begin_on(on_valkey: Bench) -> None:
    recorder = on_valkey.recorder(Machine())
    await on_valkey.minutes(1, recorder)
    on_valkey.hands.go(5 * HOUR)
    await on_valkey.minutes(1, recorder)
    document = await on_valkey.reports.recent(2)
    assert document.plot_from_ms == document.from_ms


def test_plots_are_ten_minutes_wide_at_least() -> None:
    day = Period(NOON_MS, NOON_MS + 3_600_000, known_from_ms=NOON_MS + 3_590_000)
    assert day.plot_from_ms == NOON_MS + 3_000_000


@pytest.mark.parametrize(
    ("share_below", "counts", "seconds"),
    [
        (0.5, {}, None),
        (0.5, {0: 10}, 0.00025),
        (0.99, {0: 10}, 0.000495),
        (0.5, {2: 5, 3: 5}, 0.0025),
        (0.75, {2: 4, 3: 4}, 0.00375),
        (0.99, {0: 1, BUCKETS - 1: 99}, 2.5),
    ],
)
def test_a_quantile_lies_within_its_bucket(
    share_below: float, counts: dict[int, int], seconds: float | None
) -> None:
    found = quantile(share_below, [counts.get(bucket, 0) for bucket in range(BUCKETS)])
    assert found == (seconds if seconds is None else pytest.approx(seconds))


def test_numbers_of_another_version_are_left_out() -> None:
    fold = WorkFold(Period(NOON_MS, NOON_MS + 3_600_000))
    fold.add(NOON_MS, Work([1, 2], [3], 0, 0.0))
    assert (list(fold.blocks()), fold.whole.latency(0.5)) == ([], None)


@pytest.mark.server
async def test_samples_of_an_earlier_version_have_no_work_and_are_read(on_valkey: Bench) -> None:
    old = msgspec.msgpack.encode(msgspec.msgpack.decode(busy_sample(100))[:11])
    on_valkey.hands.go(101 * MINUTE)
    assert await on_valkey.stored.add("old", [old])
    document = await on_valkey.reports.recent(1)
    assert (document.gates[0].samples, document.traffic.points, document.unusable_samples) == (1, [], 0)
