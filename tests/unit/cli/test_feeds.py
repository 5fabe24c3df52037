"""`tidegate feeds check`: the feeds file and a body, without a gate."""

import gzip
import json
from pathlib import Path

import pytest
from click.testing import Result

from app.decode.body_budget import INFLATER_BYTES
from tests.support.pages import ROOT
from tests.unit.cli.conftest import Run

DATA = ROOT / "tests" / "data"
TEXT = """
[feeds.quicknode-a]
hmac = "quicknode"
secrets_file = "secrets"
hmac_over = "inflated"
skip = ["votes", "failed"]
transactions_per_second = 5000

[feeds.evm]
shape = "mapped"
items = "/logs"
signature = "/transactionHash"

[feeds.plain]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "secrets").write_text("hush-1\nhush-2\n")
    file = tmp_path / "feeds.toml"
    file.write_text(TEXT)
    return file


def test_each_feed_is_told_in_a_line(run: Run, file: Path) -> None:
    done = run("feeds", "check", str(file))
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        f"{file}: 3 feeds",
        (
            "quicknode-a: signs the body before gzip as quicknode, with any of 2 secrets, at most 300 s ago; "
            "at most 5,000 transactions a second; skips failed and votes"
        ),
        (
            "evm: asks for an ingest token if the gate has any; "
            "mapped (items '/logs', signature '/transactionHash')"
        ),
        "plain: asks for an ingest token if the gate has any",
        (
            "warning: Feeds are signed (quicknode-a), but no ingest token is set: anybody who reaches "
            "the gate can post to any other feed and to /transactions. "
            "Set TIDEGATE_INGEST_TOKENS, or TIDEGATE_INGEST_TOKENS_FILE."
        ),
    ]
    assert "hush" not in done.output
    (file.parent / "secrets").write_text("hush\n")
    assert "as quicknode, with one secret, at most" in run("feeds", "check", str(file)).stdout


def test_with_an_ingest_token_or_without_a_signed_feed_nothing_is_warned_of(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        context.setenv("TIDEGATE_INGEST_TOKENS", "one-that-may")
        assert "warning" not in run("feeds", "check", str(file)).output
    file.write_text("[feeds.plain]\n")
    assert "warning" not in run("feeds", "check", str(file)).output


def test_one_feed_is_told_declared_or_not(run: Run, file: Path) -> None:
    assert run("feeds", "check", str(file), "--feed", "plain").stdout.startswith("plain: asks")
    undeclared = run("feeds", "check", str(file), "--feed", "helius-a")
    assert undeclared.stdout.startswith("helius-a: is not declared and has the defaults; asks")


@pytest.mark.parametrize("text", ["[feeds.a]\nskp = []\n", "[feeds.a", '[feeds.a]\nhmac = "quicknode"\n'])
def test_a_broken_file_exits_with_2_and_its_line(run: Run, file: Path, text: str) -> None:
    file.write_text(text)
    done = run("feeds", "check", str(file))
    assert done.exit_code == 2
    assert f"{file}: line " in done.stderr
    assert done.stdout == ""


def test_a_missing_file_exits_with_2(run: Run, tmp_path: Path) -> None:
    done = run("feeds", "check", str(tmp_path / "none.toml"))
    assert done.exit_code == 2
    assert "cannot be read: No such file or directory" in done.stderr


def test_a_body_needs_the_name_of_a_feed(run: Run, file: Path) -> None:
    done = run("feeds", "check", str(file), "--body", "-", stdin=b"[]")
    assert done.exit_code == 2
    assert "--body needs --feed NAME" in done.stderr
    wrong = run("feeds", "check", str(file), "--feed", "a b", "--body", "-", stdin=b"[]")
    assert wrong.exit_code == 2
    assert "'a b' cannot be the name of a feed" in wrong.stderr


def _lines(done: Result) -> list[str]:
    """What is told of a body, without the line on the feed."""
    return done.stdout.splitlines()[1:]


def test_a_body_is_told_transaction_by_transaction(run: Run, file: Path) -> None:
    body = DATA / "helius_enhanced_25.json"
    sent = json.loads(body.read_bytes())
    done = run("feeds", "check", str(file), "--feed", "plain", "--body", str(body))
    *lines, last = _lines(done)
    assert done.exit_code == 0, done.output
    for index, (line, transaction) in enumerate(zip(lines, sent, strict=True)):
        begin = f"{index}  accepted  helius-enhanced  signature {transaction['signature']}  slot "
        assert line.startswith(f"{begin}{transaction['slot']}  payload ")
    assert last == (
        "transactions: 25 accepted, 0 duplicate, 0 invalid, 0 skipped; "
        "documents: 25 helius-enhanced; nothing was stored"
    )


@pytest.mark.parametrize("name", ["helius_enhanced_25.json", "solana_getTransaction_mainnet_v0_a.json"])
def test_a_body_may_be_gzip_and_come_from_stdin(run: Run, file: Path, tmp_path: Path, name: str) -> None:
    body = (DATA / name).read_bytes()
    packed = tmp_path / "body.gz"
    packed.write_bytes(gzip.compress(body))
    here = ("feeds", "check", str(file), "--feed", "plain", "--body")
    plain = run(*here, "-", stdin=body)
    assert plain.exit_code == 0, plain.output
    assert run(*here, str(packed)).stdout == plain.stdout
    assert run(*here, "-", stdin=packed.read_bytes()).stdout == plain.stdout


def test_what_the_feed_skips_has_no_index_as_in_the_gates_answer(run: Run, file: Path) -> None:
    body = DATA / "solana_getBlock_100000000_jsonParsed_10tx.json"
    done = run("feeds", "check", str(file), "--feed", "quicknode-a", "--body", str(body))
    lines = _lines(done)
    assert [line.split("  ")[0] for line in lines[:10]] == ["-", "-", "-", "0", "1", "-", "2", "3", "-", "-"]
    assert lines[0] == "-  skipped  solana-block  votes"
    assert lines[8] == "-  skipped  solana-block  failed"
    assert "4 accepted, 0 duplicate, 0 invalid, 6 skipped; documents: 1 solana-block" in lines[10]


def test_a_double_is_told_with_the_one_before_it(run: Run, file: Path) -> None:
    body = DATA / "solana_getTransaction_batch_rpc_response.json"
    done = run("feeds", "check", str(file), "--feed", "plain", "--body", str(body))
    assert _lines(done)[1].startswith("1  duplicate of 0  json-rpc  signature ")
    assert "1 accepted, 1 duplicate" in _lines(done)[2]
    assert done.exit_code == 0


def test_what_is_invalid_is_told_and_exits_with_1(run: Run, file: Path) -> None:
    body = b'{"logs":[{"transactionHash":"0x1"},{"hash":"\\u001b[2J"},{"transactionHash":"0x2"}]}'
    done = run("feeds", "check", str(file), "--feed", "evm", "--body", "-", stdin=body)
    assert done.exit_code == 1
    lines = _lines(done)
    assert lines == [
        "0  accepted  mapped  signature 0x1  slot -  payload 25 bytes",
        "1  invalid  mapped: there is no signature at /transactionHash in an object with hash",
        "2  accepted  mapped  signature 0x2  slot -  payload 25 bytes",
        lines[3],
    ]
    assert lines[3].startswith("transactions: 2 accepted, 0 duplicate, 1 invalid, 0 skipped; documents: 1 ")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "the body would be answered 400: the body is empty"),
        (b"no JSON", "the body would be answered 400: JSON is malformed"),
        (b"\x1f\x8b no gzip", "the body would be answered 400: the body is not gzip"),
        (gzip.compress(b"[]", mtime=0)[:-4], "the body would be answered 400: the gzip body is cut off"),
    ],
)
def test_a_body_that_would_be_refused_exits_with_1(run: Run, file: Path, body: bytes, told: str) -> None:
    done = run("feeds", "check", str(file), "--feed", "plain", "--body", "-", stdin=body)
    assert done.exit_code == 1
    assert told in done.stderr


def test_a_body_past_the_limit_is_not_read(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_MAX_FEED_BODY_BYTES", "2048")
    for body in (b"[" + b" " * 3000 + b"]", gzip.compress(b" " * 3000)):
        done = run("feeds", "check", str(file), "--feed", "plain", "--body", "-", stdin=body)
        assert done.exit_code == 1
        assert "would be answered 413" in done.stderr


# With 2 MiB of room for all bodies, one of a feed that signs may have half of that.
ROOM = ("TIDEGATE_MAX_IN_FLIGHT_BYTES", "TIDEGATE_MAX_BODY_BYTES", "TIDEGATE_MAX_INFLATED_BYTES")
MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("feed", "limits"),
    [
        ("plain", (2 * MIB, 2 * MIB - INFLATER_BYTES)),
        ("quicknode-a", (MIB, MIB - INFLATER_BYTES)),  # signs before gzip
        # What was sent is held beside what comes out of it.
        ("signed", (MIB, 2 * MIB - INFLATER_BYTES)),
    ],
)
def test_a_body_has_the_limit_of_its_feed(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch, feed: str, limits: tuple[int, int]
) -> None:
    file.write_text(f'{TEXT}\n[feeds.signed]\nhmac = "quicknode"\nsecrets_file = "secrets"\n')
    for name in ROOM:
        monkeypatch.setenv(name, str(2 * MIB))

    def status(body: bytes) -> int:
        return run("feeds", "check", str(file), "--feed", feed, "--body", "-", stdin=body).exit_code

    def array(length: int) -> bytes:
        return b"[".ljust(length - 1) + b"]"

    def packed(length: int) -> bytes:
        return gzip.compress(array(length))

    most, most_of_gzip = limits
    assert [status(array(most)), status(array(most + 1))] == [0, 1]
    beside = len(packed(most_of_gzip)) if feed == "signed" else 0
    assert [status(packed(most_of_gzip - beside - 100)), status(packed(most_of_gzip - beside + 100))] == [
        0,
        1,
    ]


def test_an_empty_delivery_is_fine(run: Run, file: Path) -> None:
    done = run("feeds", "check", str(file), "--feed", "plain", "--body", "-", stdin=b"[]")
    assert done.exit_code == 0
    assert "0 accepted, 0 duplicate, 0 invalid, 0 skipped; documents: none" in done.stdout


def test_a_wrong_setting_exits_with_2(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_MAX_PAYLOAD_BYTES", "much")
    done = run("feeds", "check", str(file))
    assert done.exit_code == 2
    assert "TIDEGATE_MAX_PAYLOAD_BYTES" in done.stderr
