"""The commands against a real gate: what they print, and how they exit."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import pytest

from tests.support.gate import GateProcess, gate_process, tidegate_command
from tests.support.handed_on import LASTING
from tests.support.processes import wait_until
from tests.support.servers import StoreServer, valkey_server

ADMIN, INGEST = "admin-secret", "ingest-secret"
NUMBERS = count()


@pytest.fixture(scope="module")
def gate(valkey_session: StoreServer) -> Iterator[GateProcess]:
    """For all tests of the file: each sends signatures of its own."""
    valkey_session.flush()
    tokens = {"admin_tokens": ADMIN, "ingest_tokens": f"old,{INGEST}"}
    with gate_process(store_url=valkey_session.url, **LASTING, **tokens) as started:
        yield started


def _run(
    *arguments: str, gate: GateProcess | None = None, token: str = INGEST, stdin: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": "/usr/bin:/bin", "TIDEGATE_TOKEN": token}
    if gate is not None:
        environment["TIDEGATE_URL"] = gate.url
    command = [tidegate_command(), *arguments]
    return subprocess.run(
        command, env=environment, input=stdin or b"", capture_output=True, timeout=60, check=False
    )


def _lines(number: int) -> list[bytes]:
    """So many transactions that were not sent before, one a line."""
    numbers = islice(NUMBERS, number)
    return [json.dumps({"signature": f"s-{n}", "payload": {"n": n}}).encode() for n in numbers]


def test_send_posts_a_file_and_again_finds_only_duplicates(gate: GateProcess, tmp_path: Path) -> None:
    file = tmp_path / "transactions.ndjson"
    lines = _lines(5000)
    file.write_bytes(b"\n".join(lines))
    first = _run("send", str(file), "--source", "replay", gate=gate)
    assert first.returncode == 0, first.stderr
    assert b"5,000 lines: 5,000 accepted, 0 duplicate, 0 invalid" in first.stdout
    again = json.loads(_run("send", str(file), "--json", "--gzip", gate=gate).stdout)
    assert (again["accepted"], again["duplicate"]) == (0, 5000)
    with gate.client(headers={"Authorization": f"Bearer {INGEST}"}) as client:
        last = json.loads(lines[-1])["signature"]
        assert client.get(f"/transactions/{last}").json()["source"] == "replay"


def test_send_names_the_invalid_lines_by_their_number_in_the_file(gate: GateProcess) -> None:
    good = _lines(3)
    stdin = b"\n".join(
        [good[0], b"", b"{broken", good[1], b"  ", b'{"signature":""}', b"x" * 2_000_000, good[2]]
    )
    sent = _run("send", "-", "--batch-lines", "2", gate=gate, stdin=stdin)
    assert sent.returncode == 1
    assert b"6 lines: 3 accepted, 0 duplicate, 3 invalid" in sent.stdout
    errors = sent.stderr.decode().splitlines()
    named = ["line 3 (index 1)", "line 6 (index 3)", "line 7 (index 4)"]
    assert [line.partition(":")[0] for line in errors] == named


def test_send_of_nothing_is_fine(gate: GateProcess) -> None:
    assert b"0 lines" in _run("send", "-", gate=gate, stdin=b"").stdout


def test_send_reads_a_large_file_in_bounded_memory(gate: GateProcess, tmp_path: Path) -> None:
    file = tmp_path / "large.ndjson"
    payload = "x" * 5000
    with file.open("w") as lines:
        for number in range(20_000):
            lines.write(json.dumps({"signature": f"large-{number}", "payload": payload}) + "\n")
    program = (
        "from app.cli.main import tidegate; "
        f"tidegate(['send', {str(file)!r}, '--url', {gate.url!r}], standalone_mode=False); "
        "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    )
    environment = {"PATH": "/usr/bin:/bin", "TIDEGATE_TOKEN": INGEST}
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdin=subprocess.DEVNULL,
        env=environment,
        capture_output=True,
        timeout=60,
        check=True,
    )
    peak_kib = int(done.stdout.split()[-1])
    assert file.stat().st_size > 100_000_000
    assert peak_kib < 80 * 1024, "the file does not fit"


@pytest.mark.server
def test_health_is_0_when_ready_and_1_with_the_reason_when_the_store_is_gone() -> None:
    with valkey_server() as server, gate_process(store_url=server.url) as gate:
        assert _run("health", gate=gate).stdout == b"ready\n"
        assert json.loads(_run("health", "--json", gate=gate).stdout)["status"] == "ready"
        server.kill()
        assert wait_until(lambda: not gate.is_ready(), 30)
        unhealthy = _run("health", gate=gate)
    assert unhealthy.returncode == 1
    assert b"the store is down (unreachable)" in unhealthy.stderr


@pytest.mark.server
def test_health_does_not_wait_for_a_gate_that_hangs() -> None:
    """The gate goes on only when the command is over: one that waits for its answer waits in vain."""
    with valkey_server() as server, gate_process(store_url=server.url) as gate:
        gate.process.send_signal(signal.SIGSTOP)
        unhealthy = _run("health", gate=gate)
        at_once = _run("health", "--timeout", "0.1", gate=gate)
        gate.process.send_signal(signal.SIGCONT)
    for done, hung in ((unhealthy, b"takes connections and does not answer"), (at_once, b"timed out")):
        assert done.returncode == 3
        assert hung in done.stderr
        assert b"tidegate serve" not in done.stderr


def test_every_client_command_exits_3_with_a_hint_when_nothing_listens() -> None:
    for arguments in (["health"], ["stats"], ["cleanup"], ["send", "-"]):
        done = _run(*arguments, "--url", "http://127.0.0.1:9", stdin=_lines(1)[0])
        assert done.returncode == 3, done.stderr
        assert b"tidegate serve" in done.stderr
        assert b"Traceback" not in done.stderr


def test_stats_prints_the_maps_and_json_the_whole_document(gate: GateProcess) -> None:
    _run("send", "-", gate=gate, stdin=b"\n".join(_lines(10)))
    page = _run("stats", gate=gate).stdout.decode()
    row = next(line.split() for line in page.splitlines() if line.startswith("transactions"))
    maps = json.loads(_run("stats", "--json", gate=gate).stdout)["maps"]
    assert maps.keys() == {"signatures", "transactions", "observations"}
    assert row[1] == f"{maps['transactions']['entries']:,}"
    assert maps["transactions"]["entries"] >= 10


def test_cleanup_needs_the_admin_token_and_shows_its_report(gate: GateProcess) -> None:
    refused = _run("cleanup", gate=gate)
    assert refused.returncode == 1
    assert b"TIDEGATE_ADMIN_TOKENS" in refused.stderr
    assert INGEST.encode() not in refused.stderr + refused.stdout
    done = _run(
        "cleanup", "--emergency", "--map", "transactions", "--dry-run", "--json", gate=gate, token=ADMIN
    )
    report = json.loads(done.stdout)
    assert (report["mode"], report["dry_run"], list(report["maps"])) == ("emergency", True, ["transactions"])
    assert b"normal cleanup in" in _run("cleanup", gate=gate, token=ADMIN).stdout


def test_a_token_may_come_from_a_file(gate: GateProcess, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text(f"{ADMIN}\n")
    assert _run("cleanup", "--token-file", str(secret), gate=gate, token="").returncode == 0


@pytest.mark.parametrize(
    "arguments", [["frob"], ["cleanup", "--map", "nope"], ["send"], ["serve", "--port", "x"]]
)
@pytest.mark.server
def test_wrong_usage_exits_2(arguments: list[str]) -> None:
    assert _run(*arguments).returncode == 2


def test_a_mistyped_command_is_answered_with_the_one_meant_and_none_with_the_list() -> None:
    assert b"Did you mean 'stats'?" in _run("stat").stderr
    alone = _run()
    assert alone.returncode == 2
    assert b"Commands:" in alone.stderr
    assert _run("--version").stdout.startswith(b"tidegate ")


def test_stats_of_a_gate_that_wants_a_token_only_for_ingest_needs_none(gate: GateProcess) -> None:
    assert _run("stats", gate=gate, token="").returncode == 0


def test_a_refused_token_says_where_to_put_the_right_one(gate: GateProcess) -> None:
    refused = _run("send", "-", gate=gate, token="wrong", stdin=_lines(1)[0])
    assert refused.returncode == 1
    assert b"Set TIDEGATE_TOKEN, or pass --token-file" in refused.stderr


def test_lines_that_are_not_utf_8_are_invalid_each_by_itself(gate: GateProcess, tmp_path: Path) -> None:
    file = tmp_path / "latin-1.ndjson"
    file.write_bytes('{"signature":"ä"}\n'.encode("latin-1") + _lines(1)[0])
    done = _run("send", str(file), gate=gate)
    assert done.returncode == 1
    assert b"2 lines: 1 accepted, 0 duplicate, 1 invalid" in done.stdout
    assert b"line 1 (index 0): JSON is not UTF-8" in done.stderr
