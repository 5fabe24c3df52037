"""`tidegate_warning` has a series for each warning that there can be, 1 while it stands."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from app.models import MapName, WarningKey, WarningName
from app.settings.model import Settings
from app.store import sentinel
from app.store.data_loss import SetbackKind
from app.store.older_format import OtherGates
from app.store.store_url import parse_address
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, Api, open_api, until
from tests.support.metric_families import parsed
from tests.support.pages import ROOT
from tests.support.scripted_sentinels import scripted_sentinels
from tests.support.servers import valkey_server


def test_what_a_name_is_made_of_is_a_name_for_each_kind() -> None:
    made = [f"store_{kind}" for kind in SetbackKind]
    made += [f"{gate}_gate" for gate in OtherGates]
    made += [f"{name}_size" for name in MapName]
    made += [f"{tokens}_tokens_file_empty" for tokens in ("ingest", "admin")]
    assert [WarningName(name) for name in made] == made


def test_a_key_says_whom_it_is_about() -> None:
    assert str(WarningKey(WarningName.FEED_NOT_TAKEN, "helius-a")) == "feed_not_taken:helius-a"
    assert str(WarningKey(WarningName.STORE_DOWN)) == "store_down"


def test_the_page_of_the_log_names_every_warning() -> None:
    page = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8").partition("\n## Warnings\n")[2]
    assert [name for name in WarningName if f"`{name}`" not in page] == []


def _standing(text: str) -> set[str]:
    _, samples = parsed(text)["warning"]
    return {sample.labels["warning"] for sample in samples if sample.value}


@pytest.mark.server
async def test_a_quiet_gate_has_all_at_0(api: Api) -> None:
    _, samples = parsed(await api.metrics())["warning"]
    assert {sample.labels["warning"]: sample.value for sample in samples} == dict.fromkeys(WarningName, 0)


@pytest.mark.server
async def test_what_stats_warns_of_is_1_until_it_is_over(settings_for: MakeSettings) -> None:
    with valkey_server(unix=True) as server:
        settings: Settings = settings_for(server, signatures_warn_entries=3, **QUIET)
        async with open_api(settings) as api:
            await api.post_many("kept", 5)
            await until(lambda: _warns(api, {"signatures_size"}))
            await api.http.post("/feeds/helius-a", content=b"{", headers={"Content-Type": "application/json"})
            assert await _warns(api, {"signatures_size", "feed_not_taken"})
            server.kill()
            assert (await api.http.post("/transactions", json={"signature": "x"})).status_code == 503
            assert await _warns(api, {"signatures_size", "feed_not_taken", "store_down"})
            stats = (await api.http.get("/stats")).json()
            assert len(stats["warnings"]) == 3


@pytest.mark.server
async def test_a_store_that_does_not_say_whether_it_evicts_is_warned_of_until_it_does(
    settings_for: MakeSettings,
) -> None:
    with valkey_server(options=("--maxmemory-policy", "allkeys-lru")) as server, capture_logs() as logs:
        [node] = server.nodes()
        node.acl_setuser("default", enabled=True, commands=["-info"])
        async with open_api(settings_for(server, **QUIET)) as api:
            for _ in range(2):
                await api.runtime.sample_memory()
                api.runtime.warnings.log_changes()
            assert await _warns(api, {"store_figures_missing"})
            assert (await api.http.get("/readyz")).status_code == 200
            [told] = (await api.stats())["warnings"]
            assert told.startswith("INFO of the store cannot be read (denied), so its eviction policy, ")
            assert "the command INFO;" in told
            assert "the right +info" in told
            node.acl_setuser("default", enabled=True, commands=["+info"])
            await api.runtime.sample_memory()
            api.runtime.warnings.log_changes()
            assert await _warns(api, {"store_evicts"})
        node.close()
    lines = [log["log_level"] for log in logs if log.get("warning") == "store_figures_missing"]
    assert lines == ["warning", "info"]
    assert [log for log in logs if log["log_level"] == "warning" and "warning" not in log] == []


@pytest.mark.server
async def test_a_sentinel_that_does_not_answer_is_warned_of_by_its_place_until_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sentinel, "SILENT_SECONDS", 2.0)  # which the other sentinels never are
    with valkey_server() as server, capture_logs() as logs:
        async with scripted_sentinels(parse_address(server.url).port) as sentinels:
            [hung, *_], url = sentinels.all, f"{sentinels.url.removesuffix('/gate')},127.0.0.1:1/gate"
            values: dict[str, Any] = {"store_url": url, "store_deadline_seconds": 10, **QUIET}
            async with open_api(Settings(**values)) as api:
                hung.goes_on.clear()
                await until(lambda: _names_sentinels(api, "127.0.0.1:1", f"127.0.0.1:{hung.port}"))
                ready = await api.http.get("/readyz")
                assert ready.status_code == 200
                [told] = ready.json()["warnings"]
                assert told.startswith("2 of the sentinels have not answered for a while")
                assert await _warns(api, {"sentinel_silent"})
                hung.goes_on.set()
                await until(lambda: _names_sentinels(api, "127.0.0.1:1"))
    for place, times in (("127.0.0.1:1", [1, 0]), (f"127.0.0.1:{hung.port}", [1, 1])):
        lines = [log for log in logs if log.get("warning") == f"sentinel_silent:{place}"]
        assert [sum(log["log_level"] == level for log in lines) for level in ("warning", "info")] == times


async def _names_sentinels(api: Api, *places: str) -> bool:
    told = [text for text in (await api.stats())["warnings"] if text.startswith("The sentinel ")]
    api.runtime.warnings.log_changes()
    return sorted(text.split()[2] for text in told) == sorted(places)


async def _warns(api: Api, names: set[str]) -> bool:
    return _standing(await api.metrics()) == names
