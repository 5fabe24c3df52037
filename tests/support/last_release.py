"""The gate of the last released version, which tests/last_release.toml names, beside that of this tree."""

import os
import subprocess
import sys
import tarfile
import tomllib
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path

import pytest

from tests.support.gate import GateProcess, started_by

ROOT = Path(__file__).parents[2]
_NAMED = tomllib.loads((ROOT / "tests/last_release.toml").read_text(encoding="utf-8"))
VERSION: str = _NAMED["version"]
COMMIT: str = _NAMED["commit"]
_SERVE = "import sys; from app.cli.main import main; sys.argv[0] = 'tidegate'; sys.exit(main())"


def unpack_last_release(folder: Path) -> Path:
    """Write the package of the last release into a folder, and return the folder."""
    with tarfile.open(fileobj=BytesIO(_git("archive", COMMIT, "app"))) as tree:
        tree.extractall(folder, filter="data")
    return folder


def read_at(commit: str, path: str) -> bytes:
    """Return a file as it was in a commit."""
    return _git("show", f"{commit}:{path}")


def _git(*arguments: str) -> bytes:
    """Return what git writes.

    A clone that lacks the commit cannot run these tests: they are skipped, and fail in CI, where a skipped
    test would go unseen.
    """
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode == 0:
        return done.stdout
    why = (
        f"git {' '.join(arguments)}: a shallow clone lacks released versions (tests/last_release.toml): "
        f"run `git fetch --unshallow`. Git says: {done.stderr.decode().strip()}"
    )
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def released_gate(folder: Path, **settings: object) -> AbstractContextManager[GateProcess]:
    """A gate of the release in that folder that was just started, ready or not; killed in the end."""
    # Without -P the working folder, with the package of this tree, would come before that of the release.
    command = ("env", f"PYTHONPATH={folder}", sys.executable, "-P", "-c", _SERVE, "serve")
    return started_by(command, settings)
