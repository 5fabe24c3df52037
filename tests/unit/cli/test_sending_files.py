"""`tidegate send`: what it reads, what it posts, and what it says at the end."""

import io
import json
import subprocess
from pathlib import Path

import pytest

from app.cli.send.command import MIB
from app.cli.send.line_batches import MAX_LINE_BYTES, batches
from tests.support.gate import tidegate_command
from tests.support.stand_in import Answer, Request, in_turn, ingest, problem
from tests.unit.cli.conftest import Run, Serve
from tidegate import answers

GOOD = b'{"signature":"a"}'
BUSY = problem(503, "Under memory pressure", "come back later")


def test_each_line_reaches_the_gate_once_and_the_last_needs_no_end(
    run: Run, serve: Serve, tmp_path: Path
) -> None:
    gate = serve(ingest)
    lines = [b'{"signature":"s-%d"}' % n for n in range(25)]
    file = tmp_path / "feed.ndjson"
    file.write_bytes(b"\n".join(lines))
    done = run("send", str(file), "--batch-lines", "10", "--source", "helius-a", gate=gate)
    assert done.exit_code == 0, done.output
    assert [line for request in gate.requests for line in request.body.splitlines()] == lines
    assert len(gate.requests) == 3
    asked = {(request.path, request.headers["Content-Type"]) for request in gate.requests}
    assert asked == {("/transactions?source=helius-a", "application/x-ndjson")}


def test_a_batch_ends_at_its_bytes_too_but_holds_one_line_at_least(run: Run, serve: Serve) -> None:
    gate = serve(ingest)
    line = b'{"signature":"a","payload":"%s"}' % (b"x" * 700)
    done = run("send", "-", "--batch-bytes", "2KiB", gate=gate, stdin=b"\n".join([line] * 5))
    assert done.exit_code == 0
    assert [request.body.count(b"\n") for request in gate.requests] == [2, 2, 1]
    assert max(len(request.body) for request in gate.requests) <= 2048
    run("send", "-", "--batch-bytes", "1", gate=gate, stdin=line)
    assert gate.requests[-1].body == line + b"\n"


def test_gzip_sends_the_same_lines(run: Run, serve: Serve) -> None:
    gate = serve(ingest)
    assert run("send", "-", "--gzip", gate=gate, stdin=GOOD).exit_code == 0
    assert (gate.requests[0].headers["Content-Encoding"], gate.requests[0].body) == ("gzip", GOOD + b"\n")


@pytest.mark.parametrize("stdin", [b"", b"\n \r\n\t\n"])
def test_nothing_to_send_is_fine_and_asks_nothing(run: Run, serve: Serve, stdin: bytes) -> None:
    gate = serve(ingest)
    done = run("send", "-", gate=gate, stdin=stdin)
    assert done.exit_code == 0
    assert done.stdout.startswith("0 lines: 0 accepted")
    assert gate.requests == []


def test_errors_carry_the_line_of_the_file_across_blank_and_overlong_lines(run: Run, serve: Serve) -> None:
    gate = serve(ingest)
    overlong = b"x" * (3 * MAX_LINE_BYTES)
    lines = [GOOD, b"", b"bad", overlong, b"  ", GOOD, b"bad", b"\r", GOOD, b"bad"]
    for batch in ("1", "2", "1000"):
        done = run("send", "-", "--json", "--batch-lines", batch, gate=gate, stdin=b"\n".join(lines))
        assert done.exit_code == 1
        summary = json.loads(done.stdout)
        assert [error["line"] for error in summary["errors"]] == [3, 4, 7, 10]
        assert [error["index"] for error in summary["errors"]] == [1, 2, 4, 6]
        assert (summary["lines"], summary["accepted"], summary["invalid"]) == (7, 3, 4)
        assert summary["stopped"] is None
    assert max(len(request.body) for request in gate.requests) < MAX_LINE_BYTES


def test_a_line_of_the_longest_length_is_sent_and_the_next_one_too() -> None:
    longest = b"x" * MAX_LINE_BYTES
    parts = list(batches(io.BytesIO(longest + b"\n" + GOOD + b"\n" + longest), 1, 4 * MIB))
    assert [part.numbers for part in parts if part.numbers] == [[1], [2], [3]]
    assert not any(part.too_long for part in parts)
    one_more = list(batches(io.BytesIO(longest + b"x\n" + GOOD), 10, 4 * MIB))
    assert [(part.numbers, part.too_long) for part in one_more] == [([2], [1])]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_an_overlong_last_line_ends_the_file(end: bytes) -> None:
    parts = list(batches(io.BytesIO(GOOD + b"\n" + b"x" * (2 * MAX_LINE_BYTES) + end), 10, MAX_LINE_BYTES))
    assert [(part.numbers, part.too_long) for part in parts] == [([1], [2])]
    assert parts[0].read_bytes == len(GOOD) + 1 + 2 * MAX_LINE_BYTES + len(end)


def test_a_file_of_invalid_lines_is_answered_422_and_still_counted(run: Run, serve: Serve) -> None:
    done = run("send", "-", gate=serve(ingest), stdin=b"bad\n" * 25)
    assert done.exit_code == 1
    assert done.stdout.startswith("25 lines: 0 accepted, 0 duplicate, 25 invalid")
    assert done.stderr.splitlines()[0] == "line 1 (index 0): not an item"
    assert done.stderr.splitlines()[-1] == "… and 15 more invalid lines"


def test_what_a_feed_wrote_cannot_steer_the_terminal(run: Run, serve: Serve) -> None:
    counts = {"accepted": 0, "duplicate": 0, "invalid": 1, "duplicates": []}
    answer = Answer(200, counts | {"errors": [{"index": 0, "detail": "unknown field \x1b[2J\n"}]})
    done = run("send", "-", gate=serve(lambda _: answer), stdin=GOOD)
    assert (
        done.stderr
        == "line 1 (index 0): unknown field \N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}\n"
    )


def test_a_503_is_tried_again_by_the_command(run: Run, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "FIRST_WAIT_SECONDS", 0.0)
    gate = serve(in_turn(BUSY, BUSY))
    done = run("send", "-", "--json", gate=gate, stdin=GOOD)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["retries"] == 2
    assert {request.body for request in gate.requests} == {GOOD + b"\n"}


def test_a_gate_that_stays_busy_ends_it_with_the_line_to_go_on_from(
    run: Run, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "FIRST_WAIT_SECONDS", 0.0)
    file = tmp_path / "feed.ndjson"
    file.write_bytes(b"\n".join([GOOD] * 6))
    first = ingest(Request("POST", "/", {}, GOOD + b"\n" + GOOD))
    gate = serve(in_turn(first, then=lambda _: BUSY))
    done = run("send", str(file), "--batch-lines", "2", "--retries", "1", gate=gate)
    assert done.exit_code == 1
    assert done.stdout.startswith("2 lines: 2 accepted")
    assert "stopped at line 3: gave up after 2 tries: Under memory pressure: come back later" in done.stderr
    kept = f"--url {gate.url} --batch-lines 2 --retries 1 -"
    assert f"Then send the rest: tail -n +3 {file} | tidegate send {kept}" in done.stderr


def test_the_command_for_the_rest_can_be_pasted_and_keeps_every_option(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, token = tmp_path / "a feed.ndjson", tmp_path / "token"
    file.write_bytes(b"".join(b'{"signature":"s-%d"}\n' % n for n in range(6)))
    token.write_text("secret")
    first = ingest(Request("POST", "/", {}, GOOD + b"\n" + GOOD))
    gate = serve(in_turn(first, problem(413, "Too large", "split it")))
    options = ["--source", "helius-a", "--gzip", "--batch-lines", "2", "--token-file", str(token), "--json"]
    stopped = _program("send", *options, "--url", gate.url, str(file))
    assert stopped.returncode == 1
    pasted = json.loads(stopped.stdout)["stopped"].partition("Then send the rest: ")[2]
    monkeypatch.setenv("PATH", f"{Path(tidegate_command()).parent}:/usr/bin:/bin")
    done = subprocess.run(
        ["sh", "-c", pasted], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout)["accepted"] == 4
    for request in gate.requests:
        assert request.path == "/transactions?source=helius-a"
        assert request.headers["Authorization"] == "Bearer secret"
        assert request.headers["Content-Encoding"] == "gzip"
    lines = [line for request in gate.requests[2:] for line in request.body.splitlines()]
    assert lines == file.read_bytes().splitlines()[2:]


def test_the_command_for_the_rest_of_stdin_keeps_the_options_and_shows_no_password(
    run: Run, serve: Serve
) -> None:
    gate = serve(lambda _: problem(413, "Too large", "split it"))
    address = gate.url.replace("//", "//user:hunter2@")
    done = run("send", "--source", "a", "--no-gzip", "--url", address, "-", stdin=GOOD)
    assert f"… | tail -n +1 | tidegate send --url {gate.url} --source a --no-gzip -" in done.stderr
    assert "hunter2" not in done.output


def _program(*arguments: str, stdin: int | None = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    command = [tidegate_command(), *arguments]
    return subprocess.run(command, stdin=stdin, capture_output=True, text=True, timeout=60, check=False)


def test_what_cannot_be_read_is_wrong_usage_with_what_to_do(run: Run, tmp_path: Path) -> None:
    for name, hint in (
        (str(tmp_path / "nowhere"), "No such file"),
        (str(tmp_path), f"cat {tmp_path}/* | tidegate send -"),
    ):
        done = run("send", name)
        assert done.exit_code == 2
        assert hint in done.stderr


def test_a_stdin_that_is_closed_is_wrong_usage_with_what_to_do() -> None:
    command = f"{tidegate_command()} send - <&-"
    done = subprocess.run(
        ["sh", "-c", command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "stdin is closed. Name a file, or pipe the lines in." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_gate_that_hangs_up_in_between_is_tried_again(
    run: Run, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "FIRST_WAIT_SECONDS", 0.0)
    first = ingest(Request("POST", "/", {}, GOOD))
    gate = serve(in_turn(first, Answer(0, None), Answer(0, None)))
    done = run("send", "-", "--batch-lines", "1", gate=gate, stdin=b"\n".join([GOOD] * 2))
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("2 lines: 2 accepted")
    assert len(gate.requests) == 4


@pytest.mark.parametrize(
    "arguments", [["--batch-bytes", "x"], ["--batch-bytes", "1GiB"], ["--batch-lines", "0"]]
)
def test_a_batch_of_no_sense_is_wrong_usage(run: Run, arguments: list[str]) -> None:
    assert run("send", "-", *arguments, stdin=b"").exit_code == 2
