"""The programs that stand between a source and a feed do what docs/feeds.md says of them."""

import hmac
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.gate import GateProcess, gate_process
from tests.support.pages import ROOT
from tests.support.processes import free_port, stop_all, wait_until
from tests.support.real_payloads import DATA
from tests.support.rpc_node import Node, rpc_node

EXAMPLES = ROOT / "docs" / "examples"
BLOCK = (DATA / "solana_getBlock_100000000_jsonParsed_10tx.json").read_bytes()
UPDATES = (EXAMPLES / "yellowstone_updates.json").read_bytes()
TOKEN = "one-for-the-examples"
PATIENCE = 60


def _environment(**more: str) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    return inherited | more


@contextmanager
def _polling(node: Node, feed: str, folder: Path) -> Iterator[Path]:
    """`poll_blocks.sh` from the node to the feed; yields the file with all it prints."""
    log = folder / "poll.log"
    with log.open("wb") as output:
        poll = subprocess.Popen(
            ["sh", EXAMPLES / "poll_blocks.sh", feed],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(SOLANA_RPC_URL=node.url, TIDEGATE_TOKEN=TOKEN),
        )
    try:
        yield log
    finally:
        stop_all([poll])


def _answers(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def test_blocks_are_polled_past_skipped_slots_and_those_that_are_not_there_yet(tmp_path: Path) -> None:
    gate = gate_process(ingest_tokens=TOKEN, dedup_window_seconds=PATIENCE)
    # The second block has the transactions of the first: all of them are known.
    node = rpc_node({100: BLOCK, 101: None, 102: None, 103: BLOCK})
    with gate as started, node as asked, _polling(asked, f"{started.url}/feeds/rpc-a", tmp_path) as log:
        assert wait_until(lambda: asked.asked[104] > 1, PATIENCE), log.read_text()
        counts = [(answer["accepted"], answer["duplicate"]) for answer in _answers(log)]
    assert counts == [(10, 0), (0, 10)]
    assert [asked.asked[slot] for slot in (100, 101, 102, 103)] == [2, 1, 1, 2]


def test_polling_ends_with_the_gates_words_when_the_token_is_wrong() -> None:
    with gate_process(ingest_tokens="another") as gate, rpc_node({100: BLOCK}) as node:
        done = subprocess.run(
            ["sh", EXAMPLES / "poll_blocks.sh", f"{gate.url}/feeds/rpc-a", "100"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=_environment(SOLANA_RPC_URL=node.url, TIDEGATE_TOKEN=TOKEN),
            timeout=PATIENCE,
        )
    assert done.returncode != 0
    assert json.loads(done.stdout)["type"] == "urn:tidegate:problem:unauthorized"


def _sign(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, EXAMPLES / "sign_as_quicknode.py", *arguments]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE
    )


def test_a_body_is_signed_with_the_last_secret_past_comments_and_empty_lines(tmp_path: Path) -> None:
    secrets, body = tmp_path / "secrets", tmp_path / "body"
    secrets.write_text("# old\nfirst\n  last \n\n# end\n\n")
    body.write_bytes(b"[]")
    headers = dict(line.split(": ") for line in _sign(secrets, body).stdout.splitlines())
    signed = f"{headers['x-qn-nonce']}{headers['x-qn-timestamp']}[]".encode()
    assert headers["x-qn-signature"] == hmac.new(b"last", signed, "sha256").hexdigest()


def test_signing_without_arguments_or_secrets_ends_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("# none\n\n")
    assert _sign().stderr == "usage: sign_as_quicknode.py FILE_OF_SECRETS BODY\n"
    assert _sign(tmp_path / "secrets", "body").stderr == f"{tmp_path / 'secrets'} holds no secret\n"


@contextmanager
def _forwarding(url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        forward = subprocess.Popen(
            [sys.executable, EXAMPLES / "forward_updates.py", f"{url}/feeds/grpc-a"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=_environment(TIDEGATE_TOKEN=TOKEN),
        )
    try:
        yield forward
    finally:
        assert forward.stdin is not None
        forward.stdin.close()
        stop_all([forward])


def _write(forward: subprocess.Popen[bytes], piece: bytes) -> None:
    assert forward.stdin is not None
    forward.stdin.write(piece)
    forward.stdin.flush()


def test_updates_are_forwarded_as_they_come_in_whatever_pieces(tmp_path: Path) -> None:
    log = tmp_path / "forward.log"
    with (
        gate_process(ingest_tokens=TOKEN, dedup_window_seconds=PATIENCE) as gate,
        _forwarding(gate.url, log) as forward,
    ):
        for piece in (UPDATES[:5000], UPDATES[5000:], UPDATES):
            _write(forward, piece)
        assert wait_until(lambda: sum(_counts(log)) == 2, PATIENCE), log.read_text()
        assert _counts(log) == (1, 1)
        assert _source(gate)["accepted"] == 1


def test_updates_wait_for_a_gate_that_is_down(tmp_path: Path) -> None:
    log, port = tmp_path / "forward.log", free_port()
    with _forwarding(f"http://127.0.0.1:{port}", log) as forward:
        _write(forward, UPDATES)
        assert wait_until(lambda: "refused" in log.read_text(), PATIENCE), log.read_text()
        with gate_process(ingest_tokens=TOKEN, port=port):
            assert wait_until(lambda: _counts(log) == (1, 0), PATIENCE), log.read_text()


def _counts(log: Path) -> tuple[int, int]:
    answers = _answers(log)
    return tuple(sum(int(str(each[name])) for each in answers) for name in ("accepted", "duplicate"))  # type: ignore[return-value]


def _source(gate: GateProcess) -> dict[str, object]:
    with gate.client() as client:
        [source] = client.get("/sources").json()["sources"]
    return dict(source)
