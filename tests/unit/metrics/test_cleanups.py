"""Cleanups are counted for each map that they were to clean, so that one that fails is seen beside others."""

import pytest

from app.errors import StoreError
from app.metrics.catalogue import Metrics
from app.metrics.exposition import exposition
from app.models import MapName, MapRemoval, MemoryChange, Mode, Report, Trigger
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, open_api
from tests.support.metric_families import value
from tests.support.servers import valkey_server


def report(mode: Mode, name: MapName) -> Report:
    """Of a cleanup of one map that an alert asked for, and that found nothing."""
    return Report(
        trigger=Trigger.ALERT,
        mode=mode,
        dry_run=False,
        started_ms=0,
        duration_seconds=0.0,
        maps={name: MapRemoval(before=0, removed=0, after=0)},
        memory=MemoryChange(before_bytes=0, after_bytes=0, released_bytes=0),
        left_out={},
    )


def test_a_cleanup_counts_for_its_maps_and_an_emergency_one_does_not_make_up_for_a_normal_one() -> None:
    metrics = Metrics(4, "test")
    metrics.count_cleanup(report(Mode.NORMAL, MapName.TRANSACTIONS))
    metrics.count_cleanup(report(Mode.EMERGENCY, MapName.OBSERVATIONS))
    text = "".join(exposition(metrics.registry))
    for name, runs in (("signatures", 0), ("transactions", 1), ("observations", 1)):
        assert value(text, "cleanup_map_runs_total", trigger="alert", map=name, result="success") == runs
        assert value(text, "cleanup_map_runs_total", trigger="alert", map=name, result="failure") == 0
        at = value(text, "cleanup_map_last_success_timestamp_seconds", map=name)
        assert (at != 0) is (name == "transactions")


@pytest.mark.server
async def test_a_cleanup_that_fails_counts_as_failed_for_its_maps(settings_for: MakeSettings) -> None:
    with valkey_server() as store:
        async with open_api(settings_for(store, **QUIET)) as api:
            store.kill()
            with pytest.raises(StoreError):
                await api.runtime.cleanup.run(Trigger.ALERT, Mode.NORMAL, frozenset({MapName.TRANSACTIONS}))
            text = await api.metrics()
    for name, runs in (("signatures", 0), ("transactions", 1), ("observations", 0)):
        assert value(text, "cleanup_map_runs_total", trigger="alert", map=name, result="failure") == runs
