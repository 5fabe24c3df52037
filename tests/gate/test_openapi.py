"""The OpenAPI document, and what a fuzzer that follows it finds."""

import subprocess
import sys
from pathlib import Path

import httpx

from tests.support.gate import gate_process

CALLS = {
    ("/transactions", "post"),
    ("/transactions/{signature}", "get"),
    ("/stats", "get"),
    ("/cleanup", "post"),
    ("/cleanup", "get"),
    ("/cleanup/emergency", "post"),
    ("/livez", "get"),
    ("/readyz", "get"),
    ("/metrics", "get"),
}
CHECKS = "not_a_server_error,content_type_conformance,status_code_conformance,response_schema_conformance"


async def test_every_call_is_documented(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == CALLS
    assert (await client.get("/docs")).status_code == 200


def test_a_fuzzer_that_follows_the_document_finds_nothing(tmp_path: Path) -> None:
    fuzzer = Path(sys.executable).with_name("schemathesis")
    with gate_process() as gate:
        done = subprocess.run(
            [fuzzer, "run", f"{gate.url}/openapi.json", f"--checks={CHECKS}", "--max-examples=40"],
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
            cwd=tmp_path,
        )
        assert gate.is_ready()
    assert done.returncode == 0, done.stdout[-5000:]
    assert "No issues found" in done.stdout
