"""The live page as it is rendered from its figures."""

import re

import pytest

from app.web.page import SPARK_HEIGHT, SPARK_WIDTH, live_part, page, spark
from tests.support.live_figures import live_figures

EVIL = "x\"'><script>document.title='run'</script><img src=http://127.0.0.1:9/pixel>"


def _words(text: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def test_every_part_is_there_with_units() -> None:
    words = _words(live_part(live_figures()))
    for part in (
        "Tidegate ready",
        "up 2 h 5 min",
        "accepted 100 /s",
        "1,500 since the start",
        "duplicate share 66.7%",
        "not taken 0.5 /s 1 invalid, 2 refused, 3 failed",
        "transactions 1,000 0.1% of 1,000,000 60.0 s 50.0% of 120.0 s 2.0 KiB",
        "gate 50.0 MiB 1.0 KiB",
        "Limit of the service: 7.8 GiB (machine).",
        "helius-a 150 90.0% 12.5 ms 30.0 ms 40.0 ms - 25.0% - 1,510",
        "bot 20 1.5 s 1.2% 1 1,480 0 7",
        "manual, emergency, dry run - 500 - 500 12.5 ms 2.0 KiB",
    ):
        assert part in words, part


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("ready", "ready"),
        ("refusing", "refusing"),
        ("store-down", "store down"),
        ("stopping", "stopping"),
    ],
)
def test_each_state_is_a_word_at_the_head_and_in_the_title(state: str, said: str) -> None:
    text = page(live_figures(state=state, reasons=["because"] if state != "ready" else []))
    assert f'<span class="status {state}" role="status">{said}</span>' in text
    assert f"<title>{said} · Tidegate</title>" in text
    assert ("because" in text) is (state != "ready")


def test_before_there_is_anything_it_is_a_page_too() -> None:
    empty = live_figures(rates=None, duplicate_share=None, past_rates=[], past_memory=[], processes=[])
    words = _words(page(empty | {"sources": [], "consumers": [], "cleanups": []}))
    assert "accepted - /s" in words
    assert "Nothing has been delivered yet." in words
    assert "Nobody reads as a consumer." in words
    assert "None has removed anything yet." in words


def test_without_a_limit_of_memory_the_page_says_so() -> None:
    figures = live_figures()
    figures["stats"]["memory"] |= {"limit_bytes": None, "limit_source": None}
    assert "Limit of the service: none." in _words(live_part(figures))


def test_a_text_that_is_markup_is_shown_as_text() -> None:
    figures = live_figures(warnings=[EVIL], reasons=[EVIL])
    figures["sources"][0]["source"] = EVIL
    text = page(figures)
    assert "<img" not in text
    assert text.count("<script") == 1, "its own"


def test_the_page_refers_to_nothing_elsewhere() -> None:
    references = re.findall(r'(?:src|href|action|data)="([^"]*)"', page(live_figures()))
    assert references
    assert [one for one in references if re.match(r"[a-z]+:|/", one) and one != "data:,"] == []


def test_what_somebody_should_see_is_marked() -> None:
    figures = live_figures(source_count=99)
    figures["sources"][0]["silent_since_ms"] = 1_796_000_000_000
    maps = figures["stats"]["maps"]
    maps["signatures"] = maps["signatures"] | {"entries": 900_000}
    text = live_part(figures)
    assert '<span class="status fail">silent</span>' in text
    assert text.count('class="bar high"') == 1
    assert "1 of 99" in text


def test_a_small_line_has_now_at_its_right_and_stays_in_its_place() -> None:
    points = [tuple(map(float, one.split(","))) for one in spark([(60, 0), (30, 5), (0, 10)], 60).split()]
    assert [x for x, _ in points] == [0, SPARK_WIDTH / 2, SPARK_WIDTH]
    assert [y for _, y in points] == [SPARK_HEIGHT - 1, SPARK_HEIGHT / 2, 1]
    assert spark([], 60) == ""
