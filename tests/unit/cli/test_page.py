"""The page, as Chromium shows it."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from app.cli.report.page import POLICY, page
from tests.support.chromium import chromium
from tests.support.recording_gates import NOON_MS
from tests.support.report_documents import document

HOUR_MS = 3_600_000

EVIL = "x\"'><script>document.title='run'</script><img src=http://127.0.0.1:9/pixel>"
# Runs beside the page, with its policy out of the way: where everything is and how it looks.
PROBE = """
<script>
// Texts that stand on one another.
const crossing = texts => texts.flatMap((one, at) => texts.slice(at + 1).filter(other => {
  const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
  return a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom;
}).map(other => one.textContent + ' / ' + other.textContent));
addEventListener('load', () => {
  const shown = sign => [...document.querySelectorAll(sign)].filter(one => one.getClientRects().length);
  const look = one => { const box = one.getBoundingClientRect(), style = getComputedStyle(one);
    const frame = one.closest('svg').getBoundingClientRect();
    return {width: box.width, height: box.height, stroke: style.stroke, fill: style.fill,
      inside: box.left >= frame.left - 2 && box.right <= frame.right + 2
        && box.top >= frame.top - 2 && box.bottom <= frame.bottom + 2}; };
  const found = {
    lines: shown('polyline.line').map(look),
    bands: shown('polygon.band').map(look),
    texts: shown('svg text').map(look),
    plots: shown('svg').length,
    crossing: shown('svg').flatMap(plot => crossing([...plot.querySelectorAll('text')])),
    small: Math.min(...shown('svg text').map(one => one.getBoundingClientRect().height)),
    cut: shown('.wide').filter(one => one.scrollWidth > one.clientWidth).length,
    overflow: document.documentElement.scrollWidth - innerWidth,
    ink: getComputedStyle(document.body).color, back: getComputedStyle(document.body).backgroundColor,
    requests: performance.getEntriesByType('resource').map(one => one.name),
  };
  document.documentElement.innerHTML = '<pre id="found">' + JSON.stringify(found) + '</pre>';
});
</script>
"""


class _Tags(HTMLParser):
    """Collects what could fetch or run something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        names = ("src", "href", "xlink:href", "action", "data", "srcset", "background")
        self.references += [f"{tag} {name}={value}" for name, value in attrs if name in names]
        self.references += [f"{tag} {name}" for name, _ in attrs if name.startswith("on")]


def _run(folder: Path, text: str, *flags: str) -> str:
    file = folder / "report.html"
    file.write_text(text, encoding="utf-8")
    return chromium(folder, file.as_uri(), *flags)


def _probed(folder: Path, text: str, *flags: str) -> dict[str, Any]:
    without_policy = re.sub(r"<meta http-equiv[^>]+>", "", text)
    shown = _run(folder, without_policy.replace("</main>", f"</main>{PROBE}"), "--dump-dom", *flags)
    found = re.search(r'<pre id="found">(.*?)</pre>', shown, re.DOTALL)
    assert found is not None, shown[:500]
    probed: dict[str, Any] = json.loads(found[1].replace("&gt;", ">").replace("&amp;", "&"))
    return probed


@pytest.mark.slow
def test_chromium_shows_every_plot_with_its_lines_and_requests_nothing(tmp_path: Path) -> None:
    found = _probed(tmp_path, page(document()), "--window-size=1100,1400")
    assert found["plots"] == 1 + 3 + 3 * 2, "one of memory, three of what was done, two a map"
    assert found["requests"] == []
    assert len(found["lines"]) == 2 * (3 + 6 + 6), "each line once before the gap and once behind it"
    assert all(line["inside"] and line["width"] > 100 for line in found["lines"])
    assert all(line["stroke"].startswith("rgb") and line["fill"] == "none" for line in found["lines"])
    assert sum(band["height"] > 3 for band in found["bands"]) >= 4
    assert all(text["inside"] for text in found["texts"]), "no label is cut off"
    assert (found["overflow"] <= 0, found["cut"], found["crossing"]) == (True, 0, [])


# Chromium's window is 500 wide at least.
@pytest.mark.slow
@pytest.mark.parametrize("hours", [1, 24, 192])
def test_on_a_narrow_dark_screen_it_stays_readable(tmp_path: Path, hours: int) -> None:
    since = NOON_MS + 4 * HOUR_MS - hours * HOUR_MS
    text = page(document(from_ms=since, plot_from_ms=since))
    found = _probed(tmp_path, text, "--window-size=500,900", "--blink-settings=preferredColorScheme=0")
    assert (found["overflow"] <= 0, found["cut"], found["crossing"]) == (True, 0, [])
    assert found["small"] >= 12, "words are as high as letters of 10 pixels"
    assert (found["ink"], found["back"]) == ("rgb(231, 236, 242)", "rgb(18, 23, 29)")


@pytest.mark.slow
def test_a_name_that_is_markup_is_shown_and_not_run(tmp_path: Path) -> None:
    text = page(document(EVIL))
    shown = _run(tmp_path, text, "--dump-dom")
    assert "<title>Tidegate report" in shown, "no script has changed it"
    assert "<img" not in shown
    assert "&lt;script&gt;" in shown


@pytest.mark.parametrize("gate", ["host-a:8000", EVIL])
def test_nothing_in_the_page_can_fetch_or_run(gate: str) -> None:
    text = page(document(gate))
    tags = _Tags()
    tags.feed(text)
    assert tags.references == []
    assert tags.tags.isdisjoint({"script", "img", "link", "iframe", "object", "embed", "base", "form"})
    assert re.search(r"url\(|@import|https?:", text.replace("http://127.0.0.1:9", "")) is None
    assert POLICY in text


def test_the_page_says_what_the_document_says() -> None:
    text = page(document(unusable_samples=3))
    for part in (
        "Report of the last hours",
        "2026-11-23 12:00 to 2026-11-23 16:00 UTC",
        "Title of rss_growth",
        "Sentence on emergency_runs.",
        "0.25 MB/h",
        "10.00 MB/h",
        "+0.10 … +0.40",
        "✗ fail",
        "? unknown",
        "emergency cleanup",
        "3 stored samples could not be read",
    ):
        assert part in text


def test_a_report_without_any_sample_is_a_page_too() -> None:
    text = page(document(gates=[], processes=[], maps={}, events=[], targets=[]))
    assert "<svg" not in text
    assert "Targets" in text
