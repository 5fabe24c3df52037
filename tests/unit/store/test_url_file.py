"""A password that is changed on the store and in the URL's file is taken without a restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.store.shared_connection import NotConnected
from app.store.store_errors import StoreSentinelsDeny
from app.store.store_url import parse_address
from app.store.url_file import connector_of
from tests.support.gate import GateProcess, gate_process
from tests.support.outages import kill_clients
from tests.support.processes import wait_until
from tests.support.scripted_sentinels import scripted_sentinels
from tests.support.servers import StoreServer, valkey_server

pytestmark = pytest.mark.server

PATIENCE_SECONDS, DEADLINE_SECONDS = 60.0, 10.0


@pytest.fixture
def guarded() -> Iterator[StoreServer]:
    with valkey_server(password="old") as server:
        yield server


def _change_password(server: StoreServer, new: str) -> None:
    """Change it, and break the connections, which would go on with the old one."""
    [node] = server.nodes()
    with node:
        node.config_set("requirepass", new)
        node.client_kill_filter(_type="normal", skipme=True)


def _accepts(gate: GateProcess, signature: str) -> bool:
    with gate.client() as client:
        return client.post("/transactions", json={"signature": signature}).is_success


def _events(gate: GateProcess, name: str) -> list[dict[str, object]]:
    return [event for event in gate.events() if event["event"] == name]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_new_password_in_the_file_is_taken_without_a_restart(
    guarded: StoreServer, tmp_path: Path, workers: int
) -> None:
    file = tmp_path / "store-url"
    file.write_text(f"{guarded.url}\n")
    with gate_process(store_url_file=file, workers=workers) as gate:
        assert _accepts(gate, "one")
        _change_password(guarded, "new")
        # Before a new connection is denied, the gate says that the one it had is broken.
        with gate.client() as client:
            assert wait_until(
                lambda: "(denied)" in str(client.get("/readyz").json()["reasons"]), PATIENCE_SECONDS
            )
        file.write_text(guarded.url.replace(":old@", ":new@"))
        assert wait_until(gate.is_ready, PATIENCE_SECONDS)
        assert wait_until(lambda: _accepts(gate, "two"), PATIENCE_SECONDS)
        processes = 1 if workers == 1 else 1 + workers
        assert wait_until(lambda: len(_events(gate, "store URL read again")) == processes, PATIENCE_SECONDS)
        assert "new@" not in gate.log.read_text()


@pytest.mark.parametrize("is_of_sentinels", [True, False])
async def test_with_sentinels_a_new_password_of_theirs_or_of_the_servers_is_taken(
    guarded: StoreServer, tmp_path: Path, is_of_sentinels: bool
) -> None:
    async with scripted_sentinels(parse_address(guarded.url).port) as sentinels:
        for one in sentinels.all:
            one.password = "watch"
        places = sentinels.url.partition("://")[2]
        right = f"redis+sentinel://:old@{places}?sentinel_password=watch"
        wrong = right.replace("=watch", "=gone") if is_of_sentinels else right.replace(":old@", ":gone@")
        file = tmp_path / "store-url"
        file.write_text(right)
        without_file = connector_of(wrong, None, DEADLINE_SECONDS, "tidegate")
        with pytest.raises(StoreSentinelsDeny if is_of_sentinels else NotConnected):
            await without_file.connect()
        await without_file.close()
        connector = connector_of(wrong, file, DEADLINE_SECONDS, "tidegate")
        servers, _ = await connector.connect()
        assert await servers.call("", "PING") == b"PONG"
        await servers.close()
        await connector.close()


def test_a_file_that_cannot_be_used_is_told_once_and_read_on(guarded: StoreServer, tmp_path: Path) -> None:
    file = tmp_path / "store-url"
    file.write_text(guarded.url)
    with gate_process(store_url_file=file) as gate:
        file.write_text("")
        _change_password(guarded, "new")
        assert wait_until(lambda: bool(_events(gate, "store URL not read again")), PATIENCE_SECONDS)
        file.write_text(guarded.url.replace(":old@", ":new@"))
        assert wait_until(gate.is_ready, PATIENCE_SECONDS)
        [told] = _events(gate, "store URL not read again")
        assert "has to hold one line, the URL; it holds 0" in str(told["error"])


def test_what_is_written_to_the_file_moves_no_gate_that_is_let_in(
    guarded: StoreServer, tmp_path: Path
) -> None:
    file = tmp_path / "store-url"
    file.write_text(guarded.url)
    with gate_process(store_url_file=file) as gate:
        file.write_text("redis://127.0.0.1:1")
        kill_clients(guarded)
        assert _accepts(gate, "one")
        assert _events(gate, "store URL read again") == []
