"""What the commands make of answers: complete, partial, refusing, and from something that is no gate."""

import json

import pytest

from tests.support.stand_in import Answer, problem
from tests.unit.cli.conftest import Run, Serve

COMMANDS = (["health"], ["stats"], ["cleanup"], ["send", "-"])
REPORT = {
    "trigger": "manual",
    "mode": "normal",
    "dry_run": False,
    "duration_seconds": 0.0125,
    "maps": {"transactions": {"before": 1500, "removed": 500, "after": 1000}},
    "memory": {"released_bytes": 2 * 1024 * 1024},
}
STATS = {
    "version": "1.2.3",
    "uptime_seconds": 12.0,
    "maps": {
        "transactions": {
            "entries": 1000,
            "limit_entries": 1_000_000,
            "bytes": 2048,
            "retention_seconds": 120,
            "oldest_age_seconds": None,
            "added_total": 1500,
            "removed_total": {"expired": 499, "manual": 1},
        }
    },
    "ingest": {"accepted": 1500, "duplicate": 7},
    "memory": {
        "processes": [{"name": "gate", "rss_bytes": 50 * 1024 * 1024}],
        "limit_bytes": 2 * 1024**3,
        "limit_source": "cgroup",
        "level": "soft",
        "leak": {"state": "suspect"},
    },
    "store": {"used_bytes": 48 * 1024 * 1024, "limit_bytes": 64 * 1024 * 1024, "maps_bytes": 1024 * 1024},
    "cleanup": {"efficiency_ratio": 0.995, "last": REPORT},
    "warnings": ["transactions are above 80 %"],
}


def test_stats_shows_every_part_of_the_document(run: Run, serve: Serve) -> None:
    page = run("stats", gate=serve(lambda _: Answer(200, STATS))).stdout
    row = next(line.split() for line in page.splitlines() if line.startswith("transactions"))
    assert row[1:] == ["1,000", "1,000,000", "2.0", "KiB", "120.0", "s", "-", "1,500", "499", "-", "1", "-"]
    for part in (
        "Tidegate 1.2.3, up 12.0 s",
        "accepted 1,500, duplicate 7",
        "gate 50.0 MiB; limit 2.0 GiB (cgroup); level soft; leak detector: suspect",
        "store    48.0 MiB of 64.0 MiB; the maps hold 1.0 MiB, and transactions may have -",
        "efficiency 99.5%, last was manual (normal) and removed 500",
        "WARNING  transactions are above 80 %",
    ):
        assert part in page


@pytest.mark.parametrize("command", ["stats", "cleanup"])
@pytest.mark.parametrize("document", [{}, {"maps": {"new": 1}, "memory": [], "cleanup": {"last": {}}}])
def test_members_that_are_missing_or_strange_show_as_a_dash(
    run: Run, serve: Serve, command: str, document: object
) -> None:
    done = run(command, gate=serve(lambda _: Answer(200, document)))
    assert done.exit_code == 0, done.exception
    assert "-" in done.stdout


def test_json_prints_the_document_as_it_came(run: Run, serve: Serve) -> None:
    text = json.dumps(STATS, indent=3)
    assert run("stats", "--json", gate=serve(lambda _: Answer(200, text))).stdout == text + "\n"


def test_cleanup_asks_for_what_its_options_say(run: Run, serve: Serve) -> None:
    gate = serve(lambda _: Answer(200, REPORT))
    page = run("cleanup", gate=gate).stdout
    assert page.splitlines()[1].split() == ["transactions", "1,500", "500", "1,000"]
    assert page.splitlines()[-1] == "normal cleanup in 12.5 ms; released 2.0 MiB"
    maps = ["--map", "transactions", "--map", "observations"]
    assert json.loads(run("cleanup", "--emergency", "--dry-run", "--json", *maps, gate=gate).stdout) == REPORT
    assert [(request.method, request.path) for request in gate.requests] == [
        ("POST", "/cleanup?dry_run=false"),
        ("POST", "/cleanup/emergency?map=transactions&map=observations&dry_run=true"),
    ]


def test_cleanup_tells_how_many_partitions_it_could_not_clean(run: Run, serve: Serve) -> None:
    left_out = {"tidegate:{1}": "slot_moving", "tidegate:{2}": "timeout", "tidegate:{3}": "timeout"}
    page = run("cleanup", gate=serve(lambda _: Answer(200, REPORT | {"left_out": left_out}))).stdout
    warning = "WARNING  3 partitions could not be cleaned up (slot_moving, timeout); see tidegate health"
    assert page.splitlines()[-1] == warning


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(503, {"status": "unready", "reasons": ["the store is down", "draining"]}), "down; draining"),
        (Answer(200, {"status": "unready", "reasons": []}), "not ready"),
        (problem(503, "Starting", "wait a little"), "Starting: wait a little"),
        (Answer(200, "<html>welcome</html>"), "is this address a Tidegate?"),
    ],
)
def test_health_is_1_with_the_reason_unless_the_gate_says_ready(
    run: Run, serve: Serve, answer: Answer, reason: str
) -> None:
    done = run("health", gate=serve(lambda _: answer))
    assert done.exit_code == 1
    assert reason in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "answer", [Answer(200, "<html>"), Answer(422, "<html>"), Answer(200, [1]), Answer(404, {})]
)
def test_an_answer_from_something_else_is_refused_in_a_sentence(
    run: Run, serve: Serve, command: list[str], answer: Answer
) -> None:
    done = run(*command, gate=serve(lambda _: answer), stdin=b"{}")
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert "is this address a Tidegate?" in done.stderr
