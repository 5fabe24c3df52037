"""A gate that cannot or must not serve says why on stderr, and leaves nothing behind."""

import socket
from contextlib import ExitStack
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest

from tests.faults.gates import EXIT_SECONDS, has_port, refused, running_in, started, started_with
from tests.support.gate import START_SECONDS
from tests.support.processes import free_port, wait_until
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


def test_of_two_gates_started_at_once_on_one_port_one_is_refused_with_1_and_a_sentence(
    gate_folder: Path,
) -> None:
    port = free_port()
    with ExitStack() as stack:
        gates = [stack.enter_context(started(port=port)) for _ in range(2)]
        assert wait_until(lambda: any(gate.process.poll() is not None for gate in gates), EXIT_SECONDS)
        [loser] = [gate for gate in gates if gate.process.poll() is not None]
        [winner] = [gate for gate in gates if gate is not loser]
        assert wait_until(lambda: has_port(winner) and winner.is_ready(), START_SECONDS)
        assert loser.process.returncode == 1, loser.log.read_text()
        _assert_sentence(loser.log.read_text(), str(port), "TIDEGATE_PORT")
        assert len(list(gate_folder.glob("tidegate-*"))) == 1
        assert loser.process.pid not in running_in(gate_folder)


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        ({"dedup_window_seconds": "soon"}, "TIDEGATE_DEDUP_WINDOW_SECONDS"),
        ({"dedup_window_seconds": -1}, "TIDEGATE_DEDUP_WINDOW_SECONDS"),
        ({"max_body_bytes": 0}, "TIDEGATE_MAX_BODY_BYTES"),
        ({"store_url": "http://127.0.0.1"}, "TIDEGATE_STORE_URL"),
        ({"store_url": "redis://127.0.0.1:sixty/0"}, "TIDEGATE_STORE_URL"),
        ({"port": 70000}, "TIDEGATE_PORT"),
        ({"log_level": "loud"}, "TIDEGATE_LOG_LEVEL"),
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
    with started_with(*arguments, **OPEN, **tokens, store_url=own_valkey.url) as gate:
        assert wait_until(lambda: has_port(gate) and gate.is_ready(), START_SECONDS), gate.log.read_text()
        reply = httpx.post(f"{gate.url}/transactions", json={"signature": "one"}, trust_env=False)
        assert reply.status_code == (401 if tokens else 200)
        assert gate.terminate() == 0
