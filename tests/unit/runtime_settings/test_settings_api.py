"""`GET /settings` and `PATCH /settings` of one gate."""

import asyncio

import pytest
from structlog.testing import capture_logs

from app.runtime_settings.settings_document import StoredSettings
from app.runtime_settings.settings_view import settings_document
from app.settings.model import CHANGEABLE, Settings
from app.store.settings_in_force import LiveSettings
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, Api, events, open_api, until
from tests.support.metric_families import value
from tests.support.servers import StoreServer
from tests.support.settings_calls import patch, patched, shown

MIB = 1024 * 1024


async def test_every_setting_is_shown_with_value_unit_description_and_whether_it_can_change(api: Api) -> None:
    document = (await api.http.get("/settings")).json()
    assert document["version"] == 0
    assert document["ignored"] is None
    assert set(document["settings"]) == set(Settings.model_fields)
    assert {name for name, view in document["settings"].items() if view["changeable"]} == set(CHANGEABLE)
    assert document["settings"]["dedup_window_seconds"] == {
        "value": 5,
        "start_value": 5,
        "gate_value": 5,
        "source": "default",
        "unit": "seconds",
        "description": "How long after its acceptance a signature counts as duplicate, seconds.",
        "changeable": True,
    }


async def test_a_value_is_shown_with_where_it_comes_from(
    valkey: StoreServer, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_TRANSACTIONS_LIMIT", "5000")
    async with open_api(settings_for(valkey, observations_limit=700, **QUIET)) as api:
        await patched(api, signatures_limit=300, transactions_limit=4000)
        sources = {name: await shown(api, name) for name in Settings.model_fields}
    assert sources["max_sources"]["source"] == "default"
    assert sources["observations_limit"]["source"] == "argument"
    assert sources["signatures_limit"]["source"] == "run time"
    limit = sources["transactions_limit"]
    assert (limit["value"], limit["start_value"], limit["source"]) == (4000, 5000, "run time")


async def test_neither_tokens_nor_passwords_are_shown() -> None:
    settings = Settings(
        store_url="redis://somebody:secret-pw@127.0.0.1:7000/0",
        ingest_tokens="secret-one,secret-two",  # type: ignore[arg-type]  # as the environment has it
        admin_tokens="secret-three",  # type: ignore[arg-type]
    )
    document = await settings_document(LiveSettings(settings), StoredSettings())
    assert "secret" not in document.model_dump_json()
    assert "somebody" not in document.model_dump_json()
    assert document.settings["store_url"].value == "redis://127.0.0.1:7000"
    assert document.settings["admin_tokens"].value == "set"


async def test_a_change_holds_from_the_answer_on(api: Api) -> None:
    document = await patched(api, dedup_window_seconds=0.3, signatures_limit=50, max_batch_items=20)
    assert document["version"] == 1
    assert document["settings"]["dedup_window_seconds"]["value"] == 0.3
    first = await api.post("changed")
    again = await _accepted_again(api, "changed")
    assert again - first["first_seen_ms"] >= 300
    stats = await api.stats()
    assert stats["maps"]["signatures"]["retention_seconds"] == 0.3
    assert stats["maps"]["signatures"]["limit_entries"] == 50
    text = await api.metrics()
    assert value(text, "map_limit_entries", map="signatures") == 50
    assert value(text, "map_retention_seconds", map="signatures") == 0.3
    assert (await api.http.post("/transactions", json=[{"signature": "x"}] * 21)).status_code == 413


async def _accepted_again(api: Api, signature: str) -> int:
    async with asyncio.timeout(30):
        while (answer := await api.post(signature))["status"] != "accepted":
            pass
    return int(answer["first_seen_ms"])


async def test_a_batch_larger_than_a_lowered_limit_does_not_pass_it(api: Api) -> None:
    await patched(api, transactions_limit=60)
    assert (await api.post_many("large", 200))["accepted"] == 200
    transactions = (await api.stats())["maps"]["transactions"]
    assert 0 < transactions["entries"] <= 60
    assert transactions["removed_total"]["capacity"] == 200 - transactions["entries"]


async def test_many_changes_at_once_are_all_carried_out(api: Api) -> None:
    answers = await asyncio.gather(*(patch(api, signatures_limit=1000 + n) for n in range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert {answer.json()["version"] for answer in answers} == set(range(1, 21))
    last = max(answers, key=lambda answer: int(answer.json()["version"]))
    now = await api.http.get("/settings")
    assert last.headers["etag"] == now.headers["etag"]
    assert last.json()["settings"] == {"signatures_limit": now.json()["settings"]["signatures_limit"]}


async def test_a_change_is_answered_with_what_it_names(api: Api) -> None:
    assert (await patched(api))["settings"] == {}
    await patched(api, leak_growth_bytes=MIB)
    document = await patched(api, transactions_limit=500, signatures_limit=None)
    whole = (await api.http.get("/settings")).json()
    names = ("transactions_limit", "signatures_limit")
    assert document == whole | {"settings": {name: whole["settings"][name] for name in names}}


async def test_changes_add_up_and_null_goes_back_to_the_start(api: Api) -> None:
    await patched(api, transactions_limit=500, leak_growth_bytes=MIB)
    document = await patched(api, observations_limit=600, transactions_limit=None)
    views = document["settings"]
    assert document["version"] == 2
    assert (await shown(api, "leak_growth_bytes"))["value"] == MIB
    assert views["observations_limit"]["value"] == 600
    assert views["transactions_limit"] == await shown(api, "transactions_limit")
    assert (views["transactions_limit"]["value"], views["transactions_limit"]["source"]) == (10**6, "default")
    assert api.runtime.settings.leak_growth_bytes == MIB
    assert api.runtime.settings.transactions_limit == 10**6


async def test_a_change_to_what_is_so_already_is_none(api: Api) -> None:
    assert (await patched(api))["version"] == 0
    assert (await patched(api, transactions_limit=None))["version"] == 0
    assert (await patched(api, transactions_limit=500))["version"] == 1
    assert (await patched(api, transactions_limit=500))["version"] == 1
    assert (await patched(api))["version"] == 1


async def test_each_change_is_logged_with_old_and_new_value_and_counted(api: Api) -> None:
    with capture_logs() as logs:
        await patched(api, dedup_window_seconds=7, leak_growth_bytes=2 * MIB)
    assert [
        (entry["setting"], entry["old"], entry["new"], entry["source"], entry["version"])
        for entry in events(logs, "setting changed")
    ] == [("dedup_window_seconds", 5, 7, "api", 1), ("leak_growth_bytes", 50 * MIB, 2 * MIB, "api", 1)]
    assert api.sample("settings_changes_total", source="api") == 2
    assert api.sample("settings_changes_total", source="store") == 0


async def test_a_new_warning_size_raises_its_warning(api: Api) -> None:
    await api.post_many("many", 5)
    assert not [text for text in (await api.stats())["warnings"] if "transactions holds" in text]
    await patched(api, transactions_warn_entries=4)
    assert [text for text in (await api.stats())["warnings"] if "transactions holds 5" in text]


async def test_a_shorter_interval_does_not_wait_for_the_end_of_the_longer_one(api: Api) -> None:
    before = api.runs("periodic")
    await patched(api, cleanup_interval_seconds=0.1, signature_cleanup_interval_seconds=0.1)

    async def has_run_often() -> bool:
        return api.runs("periodic") >= before + 6

    await until(has_run_often)


async def test_a_change_for_an_entity_tag_needs_the_settings_to_be_still_those(api: Api) -> None:
    seen = (await api.http.get("/settings")).headers["etag"]
    first = await patch(api, {"If-Match": seen}, signatures_limit=100)
    assert first.status_code == 200
    assert first.headers["etag"] != seen
    late = await patch(api, {"If-Match": seen}, signatures_limit=200)
    assert late.status_code == 412
    assert first.headers["etag"] in late.json()["detail"]
    assert (await shown(api, "signatures_limit"))["value"] == 100
    for tags in ("*", f'"other", {first.headers["etag"]}'):
        assert (await patch(api, {"If-Match": tags}, signatures_limit=100)).status_code == 200


@pytest.mark.parametrize("call", ["GET", "PATCH"])
async def test_settings_are_for_admins(valkey: StoreServer, settings_for: MakeSettings, call: str) -> None:
    tokens = {"ingest_tokens": "of-a-feed", "admin_tokens": "of-an-admin"}
    async with open_api(settings_for(valkey, **tokens, **QUIET)) as api:
        for token, status in (("of-a-feed", 401), ("", 401), ("of-an-admin", 200)):
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            response = await api.http.request(call, "/settings", content=b"{}", headers=headers)
            assert response.status_code == status
            assert "of-a" not in response.text
