"""What `tidegate serve` prints to be tried works as it is pasted, and shows no token."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.gate import STOP_SECONDS, tidegate_command
from tests.support.servers import StoreServer

SECRET = "first-of-two"


@contextmanager
def _greeted(*arguments: str, **settings: object) -> Iterator[list[str]]:
    """The two lines of a gate that runs on a free port."""
    given = {f"TIDEGATE_{name.upper()}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(
        [tidegate_command(), "serve", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"TIDEGATE_PORT": "0"} | given,
    )
    with process:
        try:
            assert process.stdout is not None
            yield [process.stdout.readline() for _ in range(2)]
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


def _pasted(line: str, **environment: str) -> str:
    """What a shell prints for a line."""
    done = subprocess.run(
        ["sh", "-euc", line],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin"} | environment,
    )
    return done.stdout


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "0.0.0.0", "::"])
def test_the_line_works_as_it_is_printed_for_every_kind_of_address(valkey: StoreServer, host: str) -> None:
    with _greeted("--insecure", host=host, store_url=valkey.url) as (where, line):
        assert "Tidegate listens on http://" in where
        assert _pasted(line).startswith('{"status":"accepted"')
        assert _pasted(line).endswith("}\n"), "the prompt has a line of its own"


@pytest.mark.parametrize("is_file", [False, True])
def test_with_tokens_it_names_the_variable_and_shows_none_of_them(
    valkey: StoreServer, tmp_path: Path, is_file: bool
) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{SECRET}\nsecond\n")
    tokens = {"ingest_tokens_file": file} if is_file else {"ingest_tokens": f"{SECRET},second"}
    with _greeted(store_url=valkey.url, **tokens) as (where, line):
        assert "export TIDEGATE_TOKEN=" in where
        assert SECRET not in where + line
        assert _pasted(line, TIDEGATE_TOKEN=SECRET).startswith('{"status":"accepted"')
        assert '"status":401' in _pasted(line, TIDEGATE_TOKEN="another")


def test_with_admin_tokens_alone_the_line_needs_none(valkey: StoreServer) -> None:
    with _greeted(store_url=valkey.url, admin_tokens=SECRET) as (_, line):
        assert _pasted(line).startswith('{"status":"accepted"')
