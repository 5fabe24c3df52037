"""`make curves`: loads are what they are called, answers are true, and the page shows the last run."""

import json
import sys
from math import isnan
from pathlib import Path
from typing import Literal

import pytest

from benchmarks.common.bodies import SMALL_BYTES, pool_of
from benchmarks.common.deliveries import Deliveries, bodies_needed
from benchmarks.common.ledger import Ledger, WrongAnswerError
from benchmarks.common.load import MeasurementError
from benchmarks.common.plan import Plan, times_ms
from benchmarks.common.turns import order, rival
from benchmarks.curves import __main__ as curves
from benchmarks.curves.measuring import Figures
from benchmarks.curves.plan import CURVES, DUPLICATES, LATENCY, Curve, Point, copies, group_of
from benchmarks.curves.table import PAGE, RESULTS, curve_document, rewritten, spread, table

TINY = Plan(batch_items=20, connections=3, warm_up_seconds=0.1, seconds=0.3)


def answer(accepted: int, duplicates: int) -> bytes:
    summary = {
        "accepted": accepted,
        "duplicate": duplicates,
        "invalid": 0,
        "duplicates": [*range(duplicates)],
    }
    return json.dumps(summary, separators=(",", ":")).encode()


def delivered(
    duplicates_percent: int, connections: int, count: int
) -> tuple[Deliveries, list[tuple[int, int]]]:
    """Which batch which feed delivered, the connections in turn, each answered before its next one."""
    plan = Plan(batch_items=2, copies=copies(duplicates_percent), connections=connections)
    deliveries = Deliveries(pool_of(plan, bodies_needed(plan), 1), plan)
    order_of_feeds: list[tuple[int, int]] = []
    under_way: dict[int, int] = {}
    for number in range(count):
        connection = number % connections
        if connection in under_way:
            deliveries.answered(under_way.pop(connection))
        taken = deliveries.take(connection % 3)
        assert taken is not None
        under_way[connection] = taken[0]
        order_of_feeds.append((taken[0], connection % 3))
    for batch in under_way.values():
        deliveries.answered(batch)
    return deliveries, order_of_feeds


@pytest.mark.parametrize("percent", DUPLICATES)
def test_as_many_deliveries_are_duplicates_as_the_curve_says(percent: int) -> None:
    _, taken = delivered(percent, 6, 6000)
    share = 100 * (1 - len({batch for batch, _ in taken}) / len(taken))
    assert share == pytest.approx(percent, abs=0.7)


@pytest.mark.parametrize("connections", [1, 4, 64])
def test_every_batch_is_delivered_by_every_feed_there_is_and_to_the_end(connections: int) -> None:
    deliveries, taken = delivered(67, connections, 20 * connections)
    deliveries.finish()
    while not deliveries.is_over:
        for feed in range(min(3, connections)):
            if batch := deliveries.take(feed):
                taken.append((batch[0], feed))
                deliveries.answered(batch[0])
    feeds: dict[int, list[int]] = {}
    for number, feed in taken:
        feeds.setdefault(number, []).append(feed)
    expected = [0, 1, 2] if connections > 3 else [0, 0, 0]
    assert [sorted(each) for each in feeds.values()] == [expected] * len(feeds)


def test_a_batch_delivered_ten_times_has_to_be_accepted_exactly_once() -> None:
    ledger = Ledger(4)
    for number in range(10):
        ledger.note(0, answer(4, 0) if number == 3 else answer(0, 4), is_last=number == 9)
    assert ledger.complete == 1
    ledger.note(1, answer(4, 0), is_last=False)
    with pytest.raises(WrongAnswerError, match="4 accepted a second time"):
        ledger.note(1, answer(4, 0), is_last=False)


@pytest.mark.parametrize("size", [200, 5500, SMALL_BYTES, "small"])
def test_bodies_hold_transactions_of_the_size_asked_for_each_with_its_own_signature(
    size: int | Literal["small"],
) -> None:
    items = [
        item for body in pool_of(Plan(size, batch_items=20), 3, seed=1) for item in json.loads(body.data)
    ]
    lengths = {len(json.dumps(item, separators=(",", ":"), ensure_ascii=False).encode()) for item in items}
    assert lengths == {SMALL_BYTES if size == "small" else size}
    assert len({item["signature"] for item in items}) == len(items) == 60
    assert all(len(item["signature"]) == 88 for item in items)


def test_every_point_stays_below_the_limits_of_a_body() -> None:
    for curve in CURVES.values():
        for point in curve.points:
            payload = point.load.payload
            item_bytes = payload if isinstance(payload, int) else SMALL_BYTES
            assert point.load.batch_items * item_bytes < 8 << 20


def test_every_second_round_goes_backwards() -> None:
    assert [order(range(3), number) for number in range(3)] == [[0, 1, 2], [2, 1, 0], [0, 1, 2]]


def test_a_percentile_is_that_of_all_requests() -> None:
    assert times_ms([number / 1000 for number in range(1001)])["p999_ms"] == 999
    assert times_ms([0.5])["p99_ms"] == 500
    assert times_ms([2.0, 1.0])["p50_ms"] == 1500
    assert all(isnan(value) for value in times_ms([]).values())


def test_a_figure_some_round_could_not_have_is_left_out_of_the_table() -> None:
    curve = Curve("per cent duplicates", [Point(0, TINY), Point(50, TINY)])
    first: Figures = {"transactions_per_second": 1234567.0, "p50_ms": 1.0, "p99_ms": 2.0, "p999_ms": 3.0}
    second = first | {"transactions_per_second": 1000.0, "p999_ms": None}
    document = curve_document(curve, [[first, second, first], [first]])
    assert spread(document["points"][0], "p999_ms") is None
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in table("duplicates", document).splitlines()
    ]
    assert rows[0][:3] == ["per cent duplicates", "transactions/s", "p50 / p99 / p99.9, ms"]
    assert rows[2][:3] == ["0", "1,234,600 (1,000 to 1,234,600)", "1.00 / 2.00 / —"]
    assert rows[3][:3] == ["50", "1,234,600", "1.00 / 2.00 / 3.00"]


def test_only_what_is_between_its_marks_changes() -> None:
    document = curve_document(Curve("x", [Point(1, TINY)]), [[{"p50_ms": 1.0}]])
    begin, end = "<!-- batch:begin, written by `make curves` -->", "<!-- batch:end -->"
    page = rewritten(f"before\n{begin}\nold\n{end}\nafter\n", {"batch": document})
    assert page.startswith(f"before\n{begin}\n")
    assert page.endswith(f"{end}\nafter\n")
    assert "old" not in page
    with pytest.raises(ValueError, match=r"no marks .*maps:begin"):
        rewritten(page, {"maps": document})


def test_the_page_shows_the_last_run_of_every_curve() -> None:
    text, document = PAGE.read_text(), json.loads(RESULTS.read_text())
    assert document.keys() == CURVES.keys()
    assert rewritten(text, document) == text
    for name, curve in CURVES.items():
        assert [point["at"] for point in document[name]["points"]] == [point.at for point in curve.points]
        if group_of(name) == LATENCY:  # no side keeps up with every rate
            assert spread(document[name]["points"][0], "tidegate_p999_ms")
        else:
            assert all(spread(point, "p999_ms") for point in document[name]["points"])


@pytest.mark.long
def test_a_point_is_measured_with_filled_maps_and_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = {
        "maps": Curve("transactions stored before", [Point(2000, TINY, filled=2000)]),
        "payload": Curve("KB", [Point(2, Plan(2000, 5, 2, 1.0, None, 0.1, 0.3))]),
    }
    arguments = ["curves", "--rounds", "1", "--seconds", "0.3", "--out", str(tmp_path / "look")]
    monkeypatch.setattr(sys, "argv", arguments)
    assert curves.main(tiny) == 0
    document = json.loads((tmp_path / "look.json").read_text())
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG")
    assert "transactions stored before" in capsys.readouterr().out
    for name in tiny:
        [figures] = document[name]["points"][0]["rounds"]
        assert figures["checked"] > 0
        needed = {figure for column in CURVES[name].columns for figure in column.names} - {
            "p99_ms",
            "p999_ms",
        }
        assert all(figures[figure] > 0 for figure in needed)
    assert document["maps"]["points"][0]["rounds"][0]["kept"] == 2000


@pytest.mark.long
def test_posts_at_a_rate_are_measured_beside_rivals_and_have_a_picture_of_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    load = Plan("small", 1, 4, 1.0, warm_up_seconds=0.1, per_second=200)
    tiny = {"latency-4": Curve("posts a second", [Point(200, load)]), "batch": Curve("never run", [])}
    arguments = ["--only", "latency", "--rounds", "1", "--seconds", "0.3", "--out", str(tmp_path / "look")]
    monkeypatch.setattr(sys, "argv", ["curves", *arguments])
    assert curves.main(tiny) == 0
    document = json.loads((tmp_path / "look.json").read_text())
    [figures] = document["latency-4"]["points"][0]["rounds"]
    assert all(figures[f"{side}_p50_ms"] > 0 for side in ("tidegate", "handwritten", "bare", "set"))
    assert {path.name for path in tmp_path.iterdir()} == {"look.json", "look-latency.png"}


def test_a_service_that_accepts_everything_fails_the_point() -> None:
    plan = Plan(batch_items=1, connections=3, warm_up_seconds=0.1, seconds=0.1)
    with pytest.raises(MeasurementError, match="accepted a second time"):
        rival("bare").measure(plan)
