"""Draws line plots as SVG, with units and times on the axes, and gaps where nothing is known.

Written by hand, because plotting libraries bring scripts or fonts into the page, or draw it in one colour
scheme, where this one follows the reader's (light, dark, paper) by the style of the page.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape
from math import ceil, floor, log10

LEFT, RIGHT, TOP, BOTTOM = 62, 24, 12, 28
NARROW_WIDTH, NARROW_HEIGHT = 360, 200
MOST_TICKS = 5
MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 4320)
MINUTE_MS, DAY_MS = 60_000, 86_400_000
# A time is at most as wide as `Nov 30`, and has as much room beside it.
TIME_WIDTH, MOST_TIMES = 80, 8
# Two blocks without a reading are a gap.
GAP_BLOCKS = 2.5

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Line:
    """A line with a band, through (milliseconds, least, most); `trend` is straight between two moments."""

    label: str
    style: str
    points: Sequence[Point]
    trend: tuple[tuple[float, float], tuple[float, float]] | None = None


@dataclass(frozen=True)
class Mark:
    """A moment that stands out; the style names its kind."""

    at_ms: float
    style: str
    text: str


@dataclass(frozen=True)
class Plot:
    """Lines over one time axis; `limit` is drawn when the lines come near it, and else told in words."""

    title: str
    unit: str
    from_ms: float
    to_ms: float
    block_ms: float
    lines: Sequence[Line]
    marks: Sequence[Mark] = ()
    limit: tuple[float, str] | None = None
    width: int = 900
    height: int = 240


def svg(plot: Plot) -> str:
    """Return the plot as an SVG element that scales with its place."""
    return "".join(_Drawing(plot).parts())


def narrow_svg(plot: Plot) -> str:
    """Return the plot as it is drawn for a narrow screen, so that its words stay readable."""
    return svg(replace(plot, width=NARROW_WIDTH, height=NARROW_HEIGHT))


class _Drawing:
    """Turns moments and amounts into places."""

    def __init__(self, plot: Plot) -> None:
        self.plot = plot
        most = max((point[2] for line in plot.lines for point in line.points), default=0.0)
        self._limit = plot.limit if plot.limit and most >= plot.limit[0] / 2 else None
        self._ticks = amount_ticks(max(most, self._limit[0] if self._limit else 0.0))
        self._right, self._bottom = plot.width - RIGHT, plot.height - BOTTOM

    def parts(self) -> Iterator[str]:
        plot = self.plot
        yield (
            f'<svg viewBox="0 0 {plot.width} {plot.height}" role="img" aria-label="{escape(plot.title)}">'
            f"<title>{escape(plot.title)}</title>"
        )
        yield from self._amounts()
        yield from self._times()
        for mark in plot.marks:
            yield from self._mark(mark)
        for line in plot.lines:
            yield from self._line(line)
        if self._limit is not None:
            y = self._y(self._limit[0])
            yield f'<line class="limit" x1="{LEFT}" x2="{self._right}" y1="{y}" y2="{y}"/>'
            yield f'<text class="limit" x="{self._right}" y="{y - 4}" text-anchor="end">'
            yield f"{escape(self._limit[1])}</text>"
        elif plot.limit is not None:
            yield f'<text class="far" x="{self._right}" y="{TOP - 1}" text-anchor="end">'
            yield f"{escape(plot.limit[1])}</text>"
        if not any(line.points for line in plot.lines):
            yield f'<text class="none" x="{plot.width / 2}" y="{plot.height / 2}">no samples</text>'
        yield "</svg>"

    def _x(self, at_ms: float) -> float:
        plot = self.plot
        share = (at_ms - plot.from_ms) / max(1.0, plot.to_ms - plot.from_ms)
        return round(LEFT + min(1.0, max(0.0, share)) * (self._right - LEFT), 1)

    def _y(self, amount: float) -> float:
        return round(self._bottom - amount / self._ticks[-1] * (self._bottom - TOP), 1)

    def _amounts(self) -> Iterator[str]:
        for tick in self._ticks:
            y = self._y(tick)
            style = "axis" if tick == 0 else "grid"
            yield f'<line class="{style}" x1="{LEFT}" x2="{self._right}" y1="{y}" y2="{y}"/>'
            unit = f" {self.plot.unit}" if tick == self._ticks[-1] else ""
            yield f'<text class="amount" x="{LEFT - 6}" y="{y + 4}">{short(tick)}{escape(unit)}</text>'

    def _times(self) -> Iterator[str]:
        yield f'<text class="amount" x="{LEFT - 22}" y="{self._bottom + 18}">UTC</text>'
        most = min(MOST_TIMES, (self._right - LEFT) // TIME_WIDTH)
        for at_ms, text in time_ticks(self.plot.from_ms, self.plot.to_ms, most):
            x = self._x(at_ms)
            yield f'<line class="grid" x1="{x}" x2="{x}" y1="{self._bottom}" y2="{self._bottom + 4}"/>'
            yield f'<text class="time" x="{x}" y="{self._bottom + 18}">{text}</text>'

    def _mark(self, mark: Mark) -> Iterator[str]:
        x = self._x(mark.at_ms)
        yield f'<line class="mark {mark.style}" x1="{x}" x2="{x}" y1="{TOP}" y2="{self._bottom}">'
        yield f"<title>{escape(mark.text)}</title></line>"

    def _line(self, line: Line) -> Iterator[str]:
        for piece in pieces(line.points, GAP_BLOCKS * self.plot.block_ms):
            places = [(self._x(at), self._y(least), self._y(most)) for at, least, most in piece]
            there = " ".join(f"{x},{top}" for x, _, top in places)
            back = " ".join(f"{x},{base}" for x, base, _ in reversed(places))
            yield f'<polygon class="band {line.style}" points="{there} {back}"/>'
            if len(places) == 1:
                yield f'<circle class="dot {line.style}" cx="{places[0][0]}" cy="{places[0][1]}" r="2"/>'
            else:
                base = " ".join(f"{x},{y}" for x, y, _ in places)
                yield f'<polyline class="line {line.style}" points="{base}"/>'
        if line.trend is not None:
            (from_ms, start), (to_ms, end) = line.trend
            yield (
                f'<line class="trend {line.style}" x1="{self._x(from_ms)}" y1="{self._y(start)}" '
                f'x2="{self._x(to_ms)}" y2="{self._y(end)}"/>'
            )


def pieces(points: Sequence[Point], gap_ms: float) -> Iterator[list[Point]]:
    """Yield the points in pieces, cut where more than the gap lies between two."""
    piece: list[Point] = []
    for point in points:
        if piece and point[0] - piece[-1][0] > gap_ms:
            yield piece
            piece = []
        piece.append(point)
    if piece:
        yield piece


def amount_ticks(most: float) -> list[float]:
    """Return round amounts from 0 to at least the largest."""
    if most <= 0:
        return [0.0, 1.0]
    raw = most * 1.05 / MOST_TICKS
    power = 10.0 ** floor(log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw)
    return [number * step for number in range(ceil(most * 1.05 / step) + 1)]


def time_ticks(from_ms: float, to_ms: float, most: int = MOST_TIMES) -> list[tuple[int, str]]:
    """Return round moments in UTC, at most `most` steps, with their texts: times, and dates at midnight."""
    minutes = (to_ms - from_ms) / MINUTE_MS
    step = next((m for m in MINUTES if minutes / m <= most), MINUTES[-1]) * MINUTE_MS
    first = ceil(from_ms / step) * step
    return [(at, _time_text(at)) for at in range(int(first), int(to_ms) + 1, step)]


def short(amount: float) -> str:
    """Write an amount for an axis: at most three digits that count, and k, M or G."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if amount >= size:
            return f"{amount / size:.3g}{sign}"
    return f"{amount:.3g}"


def _time_text(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{moment:%b} {moment.day}" if at_ms % DAY_MS == 0 else f"{moment:%H:%M}"
