"""A fuzzer that follows the OpenAPI document changes settings as it likes, on a gate of its own."""

from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from tests.support.gate import gate_process
from tests.support.processes import wait_until

pytestmark = pytest.mark.server


def test_a_fuzzer_meets_only_documented_answers_and_leaves_a_gate_that_serves() -> None:
    with gate_process() as gate, gate.client() as http:
        schema = schemathesis.openapi.from_url(f"{gate.url}/openapi.json")
        call = schema["/settings"]["PATCH"]

        @settings(max_examples=60, database=None)
        @given(call.as_strategy() | call.as_strategy(GenerationMode.NEGATIVE))
        def follow_the_document(case: schemathesis.Case[Any]) -> None:
            response = case.call_and_validate(checks=[content_type_conformance, status_code_conformance])
            assert response.status_code < 500

        follow_the_document()
        assert gate.process.poll() is None, gate.log.read_text()
        changed = http.get("/settings").json()["settings"]
        back = {name: None for name, view in changed.items() if view["changeable"]}
        assert http.patch("/settings", json=back).status_code == 200
        # A memory limit of a few bytes is in force until the guard looks again.
        assert wait_until(gate.is_ready, 30), gate.log.read_text()
        answer = http.post("/transactions", json={"signature": "after-all-that"})
        assert answer.json()["status"] == "accepted"
