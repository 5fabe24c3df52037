"""`tidegate feeds check`: the feeds file and a body, without a gate."""

from pathlib import Path

import pytest

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
            "evm: needs an ingest token where the gate has some; "
            "mapped (items '/logs', signature '/transactionHash')"
        ),
        "plain: needs an ingest token where the gate has some",
    ]
    assert "hush" not in done.output


def test_one_feed_is_told_declared_or_not(run: Run, file: Path) -> None:
    assert run("feeds", "check", str(file), "--feed", "plain").stdout.startswith("plain: needs")
    undeclared = run("feeds", "check", str(file), "--feed", "helius-a")
    assert undeclared.stdout.startswith("helius-a: is not declared and has the defaults; needs")


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
