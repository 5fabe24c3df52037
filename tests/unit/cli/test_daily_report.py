"""`tidegate daily-report`: the pages it writes and keeps, what it tells a webhook, and when it is due."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.cli.client import GateAddress
from app.cli.report.daily import Maker, last_day
from tests.support.report_documents import document
from tests.support.stand_in import Answer, Request, StandIn, problem
from tests.unit.cli.conftest import Run, Serve

DAY = "2026-11-23"


def _reports(request: Request) -> Answer:
    """Answer as a gate does, on the day that was asked for."""
    made: dict[str, Any] = document().model_dump(mode="json")
    return Answer(200, made | {"day": request.path.partition("day=")[2]})


def _names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_it_writes_the_page_of_the_day_and_says_how_it_came_out(
    run: Run, serve: Serve, tmp_path: Path
) -> None:
    done = run("daily-report", "--folder", str(tmp_path / "new"), "--day", DAY, gate=serve(_reports))
    file = tmp_path / "new" / f"tidegate-{DAY}.html"
    assert (done.exit_code, done.stdout) == (0, f"{file} written: fail\n")
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_without_a_day_it_is_the_last_whole_one(run: Run, serve: Serve, tmp_path: Path) -> None:
    gate, before = serve(_reports), datetime.now(UTC)
    assert run("daily-report", "--folder", str(tmp_path), gate=gate).exit_code == 0
    days = {last_day(before), last_day(datetime.now(UTC))}
    assert gate.requests[0].path in {f"/reports/daily?day={day}" for day in days}


@pytest.mark.parametrize(
    ("now", "day"), [("2026-11-24T00:09:59", "2026-11-22"), ("2026-11-24T00:10:00", DAY)]
)
def test_a_day_is_over_when_its_last_sample_is_stored(now: str, day: str) -> None:
    assert last_day(datetime.fromisoformat(f"{now}+00:00")) == day


def test_it_keeps_the_latest_pages_and_leaves_other_files_alone(
    run: Run, serve: Serve, tmp_path: Path
) -> None:
    (tmp_path / "notes.html").touch()
    gate = serve(_reports)
    for number in range(20, 24):
        run("daily-report", "--folder", str(tmp_path), "--day", f"2026-11-{number}", "--keep", "2", gate=gate)
    assert _names(tmp_path) == ["notes.html", "tidegate-2026-11-22.html", "tidegate-2026-11-23.html"]


def _with_webhook(run: Run, serve: Serve, folder: Path, hook: StandIn) -> Any:
    file = folder / "url"
    file.write_text(f"{hook.url}/secret\n", encoding="utf-8")
    options = ("--folder", str(folder / "pages"), "--day", DAY, "--webhook-file", str(file))
    return run("daily-report", *options, gate=serve(_reports))


def test_a_webhook_is_told_what_did_not_pass(run: Run, serve: Serve, tmp_path: Path) -> None:
    hook = serve(lambda _: Answer(200, {}))
    assert _with_webhook(run, serve, tmp_path, hook).exit_code == 0
    [told] = [json.loads(request.body) for request in hook.requests]
    assert (told["day"], told["status"]) == (DAY, "fail")
    assert told["text"].splitlines() == [
        f"Tidegate report of {DAY}: FAIL",
        "? unknown: Title of cleanup_efficiency. Sentence on cleanup_efficiency.",
        "✗ fail: Title of emergency_runs. Sentence on emergency_runs.",
    ]
    assert [target["name"] for target in told["targets"]] == [
        "rss_growth",
        "cleanup_efficiency",
        "emergency_runs",
    ]


def test_a_webhook_that_refuses_is_an_error_which_does_not_tell_its_address(
    run: Run, serve: Serve, tmp_path: Path
) -> None:
    done = _with_webhook(run, serve, tmp_path, serve(lambda _: Answer(500, {})))
    assert done.exit_code == 1
    assert "answered 500" in done.stderr
    assert "secret" not in done.output
    left = [f"tidegate-{DAY}.html", f"tidegate-{DAY}.untold"]
    assert _names(tmp_path / "pages") == left, "the page is there all the same"


def test_each_day_a_webhook_that_refused_is_told_later_and_once(serve: Serve, tmp_path: Path) -> None:
    answers = [Answer(500, {})]
    hook, url = serve(lambda _: answers.pop() if answers else Answer(200, {})), tmp_path / "url"
    url.write_text(hook.url, encoding="utf-8")
    pages = tmp_path / "pages"
    maker = Maker(GateAddress(serve(_reports).url, None), pages, 1, url)
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    for _ in range(3):
        maker.make_if_due(noon)
    assert [json.loads(request.body)["day"] for request in hook.requests] == [DAY, DAY]
    assert _names(pages) == [f"tidegate-{DAY}.html"]
    answers.append(Answer(500, {}))
    maker.make_if_due(noon + timedelta(days=1))
    maker.make_if_due(noon + timedelta(days=2))
    assert _names(pages) == ["tidegate-2026-11-25.html"], "nothing is left of what is not kept"


def test_each_day_it_is_made_once_and_tried_again_while_it_fails(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = [problem(503, "The store is down", "wait")]
    gate = serve(lambda request: answers.pop() if answers else _reports(request))
    maker = Maker(GateAddress(gate.url, None), tmp_path, 30, None)
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    maker.make_if_due(now)
    assert (_names(tmp_path), "The store is down" in capsys.readouterr().err) == ([], True)
    for _ in range(2):
        maker.make_if_due(now)
    maker.make_if_due(now + timedelta(days=1))
    assert _names(tmp_path) == [f"tidegate-{DAY}.html", "tidegate-2026-11-24.html"]
    assert len(gate.requests) == 3


def test_a_day_and_each_day_are_not_asked_for_together(run: Run, serve: Serve, tmp_path: Path) -> None:
    options = ("--folder", str(tmp_path), "--day", DAY, "--each-day")
    assert run("daily-report", *options, gate=serve(_reports)).exit_code == 2
