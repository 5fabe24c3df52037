"""Proxies and stores that refuse a part of what Redis knows, imitated with the answers that they give."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import hiredis
import pytest
from structlog.testing import capture_logs

from app.ingest.flush import Flusher
from app.models import WarningKey, WarningName
from app.settings.model import Settings
from app.store.shared_connection import packed
from tests.support.deliver import transaction
from tests.support.gate import running
from tests.support.proxy import tcp_server
from tests.support.servers import StoreServer, redis_server, valkey_server

pytestmark = pytest.mark.server

KINDS = {"valkey": valkey_server, "redis": redis_server}
HANG_UP = b""
Refusal = Callable[[bytes], bytes | None]


def _envoy(name: bytes) -> bytes | None:
    """Pass on commands that name a key."""
    if name in (b"EVAL", b"EVALSHA", b"PING"):
        return None
    return b"-ERR unknown command '%s', with args beginning with: \r\n" % name.lower()


def _older_envoy(name: bytes) -> bytes | None:
    """Pass on the same, and refuse the rest in other words."""
    return None if name in (b"EVAL", b"EVALSHA") else b"-unsupported command '%s'\r\n" % name.lower()


def _managed(name: bytes) -> bytes | None:
    """Refuse what tells of the server, in words of its own."""
    return b"-ERR not available on this plan\r\n" if name == b"INFO" else None


def _twemproxy(name: bytes) -> bytes | None:
    """Close a connection with a command that is not known."""
    return None if name in (b"EVAL", b"EVALSHA", b"PING", b"AUTH") else HANG_UP


def _dragonfly(name: bytes) -> bytes | None:
    """Refuse scripts that touch a key which the call does not name."""
    told = (
        b"-ERR Error running script (call to f_1): @user_script:1: script tried accessing undeclared key\r\n"
    )
    return told if name in (b"EVAL", b"EVALSHA") else None


@asynccontextmanager
async def _before(server: StoreServer, refusal: Refusal) -> AsyncIterator[str]:
    """Answer some commands itself, and pass the others on."""
    port = int(server.url.rpartition(":")[2].partition("/")[0])

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        store, to_store = await asyncio.open_connection("127.0.0.1", port)
        commands, replies = hiredis.Reader(), hiredis.Reader()
        try:
            while data := await reader.read(1 << 16):
                commands.feed(data)
                while command := commands.gets():
                    answer = refusal(command[0].upper())
                    if answer == HANG_UP:
                        return
                    writer.write(answer or await _asked(store, to_store, replies, command))
        finally:
            to_store.close()

    async with tcp_server(handle) as url:
        yield url


async def _asked(
    store: asyncio.StreamReader, to_store: asyncio.StreamWriter, replies: hiredis.Reader, command: list[bytes]
) -> bytes:
    """Ask the store, and return the bytes of its reply."""
    to_store.write(packed(tuple(command)))
    answer = b""
    while True:
        data = await store.read(1 << 16)
        answer += data
        replies.feed(data)
        if replies.gets() is not False:
            return answer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("proxy", [_envoy, _older_envoy, _managed])
async def test_a_proxy_that_passes_on_scripts_is_enough(kind: str, proxy: Refusal) -> None:
    """What is missing is the figures, of which it warns."""
    with KINDS[kind]() as server, capture_logs() as logs:
        async with (
            _before(server, proxy) as url,
            running(Settings(store_url=url, store_deadline_seconds=10)) as runtime,
        ):
            assert runtime.readiness.reasons() == []
            assert runtime.session.server is not None
            assert runtime.session.server.name == kind
            await runtime.sample_memory()
            flusher = Flusher(runtime.plane.maps, runtime.metrics, runtime.plane.sources)
            [answer] = await flusher.flush([transaction("one")])
            assert answer.verdict == "accepted"
            assert runtime.readiness.reasons() == []
            missing = runtime.warnings.now()[WarningKey(WarningName.STORE_FIGURES_MISSING)]
    assert missing.startswith("INFO of the store cannot be read")
    assert [log for log in logs if log["log_level"] == "error"] == []


@pytest.mark.parametrize(
    ("proxy", "options", "kind", "sentence"),
    [
        (_twemproxy, "", "hangs_up", "such as Twemproxy"),
        (_dragonfly, "", "undeclared_keys", "allow-undeclared-keys"),
        (_envoy, "?protocol=3", "no_command", "the command HELLO,"),
    ],
)
async def test_a_proxy_that_is_not_enough_is_named(
    proxy: Refusal, options: str, kind: str, sentence: str
) -> None:
    with valkey_server() as server, capture_logs() as logs:
        async with (
            _before(server, proxy) as url,
            running(Settings(store_url=f"{url}{options}", store_deadline_seconds=3)) as runtime,
        ):
            [reason] = runtime.readiness.reasons()
    assert reason.startswith(f"the store is down ({kind})")
    assert sentence in reason
    [told] = [log for log in logs if log["event"] == "store down"]
    assert (told["kind"], told["error"].isprintable()) == (kind, True)
