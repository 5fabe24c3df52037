"""A gate that cannot or must not serve says why on stderr, and leaves nothing behind."""

import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest

from tests.support.faulty_gates import EXIT_SECONDS, refused
from tests.support.gate import (
    START_SECONDS,
    GateProcess,
    await_gate,
    environment_of,
    has_port,
    started,
    tidegate_command,
)
from tests.support.processes import wait_until
from tests.support.servers import StoreServer

OPEN = {"host": "0.0.0.0"}


def _assert_refused(ended: CompletedProcess[str], code: int, *words: str) -> None:
    assert ended.returncode == code, ended.stderr
    _assert_sentence(ended.stderr, *words)


def _assert_sentence(text: str, *words: str) -> None:
    [sentence] = [line for line in text.splitlines() if line.startswith("tidegate: ")]
    assert all(word in sentence for word in words), sentence
    assert "Traceback" not in text


def test_a_port_in_use_is_refused_with_1_and_a_sentence(gate_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        _assert_refused(refused(port=port), 1, str(port), "in use", "TIDEGATE_PORT")
    assert list(gate_folder.glob("tidegate-*")) == [], "no directory of a store that never ran"


def test_what_is_no_matter_of_the_port_is_not_said_to_be_one(gate_folder: Path) -> None:
    """A gate that may write no file finds no folder for temporary files."""
    ended = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -f 0; exec "$0" serve', tidegate_command()],
        stdin=subprocess.DEVNULL,
        env=environment_of({}),
        capture_output=True,
        text=True,
        timeout=EXIT_SECONDS,
        check=False,
    )
    _assert_refused(ended, 1, "cannot be started: ", "No usable temporary directory found", str(gate_folder))
    assert "listen" not in ended.stderr


def test_a_file_of_tokens_that_cannot_be_read_is_refused_with_2_and_named(tmp_path: Path) -> None:
    ended = refused(admin_tokens_file=tmp_path)
    _assert_refused(ended, 2, f"TIDEGATE_ADMIN_TOKENS_FILE: {tmp_path} cannot be read: Is a directory")


def test_a_folder_that_cannot_be_written_keeps_no_gate_from_its_start(
    own_valkey: StoreServer, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    with started(store_url=own_valkey.url, diagnosis_dir=file / "diagnoses") as gate:
        await_gate(gate)


def test_of_two_that_bound_one_port_the_gate_has_it_or_is_refused_with_1_and_a_sentence(
    gate_folder: Path,
) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with started(port=port) as gate:
            _listen_while_it_starts(other, gate, gate_folder)
            assert wait_until(lambda: gate.process.poll() is not None or has_port(gate), EXIT_SECONDS)
            if gate.process.poll() is None:
                assert wait_until(gate.is_ready, START_SECONDS), gate.log.read_text()
                return
        assert gate.process.returncode == 1
        assert list(gate_folder.glob("tidegate-*")) == []


def _listen_while_it_starts(other: socket.socket, gate: GateProcess, folder: Path) -> None:
    """Just after the gate has bound its port, and before it can listen, unless it does so at once."""
    assert wait_until(lambda: bool(list(folder.glob("tidegate-*"))), START_SECONDS), gate.log.read_text()
    gate.process.send_signal(signal.SIGSTOP)
    try:
        with suppress(OSError):
            other.listen()
    finally:
        gate.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        ({"dedup_window_seconds": "soon"}, "TIDEGATE_DEDUP_WINDOW_SECONDS"),
        ({"max_body_bytes": 0}, "TIDEGATE_MAX_BODY_BYTES"),
        ({"store_url": "http://127.0.0.1"}, "TIDEGATE_STORE_URL"),
        ({"store_url": "redis://127.0.0.1:sixty/0"}, "TIDEGATE_STORE_URL"),
        ({"port": 70000}, "TIDEGATE_PORT"),
        ({"ingest_tokens_file": "/nowhere/tokens"}, "TIDEGATE_INGEST_TOKENS_FILE"),
        ({"dedup_window_seconds": 100}, "TIDEGATE_DEDUP_WINDOW_SECONDS"),
    ],
)
def test_a_wrong_setting_is_refused_with_2_and_named(
    gate_folder: Path, settings: dict[str, object], variable: str
) -> None:
    _assert_refused(refused(**settings), 2, variable)
    assert list(gate_folder.glob("tidegate-*")) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[feeds.a]\n\nhmac = "quicknode"\n', "line 3: feed a: hmac needs secrets_file"),
        ('[feeds.a]\nhmac = "quicknode"\nsecrets_file = "none"\n', "line 3: feed a: "),
        ("[feeds.a]\n[feeds.a]\n", "line 2: feed a is declared a second time"),
        (None, "cannot be read: No such file or directory"),
    ],
    ids=["no secrets", "unreadable secrets", "declared twice", "no file"],
)
def test_a_feeds_file_that_cannot_be_used_is_refused_with_2_and_its_line(
    gate_folder: Path, tmp_path: Path, text: str | None, told: str
) -> None:
    file = tmp_path / "feeds.toml"
    if text is not None:
        file.write_text(text)
    _assert_refused(refused(feeds_file=file), 2, f"{file}: ", told)
    assert list(gate_folder.glob("tidegate-*")) == []


@pytest.mark.parametrize(
    "tokens", [{}, {"ingest_tokens": "feeds"}, {"admin_tokens": "operators"}], ids=["none", "ingest", "admin"]
)
def test_beyond_loopback_a_gate_without_both_tokens_is_refused_with_2(
    gate_folder: Path, tokens: dict[str, object]
) -> None:
    ended = refused(**OPEN, **tokens)
    _assert_refused(ended, 2, "0.0.0.0", "TIDEGATE_INGEST_TOKENS", "TIDEGATE_ADMIN_TOKENS", "--insecure")
    assert list(gate_folder.glob("tidegate-*")) == []


@pytest.mark.parametrize(
    ("arguments", "tokens"),
    [(["--insecure"], {}), ([], {"ingest_tokens": "feeds", "admin_tokens": "operators"})],
    ids=["insecure", "both tokens"],
)
def test_beyond_loopback_a_gate_serves_when_told_so_or_when_all_access_needs_a_token(
    own_valkey: StoreServer, arguments: list[str], tokens: dict[str, object]
) -> None:
    with started(*arguments, **OPEN, **tokens, store_url=own_valkey.url) as gate:
        await_gate(gate)
        reply = httpx.post(f"{gate.url}/transactions", json={"signature": "one"}, trust_env=False)
        assert reply.status_code == (401 if tokens else 200)
        assert gate.terminate() == 0
