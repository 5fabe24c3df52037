"""A process of the service starts without what it may never need, and then works as any other."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.support.gate import gate_process


def _after(program: str) -> Any:
    """What a program prints as JSON that has made its start lean first."""
    lean = "import gc, json; from app.process.lean_start import start_lean; start_lean()"
    command = [sys.executable, "-c", f"{lean}\n{program}"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


def test_the_models_of_the_api_are_made_when_they_are_first_used() -> None:
    program = """
import app.main
from fastapi.openapi.models import OpenAPI
from app.models import MapRemoval
before = OpenAPI.__pydantic_complete__, MapRemoval.__pydantic_complete__
print(json.dumps([before, MapRemoval(before=3, removed=1, after=2).model_dump()]))
"""
    assert _after(program) == [[False, False], {"before": 3, "removed": 1, "after": 2}]


@pytest.mark.server
def test_whatever_is_called_first_the_gate_writes_nothing_but_its_log() -> None:
    """Not the warnings either that FastAPI keeps back only while it makes the validators itself."""
    with gate_process() as gate, gate.client() as client:
        paths = client.get("/openapi.json").raise_for_status().json()["paths"]
        for path, operations in paths.items():
            for method in operations:
                with client.stream(method, re.sub("{.*?}", "x", path)) as answer:
                    assert answer.status_code < 500, path
        assert [line for line in gate.log.read_text().splitlines() if not line.startswith("{")] == []


def test_the_collector_pauses_until_the_server_has_started() -> None:
    program = """
import asyncio, socket
import uvicorn
from app.server.config import QuietServer

async def start():
    paused = gc.isenabled()
    server = QuietServer(uvicorn.Config(app=lambda: None, lifespan="off", log_config=None))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await server.startup([listener])
        return paused, gc.isenabled(), gc.get_freeze_count() > 0

print(json.dumps(asyncio.run(start())))
"""
    assert _after(program) == [False, True, True]
