"""The shared settings through losses of the store, beside changes at run time, junk, and gates before it."""

from functools import partial
from itertools import permutations

import pytest

from app.runtime_settings.settings_document import StoredSettings
from app.settings.model import Settings
from app.store.map_rules import packed_rules
from app.store.settings_in_force import GATE_NAME_BYTES
from app.store.shared_settings import CHANGES_A_START, SharedSettings
from tests.conftest import MakeSettings
from tests.support.api_calls import open_api, until
from tests.support.deliver import connected_gate, transaction
from tests.support.different_gates import (
    KEPT_SECONDS,
    NARROW,
    WIDE,
    difference,
    put_start,
    say_it_was_told_before,
    shared_settings,
    start_key,
    tick,
    until_holds,
)
from tests.support.servers import StoreServer, valkey_server
from tests.support.settings_calls import patched, put, until_version
from tests.support.store_clock import let_gates_be_waited_for

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("quick_ticks")]


@pytest.mark.parametrize("is_wide_there", [True, False])
async def test_a_store_that_was_flushed_goes_on_with_what_held(
    store: StoreServer, settings_for: MakeSettings, is_wide_there: bool
) -> None:
    async with open_api(settings_for(store, gate_name="narrow", **NARROW)):
        pass
    store.flush()
    wide = open_api(settings_for(store, gate_name="wide", **WIDE))
    one = await wide.__aenter__()
    async with open_api(settings_for(store, gate_name="narrow", **NARROW)) as narrow:
        if not is_wide_there:
            await wide.__aexit__(None, None, None)
        before = shared_settings(store)
        store.flush()
        await tick(narrow)
        assert shared_settings(store) == before
        assert narrow.runtime.settings.transactions_limit == 10**6
        if is_wide_there:
            await tick(one)
            assert await difference(one) is None
            await wide.__aexit__(None, None, None)


async def test_a_store_set_back_to_an_earlier_start_is_brought_forward(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(valkey, gate_name="a", transactions_limit=500)) as api:
        put_start(valkey, 3, b'{"transactions_limit":700}')
        await until_holds(api, "transactions_limit", 700)
        put_start(valkey, 2, b'{"transactions_limit":900}')
        await tick(api)
        assert shared_settings(valkey) == SharedSettings(3, b'{"transactions_limit":700}')
        assert api.runtime.settings.transactions_limit == 700


async def test_what_a_gate_knows_takes_the_place_of_what_another_began_with_after_a_loss(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(valkey, gate_name="a", transactions_limit=500)) as api:
        known = shared_settings(valkey)
        put_start(valkey, known.version, b'{"transactions_limit":700}')
        await tick(api)
        assert shared_settings(valkey) == SharedSettings(known.version + 1, known.text)
        assert api.runtime.settings.transactions_limit == 500


async def test_after_a_long_outage_the_first_gate_to_come_waits_for_those_whose_settings_hold(
    valkey: StoreServer, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a store is away nobody can say there that he is still at work."""
    let_gates_be_waited_for(monkeypatch, milliseconds=600_000)
    quick = {"store_deadline_seconds": 1}
    async with open_api(settings_for(valkey, gate_name="wide", **WIDE)):
        pass
    async with open_api(settings_for(valkey, gate_name="narrow", **NARROW, **quick)) as narrow:
        session = narrow.runtime.session

        async def is_up(wanted: bool) -> bool:
            return session.is_up == wanted

        valkey.pause()
        try:
            await until(partial(is_up, False))
        finally:
            valkey.resume()
        say_it_was_told_before(valkey, 10 * KEPT_SECONDS)
        await until(partial(is_up, True))
        await tick(narrow)
        assert narrow.runtime.settings.transactions_limit == 10**6


@pytest.mark.parametrize(
    ("known", "may_hold"),
    [
        ({"a": (1, b"A"), "late": (0, b"")}, {b"A"}),
        ({"a": (1, b"A"), "b": (1, b"B"), "late": (0, b"")}, {b"A", b"B"}),
        ({"a": (1, b"A"), "b": (3, b"B"), "late": (0, b"")}, {b"B"}),
        ({"late": (0, b""), "later": (0, b"")}, {b"late", b"later"}),
    ],
    ids=["one-knows", "two-know-different-ones", "one-knows-newer-ones", "nobody-knows"],
)
async def test_in_whichever_order_gates_come_to_an_empty_store_all_end_with_what_one_knew(
    valkey: StoreServer,
    settings_for: MakeSettings,
    known: dict[str, tuple[int, bytes]],
    may_hold: set[bytes],
) -> None:
    """Each was started with its name for settings; where nobody knew any, those of the first to come hold."""
    gate = await connected_gate(settings_for(valkey))
    tick = gate.maps.layout.rules, 0, 0, 0
    for order in permutations(known):
        valkey.flush()
        knows = dict(known)
        for name in order * 3:
            start = name.encode().ljust(GATE_NAME_BYTES, b"\0"), name.encode(), *knows[name], 0, 0
            answer = await gate.session.run("sizes", "tidegate:{0}", [*tick, *start])
            version, text = answer[3]
            knows[name] = version, text
        [(_, holding)] = set(knows.values())
        assert holding in (may_hold if "a" in known else {order[0].encode()}), order
    await gate.session.close()


async def test_changes_at_run_time_outlive_another_start(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(valkey, gate_name="a", transactions_limit=500)) as one:
        assert (await patched(one, observations_limit=600))["version"] == 1
        old = one.runtime.plane.maps.layout.rules
        put_start(valkey, 9, b'{"transactions_limit":700}')
        await until_holds(one, "transactions_limit", 700)
        assert one.runtime.settings.observations_limit == 600
        new = one.runtime.plane.maps.layout.rules
        assert new == packed_rules(one.runtime.settings, 1, 9 * CHANGES_A_START + 1) != old
        assert (await patched(one, observations_limit=None))["version"] == 2


async def test_a_start_that_contradicts_the_changes_holds_without_them_and_it_is_said(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(valkey)) as api:
        await patched(api, transactions_warn_entries=900, observations_limit=600)
        put_start(valkey, 5, b'{"transactions_limit":800}')
        await until_holds(api, "transactions_limit", 800)
        wrong = "TRANSACTIONS_WARN_ENTRIES=900 must not be above TIDEGATE_TRANSACTIONS_LIMIT=800"

        async def is_said() -> bool:
            return wrong in str((await api.http.get("/settings")).json()["ignored"])

        await until(is_said)
        assert api.runtime.settings.observations_limit == 3_000_000
        await patched(api, transactions_warn_entries=700)
        assert api.runtime.settings.observations_limit == 600


@pytest.mark.parametrize(
    "text", [b"", b"junk", b"[]", b'{"transactions_limit":-7}', b'{"transactions_limit":"7"}']
)
async def test_a_start_that_cannot_be_read_is_said_and_gives_way(
    valkey: StoreServer, settings_for: MakeSettings, text: bytes
) -> None:
    put_start(valkey, 3, text)
    async with open_api(settings_for(valkey, transactions_limit=500)) as api:
        assert "this gate" in str((await api.http.get("/settings")).json()["ignored"])
        assert api.runtime.settings.transactions_limit == 500
        say_it_was_told_before(valkey, 10_000)

        async def is_replaced() -> bool:
            return (await api.http.get("/settings")).json()["ignored"] is None

        await until(is_replaced)
        assert shared_settings(valkey).version == 4


async def test_another_type_of_key_in_its_place_is_replaced(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    with valkey.nodes()[0] as node:
        node.rpush(start_key(), "a list")
        node.expire(start_key(), 60)
    async with open_api(settings_for(valkey, transactions_limit=500)) as api:
        assert shared_settings(valkey).values()["transactions_limit"] == 500
        assert await difference(api) is None


async def test_a_gate_whose_user_may_not_write_it_goes_by_its_own_until_it_may() -> None:
    with valkey_server() as server, server.nodes()[0] as node:
        kinds = ("start", "settings", "signatures:*", "[^s]*")
        keys = [f"~tidegate:{{0}}:2:{kind}" for kind in kinds] + ["~tidegate:{0}:[^2]*", "~tidegate:{0}"]
        user = {"username": "gate", "enabled": True, "commands": ["+@all"]}
        node.acl_setuser(**user, passwords=["+pw"], keys=keys[1:])
        url = server.url.replace("redis://", "redis://gate:pw@")
        gate = await connected_gate(Settings(store_url=url, transactions_limit=500))
        found = [gate.maps.shared_settings]
        node.acl_setuser(**user, keys=keys)
        await gate.maps.sizes()
        assert [*found, gate.maps.shared_settings] == [None, shared_settings(server)]
        await gate.session.close()


async def test_a_full_store_takes_it_as_it_takes_the_place_of_little(settings_for: MakeSettings) -> None:
    with valkey_server(unix=True) as server, server.nodes()[0] as node:
        node.config_set("maxmemory", 1)
        async with open_api(settings_for(server, transactions_limit=500)):
            assert shared_settings(server).values()["transactions_limit"] == 500


async def test_a_gate_of_an_earlier_version_goes_by_what_holds_with_each_call(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    """It sends rules of its own with version 0, or that of the changes at run time."""
    async with open_api(settings_for(valkey, gate_name="wide", **WIDE)) as wide:
        earlier = await connected_gate(settings_for(valkey, **NARROW))
        for version in (0, 1):
            earlier.live.replace(earlier.live.settings, version)
            await earlier.flusher.flush([transaction(f"{version}-{number}") for number in range(100)])
            await earlier.session.run("sizes", "tidegate:{0}", [earlier.maps.layout.rules, 0, 0])
        assert (await wide.stats())["maps"]["transactions"]["entries"] == 200
        # What it stores when somebody changes settings there has a higher number than any in force.
        number = CHANGES_A_START + 1
        put(valkey, StoredSettings(number, {"observations_limit": 600}).encoded())
        await until_version(wide, number)
        assert (await patched(wide, observations_limit=700))["version"] == number + 1
        assert wide.runtime.settings.observations_limit == 700
        await earlier.session.close()
