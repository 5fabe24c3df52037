"""The stores that all other tests lean on do what those tests expect of them."""

import gc
import os
import random
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.keys import keys_without_expiry
from tests.support.processes import free_port, wait_until
from tests.support.servers import (
    StoreServer,
    StoreStartError,
    cluster_server,
    make_tls,
    redis_server,
    valkey_server,
)

ROOT = Path(__file__).parents[1]
STARTERS = [valkey_server, redis_server]
IMPATIENT: dict[str, Any] = {"socket_timeout": 0.2, "retry": Retry(NoBackoff(), 0)}

Starter = Callable[..., StoreServer]


@pytest.fixture(scope="module")
def cluster() -> Iterator[StoreServer]:
    with cluster_server() as server:
        yield server


@pytest.mark.parametrize("starter", STARTERS)
@pytest.mark.parametrize("options", [{}, {"unix": True}, {"password": "p@ss/w:rd"}])
def test_each_server_starts_and_keeps_what_it_is_given(starter: Starter, options: dict[str, Any]) -> None:
    with starter(**options) as server, server.client() as client:
        client.set("greeting", "hello", ex=60)
        assert client.get("greeting") == b"hello"


def test_the_two_starters_run_two_different_programs() -> None:
    with valkey_server() as valkey, redis_server() as debian:
        assert "valkey_version" in valkey.nodes()[0].info("server")
        assert "valkey_version" not in debian.nodes()[0].info("server")


@pytest.mark.parametrize("options", [{}, {"unix": True}])
@pytest.mark.parametrize("starter", STARTERS)
def test_a_password_is_really_asked_for(starter: Starter, options: dict[str, Any]) -> None:
    with starter(password="secret", **options) as server:
        keyless = server.url.replace(":secret@", "")
        with (
            redis.Redis.from_url(keyless) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()


def _overfill(client: Any) -> None:
    for number in range(100):
        client.set(f"filler-{number}", "x" * 100_000)


def test_a_full_store_refuses_writes_and_evicts_nothing() -> None:
    with valkey_server(maxmemory="3mb") as server, server.client() as client:
        client.set("first", "kept")
        with pytest.raises(redis.OutOfMemoryError):
            _overfill(client)
        assert client.get("first") == b"kept"


@pytest.mark.parametrize("options", [{}, {"unix": True}])
@pytest.mark.parametrize("starter", STARTERS)
def test_a_killed_server_comes_back_empty_at_the_same_address(
    starter: Starter, options: dict[str, Any]
) -> None:
    with starter(**options) as server, server.client(**IMPATIENT) as client:
        url = server.url
        client.set("lost", "soon")
        server.kill()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        server.restart()
        assert server.url == url
        assert client.get("lost") is None


def test_a_paused_server_makes_clients_time_out_until_it_resumes() -> None:
    with valkey_server() as server, server.client(**IMPATIENT) as client:
        assert client.ping()
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.resume()
        assert client.ping()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "valkey"),
        ({"unix": True, "password": "x", "maxmemory": "9mb"}, "valkey-unix-password-maxmemory"),
    ],
)
def test_a_name_tells_what_is_special_about_a_server(options: dict[str, Any], name: str) -> None:
    with valkey_server(**options) as server:
        assert server.name == name


def test_a_unix_socket_with_tls_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not speak TLS"):
        redis_server(unix=True, tls=make_tls(tmp_path))


def test_stopping_leaves_no_process_and_no_folder_even_when_paused() -> None:
    server = valkey_server()
    [process] = server.processes
    assert server.folder.exists()
    server.pause()
    server.stop()
    assert not psutil.pid_exists(process.pid)
    assert not server.folder.exists()
    server.stop()


def test_a_failed_start_shows_the_log_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(StoreStartError, match="argument must be a memory value"):
        valkey_server(maxmemory="plenty")
    assert list(tmp_path.iterdir()) == []


def test_a_server_is_not_ready_when_a_stranger_holds_its_port() -> None:
    with valkey_server() as server:
        stranger = StoreServer("second", server.folder, server.launches)
        with pytest.raises(StoreStartError, match="Address already in use"):
            stranger.start()


def test_a_missing_redis_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(StoreStartError, match="apt-get install redis-server"):
        redis_server()


def test_servers_die_with_a_killed_test_process(tmp_path: Path) -> None:
    script = (
        "import time; from tests.support.servers import valkey_server; s = valkey_server();"
        "print(s.processes[0].pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", script]
    here = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, env=here, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert psutil.pid_exists(pid)
        owner.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not _runs(pid), 60)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_redis_speaks_tls_to_those_who_trust_its_authority(tmp_path: Path) -> None:
    with redis_server(tls=make_tls(tmp_path), password="secret") as server:
        assert server.url.startswith("rediss://")
        with server.client() as client:
            assert client.ping()
        trustless = server.url.split("?")[0]
        for url in (trustless, trustless.replace("rediss:", "redis:")):
            with (
                redis.Redis.from_url(url, **IMPATIENT) as stranger,
                pytest.raises(redis.ConnectionError),
            ):
                stranger.ping()


def test_valkey_with_tls_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="built without TLS"):
        valkey_server(tls=make_tls(tmp_path))


def test_the_cluster_covers_every_slot_with_three_masters(cluster: StoreServer) -> None:
    for node in cluster.nodes():
        with node:
            info = node.cluster("info")
            ranges = node.cluster("slots")
        assert (info["cluster_state"], info["cluster_size"]) == ("ok", "3")
        covered = [slot for first, last, *_ in ranges for slot in range(first, last + 1)]
        assert sorted(covered) == list(range(16_384))


def test_a_cluster_spreads_keys_and_flush_empties_all_masters(cluster: StoreServer) -> None:
    with cluster.client() as client:
        for number in range(100):
            client.set(f"key-{number}", "x", ex=60)
    assert all(node.dbsize() > 0 for node in cluster.nodes())
    cluster.flush()
    assert all(node.dbsize() == 0 for node in cluster.nodes())


@pytest.mark.parametrize("starter", [valkey_server, cluster_server])
def test_a_client_that_is_dropped_in_a_cycle_is_closed_first(starter: Starter) -> None:
    with starter() as server, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        client: Any = server.client()
        client.set("greeting", "hello", ex=60)
        # A collection while sockets are in use puts them before the client in the order of the next one.
        in_use = [one for one in gc.get_objects() if isinstance(one, socket.socket)]
        gc.collect()
        client.itself = client
        del in_use, client
        gc.collect()
    assert [str(warning.message) for warning in told] == []


def test_a_killed_cluster_comes_back_whole(cluster: StoreServer) -> None:
    before = cluster.url
    cluster.kill()
    cluster.restart()
    assert cluster.url == before
    with cluster.client() as client:
        assert all(client.set(f"key-{number}", "x", ex=60) for number in range(100))
    cluster.flush()


def test_a_planted_key_without_expiry_is_found_on_any_master(cluster: StoreServer) -> None:
    planted = [f"planted-{number}" for number in range(20)]
    with cluster.client() as client:
        client.set("expiring", "x", ex=60)
        for name in planted:
            client.set(name, "x")
    assert keys_without_expiry(cluster) == sorted(planted)
    cluster.flush()
    assert keys_without_expiry(cluster) == []


def test_allowed_names_may_stay_without_expiry() -> None:
    with valkey_server() as server, server.client() as client:
        for name in ("map:1", "map:2", "config", b"odd-\xff"):
            client.set(name, "x")
        assert keys_without_expiry(server, ["map:*", "config"]) == ["odd-\\xff"]


def test_no_port_is_handed_out_to_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    hold = "from tests.support.processes import free_port; print(free_port(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], cwd=ROOT, stdin=-1, stdout=-1, text=True) as other:
        assert other.stdin
        assert other.stdout
        theirs = int(other.stdout.readline())
        drawn = chain([theirs], range(15_000, 32_000))
        monkeypatch.setattr(random, "randint", lambda *_: next(drawn))
        ours = free_port()
        assert ours != theirs
        other.communicate("\n")
    drawn = chain([ours, theirs])
    assert free_port() == theirs, "what has ended has no ports"
