"""The figures of the live page, from a gate."""

import asyncio

import pytest

from tests.support.api_calls import Api

pytestmark = pytest.mark.server


async def test_the_figures_are_those_of_stats_sources_and_cleanup(api: Api) -> None:
    await api.post_many("kept", 30)
    await api.post_many("kept", 30, "quicknode-a")
    await api.clean("/emergency", dry_run=True)
    figures = (await api.http.get("/page/figures")).json()
    stats, sources = await api.stats(), (await api.http.get("/sources")).json()["sources"]
    assert figures["stats"]["ingest"] == stats["ingest"]
    assert figures["stats"]["maps"].keys() == stats["maps"].keys()
    assert [{k: v for k, v in one.items() if k != "per_second"} for one in figures["sources"]] == sources
    assert figures["cleanups"][0] == (await api.reports())[0]
    assert (figures["state"], figures["reasons"], figures["needs_admin_token"]) == ("ready", [], False)


async def test_callers_within_a_second_share_one_reading(api: Api) -> None:
    board = api.runtime.board
    first, *others = await asyncio.gather(*(board.figures() for _ in range(5)))
    assert all(one is first for one in others)
    assert await board.figures() is first


async def test_the_next_reading_has_rates(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.gather_figures.FRESH_SECONDS", 0.0)
    board = api.runtime.board
    assert (await board.figures()).rates is None
    await api.post_many("kept", 30)
    await api.post_many("kept", 30, "quicknode-a")
    figures = await board.figures()
    assert figures.rates is not None
    assert figures.rates.accepted == figures.rates.duplicate > 0
    assert figures.duplicate_share == 0.5
    assert [source.per_second for source in figures.sources] == pytest.approx([figures.rates.accepted] * 2)


async def test_the_timers_cleanups_do_not_push_those_out_that_somebody_asked_for(api: Api) -> None:
    await api.clean(dry_run=True)
    for _ in range(5):
        await api.runtime.cleanup.run("periodic")  # type: ignore[arg-type]  # StrEnum
    figures = await api.runtime.board.figures()
    assert [report.trigger for report in figures.cleanups] == ["manual"]
