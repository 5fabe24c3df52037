"""`tidegate tail`: what it prints, what it commits, and how it ends."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.gate import tidegate_command
from tests.support.handing_out import gap, lease, line, refusal, stream
from tests.support.processes import wait_until
from tests.support.stand_in import Answer, Request, Respond, StandIn, in_turn
from tests.unit.cli.conftest import Run, Serve

PATIENCE = 60
DONE = Answer(200, {})
NOTHING_THERE = "http://127.0.0.1:9"


@contextmanager
def _tail(
    *arguments: str, gate: StandIn | None = None, stdout: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a process; killed in the end, should it run still."""
    where = ["--url", gate.url] if gate else []
    with subprocess.Popen(
        [tidegate_command(), "tail", *where, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _printed(*arguments: str, gate: StandIn) -> tuple[list[str], str]:
    """The lines of a command that ends well, and what it says on stderr."""
    with _tail(*arguments, gate=gate) as process:
        printed, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert not printed or printed.endswith(b"\n")
    return printed.decode().splitlines(), said.decode()


def _queries(gate: StandIn, path: str) -> list[dict[str, list[str]]]:
    """The query of each request to a path."""
    parts = [urlsplit(request.path) for request in gate.requests]
    return [parse_qs(part.query) for part in parts if part.path == path]


def _commits(gate: StandIn) -> list[str]:
    return [json.loads(request.body)["lease"] for request in gate.requests if "/commit" in request.path]


def _held(release: Event, *answers: Answer) -> Respond:
    """Answer these in turn, and then not before the event is set."""

    def hold(_: Request) -> Answer:
        release.wait(PATIENCE)
        return Answer(0, None)

    return in_turn(*answers, then=hold)


@pytest.fixture
def release() -> Iterator[Event]:
    """An event that is set in the end, so that no server waits on."""
    event = Event()
    yield event
    event.set()


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
    assert _commits(gate) == ["l-1", "l-2"]
    asked = _queries(gate, "/consumers/bot/lease")
    assert [query["limit"] for query in asked] == [["3"], ["1"], ["1"]]
    assert {query["from"][0] for query in asked} == {"now"}


def test_lines_of_other_sources_are_committed_and_not_printed(serve: Serve) -> None:
    leased = [line(1, source="a"), line(2, source="b"), line(3, source="c")]
    gate = serve(in_turn(lease("l-1", leased), DONE))
    lines, _ = _printed("--consumer", "bot", "--source", "c", "--source", "a", "--limit", "2", gate=gate)
    assert lines == [leased[0], leased[2]]
    assert _commits(gate) == ["l-1"]


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


def test_a_lease_that_nobody_has_read_is_not_committed(serve: Serve, release: Event) -> None:
    gate = serve(_held(release, lease("l-1", [line(1), line(2)]), DONE))
    reading, writing = os.pipe()
    with _tail("--consumer", "bot", gate=gate, stdout=writing) as process:
        os.close(writing)
        assert os.read(reading, 10) == line(1).encode()[:10]
        assert process.poll() is None
        assert _commits(gate) == []
        os.close(reading)
        _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (0, b"")
    assert _commits(gate) == []


def test_a_lease_is_committed_once_its_lines_are_read(serve: Serve, release: Event) -> None:
    gate = serve(_held(release, lease("l-1", [line(1), line(2)]), DONE))
    with _tail("--consumer", "bot", gate=gate) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().decode().rstrip("\n") for _ in range(2)] == [line(1), line(2)]
        assert wait_until(lambda: _commits(gate) == ["l-1"], PATIENCE)


@pytest.mark.parametrize("consumer", [[], ["--consumer", "bot"]])
def test_a_reader_that_has_gone_ends_it_though_nothing_comes(
    serve: Serve, release: Event, consumer: list[str]
) -> None:
    gate = serve(_held(release))
    with _tail(*consumer, gate=gate) as process:
        assert wait_until(lambda: bool(gate.requests), PATIENCE)
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (0, b"")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
@pytest.mark.parametrize("consumer", [[], ["--consumer", "bot"]])
def test_a_signal_ends_it_without_a_traceback(
    serve: Serve, release: Event, consumer: list[str], number: signal.Signals, code: int
) -> None:
    gate = serve(_held(release))
    with _tail(*consumer, gate=gate) as process:
        assert wait_until(lambda: bool(gate.requests), PATIENCE)
        process.send_signal(number)
        printed, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, printed, said.strip()) == (code, b"", b"")


def test_a_signal_ends_it_between_two_lines_though_its_reader_stands_still(serve: Serve) -> None:
    long = [line(number, payload=f'"{"x" * 200_000}"') for number in range(20)]
    gate = serve(in_turn(lease("l-1", long)))
    reading, writing = os.pipe()
    with _tail("--consumer", "bot", gate=gate, stdout=writing) as process:
        os.close(writing)
        assert os.read(reading, 1) == b"{"
        process.terminate()
        with os.fdopen(reading, "rb") as rest:
            assert process.wait(PATIENCE) == 0
            read = b"{" + rest.read()
    assert read.endswith(b"\n")
    assert read.decode().splitlines() == long[: read.count(b"\n")]
    assert read.count(b"\n") < 20
    assert _commits(gate) == []


def test_into_a_file_it_commits_what_is_written(serve: Serve, release: Event, tmp_path: Path) -> None:
    gate = serve(_held(release, lease("l-1", [line(1)]), DONE))
    file = tmp_path / "lines"
    with file.open("wb") as output, _tail("--consumer", "bot", gate=gate, stdout=output.fileno()):
        assert wait_until(lambda: _commits(gate) == ["l-1"], PATIENCE)
        assert file.read_text() == line(1) + "\n"


def test_a_disk_that_is_full_commits_nothing(serve: Serve) -> None:
    gate = serve(in_turn(lease("l-1", [line(1)])))
    with (
        Path("/dev/full").open("wb") as full,
        _tail("--consumer", "b", gate=gate, stdout=full.fileno()) as done,
    ):
        _, said = done.communicate(timeout=PATIENCE)
    assert done.returncode == 1
    assert said.startswith(b"Error: [Errno 28]")
    assert _commits(gate) == []


@pytest.mark.parametrize("consumer", [[], ["--consumer", "bot"]])
def test_a_call_that_is_wrong_ends_it_with_1_and_the_gates_words(
    serve: Serve, consumer: list[str], tmp_path: Path
) -> None:
    gate = serve(lambda _: refusal(401, "unauthorized"))
    (tmp_path / "token").write_text("very-secret-token\n")
    with _tail(*consumer, "--token-file", str(tmp_path / "token"), gate=gate) as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert gate.requests[0].headers["Authorization"] == "Bearer very-secret-token"
    assert b"very-secret-token" not in said
    assert b"it is unauthorized. Set TIDEGATE_TOKEN, or pass --token-file." in said
    assert b"Traceback" not in said


@pytest.mark.parametrize("consumer", [[], ["--consumer", "bot"]])
def test_no_gate_that_ever_answered_is_3(consumer: list[str]) -> None:
    with _tail(*consumer, "--url", "http://user:hunter2@127.0.0.1:9", "--url", NOTHING_THERE) as process:
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
