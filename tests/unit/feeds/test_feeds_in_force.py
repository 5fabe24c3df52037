"""The feeds in force: read again when their file changes, and kept when that is broken."""

import asyncio
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.errors import RateLimited, Unauthorized
from app.feeds.feed import Feed
from app.feeds.feeds_file import FeedsFileError
from app.feeds.feeds_in_force import FeedsInForce
from tests.support.pipes import piped
from tests.support.signed import quicknode_headers

NOW = 1764403200
SIGNED = '[feeds.a]\nhmac = "quicknode"\nsecrets_file = "secrets"\n'
LIMITED = "[feeds.a]\ntransactions_per_second = {}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "secrets").write_text("first\n")
    return tmp_path / "feeds.toml"


def _in_force(file: Path, text: str, workers: int = 1) -> FeedsInForce:
    file.write_text(text)
    return FeedsInForce(file, workers)


def _reload(feeds: FeedsInForce) -> None:
    asyncio.run(feeds.reload())


def _warning(feeds: FeedsInForce) -> str:
    return feeds.warning or ""


def _verify(feeds: FeedsInForce, secret: str) -> None:
    signature = feeds.get("a").signature
    assert signature is not None
    signature.verify(quicknode_headers(b"[]", NOW, secret), [b"[]"], NOW)


def test_without_a_file_all_feeds_have_the_defaults_and_no_limit() -> None:
    feeds = FeedsInForce(None)
    assert feeds.get("any") == Feed("any")
    feeds.take("any", 10**9, 0)
    _reload(feeds)
    assert feeds.warning is None


def test_a_broken_file_is_refused_at_the_start(file: Path) -> None:
    with pytest.raises(FeedsFileError, match="line 1"):
        _in_force(file, "[feeds.a")


def test_a_changed_file_is_read_again(file: Path) -> None:
    with capture_logs() as logs:
        feeds = _in_force(file, "")
        _reload(feeds)
        file.write_text(SIGNED)
        _reload(feeds)
        _reload(feeds)
    assert [log["event"] for log in logs] == ["feeds read", "feeds read again"]
    assert [log["feeds"] for log in logs] == [0, 1]
    _verify(feeds, "first")


def test_a_changed_file_of_secrets_is_read_again(file: Path) -> None:
    feeds = _in_force(file, SIGNED)
    (file.parent / "secrets").write_text("first\nsecond\n")
    _reload(feeds)
    _verify(feeds, "first")
    _verify(feeds, "second")
    (file.parent / "secrets").write_text("second\n")
    _reload(feeds)
    with pytest.raises(Unauthorized):
        _verify(feeds, "first")


def test_a_file_that_is_replaced_by_another_is_read_again(file: Path) -> None:
    feeds = _in_force(file, LIMITED.format(1))
    other = file.with_name("other")
    other.write_text(LIMITED.format(2))
    other.replace(file)
    _reload(feeds)
    assert feeds.get("a").transactions_per_second == 2


@pytest.mark.parametrize("broken", ["[feeds.a", "[feeds.a]\nsecret = 1\n", None])
def test_a_broken_file_leaves_the_feeds_as_they_were_and_is_a_warning_once(
    file: Path, broken: str | None
) -> None:
    feeds = _in_force(file, SIGNED)
    with capture_logs() as logs:
        if broken is None:
            file.unlink()
        else:
            file.write_text(broken)
        for _ in range(3):
            _reload(feeds)
    assert [(log["event"], log["log_level"]) for log in logs] == [("feeds not read again", "warning")]
    assert feeds.warning is not None
    assert str(file) in feeds.warning
    _verify(feeds, "first")


def test_secrets_that_go_and_come_back_are_a_warning_in_between(file: Path) -> None:
    feeds = _in_force(file, SIGNED)
    (file.parent / "secrets").write_text("")
    _reload(feeds)
    assert "holds no secret" in _warning(feeds)
    _verify(feeds, "first")
    (file.parent / "secrets").write_text("second\n")
    _reload(feeds)
    assert not _warning(feeds)
    _verify(feeds, "second")


def test_a_name_with_a_nul_is_a_warning_and_leaves_the_feeds_as_they_were(file: Path) -> None:
    feeds = _in_force(file, SIGNED)
    file.write_text(SIGNED.replace('"secrets"', r'"a\u0000b"'))
    _reload(feeds)
    assert "line 3: feed a: " in _warning(feeds)
    _verify(feeds, "first")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["secrets", "feeds.toml"])
def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(file: Path, name: str) -> None:
    feeds = _in_force(file, SIGNED)
    (file.parent / name).unlink()
    os.mkfifo(file.parent / name)
    _reload(feeds)
    assert "cannot be read: it is no regular file" in _warning(feeds)
    _verify(feeds, "first")


@pytest.mark.timeout(120)
def test_a_pipe_is_read_at_the_start_and_never_again(file: Path) -> None:
    with piped(file, SIGNED):
        feeds = FeedsInForce(file)
    _reload(feeds)
    assert not _warning(feeds)
    _verify(feeds, "first")
    (file.parent / "secrets").write_text("second\n")
    _reload(feeds)
    assert "cannot be read: it is no regular file" in _warning(feeds)
    _verify(feeds, "first")


@pytest.mark.timeout(120)
def test_a_pipe_that_several_workers_would_have_to_read_is_refused_at_the_start(file: Path) -> None:
    os.mkfifo(file)
    with pytest.raises(FeedsFileError, match="it is no regular file"):
        FeedsInForce(file, workers=2)


@pytest.mark.parametrize("emptied", ["", "# none\n", "[feeds]\n"])
def test_a_file_that_is_emptied_keeps_who_has_to_sign(file: Path, emptied: str) -> None:
    feeds = _in_force(file, SIGNED)
    file.write_text(emptied)
    _reload(feeds)
    assert "declares no feed any more" in _warning(feeds)
    _verify(feeds, "first")
    file.write_text("[feeds.b]\n")
    _reload(feeds)
    assert (_warning(feeds), feeds.get("a").signature) == ("", None)


def test_a_file_that_is_broken_in_another_way_is_another_warning(file: Path) -> None:
    feeds = _in_force(file, "")
    with capture_logs() as logs:
        for text in ("x = 1", "x = 1 #", "y = 1", ""):
            file.write_text(text)
            _reload(feeds)
    assert [log["event"] for log in logs] == ["feeds not read again"] * 2 + ["feeds read again"]


def test_only_the_feed_that_is_over_its_share_is_refused(file: Path) -> None:
    feeds = _in_force(file, LIMITED.format(10) + "[feeds.b]\ntransactions_per_second = 10\n")
    feeds.take("a", 10, 0)
    with pytest.raises(RateLimited):
        feeds.take("a", 1, 0)
    feeds.take("b", 10, 0)
    feeds.take("undeclared", 1000, 0)


def test_a_share_stays_as_full_as_it_is_until_it_is_changed(file: Path) -> None:
    feeds = _in_force(file, LIMITED.format(10))
    feeds.take("a", 10, 0)
    file.write_text(LIMITED.format(10) + 'skip = ["votes"]\n')
    _reload(feeds)
    assert feeds.get("a").rules.skip == {"votes"}
    with pytest.raises(RateLimited):
        feeds.take("a", 1, 0)
    file.write_text(LIMITED.format(20))
    _reload(feeds)
    feeds.take("a", 20, 0)
    file.write_text("[feeds.b]\n")
    _reload(feeds)
    feeds.take("a", 10**6, 0)


@pytest.mark.parametrize(("workers", "share"), [(1, 100), (2, 100), (4, 50)])
def test_each_of_several_workers_lets_a_feed_send_twice_an_even_share(
    file: Path, workers: int, share: int
) -> None:
    feeds = _in_force(file, LIMITED.format(100), workers)
    feeds.take("a", share, 0)
    with pytest.raises(RateLimited):
        feeds.take("a", 1, 0)


async def test_the_file_is_read_again_in_a_thread(file: Path) -> None:
    feeds = _in_force(file, "")
    await asyncio.to_thread(file.write_text, LIMITED.format(5))
    await feeds.reload()
    assert feeds.get("a").transactions_per_second == 5
