"""A right that one of three masters denies: it is named with the master, and the others serve on."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.ingest.flush import Flusher
from app.models import WarningKey, WarningName
from app.runtime import Runtime
from app.settings.model import Settings
from tests.support.api_calls import events, until
from tests.support.deliver import transaction
from tests.support.gate import running
from tests.support.outages import kill_clients
from tests.support.servers import StoreServer, cluster_server
from tests.unit.store.test_refusals import NEEDED, SPARED

pytestmark = pytest.mark.server

OF_THE_URL, FIRST_PARTITION = 0, 2
"""Masters, of three: the one that the URL names, and the one that has the first partition."""
NAMES = [f"name-{number}" for number in range(60)]
NEEDED_TO_BEGIN = {
    *product(("get", "exists"), range(3)),
    ("set", FIRST_PARTITION),
    ("cluster", OF_THE_URL),
}
"""What an empty Cluster is asked before its first use, and what the node of the URL is."""
SOME = [("hset", 1), ("pexpireat", FIRST_PARTITION), ("evalsha", OF_THE_URL), ("info", 1), ("get", 1)]
ALL = [
    pytest.param(command, at, marks=() if (command, at) in SOME else pytest.mark.long)
    for command, at in product((*NEEDED, *SPARED), range(3))
]


@pytest.fixture(scope="module", params=["valkey", pytest.param("redis", marks=pytest.mark.long)])
def cluster(request: pytest.FixtureRequest) -> Iterator[StoreServer]:
    with cluster_server(kind=request.param) as server:
        yield server


@pytest.fixture
def settings(cluster: StoreServer) -> Settings:
    """The settings of a gate, whose user may do everything on each of the masters."""
    cluster.flush()
    for at, node in enumerate(cluster.nodes()):
        node.script_flush()
        _allow(cluster, at, reset=True, enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all"])
        node.close()
    return Settings(store_url=cluster.url.replace("redis://", "redis://gate:pw@"), store_deadline_seconds=3)


def _allow(cluster: StoreServer, at: int, **rights: object) -> None:
    """Change the rights of the gate's user on one master."""
    node = cluster.nodes()[at]
    with node:
        node.acl_setuser("gate", **{"enabled": True, **rights})  # type: ignore[arg-type]


def _place(cluster: StoreServer, at: int) -> str:
    return cluster.launches[at].url.split("/")[2]


async def _accepted(runtime: Runtime, names: list[str]) -> int:
    flusher = Flusher(runtime.plane.maps, runtime.metrics, runtime.plane.sources)
    answers = await flusher.flush([transaction(name) for name in names])
    assert {answer.verdict for answer in answers} <= {"accepted", "failed"}
    return sum(answer.verdict == "accepted" for answer in answers)


def _assert_partly_down(runtime: Runtime, command: str, place: str) -> None:
    assert runtime.readiness.reasons() == []
    [warning] = runtime.readiness.warnings()
    assert (
        f" partitions are down (denied): the store denies the gate's user the command {command};" in warning
    )
    told = runtime.warnings.now()[WarningKey(WarningName.STORE_PARTLY_DOWN)]
    assert f" partitions are down (denied), on {place}: " in told


@pytest.mark.parametrize(("command", "at"), ALL)
async def test_a_right_that_one_master_denies_is_named_with_the_master(
    cluster: StoreServer, settings: Settings, command: str, at: int
) -> None:
    """Posts fail only where they need it; before its first use an empty Cluster is asked as a whole."""
    _allow(cluster, at, commands=[f"-{command}"])
    name, place = command.upper(), _place(cluster, at)
    with capture_logs() as logs:
        async with running(settings) as runtime:
            if (command, at) in NEEDED_TO_BEGIN:
                [reason] = runtime.readiness.reasons()
                assert f"(denied): the store denies the gate's user the command {name}" in reason
            elif command in SPARED:
                assert runtime.readiness.now().warnings == runtime.readiness.reasons() == []
                assert await _accepted(runtime, NAMES) == len(NAMES)
            else:
                _assert_partly_down(runtime, name, place)
                assert 0 < await _accepted(runtime, NAMES) < len(NAMES)
            missing = runtime.warnings.now().get(WarningKey(WarningName.STORE_FIGURES_MISSING), "")
    assert missing.startswith(f"INFO of {place} cannot be read" if command == "info" else "")
    told = events(logs, "store down") + events(logs, "store partly down")
    masters = [] if command in SPARED and command != "cluster" else [("denied", place)]
    assert [(log["kind"], log["master"]) for log in told] == (masters if told else [])
    assert bool(told) == (command not in SPARED or (command, at) in NEEDED_TO_BEGIN)


async def test_a_right_that_is_taken_on_one_master_and_given_back(
    cluster: StoreServer, settings: Settings
) -> None:
    """It is noticed without a post, and once of each master."""
    with capture_logs() as logs:
        async with running(settings) as runtime:
            for at in (1, FIRST_PARTITION):
                _allow(cluster, at, commands=["-hset"])
            await until(lambda: _told(runtime, f"{min(_both(cluster))}, {max(_both(cluster))}"))
            assert runtime.readiness.reasons() == []
            for at in (1, FIRST_PARTITION):
                _allow(cluster, at, commands=["+@all"])
            await until(lambda: _is_whole(runtime))
            assert await _accepted(runtime, NAMES) == len(NAMES)
    assert {log["master"] for log in events(logs, "store partly down")} == _both(cluster)
    assert len(events(logs, "store partly down")) == 2
    assert events(logs, "store down") == []


async def test_a_password_that_one_master_has_changed_is_taken_from_the_file_before_all_deny(
    cluster: StoreServer, settings: Settings, tmp_path: Path
) -> None:
    file, url = tmp_path / "store-url", str(settings.store_url)
    file.write_text(url)
    with capture_logs() as logs:
        async with running(settings.model_copy(update={"store_url_file": file})) as runtime:
            for at in range(3):
                _allow(cluster, at, passwords=["+new"])
            _allow(cluster, 1, reset_passwords=True, passwords=["+new"])
            kill_clients(cluster)
            await until(lambda: _told(runtime, _place(cluster, 1)))
            assert runtime.readiness.reasons() == []
            assert 0 < await _accepted(runtime, NAMES) < len(NAMES)
            file.write_text(url.replace(":pw@", ":new@"))
            await until(lambda: _is_whole(runtime))
            assert len(events(logs, "store URL read again")) == 1
            assert await _accepted(runtime, [f"later-{name}" for name in NAMES]) == len(NAMES)
    [told] = events(logs, "store partly down")
    assert (told["kind"], told["master"]) == ("denied", _place(cluster, 1))


def _both(cluster: StoreServer) -> set[str]:
    return {_place(cluster, 1), _place(cluster, FIRST_PARTITION)}


async def _told(runtime: Runtime, places: str) -> bool:
    return f"(denied), on {places}: " in runtime.warnings.now().get(
        WarningKey(WarningName.STORE_PARTLY_DOWN), ""
    )


async def _is_whole(runtime: Runtime) -> bool:
    return not runtime.session.down_partitions
