"""What the tests of gates that were started with different settings share."""

import struct

from app.store.partitions import first_prefix
from app.store.shared_settings import SharedSettings
from tests.support.api_calls import Api, until
from tests.support.ledger import store_key
from tests.support.servers import StoreServer
from tests.support.settings_calls import shown

WIDE: dict[str, object] = {
    "dedup_window_seconds": 30,
    "transaction_retention_seconds": 60,
    "observation_retention_seconds": 60,
    "emergency_transaction_retention_seconds": 40,
    "emergency_observation_retention_seconds": 40,
}
NARROW: dict[str, object] = {
    "dedup_window_seconds": 0.2,
    "transaction_retention_seconds": 1,
    "observation_retention_seconds": 1,
    "emergency_transaction_retention_seconds": 0.5,
    "emergency_observation_retention_seconds": 0.5,
    "cleanup_interval_seconds": 0.1,
    "signatures_limit": 60,
    "transactions_limit": 50,
    "observations_limit": 50,
}
KEPT_SECONDS = 60 + 60
"""After so long without a gate that was started as WIDE, others put their own settings in force."""
_HEAD, _TOLD_AT = ">BQQ64s", 9
_HEAD_BYTES = struct.calcsize(_HEAD)
_FUTURE_MS = 2**52


async def difference(api: Api) -> str | None:
    """Return the warning that this gate was started with other settings than hold, None without it."""
    found = [text for text in (await api.stats())["warnings"] if "was started with other settings" in text]
    assert len(found) <= 1
    return found[0] if found else None


async def until_holds(api: Api, name: str, wanted: float) -> None:
    """Wait until a setting has this value in a gate."""

    async def holds() -> bool:
        return bool((await shown(api, name))["value"] == wanted)

    await until(holds)


async def tick(api: Api, count: int = 5) -> None:
    """Have a gate do what its tick does, some times."""
    for _ in range(count):
        await api.runtime._refresh()  # noqa: SLF001  a call that nobody else has to make


def start_key() -> str:
    """The key of the shared settings, in the first partition."""
    return store_key(first_prefix("tidegate"), "start")


def shared_settings(server: StoreServer) -> SharedSettings:
    """What gates were started with, as the store has it (choose_shared_settings.lua)."""
    found = _stored(server)
    [version] = struct.unpack_from(">Q", found, 1)
    return SharedSettings(version, found[_HEAD_BYTES:])


def say_it_was_told_before(server: StoreServer, seconds: float) -> None:
    """Let the last time that a gate told its settings have been so many seconds earlier than it was."""
    found = bytearray(_stored(server))
    [told_ms] = struct.unpack_from(">Q", found, _TOLD_AT)
    struct.pack_into(">Q", found, _TOLD_AT, told_ms - round(seconds * 1000))
    _store(server, bytes(found))


def put_start(server: StoreServer, version: int, text: bytes) -> None:
    """Put another in its place, as told by a gate of this moment."""
    _store(server, struct.pack(_HEAD, 1, version, _FUTURE_MS, b"other") + text)


def _stored(server: StoreServer) -> bytes:
    with server.client() as client:
        found: bytes | None = client.get(start_key())
    assert found is not None
    return found


def _store(server: StoreServer, text: bytes) -> None:
    with server.client() as client:
        client.set(start_key(), text, ex=600)
