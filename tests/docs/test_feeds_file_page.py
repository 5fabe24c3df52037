"""The page on the feeds file tells every key, and its example is a file that can be used."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.feeds import feeds
from app.feeds.feed_rules import SKIPPABLE
from app.feeds.feeds_file import FeedsFileError, load_feeds
from app.feeds.feeds_file_table import KEYS, Declaration
from app.feeds.webhook_hmac import DEFAULT_MAX_AGE_SECONDS, SCHEMES
from tests.support.pages import ROOT

PAGE = (ROOT / "docs" / "feeds-file.md").read_text(encoding="utf-8")


def test_every_key_has_its_row_and_every_row_its_key() -> None:
    assert tuple(re.findall(r"^\| `(\w+)` \|.*\|.*\|$", PAGE.split("## Signatures")[0], re.MULTILINE)) == KEYS


def test_what_a_key_may_be_and_its_default_are_on_the_page() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE.split("## Signatures")[0], re.MULTILINE))
    assert all(f'`"{scheme}"`' in rows["hmac"] for scheme in SCHEMES)
    assert all(f'`"{rule}"`' in rows["skip"] for rule in SKIPPABLE)
    assert rows["max_age_seconds"].startswith(f"{DEFAULT_MAX_AGE_SECONDS} |")
    assert rows["hmac_over"].startswith(f'`"{Declaration().hmac_over}"` |')


def test_the_example_can_be_used(tmp_path: Path) -> None:
    example = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]
    (tmp_path / "secrets").write_text("secret\n")
    file = tmp_path / "feeds.toml"
    file.write_text(example.replace("/run/secrets/quicknode-a", "secrets"))
    assert set(load_feeds(file).declared) == {"quicknode-a", "evm"}


def test_a_body_is_told_as_the_page_shows_it(tmp_path: Path) -> None:
    shown = re.search(r"^    (evm: .*?)\n\n", PAGE, re.MULTILINE | re.DOTALL)
    example = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]
    file = tmp_path / "feeds.toml"
    file.write_text(example[example.index("[feeds.evm]") :])
    body = b'{"logs":[{"transactionHash":"0x2f4c","blockNumber":"0x1234"},{"blockNumber":4660}]}'
    done = CliRunner().invoke(feeds, ["check", str(file), "--feed", "evm", "--body", "-"], input=body)
    assert shown is not None
    assert done.output.splitlines() == [line.strip() for line in shown[1].splitlines()]


def test_the_mistake_is_told_as_the_page_shows_it(tmp_path: Path) -> None:
    shown = re.findall(r"^    /etc/tidegate/feeds.toml: (.*)$", PAGE, re.MULTILINE)[0]
    file = tmp_path / "feeds.toml"
    file.write_text("# feeds\n\n[feeds.quicknode-a]\nskips = []\n")
    with pytest.raises(FeedsFileError, match=re.escape(f"{file}: {shown}")):
        load_feeds(file)
