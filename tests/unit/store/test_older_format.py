"""Calls in the format before this one: its scripts as they were, with the arguments that they take."""

from pathlib import Path

import msgspec
import pytest

from app.settings.model import Settings
from app.store.blocks import Record, decode_frame
from app.store.map_rules import packed_rules
from app.store.older_format import claim_in_format_1, lookup_in_format_1
from tests.support.deliver import block_of, transaction
from tests.support.last_release import ROOT, read_at

LAST_OF_FORMAT_1 = "2a3fc4f895b69bb0eb0956233588a82def2c8144"
FROZEN = ROOT / "app/store/lua/format_1"
RULES = packed_rules(Settings(dedup_window_seconds=7, transactions_limit=60_000), 6, version=3)


def test_the_rules_say_the_same_in_both_formats() -> None:
    rules, digest = lookup_in_format_1(RULES, b"hash")
    assert digest == b"hash"
    assert isinstance(rules, bytes)
    told = msgspec.msgpack.decode(rules)
    assert (told["format"], told["version"], told["window"]) == (1, 3, 7000)
    assert told["maps"]["signatures"]["retention"] == 7000
    assert told["maps"]["transactions"]["limit"] == 10_000
    assert set(told) == {
        *("format", "version", "window", "sources", "ledger_expiry", "settings_expiry", "maps"),
    }


def test_a_claim_brings_its_block_without_signatures_and_no_sample() -> None:
    block = block_of([transaction("a", "quick", 1), transaction("b", payload=[2])])
    delivered = [b"hashes", b"sources", b"again", b"names"]
    _, *args = claim_in_format_1(RULES, delivered, block, 2, (1700, 41))
    assert args[:4] == delivered
    assert args[5:] == [2, 1700, 41, b""]
    assert isinstance(args[4], bytes)
    assert decode_frame(args[4]) == [Record("quick", None, b"1"), Record("helius-a", None, b"[2]")]


def test_a_claim_without_a_block_stays_without_one() -> None:
    _, *args = claim_in_format_1(RULES, [b"hashes"], b"", 0, (0, -1))
    assert args == [b"hashes", b"", 0, 0, -1, b""]


@pytest.mark.parametrize("file", sorted(FROZEN.glob("*.lua")), ids=lambda file: file.name)
def test_the_scripts_of_format_1_are_those_that_its_last_version_ran(file: Path) -> None:
    folder = "app/store/lua" if file.stem in ("claim", "lookup") else "app/store/lua/parts"
    assert file.read_bytes() == read_at(LAST_OF_FORMAT_1, f"{folder}/{file.name}")


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_clone_without_the_released_commit_is_told_so_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="git fetch --unshallow"):
        read_at("0" * 40, "README.md")
