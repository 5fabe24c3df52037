"""The tables in the pages are those of the last benchmark."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.bench.chart import BEST, draw, margins
from benchmarks.bench.result import Report, Result, results_of
from benchmarks.bench.table import BEGIN, END, PAGES, RESULTS, section, table
from benchmarks.common.results import between, quantity

ROWS = [
    Result("batches", "hand-written", "at least", 10.0, "×", [12.0, 9.0, 11.0], {"a": 1}, "loader 0.1 cores"),
    Result("`/metrics`, p99", "—", "at most", 10.0, "ms", [12.5], {}),
    Result("single posts", "nothing", "at least", None, "×", [0.5, 0.6], {}),
]


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()][2:]


def test_the_table_says_what_was_wanted_what_was_found_and_whether_that_is_enough() -> None:
    assert cells(table(ROWS)) == [
        ["batches", "hand-written", "≥ 10.0 ×", "11.0 ×", "9.00 to 12.0 ×", "met", "loader 0.1 cores"],
        ["`/metrics`, p99", "—", "≤ 10.0 ms", "12.5 ms", "", "**missed**", ""],
        ["single posts", "nothing", "for comparison", "0.55 ×", "0.50 to 0.60 ×", "", ""],
    ]


def test_the_readme_leaves_out_remarks_what_is_there_for_comparison_only_and_what_has_no_room() -> None:
    told = [*ROWS, replace(ROWS[0], work="blocks", is_for_readme=False)]
    assert cells(table(told, is_full=False)) == [
        ["batches", "hand-written", "≥ 10.0 ×", "11.0 ×", "9.00 to 12.0 ×", "met"],
        ["`/metrics`, p99", "—", "≤ 10.0 ms", "12.5 ms", "", "**missed**"],
    ]


def test_only_a_row_with_a_bound_can_be_missed() -> None:
    complaints = Report(5, 4.0, list(ROWS)).complaints
    assert complaints == ["missed: `/metrics`, p99, against —: 12.5 ms, wanted ≤ 10.0 ms"]


def test_a_report_comes_back_from_json_as_it_was() -> None:
    document = json.loads(json.dumps(Report(5, 4.0, list(ROWS)).as_dict()))
    assert results_of(document) == ROWS


@pytest.mark.parametrize(
    ("value", "text"), [(0.123, "0.12 ×"), (9.994, "9.99 ×"), (99.94, "99.9 ×"), (170_000.4, "170,000 ×")]
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert quantity(value, "×") == text


def test_a_bar_is_longer_the_better_the_row() -> None:
    assert margins(ROWS[0]) == [1.2, 0.9, 1.1]
    assert margins(ROWS[1]) == [0.8]


def test_a_row_of_which_there_should_be_little_and_is_nothing_has_a_bar(tmp_path: Path) -> None:
    none_at_all = Result("store commands a scrape", "—", "at most", 0.05, "commands", [0.0, 0.01], {})
    assert margins(none_at_all) == [BEST, 5]
    draw([*ROWS, none_at_all], tmp_path / "rows.png")
    assert (tmp_path / "rows.png").read_bytes().startswith(b"\x89PNG")


def test_rewriting_a_page_changes_what_is_between_its_marks_only() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert between(page, BEGIN, END, "new\n") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    with pytest.raises(ValueError, match="no marks"):
        between("a page", BEGIN, END, "new")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(page.parents[1])))
def test_the_table_of_a_page_is_the_one_of_the_last_full_run(page: Path) -> None:
    text = page.read_text()
    assert between(text, BEGIN, END, section(json.loads(RESULTS.read_text()), is_full=PAGES[page])) == text
