"""`tidegate report` and `tidegate check`: what they ask for, print, write, and exit with."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.cli.sparkline import WIDTH, sparkline
from tests.support.report_documents import document
from tests.support.stand_in import Answer, problem
from tests.unit.cli.conftest import Run, Serve


def _json(**changes: object) -> dict[str, Any]:
    made: dict[str, Any] = document(**changes).model_dump(mode="json")  # type: ignore[arg-type]
    return made


def _targets(*outcomes: str) -> dict[str, Any]:
    targets = [
        {"title": f"target {at}", "status": status, "sentence": "why"} for at, status in enumerate(outcomes)
    ]
    return {"targets": targets}


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ([], "/reports/daily"),
        (["--day", "2026-11-23"], "/reports/daily?day=2026-11-23"),
        (["--hours", "6"], "/reports/recent?hours=6"),
    ],
)
def test_report_asks_for_the_period_of_its_options(
    run: Run, serve: Serve, options: list[str], path: str
) -> None:
    gate = serve(lambda _: Answer(200, _json()))
    assert run("report", *options, gate=gate).exit_code == 0
    assert [request.path for request in gate.requests] == [path]


def test_report_prints_every_part_as_text(run: Run, serve: Serve) -> None:
    text = run("report", gate=serve(lambda _: Answer(200, _json()))).stdout
    lines = text.splitlines()
    assert lines[0] == "Tidegate report, 2026-11-23 12:00 to 2026-11-23 16:00 UTC: FAIL"
    assert "pass     Title of rss_growth: 0.25 MB/h (limit 10.00 MB/h)" in lines
    assert "         Sentence on rss_growth." in lines
    assert "unknown  Title of cleanup_efficiency: - (limit 90.0 %)" in lines
    row = next(line for line in lines if line.startswith("gate host-a:8000"))
    figures = "60.0 MB 61.0 MB 60.0 MB 65.0 MB +0.25 +0.10 … +0.40 1"
    assert " ".join(row.split()).startswith(f"gate host-a:8000 {figures} ")
    assert "█" in row
    assert any(line.split()[:4] == ["signatures", "4,000", "5,000", "6,000"] for line in lines)
    assert "event    2026-11-23 13:00  host-a:8000: emergency cleanup" in lines


def test_report_prints_no_sign_that_could_move_the_cursor(run: Run, serve: Serve) -> None:
    text = run("report", gate=serve(lambda _: Answer(200, _json(gate="\x1b[2Jhost")))).stdout
    assert "\x1b" not in text
    assert "\N{REPLACEMENT CHARACTER}[2Jhost" in text


def test_report_json_is_the_document_as_it_came(run: Run, serve: Serve) -> None:
    text = json.dumps({"anything": 1}, indent=3)
    assert run("report", "--json", gate=serve(lambda _: Answer(200, text))).stdout == text + "\n"


def test_report_writes_the_page_to_a_file_or_to_stdout(run: Run, serve: Serve, tmp_path: Path) -> None:
    gate, file = serve(lambda _: Answer(200, _json())), tmp_path / "report.html"
    assert run("report", "--html", str(file), gate=gate).stdout == f"{file} written: fail\n"
    assert run("report", "--html", "-", gate=gate).stdout == file.read_text(encoding="utf-8")
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    "options",
    [
        ["--day", "2026-11-23", "--hours", "3"],
        ["--json", "--html", "x.html"],
        ["--hours", "0"],
        ["--hours", "193"],
        ["--hours", "many"],
    ],
)
def test_options_that_do_not_fit_are_a_matter_of_usage(run: Run, options: list[str]) -> None:
    assert run("report", *options).exit_code == 2


@pytest.mark.parametrize(
    "answer", [Answer(200, {}), Answer(200, {"targets": []}), Answer(200, _json() | {"processes": 7})]
)
def test_what_is_no_report_is_refused_in_a_sentence(run: Run, serve: Serve, answer: Answer) -> None:
    done = run("report", gate=serve(lambda _: answer))
    assert (done.exit_code, "is this address a Tidegate" in done.stderr) == (1, True)


@pytest.mark.parametrize("command", ["report", "check"])
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (problem(422, "The request is not valid", "day: has to be a date"), "day: has to be a date"),
        (problem(503, "The store is not available", "check it"), "The store is not available: check it"),
        (Answer(200, "<html>"), "is this address a Tidegate?"),
    ],
)
def test_what_the_gate_refuses_is_said_and_1(
    run: Run, serve: Serve, command: str, answer: Answer, words: str
) -> None:
    done = run(command, gate=serve(lambda _: answer))
    assert (done.exit_code, words in done.stderr) == (1, True)


@pytest.mark.parametrize("command", ["report", "check"])
def test_without_a_gate_it_is_3(run: Run, command: str) -> None:
    assert run(command, "--url", "http://127.0.0.1:9").exit_code == 3


def test_a_page_that_cannot_be_written_is_1_with_a_sentence(run: Run, serve: Serve, tmp_path: Path) -> None:
    gate = serve(lambda _: Answer(200, _json()))
    done = run("report", "--html", str(tmp_path / "no" / "such" / "report.html"), gate=gate)
    assert isinstance(done.exception, OSError), "main() makes this a sentence"


@pytest.mark.parametrize(
    ("outcomes", "exit_code", "strict_exit_code"),
    [
        (("pass", "pass"), 0, 0),
        (("pass", "unknown"), 0, 1),
        (("unknown",), 0, 1),
        (("pass", "fail", "unknown"), 1, 1),
    ],
)
def test_check_exits_by_the_outcomes(
    run: Run, serve: Serve, outcomes: tuple[str, ...], exit_code: int, strict_exit_code: int
) -> None:
    gate = serve(lambda _: Answer(200, _targets(*outcomes)))
    done = run("check", "--hours", "5", gate=gate)
    assert done.exit_code == exit_code
    assert done.stdout.splitlines() == [f"{status:<8} target {at}: why" for at, status in enumerate(outcomes)]
    assert run("check", "--strict", gate=gate).exit_code == strict_exit_code
    assert [request.path for request in gate.requests] == [
        "/reports/recent?hours=5",
        "/reports/recent?hours=24",
    ]


def test_check_json_is_the_document_and_exits_the_same(run: Run, serve: Serve) -> None:
    text = json.dumps(_targets("fail"))
    done = run("check", "--json", gate=serve(lambda _: Answer(200, text)))
    assert (done.exit_code, done.stdout) == (1, text + "\n")


@pytest.mark.parametrize(
    "answer", [{}, {"targets": []}, {"targets": 1}, {"targets": [{}]}, {"targets": [{"status": "great"}]}]
)
def test_check_passes_nothing_that_it_does_not_understand(run: Run, serve: Serve, answer: object) -> None:
    done = run("check", gate=serve(lambda _: Answer(200, answer)))
    assert (done.exit_code, "is this address a Tidegate?" in done.stderr) == (1, True)


def test_a_sparkline_shows_the_most_of_each_part_and_a_space_for_nothing() -> None:
    half = sparkline([(at, at) for at in range(50)], 0, 100)
    assert len(half) == WIDTH // 2
    assert (half[0], half[-1]) == ("▁", "█")
    assert sparkline([(0, 1), (99, 1)], 0, 100) == "█" + " " * (WIDTH - 2) + "█"
    assert sparkline([(0, 0)], 0, 100) == "▁"
    assert sparkline([], 0, 100) == ""
