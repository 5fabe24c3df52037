"""Reports of a gate that runs: over HTTP, by the commands, and over a restart."""

import asyncio
import json
import subprocess
from typing import Any

import httpx
import pytest

from app.settings.model import Settings
from tests.conftest import MakeSettings
from tests.support.api_calls import open_api, until
from tests.support.gate import GateProcess, api_client, gate_process, running, tidegate_command
from tests.support.processes import wait_until
from tests.support.servers import StoreServer, valkey_server
from tests.unit.reports.conftest import PATIENT_SECONDS

pytestmark = pytest.mark.server


async def _samples(client: httpx.AsyncClient) -> int:
    gates = (await client.get("/reports/recent", params={"hours": 1})).json()["gates"]
    return int(gates[0]["samples"]) if gates else 0


async def test_a_gate_records_from_its_start_on_in_its_interval(
    store: StoreServer, settings_for: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.schedule.SAMPLE_SECONDS", 0.05)
    async with open_api(settings_for(store, gate_name="eu-1")) as api:
        await api.post_many("reported", 30)
        await api.runtime.sizes.refresh()

        async def has_seen_them() -> bool:
            maps = (await api.http.get("/reports/daily")).json()["maps"]
            return bool(maps) and maps["transactions"]["last_entries"] == 30

        await until(has_seen_them)
        document = (await api.http.get("/reports/daily")).json()
        assert [gate["name"] for gate in document["gates"]] == ["eu-1"]
        assert {(one["gate"], one["process"]) for one in document["processes"]} == {
            ("eu-1", "gate"),
            (None, "store"),
        }
        assert all(one["last_bytes"] > 1_000_000 for one in document["processes"])


async def test_the_embedded_store_is_a_process_of_its_gate_and_cleanups_are_counted() -> None:
    async with running(Settings(gate_name="eu-1")) as runtime, api_client(runtime) as client:
        await until(lambda: _has(client, 1))
        assert (await client.post("/cleanup/emergency")).status_code == 200
        await runtime.recorder.record()
        document = (await client.get("/reports/recent")).json()
        assert [(one["gate"], one["process"]) for one in document["processes"]] == [
            ("eu-1", "gate"),
            ("eu-1", "store"),
        ]
        assert document["cleanup"]["runs"]["emergency"] == 1
        (target,) = (one for one in document["targets"] if one["name"] == "emergency_runs")
        assert (target["status"], target["value"]) == ("fail", 1)


async def test_a_sample_reads_memory_anew_however_seldom_the_guard_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seldom = Settings(gate_name="eu-1", memory_sample_seconds=300, leak_window_seconds=3000)
    async with running(seldom) as runtime, api_client(runtime) as client:
        await until(lambda: _has(client, 1))
        monkeypatch.setattr("app.process.resident_memory.rss_bytes", lambda _: 123_000_000)
        await runtime.recorder.record()
        document = (await client.get("/reports/recent")).json()
        assert {(one["process"], one["last_bytes"]) for one in document["processes"]} == {
            ("gate", 123_000_000),
            ("store", 123_000_000),
        }


async def test_leaks_of_workers_are_counted() -> None:
    async with running(Settings(gate_name="eu-1")) as runtime, api_client(runtime) as client:
        await until(lambda: _has(client, 1))
        runtime.guard.watch_only(["worker-1"])
        runtime.metrics.leak_detections_total.labels("worker-1", "slow").inc()
        await runtime.recorder.record()
        (gate,) = (await client.get("/reports/recent")).json()["gates"]
        assert gate["leak_detections"] == {"worker-1": 1}


async def _has(client: httpx.AsyncClient, samples: int) -> bool:
    return await _samples(client) >= samples


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/reports/daily?day=yesterday", "day: has to be a date such as 2026-11-23"),
        ("/reports/daily?day=2026-13-01", "day: has to be a date"),
        ("/reports/daily?day=9999-12-31", "has not begun"),
        ("/reports/recent?hours=0", "hours: Input should be greater than or equal to 1"),
        ("/reports/recent?hours=193", "hours: Input should be less than or equal to 192"),
        ("/reports/recent?hours=1e3", "hours: Input should be a valid integer"),
        ("/reports/recent?hours=99999999999999999999999", "hours: Input should be less than or equal to 192"),
    ],
)
async def test_a_bad_period_is_422_with_a_sentence(client: httpx.AsyncClient, path: str, words: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["detail"]


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-31", "2020-02-29"])
async def test_a_day_of_which_nothing_is_known_is_an_empty_report(
    client: httpx.AsyncClient, day: str
) -> None:
    document = (await client.get("/reports/daily", params={"day": day})).json()
    assert (document["gates"], document["status"]) == ([], "unknown")


async def test_reads_need_no_token_as_those_of_stats(valkey: StoreServer, settings_for: MakeSettings) -> None:
    settings = settings_for(valkey, ingest_tokens=("feed",), admin_tokens=("operator",))
    async with running(settings) as runtime, api_client(runtime) as client:
        for path in ("/stats", "/reports/daily", "/reports/recent"):
            assert (await client.get(path)).status_code == 200


async def test_while_the_store_is_down_a_report_is_503_and_comes_back_with_it() -> None:
    with valkey_server(unix=True) as store:
        settings = Settings(store_url=store.url, store_deadline_seconds=0.3)
        async with running(settings) as runtime, api_client(runtime) as client:
            store.kill()
            answer = await client.get("/reports/daily")
            assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
            store.restart()

            async def is_back() -> bool:
                return (await client.get("/reports/daily")).status_code == 200

            await until(is_back)


async def test_more_reports_at_once_than_can_wait_are_503(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(valkey, store_deadline_seconds=PATIENT_SECONDS)
    async with running(settings) as runtime, api_client(runtime) as client:
        answers = await asyncio.gather(*(client.get("/reports/daily") for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200, 503}


def _runs(client: httpx.Client) -> list[dict[str, Any]]:
    """The runs of the gate's own process of which there is a sample."""
    document = client.get("/reports/recent", params={"hours": 1}).json()
    return [run for one in document["processes"] if one["process"] == "gate" for run in one["runs"]]


def _command(gate: GateProcess, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [tidegate_command(), *arguments, "--url", gate.url],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.slow
def test_history_survives_a_restart_of_the_gate_when_the_store_keeps_it(valkey: StoreServer) -> None:
    documents: list[dict[str, Any]] = []
    for starts in (1, 2):
        with gate_process(store_url=valkey.url, gate_name="eu-1") as gate, gate.client() as client:
            assert wait_until(lambda: len(_runs(client)) == starts, PATIENT_SECONDS)  # noqa: B023  called at once
            code, text = _command(gate, "report", "--hours", "1", "--json")
            assert code == 0
            documents.append(json.loads(text))
            assert gate.terminate() == 0
    first, second = documents
    assert (first["gates"][0]["restarts"], second["gates"][0]["restarts"]) == (0, 1)
    assert [run["pid"] for one in second["processes"] if one["process"] == "gate" for run in one["runs"]] == [
        *(run["pid"] for one in first["processes"] if one["process"] == "gate" for run in one["runs"]),
        second["processes"][0]["runs"][-1]["pid"],
    ]


@pytest.mark.slow
def test_report_and_check_work_on_a_gate_that_has_just_started() -> None:
    with gate_process() as gate:
        code, text = _command(gate, "report")
        assert (code, "UNKNOWN" in text.splitlines()[0]) == (0, True)
        code, text = _command(gate, "check")
        assert (code, {line.split()[0] for line in text.splitlines()}) == (0, {"unknown"})
        assert _command(gate, "check", "--strict")[0] == 1
