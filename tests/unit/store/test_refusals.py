"""A store that refuses a command, or is none: the gate works without it, or says what is refused."""

import asyncio
import re
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from app.errors import StoreDenied
from app.ingest.flush import Flusher
from app.runtime import Runtime
from app.settings.model import Settings
from app.store.scripts import load_scripts
from tests.conftest import MakeSettings
from tests.support.deliver import transaction
from tests.support.gate import gate_process, running
from tests.support.named_failures import assert_named
from tests.support.processes import wait_until
from tests.support.proxy import Handler, tcp_server
from tests.support.servers import StoreServer, cluster_server, redis_server, valkey_server

pytestmark = pytest.mark.server

# Each is refused alone. Of the first ones the gate has no need: INFO and HELLO stand in for each other.
SPARED = (
    *("info", "hello", "client", "client|setname", "select", "ping", "command", "config"),
    *("script", "function", "memory", "xadd", "evalsha_ro", "acl", "cluster"),
)
NEEDED = (
    *("evalsha", "eval", "time", "set", "get", "exists"),
    *("hset", "hget", "hmget", "pexpireat", "unlink", "strlen"),
    *("getex", "pexpire", "hlen", "hexists"),
)
# Commands that only take over what a gate of format 1 has left.
OF_AN_UPGRADE = {"LINDEX", "LRANGE", "RENAME", "ZRANGE"}
PATIENCE_SECONDS = 60.0
KINDS = {"valkey": valkey_server, "redis": redis_server}


@pytest.fixture(scope="module", params=KINDS)
def guarded(request: pytest.FixtureRequest) -> Iterator[StoreServer]:
    with KINDS[request.param]() as server:
        yield server


def _limited(server: StoreServer, *refused: str) -> Settings:
    """Settings that log in as a user who may do everything but this."""
    for node in server.nodes():
        with node:
            node.flushall()
            node.script_flush()
            node.acl_deluser("gate")
            commands = ["+@all", *(f"-{name}" for name in refused)]
            node.acl_setuser("gate", enabled=True, passwords=["+pw"], keys=["*"], commands=commands)
    return Settings(store_url=server.url.replace("redis://", "redis://gate:pw@"), store_deadline_seconds=3)


async def _accepts(runtime: Runtime) -> bool:
    flusher = Flusher(runtime.plane.maps, runtime.metrics, runtime.plane.sources)
    [answer] = await flusher.flush([transaction("one")])
    return answer.verdict == "accepted"


@pytest.mark.parametrize("command", SPARED)
async def test_a_command_that_can_be_spared_is_spared(guarded: StoreServer, command: str) -> None:
    async with running(_limited(guarded, command)) as runtime:
        assert runtime.readiness.reasons() == []
        assert await _accepts(runtime)


@pytest.mark.parametrize("command", NEEDED)
async def test_a_gate_is_not_ready_without_a_command_that_posts_need_and_names_it(
    guarded: StoreServer, command: str
) -> None:
    with capture_logs() as logs:
        async with running(_limited(guarded, command)) as runtime:
            [reason] = runtime.readiness.reasons()
            assert reason.startswith("the store is down (denied)")
            assert f"the command {command.upper()};" in reason
            with pytest.raises(StoreDenied) as refused:
                await _accepts(runtime)
            assert refused.value.advice in reason
    [told] = [log for log in logs if log["event"] == "store down"]
    assert (told["kind"], told["advice"]) == ("denied", refused.value.advice)
    assert told["error"].isprintable()


def test_every_command_of_posts_and_of_the_tick_is_tried_before_the_gate_is_ready() -> None:
    scripts = load_scripts()
    used = {
        one for name in ("claim", "lookup", "sizes") for one in re.findall(r"call\('([A-Z]+)'", scripts[name])
    }
    tried = set(re.findall(r"\{'([A-Z]+)', probe", scripts["sizes"]))
    assert used - OF_AN_UPGRADE - {"TIME"} <= tried


def test_no_line_of_a_script_calls_two_commands_as_redis_names_only_the_line() -> None:
    lines = {line for text in load_scripts().values() for line in text.splitlines()}
    calls = {line: set(re.findall(r"\('([A-Z]+)'", line)) for line in lines}
    assert [line for line, commands in calls.items() if len(commands) > 1] == []


@pytest.mark.parametrize("command", ["rpush", "zadd", "zcard"])
async def test_without_what_only_the_history_needs_transactions_are_taken_in(
    guarded: StoreServer, command: str
) -> None:
    async with running(_limited(guarded, command)) as runtime:
        with capture_logs() as logs:
            for _ in range(2):
                with pytest.raises(StoreDenied) as refused:
                    await runtime.recorder.record()
                assert refused.value.command == command.upper()
        assert runtime.readiness.reasons() == []
        told = [log["event"] for log in logs if log["log_level"] == "warning"]
        assert told == ["samples for reports cannot be kept"]
        assert await _accepts(runtime)


async def test_keys_that_the_user_may_not_use_are_named(guarded: StoreServer) -> None:
    settings = _limited(guarded)
    [node] = guarded.nodes()
    with node:
        node.acl_setuser("gate", reset_keys=True, keys=["others:*"], enabled=True, commands=["+@all"])
    async with running(settings) as runtime:
        [reason] = runtime.readiness.reasons()
        assert reason.startswith("the store is down (denied)")
        assert "the keys" in reason


@pytest.mark.parametrize("command", ["pexpireat", "hset"])
def test_a_right_that_is_taken_away_is_noticed_without_a_post_and_posts_say_the_same(
    guarded: StoreServer, command: str
) -> None:
    settings, [node] = _limited(guarded), guarded.nodes()
    with gate_process(store_url=settings.store_url) as gate, gate.client() as client, node:
        node.acl_setuser("gate", enabled=True, commands=[f"-{command}"])
        assert wait_until(lambda: not gate.is_ready(), PATIENCE_SECONDS)
        client.post("/transactions", json={"signature": "one", "payload": 1})
        assert_named(gate, "denied", f"the command {command.upper()};")
        node.acl_setuser("gate", enabled=True, commands=["+@all"])
        assert wait_until(gate.is_ready, PATIENCE_SECONDS)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cluster_that_refuses_its_slots_says_so(kind: str) -> None:
    with cluster_server(kind=kind) as server:
        settings = _limited(server, "cluster")
        async with running(settings) as runtime:
            assert "the command CLUSTER SLOTS;" in str(runtime.readiness.reasons())
        _limited(server)
        async with running(settings) as runtime:
            assert await _accepts(runtime)


async def _garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(bytes(range(256)) * 100)
    await reader.read()


async def _http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await reader.read()


async def _closing(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    return


async def _silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(1 << 16):
        pass


async def _talkative(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speaks before it is asked, as a server does that has too many clients."""
    writer.write(b"-ERR max number of clients reached\r\n")


def _always(answer: bytes) -> Handler:
    """The same reply to whatever is asked, but for the login."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(b"+OK\r\n")
        while await reader.read(1 << 16):
            writer.write(answer)
            await writer.drain()

    return handle


def _bulk(text: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(text), text)


def _info_then(info: bytes, answer: bytes) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(b"+OK\r\n")
        while command := await reader.read(1 << 16):
            writer.write(_bulk(info) if b"INFO" in command else answer)
            await writer.drain()

    return handle


_STANDALONE = b"redis_version:7.2.0\r\nredis_mode:standalone\r\nused_memory:many\r\n"
_CLUSTER = b"redis_version:7.2.0\r\nredis_mode:cluster\r\n"
STRANGERS: dict[str, tuple[Handler, str]] = {
    "garbage": (_garbage, "unsupported"),
    "http": (_http, "unsupported"),
    "closes at once": (_closing, "hangs_up"),
    "silent": (_silent, "timeout"),
    "too many clients": (_talkative, "too_many_clients"),
    "a number for INFO": (_always(b":7\r\n"), "unsupported"),
    "nothing for INFO": (_always(b"$-1\r\n"), "unsupported"),
    "an empty INFO": (_always(_bulk(b"")), "unsupported"),
    "a list for INFO": (_always(b"*2\r\n:1\r\n$-1\r\n"), "unsupported"),
    "an INFO of 20 MB": (_always(_bulk(b"x:y\r\n" * 4_000_000)), "unsupported"),
    "INFO in UTF-16": (_always(_bulk("redis_version:7".encode("utf-16"))), "unsupported"),
    "refusals": (_always(b"-NOPERM no permissions to run the 'info' command\r\n"), "denied"),
    "an unknown error": (_always(b"-WHATEVER it is\r\n"), "rejected"),
    "a number for scripts": (_info_then(_STANDALONE, b":1\r\n"), "unsupported"),
    "lists for scripts": (_info_then(_STANDALONE, b"*3\r\n:1\r\n:1\r\n*1\r\n$1\r\nx\r\n"), "unsupported"),
    "text for scripts": (_info_then(_STANDALONE, b"+fine\r\n"), "unsupported"),
    "a number for slots": (_info_then(_CLUSTER, b":1\r\n"), "unsupported"),
    "no slots": (_info_then(_CLUSTER, b"*0\r\n"), "cluster_down"),
    "slots without nodes": (_info_then(_CLUSTER, b"*1\r\n*2\r\n:0\r\n:16383\r\n"), "cluster_down"),
    "slots of texts": (_info_then(_CLUSTER, b"*1\r\n*3\r\n+a\r\n+b\r\n*2\r\n+c\r\n+d\r\n"), "unsupported"),
    "moved for ever": (_info_then(_STANDALONE, b"-MOVED 1 127.0.0.1:1\r\n"), "cluster_down"),
}


@pytest.mark.parametrize("name", STRANGERS)
async def test_what_is_no_store_ends_no_gate_and_has_a_name(name: str) -> None:
    handle, kind = STRANGERS[name]
    async with (
        tcp_server(handle) as url,
        running(Settings(store_url=url, store_deadline_seconds=1)) as runtime,
    ):
        reasons = runtime.readiness.reasons()
        assert len(reasons) == 1
        assert f"({kind})" in reasons[0]


@pytest.mark.parametrize("handle", [_silent, _talkative])
async def test_a_store_without_tls_is_said_to_answer_none(handle: Handler) -> None:
    """A plain server waits for the rest of what it takes for a command, or answers with an error."""
    async with tcp_server(handle) as url:
        settings = Settings(store_url=url.replace("redis:", "rediss:"), store_deadline_seconds=1)
        async with running(settings) as runtime:
            [reason] = runtime.readiness.reasons()
            assert reason.startswith("the store is down (tls_not_spoken)")
            assert "does not answer TLS" in reason


async def test_a_store_whose_memory_figures_are_missing_serves(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with running(settings_for(valkey)) as runtime:
        for node in valkey.nodes():
            with node:
                node.acl_setuser("default", enabled=True, commands=["-info"])
        try:
            await runtime.sample_memory()
            assert runtime.readiness.reasons() == []
            assert await _accepts(runtime)
        finally:
            for node in valkey.nodes():
                with node:
                    node.acl_setuser("default", enabled=True, commands=["+info"])
