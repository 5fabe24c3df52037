"""Axes, gaps and lines of a plot, read back from its SVG."""

from xml.etree import ElementTree as ET

import pytest

from app.cli.report.plot_svg import Line, Mark, Plot, amount_ticks, short, svg, time_ticks
from tests.support.recording_gates import NOON_MS

HOUR_MS = 3_600_000


def _drawn(*lines: Line, **more: object) -> ET.Element:
    span = {"from_ms": NOON_MS, "to_ms": NOON_MS + HOUR_MS, "block_ms": 60_000}
    return ET.fromstring(svg(Plot(title="<RSS> & more", unit="MB", lines=lines, **span | more)))  # type: ignore[arg-type]


def _line(*points: tuple[float, float]) -> Line:
    return Line("gate", "c0", [(NOON_MS + minute * 60_000, amount, amount) for minute, amount in points])


def _all(drawn: ET.Element, tag: str, style: str) -> list[ET.Element]:
    return [one for one in drawn.iter(tag) if style in (one.get("class") or "").split()]


@pytest.mark.parametrize(
    ("most", "ticks"),
    [(0, [0, 1]), (7, [0, 2, 4, 6, 8]), (62, [0, 20, 40, 60, 80]), (0.09, [0, 0.02, 0.04, 0.06, 0.08, 0.1])],
)
def test_amounts_on_the_axis_are_round_and_reach_the_largest(most: float, ticks: list[float]) -> None:
    assert amount_ticks(most) == pytest.approx(ticks)


@pytest.mark.parametrize(
    "most", [10.0**power * digit for power in range(-3, 12) for digit in (1, 1.9, 4.99, 9.6)]
)
def test_every_axis_has_few_ticks_and_room_for_its_data(most: float) -> None:
    ticks = amount_ticks(most)
    assert ticks[-1] >= most
    assert 3 <= len(ticks) <= 7


@pytest.mark.parametrize(
    ("hours", "texts"),
    [
        (1, ["12:00", "12:10", "12:20", "12:30", "12:40", "12:50", "13:00"]),
        (24, ["12:00", "15:00", "18:00", "21:00", "Nov 24", "03:00", "06:00", "09:00", "12:00"]),
        (192, ["Nov 24", "Nov 25", "Nov 26", "Nov 27", "Nov 28", "Nov 29", "Nov 30", "Dec 1"]),
    ],
)
def test_times_on_the_axis_are_round(hours: int, texts: list[str]) -> None:
    assert [text for _, text in time_ticks(NOON_MS, NOON_MS + hours * HOUR_MS)] == texts


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0"), (0.025, "0.025"), (80, "80"), (2500, "2.5k"), (8e6, "8M"), (1.25e9, "1.25G")],
)
def test_amounts_are_short(amount: float, text: str) -> None:
    assert short(amount) == text


def test_a_line_goes_through_its_readings_and_stops_where_nothing_is_known() -> None:
    drawn = _drawn(_line((0, 10), (1, 20), (2, 20), (30, 40), (31, 40), (50, 5)))
    pieces = [one.get("points", "").split() for one in _all(drawn, "polyline", "line")]
    assert [len(piece) for piece in pieces] == [3, 2]
    assert len(_all(drawn, "circle", "dot")) == 1, "a reading alone is a dot"
    heights = [float(place.split(",")[1]) for place in pieces[0]]
    assert heights[0] > heights[1] == heights[2], "more is higher up"
    assert pieces[0][0].split(",")[0] == "62.0", "the period begins at the axis"


def test_the_axis_names_unit_and_time_zone() -> None:
    texts = [one.text for one in _drawn(_line((0, 70))).iter("text")]
    assert texts[:6] == ["0", "20", "40", "60", "80 MB", "UTC"]


def test_the_time_zone_stands_left_of_the_first_time() -> None:
    texts = list(_drawn(_line((0, 70))).iter("text"))
    zone = next(text for text in texts if text.text == "UTC")
    first = next(text for text in texts if text.get("class") == "time")
    half_of_five_digits = 17.0
    assert float(zone.get("x", "")) < float(first.get("x", "")) - half_of_five_digits


def test_without_readings_it_says_so() -> None:
    drawn = _drawn(Line("gate", "c0", []))
    assert [one.text for one in _all(drawn, "text", "none")] == ["no samples"]


def test_a_limit_is_drawn_when_the_line_comes_near_it() -> None:
    near, far = (_drawn(_line((0, 60)), limit=(limit, "limit")) for limit in (100.0, 1000.0))
    assert (len(_all(near, "line", "limit")), len(_all(far, "line", "limit"))) == (1, 0)


def test_marks_stand_at_their_moment_and_words_are_escaped() -> None:
    drawn = _drawn(_line((0, 1)), marks=[Mark(NOON_MS + HOUR_MS, "leak", "<b>leak</b>")])
    [mark] = _all(drawn, "line", "mark")
    assert (mark.get("x1"), mark[0].text) == ("876.0", "<b>leak</b>")
    assert drawn.get("aria-label") == "<RSS> & more"
