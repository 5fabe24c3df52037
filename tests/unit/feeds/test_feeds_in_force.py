"""The feeds in force: read again when their file changes, and kept when that is broken."""

import asyncio
import os
from pathlib import Path
from threading import Thread

import pytest
from structlog.testing import capture_logs

from app.errors import RateLimited, Unauthorized
from app.feeds.feed import Feed
from app.feeds.feeds_file import FeedsFileError
from app.feeds.feeds_in_force import FeedsInForce
from tests.support.signed import quicknode_headers

NOW = 1764403200
SIGNED = '[feeds.a]\nhmac = "quicknode"\nsecrets_file = "secrets"\n'
LIMITED = "[feeds.a]\ntransactions_per_second = {}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "secrets").write_text("first\n")
    return tmp_path / "feeds.toml"


def _registry(file: Path, text: str, workers: int = 1) -> FeedsInForce:
    file.write_text(text)
    return FeedsInForce(file, workers)


def _reload(registry: FeedsInForce) -> None:
    asyncio.run(registry.reload())


def _warning(registry: FeedsInForce) -> str:
    return registry.warning or ""


def _verify(registry: FeedsInForce, secret: str) -> None:
    signature = registry.get("a").signature
    assert signature is not None
    signature.verify(quicknode_headers(b"[]", NOW, secret), [b"[]"], NOW)


def test_without_a_file_all_feeds_have_the_defaults_and_no_limit() -> None:
    registry = FeedsInForce(None)
    assert registry.get("any") == Feed("any")
    registry.take("any", 10**9, 0)
    _reload(registry)
    assert registry.warning is None


def test_a_broken_file_is_refused_at_the_start(file: Path) -> None:
    with pytest.raises(FeedsFileError, match="line 1"):
        _registry(file, "[feeds.a")


def test_a_changed_file_is_read_again(file: Path) -> None:
    with capture_logs() as logs:
        registry = _registry(file, "")
        _reload(registry)
        file.write_text(SIGNED)
        _reload(registry)
        _reload(registry)
    assert [log["event"] for log in logs] == ["feeds read", "feeds read again"]
    assert [log["feeds"] for log in logs] == [0, 1]
    _verify(registry, "first")


def test_a_changed_file_of_secrets_is_read_again(file: Path) -> None:
    registry = _registry(file, SIGNED)
    (file.parent / "secrets").write_text("first\nsecond\n")
    _reload(registry)
    _verify(registry, "first")
    _verify(registry, "second")
    (file.parent / "secrets").write_text("second\n")
    _reload(registry)
    with pytest.raises(Unauthorized):
        _verify(registry, "first")


def test_a_file_that_is_replaced_by_another_is_read_again(file: Path) -> None:
    registry = _registry(file, LIMITED.format(1))
    other = file.with_name("other")
    other.write_text(LIMITED.format(2))
    other.replace(file)
    _reload(registry)
    assert registry.get("a").transactions_per_second == 2


@pytest.mark.parametrize("broken", ["[feeds.a", "[feeds.a]\nsecret = 1\n", None])
def test_a_broken_file_leaves_the_feeds_as_they_were_and_is_a_warning_once(
    file: Path, broken: str | None
) -> None:
    registry = _registry(file, SIGNED)
    with capture_logs() as logs:
        if broken is None:
            file.unlink()
        else:
            file.write_text(broken)
        for _ in range(3):
            _reload(registry)
    assert [(log["event"], log["log_level"]) for log in logs] == [("feeds not read again", "warning")]
    assert registry.warning is not None
    assert str(file) in registry.warning
    _verify(registry, "first")


def test_secrets_that_go_and_come_back_are_a_warning_in_between(file: Path) -> None:
    registry = _registry(file, SIGNED)
    (file.parent / "secrets").write_text("")
    _reload(registry)
    assert "holds no secret" in _warning(registry)
    _verify(registry, "first")
    (file.parent / "secrets").write_text("second\n")
    _reload(registry)
    assert not _warning(registry)
    _verify(registry, "second")


def test_a_name_with_a_nul_is_a_warning_and_leaves_the_feeds_as_they_were(file: Path) -> None:
    registry = _registry(file, SIGNED)
    file.write_text(SIGNED.replace('"secrets"', r'"a\u0000b"'))
    _reload(registry)
    assert "line 3: feed a: " in _warning(registry)
    _verify(registry, "first")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["secrets", "feeds.toml"])
def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(file: Path, name: str) -> None:
    registry = _registry(file, SIGNED)
    (file.parent / name).unlink()
    os.mkfifo(file.parent / name)
    _reload(registry)
    assert "cannot be read: it is no regular file" in _warning(registry)
    _verify(registry, "first")


@pytest.mark.timeout(20)
def test_a_pipe_is_read_at_the_start_and_never_again(file: Path) -> None:
    os.mkfifo(file)
    writer = Thread(target=file.write_text, args=(SIGNED,))
    writer.start()
    registry = FeedsInForce(file)
    writer.join()
    _reload(registry)
    assert not _warning(registry)
    _verify(registry, "first")
    (file.parent / "secrets").write_text("second\n")
    _reload(registry)
    assert "cannot be read: it is no regular file" in _warning(registry)
    _verify(registry, "first")


@pytest.mark.timeout(20)
def test_a_pipe_that_several_workers_would_have_to_read_is_refused_at_the_start(file: Path) -> None:
    os.mkfifo(file)
    with pytest.raises(FeedsFileError, match="it is no regular file"):
        FeedsInForce(file, workers=2)


@pytest.mark.parametrize("emptied", ["", "# none\n", "[feeds]\n"])
def test_a_file_that_is_emptied_keeps_who_has_to_sign(file: Path, emptied: str) -> None:
    registry = _registry(file, SIGNED)
    file.write_text(emptied)
    _reload(registry)
    assert "declares no feed any more" in _warning(registry)
    _verify(registry, "first")
    file.write_text("[feeds.b]\n")
    _reload(registry)
    assert (_warning(registry), registry.get("a").signature) == ("", None)


def test_a_file_that_is_broken_in_another_way_is_another_warning(file: Path) -> None:
    registry = _registry(file, "")
    with capture_logs() as logs:
        for text in ("x = 1", "x = 1 #", "y = 1", ""):
            file.write_text(text)
            _reload(registry)
    assert [log["event"] for log in logs] == ["feeds not read again"] * 2 + ["feeds read again"]


def test_only_the_feed_that_is_over_its_share_is_refused(file: Path) -> None:
    registry = _registry(file, LIMITED.format(10) + "[feeds.b]\ntransactions_per_second = 10\n")
    registry.take("a", 10, 0)
    with pytest.raises(RateLimited):
        registry.take("a", 1, 0)
    registry.take("b", 10, 0)
    registry.take("undeclared", 1000, 0)


def test_a_share_stays_as_full_as_it_is_until_it_is_changed(file: Path) -> None:
    registry = _registry(file, LIMITED.format(10))
    registry.take("a", 10, 0)
    file.write_text(LIMITED.format(10) + 'skip = ["votes"]\n')
    _reload(registry)
    assert registry.get("a").rules.skip == {"votes"}
    with pytest.raises(RateLimited):
        registry.take("a", 1, 0)
    file.write_text(LIMITED.format(20))
    _reload(registry)
    registry.take("a", 20, 0)
    file.write_text("[feeds.b]\n")
    _reload(registry)
    registry.take("a", 10**6, 0)


@pytest.mark.parametrize(("workers", "share"), [(1, 100), (2, 100), (4, 50)])
def test_each_of_several_workers_lets_a_feed_send_twice_an_even_share(
    file: Path, workers: int, share: int
) -> None:
    registry = _registry(file, LIMITED.format(100), workers)
    registry.take("a", share, 0)
    with pytest.raises(RateLimited):
        registry.take("a", 1, 0)


async def test_the_file_is_read_again_in_a_thread(file: Path) -> None:
    registry = _registry(file, "")
    await asyncio.to_thread(file.write_text, LIMITED.format(5))
    await registry.reload()
    assert registry.get("a").transactions_per_second == 5
