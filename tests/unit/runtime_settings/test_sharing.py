"""Settings changed by one gate and followed by all that share its store, now and later."""

import asyncio

import pytest
from structlog.testing import capture_logs

from app.models import MapName
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, events, open_api, until
from tests.support.gate import gate_process
from tests.support.servers import StoreServer, valkey_server
from tests.support.settings_calls import (
    SETTINGS_KEY,
    patch,
    patched,
    put,
    shown,
    stored,
    two_gates,
    until_version,
)

FAR = 20 * 24 * 3600 * 1000

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("quick_ticks")]


async def test_what_one_gate_changes_every_gate_of_the_store_follows_at_its_next_tick(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    async with two_gates(settings_for(store, **QUIET)) as (one, two):
        with capture_logs() as logs:
            await patched(one, dedup_window_seconds=0.4, observations_limit=1234)
            await until_version(two, 1)
        assert (await shown(two, "observations_limit"))["source"] == "run time"
        assert (await two.stats())["maps"]["observations"]["limit_entries"] == 1234
        followed = [entry for entry in events(logs, "setting changed") if entry["source"] == "store"]
        assert [(entry["setting"], entry["old"], entry["new"]) for entry in followed] == [
            ("dedup_window_seconds", 5, 0.4),
            ("observations_limit", 3_000_000, 1234),
        ]
        assert two.sample("settings_changes_total", source="store") == 2
        etags = [(await api.http.get("/settings")).headers["etag"] for api in (one, two)]
        assert etags[0] == etags[1]


async def test_a_gate_started_later_has_them_before_it_takes_traffic(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(store, **QUIET)
    async with open_api(settings) as api:
        await patched(api, signatures_limit=60, transactions_limit=700)
    async with open_api(settings) as api:
        assert api.runtime.settings.signatures_limit == 60
        answer = await api.http.post("/transactions", json=[{"signature": f"s-{n}"} for n in range(90)])
        assert answer.status_code == 503, "more than the limit that was set before this gate was started"
        assert (await patched(api, signatures_limit=None))["version"] == 2
        assert (await shown(api, "transactions_limit"))["value"] == 700


def test_they_outlive_a_gate_that_is_killed(valkey: StoreServer) -> None:
    with gate_process(store_url=valkey.url, transactions_limit=900) as gate, gate.client() as http:
        assert http.patch("/settings", json={"transactions_limit": 700}).status_code == 200
        gate.kill()
    with gate_process(store_url=valkey.url, transactions_limit=900) as gate, gate.client() as http:
        view = http.get("/settings").json()["settings"]["transactions_limit"]
        assert (view["value"], view["start_value"], view["source"]) == (700, 900, "run time")
        view = http.patch("/settings", json={"transactions_limit": None}).json()["settings"][
            "transactions_limit"
        ]
        assert (view["value"], view["source"]) == (900, "environment")
        changed = [event for event in gate.events() if event.get("event") == "setting changed"]
        assert [(event["old"], event["new"], event["source"]) for event in changed] == [
            (900, 700, "store"),
            (700, 900, "api"),
        ]


async def test_two_gates_that_change_settings_at_the_same_moment_lose_none(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    kinds = ("transaction", "observation")
    names = [f"{map_name}_limit" for map_name in MapName]
    names += [f"{kind}_retention_seconds" for kind in kinds] + ["leak_growth_bytes", "leak_warmup_seconds"]
    async with two_gates(settings_for(store, **QUIET)) as gates:
        changes = [(gates[n % 2], name, 80_000 + n) for n, name in enumerate(names)]
        answers = await asyncio.gather(*(patch(api, None, **{name: value}) for api, name, value in changes))
        assert [answer.status_code for answer in answers] == [200] * len(names)
        assert max(answer.json()["version"] for answer in answers) == len(names)
        for api in gates:
            await until_version(api, len(names))
            for _, name, value in changes:
                assert (await shown(api, name))["value"] == value


async def test_of_changes_for_the_same_entity_tag_one_is_carried_out(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    async with two_gates(settings_for(store, **QUIET)) as gates:
        seen = {"If-Match": (await gates[0].http.get("/settings")).headers["etag"]}
        answers = await asyncio.gather(
            *(patch(gates[n % 2], seen, signatures_limit=100 + n) for n in range(8))
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
        [winner] = [n for n, answer in enumerate(answers) if answer.status_code == 200]
        for api in gates:
            await until_version(api, 1)
            assert api.runtime.settings.signatures_limit == 100 + winner


async def test_a_store_that_lost_them_is_given_them_back(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    async with two_gates(settings_for(store, **QUIET)) as (one, two):
        await patched(one, signatures_limit=100)
        await patched(one, transactions_limit=200)
        await until_version(two, 2)
        store.flush()

        async def is_back() -> bool:
            return stored(store) is not None

        await until(is_back)
        with store.client() as client:
            assert client.pttl(SETTINGS_KEY) > FAR
        assert (await patched(two, observations_limit=300))["version"] == 3
        await until_version(one, 3)
        assert one.runtime.settings.signatures_limit == 100


async def test_a_store_set_back_to_an_older_state_is_brought_forward(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(valkey, **QUIET)) as api:
        await patched(api, signatures_limit=100)
        old = stored(valkey)
        assert old is not None
        await patched(api, signatures_limit=200)
        put(valkey, old)

        async def is_forward() -> bool:
            return b"200" in (stored(valkey) or b"")

        await until(is_forward)
        assert api.runtime.settings.signatures_limit == 200


async def test_every_tick_puts_their_expiry_off(valkey: StoreServer, settings_for: MakeSettings) -> None:
    async with open_api(settings_for(valkey, **QUIET)) as api:
        await patched(api, signatures_limit=100)
        with valkey.nodes()[0] as node:
            node.pexpire(SETTINGS_KEY, 5000)

            async def is_put_off() -> bool:
                return int(node.pttl(SETTINGS_KEY)) > FAR

            await until(is_put_off)


async def test_while_the_store_is_down_nothing_is_changed(settings_for: MakeSettings) -> None:
    with valkey_server(unix=True) as server:
        async with open_api(settings_for(server, store_deadline_seconds=0.3, **QUIET)) as api:
            server.kill()

            async def is_down() -> bool:
                return not api.runtime.session.is_up

            await until(is_down)
            response = await patch(api, signatures_limit=100)
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) >= 1
            assert (await shown(api, "signatures_limit"))["value"] == 10**6
            assert api.runtime.live.version == 0


async def test_a_store_that_comes_back_empty_has_them_before_traffic_is_taken(
    settings_for: MakeSettings,
) -> None:
    with valkey_server(unix=True) as server:
        async with open_api(settings_for(server, store_deadline_seconds=0.3, **QUIET)) as api:
            await patched(api, signatures_limit=100)
            server.restart()

            async def is_ready_with_them() -> bool:
                return not api.runtime.readiness.reasons() and stored(server) is not None

            await until(is_ready_with_them)
            assert api.runtime.settings.signatures_limit == 100
