"""The gate started with the environment, the files and the arguments that its deployments give it."""

import base64
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from app.settings.environment import is_service_link
from tests.deploy.test_manifests import DEPLOY, run
from tests.support.gate import GateProcess, start_command, tidegate_command
from tests.support.processes import free_port, wait_until
from tests.support.servers import StoreServer

START_SECONDS = 60
TOKEN = "a-token-of-a-secret"
STOP_SECONDS = 10
"""From SIGTERM to the end, at most: two times GRACEFUL_SECONDS, and what is left to do behind them."""


@cache
def manifests() -> str:
    return run("kubectl", "kustomize", DEPLOY / "kubernetes" / "operator")


@cache
def rendered() -> list[dict[str, Any]]:
    return list(yaml.load_all(manifests(), yaml.CSafeLoader))


def of_kind(kind: str) -> dict[str, Any]:
    return next(resource for resource in rendered() if resource["kind"] == kind)


def names_in_the_manifests() -> list[str]:
    """Every name that a Service in the gate's namespace could have, by the manifests."""
    labels = re.findall(r"app\.kubernetes\.io/name: (\S+)", manifests())
    return sorted({*labels, *(resource["metadata"]["name"] for resource in rendered())})


def service_links(name: str, ports: list[tuple[str, int]]) -> dict[str, str]:
    """The variables that the kubelet gives a container for a Service (kubernetes/pkg/kubelet/envvars)."""
    prefix, host = name.upper().replace("-", "_"), "10.1.2.3"
    links = {f"{prefix}_SERVICE_HOST": host, f"{prefix}_SERVICE_PORT": str(ports[0][1])}
    links[f"{prefix}_PORT"] = f"tcp://{host}:{ports[0][1]}"
    for port_name, port in ports:
        links[f"{prefix}_SERVICE_PORT_{port_name.upper().replace('-', '_')}"] = str(port)
        of_port = f"{prefix}_PORT_{port}_TCP"
        links[of_port] = f"tcp://{host}:{port}"
        links |= {f"{of_port}_PROTO": "tcp", f"{of_port}_PORT": str(port), f"{of_port}_ADDR": host}
    return links


def all_service_links() -> dict[str, str]:
    shipped = [(port["name"], port["port"]) for port in of_kind("Service")["spec"]["ports"]]
    names = [*names_in_the_manifests(), "tidegate-store", "tidegate-http-metrics"]
    links: dict[str, str] = {}
    for name in names:
        links |= service_links(name, [*shipped, ("http-metrics", 9090)])
    return links


@contextmanager
def container(environment: Mapping[str, str], folder: Path) -> Iterator[GateProcess]:
    """The real command with this environment, on a free port of loopback."""
    port = free_port()
    command = (
        "env",
        *(f"{name}={value}" for name, value in environment.items()),
        tidegate_command(),
        "serve",
    )
    where = ("--host", "127.0.0.1", "--port", str(port))
    gate = start_command((*command, *where), folder, {})
    gate.url = f"http://127.0.0.1:{port}"
    try:
        assert wait_until(lambda: gate.process.poll() is not None or gate.is_ready(), START_SECONDS)
        assert gate.process.poll() is None, gate.log.read_text()
        yield gate
    finally:
        if gate.process.poll() is None:
            gate.terminate()


def post(gate: GateProcess, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    body = {"signature": "s1"}
    return httpx.post(
        f"{gate.url}/transactions", json=body, headers=headers, trust_env=False, verify=False
    ).status_code


@pytest.fixture
def secret(tmp_path: Path, valkey: StoreServer) -> Path:
    """The mounted Secret, as the kubelet writes it: names that lead to a folder which is swapped at once."""
    data = tmp_path / "mounted" / "..data"
    data.mkdir(parents=True)
    for name, value in (("store_url", valkey.url), ("ingest_tokens", TOKEN), ("admin_tokens", TOKEN)):
        (data / name).write_text(f"{value}\n")
        (data.parent / name).symlink_to(Path("..data") / name)
    return data.parent


@pytest.fixture
def pod() -> dict[str, Any]:
    return dict(of_kind("Deployment")["spec"]["template"]["spec"])


def container_environment(pod: dict[str, Any], secret: Path) -> dict[str, str]:
    """The variables of the container, the mounted folder standing where the test has it."""
    [gate] = pod["containers"]
    [mount] = (mount for mount in gate["volumeMounts"] if mount["name"] == "secrets")
    return {
        variable["name"]: variable["value"].replace(mount["mountPath"], str(secret))
        for variable in gate["env"]
    }


def test_the_kubernetes_container_starts_beside_services_of_every_name(
    pod: dict[str, Any], secret: Path, tmp_path: Path
) -> None:
    assert pod["enableServiceLinks"] is False
    links = all_service_links()
    assert links["TIDEGATE_PORT"].startswith("tcp://")
    foreign = {name for name in links if name.startswith("TIDEGATE_")}
    with container(links | container_environment(pod, secret), tmp_path) as gate:
        assert (post(gate, TOKEN), post(gate, "another")) == (200, 401)
        [told] = [event for event in gate.events() if event["event"] == "addresses of services ignored"]
        assert set(told["names"]) == foreign  # type: ignore[call-overload]  # a list of strings
        [container_spec] = pod["containers"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            path = container_spec[probe]["httpGet"]["path"]
            assert httpx.get(f"{gate.url}{path}", trust_env=False, verify=False).status_code == 200, probe


def test_the_commands_inside_the_pod_find_the_gate_beside_those_services() -> None:
    environment = {"PATH": "/usr/bin:/bin", "TIDEGATE_HOST": "127.0.0.9"} | all_service_links()
    done = subprocess.run(
        [tidegate_command(), "health"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "http://127.0.0.9:8000 " in done.stderr


@pytest.mark.parametrize("name", names_in_the_manifests())
def test_whatever_a_service_is_called_none_of_its_variables_is_taken_for_a_setting(name: str) -> None:
    for variable, value in service_links(f"tidegate-{name}", [("http", 80)]).items():
        assert is_service_link(variable, value), variable


def test_the_pod_is_given_time_for_its_pause_and_its_end(pod: dict[str, Any]) -> None:
    [gate] = pod["containers"]
    [_, _, program] = gate["lifecycle"]["preStop"]["exec"]["command"]
    [pause] = re.findall(r"time\.sleep\((\d+)\)", program)
    assert pod["terminationGracePeriodSeconds"] > int(pause) + STOP_SECONDS


def unit_lines(key: str) -> list[str]:
    text = (DEPLOY / "systemd" / "tidegate.service").read_text(encoding="utf-8")
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def test_the_units_environment_starts_a_gate_that_reads_its_tokens_from_credentials(tmp_path: Path) -> None:
    credentials, state = tmp_path / "credentials", tmp_path / "state"
    for folder in (credentials, state):
        folder.mkdir()
    handed_on = dict(line.split(":") for line in unit_lines("LoadCredential"))
    for number, name in enumerate(handed_on):
        token = base64.b64encode(bytes(24)).decode() + str(number)
        (credentials / name).write_text(f"{token}\n")
        (credentials / name).chmod(0o400)
    variables = dict(line.split("=", 1) for line in unit_lines("Environment"))
    files = {name: value for name, value in variables.items() if name.endswith("_FILE")}
    assert files.keys() == {"TIDEGATE_INGEST_TOKENS_FILE", "TIDEGATE_ADMIN_TOKENS_FILE"}
    assert set(files.values()) == {f"%d/{name}" for name in handed_on}
    environment = {
        name: value.replace("%d", str(credentials)).replace("%S", str(state))
        for name, value in variables.items()
    }
    with container(environment, tmp_path) as gate:
        assert post(gate, (credentials / "ingest_tokens").read_text().strip()) == 200
        assert post(gate, (credentials / "admin_tokens").read_text().strip()) == 401


def test_the_unit_names_no_file_that_its_made_up_user_cannot_read() -> None:
    assert unit_lines("DynamicUser") == ["yes"]
    given = " ".join((*unit_lines("Environment"), *unit_lines("ExecStart")))
    assert "/etc/" not in given


def test_the_unit_is_given_time_for_its_end() -> None:
    [seconds] = unit_lines("TimeoutStopSec")
    assert int(seconds) > STOP_SECONDS
