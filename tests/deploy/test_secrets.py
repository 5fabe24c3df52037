import json
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.gate import gate_process
from tests.support.servers import StoreServer, valkey_server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The folder the script fills, in a copy of what it needs."""
    for name in ("scripts/secrets", "deploy/compose/store.acl.template"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    subprocess.run(
        [tmp_path / "scripts/secrets"],
        check=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    return tmp_path / "deploy/secrets"


@pytest.fixture
def store() -> Iterator[StoreServer]:
    with valkey_server(unix=True) as server:
        yield server


def load_users(store: StoreServer, secrets: Path) -> None:
    with store.nodes()[0] as admin:
        for line in (secrets / "store_acl").read_text().splitlines():
            _, name, *rules = line.split()
            if name != "default":
                admin.execute_command("ACL", "SETUSER", name, "reset", *rules)
        admin.execute_command("ACL", "SETUSER", "default", "off")


def url_of_gate(store: StoreServer, secrets: Path) -> str:
    login = (secrets / "store_url").read_text().strip().removeprefix("valkey://").rpartition("@")[0]
    return store.url.replace("unix://", f"unix://{login}@", 1)


def test_the_rights_of_the_gates_user_are_enough_for_all_a_gate_does(
    store: StoreServer, secrets: Path
) -> None:
    load_users(store, secrets)
    folder = Path(tempfile.mkdtemp(prefix="gate-test-"))
    url_file = folder / "url"
    url_file.write_text(url_of_gate(store, secrets) + "\n")
    try:
        with (
            gate_process(store_url_file=url_file, cleanup_interval_seconds=0.2) as gate,
            gate.client() as client,
        ):
            answer = client.post("/transactions", json={"signature": "a", "payload": {"fee": 1}})
            assert answer.json()["status"] == "accepted"
            assert client.get("/transactions/a").json()["payload"] == {"fee": 1}
            assert client.post("/cleanup/emergency").status_code == 200
            assert client.get("/stats").json()["warnings"] == []
            assert not [event for event in gate.events() if event["level"] in {"warning", "error"}]
    finally:
        shutil.rmtree(folder)


def test_users_may_do_nothing_else(store: StoreServer, secrets: Path) -> None:
    load_users(store, secrets)
    login, _, _ = url_of_gate(store, secrets).removeprefix("unix://").rpartition("@")
    user, _, password = login.partition(":")
    path = store.url.removeprefix("unix://").partition("?")[0]
    # The form redis_exporter reads: a map of addresses, users included, to passwords.
    [(address, exporter)] = json.loads((secrets / "exporter_password").read_text()).items()
    assert address == "redis://exporter@store:6379"
    with redis.Redis(unix_socket_path=path, username=user, password=password) as gate:
        for command in (
            ("FLUSHALL",),
            ("CONFIG", "SET", "maxmemory", "1"),
            ("SHUTDOWN",),
            ("SET", "other", 1),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                gate.execute_command(*command)
    with redis.Redis(unix_socket_path=path, username="exporter", password=exporter) as reader:
        assert reader.info("memory")["used_memory"] > 0
        with pytest.raises(redis.exceptions.NoPermissionError):
            reader.execute_command("GET", "tidegate:x")
    operator = (secrets / "operator_password").read_text().strip()
    with redis.Redis(unix_socket_path=path, username="operator", password=operator) as human:
        assert human.config_get("maxmemory") == {"maxmemory": "0"}
    with redis.Redis(unix_socket_path=path) as nobody, pytest.raises(redis.exceptions.AuthenticationError):
        nobody.ping()


def test_secrets_are_random_private_and_kept(secrets: Path) -> None:
    before = {file.name: file.read_text() for file in secrets.iterdir()}
    subprocess.run(
        [secrets.parents[1] / "scripts/secrets"],
        check=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    assert {file.name: file.read_text() for file in secrets.iterdir()} == before
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    tokens = (before["ingest_tokens"], *before["admin_tokens"].split(), before["grafana_password"])
    assert len(set(tokens)) == 4
    assert all(len(token.strip()) > 30 for token in tokens)
    assert before["alertmanager_token"].strip() in before["admin_tokens"].split()
