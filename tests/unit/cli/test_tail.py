"""`tidegate tail`: what it prints and commits, and how it ends when a gate refuses or none is there."""

import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.gate import tidegate_command
from tests.support.handing_out import gap, lease, line, refusal, stream
from tests.support.stand_in import StandIn, in_turn
from tests.support.tail_process import DONE, PATIENCE, commits, tail_process
from tests.unit.cli.conftest import Run, Serve

NOTHING_THERE = "http://127.0.0.1:9"


def _printed(*arguments: str, gate: StandIn) -> tuple[list[str], str]:
    """The lines of a command that ends well, and what it says on stderr."""
    with tail_process(*arguments, gate=gate) as process:
        printed, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert not printed or printed.endswith(b"\n")
    return printed.decode().splitlines(), said.decode()


def _queries(gate: StandIn, path: str) -> list[dict[str, list[str]]]:
    """The query of each request to a path."""
    parts = [urlsplit(request.path) for request in gate.requests]
    return [parse_qs(part.query) for part in parts if part.path == path]


def test_a_stream_is_printed_line_by_line_as_the_gate_wrote_it(serve: Serve) -> None:
    lines = [line(1, payload='{ "n" : 1.00000000000000000001 }'), gap(3), line(2, payload='"\\ud83d"')]
    gate = serve(in_turn(stream([lines[0], "", *lines[1:]])))
    assert _printed("--limit", "2", gate=gate)[0] == lines
    assert _queries(gate, "/stream") == [{"from": ["now"], "limit": ["2"]}]


def test_options_of_a_stream_reach_the_gate(serve: Serve) -> None:
    gate = serve(in_turn(stream([line(1)]), stream([line(1)])))
    _printed("--from", "oldest", "--source", "a", "--source", "b", "--no-payload", "--limit", "1", gate=gate)
    _printed("--after", "c-0", "--limit", "1", gate=gate)
    fixed = {"source": ["a", "b"], "payload": ["false"]}
    assert _queries(gate, "/stream") == [
        fixed | {"from": ["oldest"], "limit": ["1"]},
        {"after": ["c-0"], "limit": ["1"]},
    ]


def test_a_stream_that_breaks_off_goes_on_at_another_gate_behind_the_last_line(serve: Serve) -> None:
    first = serve(in_turn(stream([line(1)], broken=line(2)[:99])))
    second = serve(in_turn(stream([line(2)])))
    lines, said = _printed("--url", second.url, "--limit", "2", gate=first)
    assert lines == [line(1), line(2)]
    assert _queries(second, "/stream") == [{"after": ["c-1"], "limit": ["1"]}]
    assert f"trying {second.url} again until it answers" in said


def test_an_unknown_cursor_and_a_gap_are_said_on_stderr(serve: Serve) -> None:
    gate = serve(in_turn(refusal(410, "unknown-cursor"), stream([gap(7), line(1)])))
    lines, said = _printed("--after", "c-0", "--limit", "1", gate=gate)
    assert lines == ['{"gap":{"transactions":null,"from_ms":null,"to_ms":null}}', gap(7), line(1)]
    left = "a gap: 7 transactions left before they were read"
    assert said.splitlines() == [
        "the cursor c-0 is not known here; going on from the oldest",
        "a gap: nobody knows how many transactions are missing",
        f"{left}, accepted 2026-11-23 02:05:00 to 2026-11-23 02:06:00 UTC",
    ]


def test_a_consumers_leases_are_printed_and_committed_and_a_new_one_is_said_to_be(serve: Serve) -> None:
    begun = lease("l-1", [line(1), line(2)], is_new=True)
    gate = serve(in_turn(begun, DONE, lease(None, []), lease("l-2", [line(3)]), DONE))
    lines, said = _printed("--consumer", "bot", "--limit", "3", "--from", "now", gate=gate)
    assert lines == [line(1), line(2), line(3)]
    assert said.splitlines() == ["bot is new, or was forgotten: it begins with --from now"]
    assert commits(gate) == ["l-1", "l-2"]
    asked = _queries(gate, "/consumers/bot/lease")
    assert [query["limit"] for query in asked] == [["3"], ["1"], ["1"]]
    assert {query["from"][0] for query in asked} == {"now"}


def test_lines_of_other_sources_are_committed_and_not_printed(serve: Serve) -> None:
    leased = [line(1, source="a"), line(2, source="b"), line(3, source="c")]
    gate = serve(in_turn(lease("l-1", leased), DONE))
    lines, _ = _printed("--consumer", "bot", "--source", "c", "--source", "a", "--limit", "2", gate=gate)
    assert lines == [leased[0], leased[2]]
    assert commits(gate) == ["l-1"]


def test_a_consumer_prints_no_payload_where_none_is_wanted(serve: Serve) -> None:
    gate = serve(in_turn(lease("l-1", [line(1)]), DONE))
    lines, _ = _printed("--consumer", "bot", "--no-payload", "--limit", "1", gate=gate)
    assert lines == [line(1).partition(',"payload"')[0] + "}"]


def test_the_gaps_of_a_lease_are_lines_and_said_and_a_lag_is_said_once(serve: Serve) -> None:
    late = lease("l-1", [line(1)], gaps=[gap(5), gap(None)], lag=(1200, 61.25))
    gate = serve(in_turn(late, DONE, lease("l-2", [line(2)], lag=(1100, 61.0)), DONE))
    lines, said = _printed("--consumer", "bot", "--limit", "2", gate=gate)
    assert lines == [gap(5), gap(None), line(1), line(2)]
    behind = "bot is 61.2 s behind (1,200 transactions); it loses what the gate no longer keeps"
    assert said.splitlines()[0] == behind
    assert ["5 transactions left" in said, "nobody knows how many" in said] == [True, True]
    assert len(said.splitlines()) == 3


@pytest.mark.parametrize("consumer", [[], ["--consumer", "bot"]])
def test_a_call_that_is_wrong_ends_it_with_1_and_the_gates_words(
    serve: Serve, consumer: list[str], tmp_path: Path
) -> None:
    gate = serve(lambda _: refusal(401, "unauthorized"))
    (tmp_path / "token").write_text("very-secret-token\n")
    with tail_process(*consumer, "--token-file", str(tmp_path / "token"), gate=gate) as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert gate.requests[0].headers["Authorization"] == "Bearer very-secret-token"
    assert b"very-secret-token" not in said
    assert b"it is unauthorized. Set TIDEGATE_TOKEN, or pass --token-file." in said
    assert b"Traceback" not in said


@pytest.mark.parametrize("consumer", [[], ["--consumer", "bot"]])
def test_no_gate_that_ever_answered_is_3(consumer: list[str]) -> None:
    with tail_process(
        *consumer, "--url", "http://user:hunter2@127.0.0.1:9", "--url", NOTHING_THERE
    ) as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3
    assert b"tidegate serve" in said
    assert b"hunter2" not in said
    assert b"Traceback" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["--after", "c-1", "--consumer", "bot"],
        ["--after", "c-1", "--from", "now"],
        ["--from", "yesterday"],
        ["--from", "-1"],
        ["--consumer", "."],
        ["--consumer", ".."],
        ["--from", "1" * 5000],
        ["--limit", "0"],
        ["--batch-lines", "10001"],
        ["--url", "localhost:8000"],
    ],
)
def test_options_of_no_sense_are_wrong_usage(run: Run, arguments: list[str]) -> None:
    assert run("tail", *arguments).exit_code == 2


def test_a_stdout_that_is_closed_is_wrong_usage() -> None:
    done = subprocess.run(
        ["sh", "-c", f"{tidegate_command()} tail --url {NOTHING_THERE} >&-"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert b"stdout is closed" in done.stderr
