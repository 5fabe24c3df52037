"""The programs that stand between a source and a feed do what docs/feeds.md says of them."""

import hmac
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

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


def _polled(node: Node, feed: str) -> subprocess.CompletedProcess[str]:
    """`poll_blocks.sh` from slot 100 on, which ends."""
    return subprocess.run(
        ["sh", EXAMPLES / "poll_blocks.sh", feed, "100"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=_environment(SOLANA_RPC_URL=node.url, TIDEGATE_TOKEN=TOKEN),
        timeout=PATIENCE,
    )


def test_polling_ends_with_the_gates_words_when_the_token_is_wrong() -> None:
    with gate_process(ingest_tokens="another") as gate, rpc_node({100: BLOCK}) as node:
        done = _polled(node, f"{gate.url}/feeds/rpc-a")
    assert done.returncode != 0
    assert json.loads(done.stdout)["type"] == "urn:tidegate:problem:unauthorized"


@contextmanager
def _answering(*answers: int) -> Iterator[tuple[str, Sequence[bytes]]]:
    """A gate that answers with these statuses, the last for good.

    0 loses the connection instead, and 1 loses it within an answer.

    Yields its address and the bodies that it was sent.
    """
    left, bodies = [*answers], list[bytes]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            status = left.pop(0) if len(left) > 1 else left[0]
            if status:
                self.send_response(max(status, 200))
                self.send_header("Content-Length", "50" if status == 1 else "2")
                self.end_headers()
                self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", bodies
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("status", [0, 408, 429, 503])
def test_a_block_is_sent_again_after_a_lost_connection_and_where_the_gate_asks_for_it(
    tmp_path: Path, status: int
) -> None:
    with (
        _answering(status, 200) as (url, bodies),
        rpc_node({100: BLOCK}) as node,
        _polling(node, url, tmp_path) as log,
    ):
        assert wait_until(lambda: node.asked[101] > 0, PATIENCE), log.read_text()
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ({"code": -32015, "message": "Transaction version (2) is not supported"}, "raise maxSupportedT"),
        ({"code": -32011, "message": "Transaction history is not available"}, "history is not available"),
        ({"code": -32001, "message": "Block 100 cleaned up"}, "begin at a later one"),
    ],
)
def test_polling_ends_with_a_sentence_where_asking_again_does_not_help(
    error: dict[str, object], told: str
) -> None:
    with rpc_node({}, {100: error}) as node:
        done = _polled(node, "http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("slot 100: ")
    assert told in done.stderr


def test_polling_goes_on_where_the_node_begins_and_asks_for_every_version_that_the_gate_reads(
    tmp_path: Path,
) -> None:
    gone = {"code": -32001, "message": "Block 100 cleaned up, does not exist. First available block: 103"}
    with (
        _answering(200) as (url, bodies),
        rpc_node({103: BLOCK}, {100: gone}) as node,
        _polling(node, url, tmp_path) as log,
    ):
        assert wait_until(lambda: node.asked[104] > 0, PATIENCE), log.read_text()
        assert "going on at 103" in log.read_text()
    assert (len(bodies), node.asked[101], node.how["maxSupportedTransactionVersion"]) == (1, 0, 1)


def test_any_other_error_is_told_once_a_slot_while_polling_asks_again(tmp_path: Path) -> None:
    with (
        rpc_node({}, {100: {"code": -32603, "message": "Internal error"}}) as node,
        _polling(node, "http://127.0.0.1:9", tmp_path) as log,
    ):
        assert wait_until(lambda: node.asked[100] > 2, PATIENCE), log.read_text()
        assert log.read_text().count("Internal error") == 1


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


def test_updates_are_sent_again_where_the_gate_asks_for_it(tmp_path: Path) -> None:
    log = tmp_path / "forward.log"
    with _answering(408, 429, 503, 0, 1, 200) as (url, bodies), _forwarding(url, log) as forward:
        _write(forward, UPDATES)
        assert wait_until(lambda: "{}" in log.read_text(), PATIENCE), log.read_text()
    assert len(bodies) == 6
    assert len(set(bodies)) == 1


def _counts(log: Path) -> tuple[int, int]:
    answers = _answers(log)
    return tuple(sum(int(str(each[name])) for each in answers) for name in ("accepted", "duplicate"))  # type: ignore[return-value]


def _source(gate: GateProcess) -> dict[str, object]:
    with gate.client() as client:
        [source] = client.get("/sources").json()["sources"]
    return dict(source)
