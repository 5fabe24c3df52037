"""The OpenAPI document is complete, and a fuzzer that follows it finds no 5xx (Schemathesis)."""

import re
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from app.api.addresses import SWAGGER_UI
from tests.support.chromium import chromium
from tests.support.gate import GateProcess

CALLS = [
    ("POST", "/transactions"),
    ("POST", "/feeds/{feed}"),
    ("GET", "/transactions/{signature}"),
    ("GET", "/consumers"),
    ("POST", "/consumers/{name}/lease"),
    ("POST", "/consumers/{name}/commit"),
    ("POST", "/consumers/{name}/seek"),
    ("DELETE", "/consumers/{name}"),
    ("GET", "/stats"),
    ("GET", "/page/figures"),
    ("GET", "/cleanup"),
    ("POST", "/cleanup"),
    ("POST", "/cleanup/emergency"),
    ("POST", "/alerts"),
    ("GET", "/alerts"),
    ("GET", "/sources"),
    ("GET", "/reports/daily"),
    ("GET", "/reports/recent"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
]


# Of a call with parameters or a body; without them only what no call takes can be tried.
EXAMPLES, EXAMPLES_OF_NOTHING = 40, 8
CHECKS = [not_a_server_error, content_type_conformance, status_code_conformance]


@pytest.fixture
def document(gate: GateProcess) -> dict[str, Any]:
    answer = httpx.get(f"{gate.url}/openapi.json", trust_env=False, verify=False)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_a_fuzzer_finds_no_server_error(
    gate: GateProcess, document: dict[str, Any], method: str, path: str
) -> None:
    given_something = {"parameters", "requestBody"} & document["paths"][path][method.lower()].keys()
    examples = EXAMPLES if given_something else EXAMPLES_OF_NOTHING
    # Not `schema.parametrize()`: Schemathesis 4.32 makes test items in a way that pytest 9.2 has not.
    schema = schemathesis.openapi.from_url(f"{gate.url}/openapi.json")

    # A document that a fuzzer makes wrong on purpose is often right by chance, and then left out.
    @settings(max_examples=examples, database=None, suppress_health_check=[HealthCheck.filter_too_much])
    @given(schema[path][method].as_strategy() | schema[path][method].as_strategy(GenerationMode.NEGATIVE))
    def follow_the_document(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(checks=CHECKS)

    follow_the_document()
    assert gate.is_ready()


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_every_call_of_the_contract_is_in_the_document(
    document: dict[str, Any], method: str, path: str
) -> None:
    assert method.lower() in document["paths"][path]
    assert document["paths"][path][method.lower()]["responses"]


def test_the_document_says_which_bodies_a_post_may_have(document: dict[str, Any]) -> None:
    content = document["paths"]["/transactions"]["post"]["requestBody"]["content"]
    lines = {"application/x-ndjson", "application/ndjson", "application/jsonl"}
    assert set(content) == {"application/json"} | lines


def test_docs_are_a_page(gate: GateProcess) -> None:
    answer = httpx.get(f"{gate.url}/docs", trust_env=False, verify=False)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "/openapi.json" in answer.text


def test_what_the_docs_load_comes_from_the_gate_and_from_nowhere_else(gate: GateProcess) -> None:
    page = httpx.get(f"{gate.url}/docs", trust_env=False, verify=False)
    loaded = re.findall(r"""(?:src|href|url)\b["']?\s*[=:]\s*["']([^"']+)""", page.text)
    assert sorted(loaded) == sorted([*SWAGGER_UI, "/openapi.json"])
    assert "http" not in page.text.replace("<meta http-equiv", "")
    assert page.headers["content-security-policy"].startswith("default-src 'self'; ")
    for path, media_type in SWAGGER_UI.items():
        answer = httpx.get(f"{gate.url}{path}", trust_env=False, verify=False)
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, media_type)
        assert answer.headers["content-encoding"] == "gzip"
        package = resources.files("fastapi_swagger").joinpath("resources", path.rpartition("/")[2])
        assert answer.content == package.read_bytes()


@pytest.mark.slow
def test_a_browser_that_reaches_nothing_but_the_gate_shows_every_call(
    gate: GateProcess, tmp_path: Path
) -> None:
    alone = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    shown = chromium(tmp_path, f"{gate.url}/docs", alone, "--virtual-time-budget=20000", "--dump-dom")
    operations = set(re.findall(r'data-path="([^"]+)"', shown))
    assert {path for _, path in CALLS} <= {path.replace("\u200b", "") for path in operations}


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_a_method_the_document_does_not_have_is_a_problem(gate: GateProcess, method: str, path: str) -> None:
    answer = httpx.request("PATCH", f"{gate.url}{path}", trust_env=False, verify=False)
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
    assert method in answer.headers["allow"]
