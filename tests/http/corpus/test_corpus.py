"""Requests of the grammar, kept and broken: one answer however they come, nothing done that was refused.

The whole corpus over all ways, with what came of every case: `python -m tests.http.corpus`.
"""

import asyncio
from importlib.metadata import version

import pytest

from tests.http.corpus.__main__ import PAGE
from tests.http.corpus.cases import all_cases
from tests.http.corpus.explanations import EXPLANATIONS
from tests.http.corpus.findings import (
    accepted,
    broken_by_the_server,
    cut_otherwise,
    kept_open,
    not_answered,
    seen,
    whole,
)
from tests.http.corpus.page import differences, page
from tests.http.corpus.run import Results, run
from tests.http.corpus.servers import REFUSALS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

GATES = ["with the fast path", "without it"]


@pytest.fixture(
    scope="module",
    params=[True, pytest.param(False, marks=pytest.mark.long)],
    ids=["a part in the dearer ways", "all in all ways"],
)
def results(request: pytest.FixtureRequest) -> list[Results]:
    return asyncio.run(run(all_cases(), is_bounded=request.param))


@pytest.fixture(params=range(2), ids=GATES)
def gate(results: list[Results], request: pytest.FixtureRequest) -> Results:
    at: int = request.param
    return results[at]


def test_the_cases_have_names_of_their_own_and_are_thousands() -> None:
    cases = all_cases()
    assert len({case.name for case in cases}) == len(cases) > 2500


def test_an_answer_does_not_depend_on_how_the_bytes_come(gate: Results) -> None:
    assert list(cut_otherwise(gate)) == []


def test_both_ways_in_give_the_same_answers(results: list[Results]) -> None:
    fast, asgi, _ = results
    assert [case.name for case, ways in fast.verdicts.items() if ways != asgi.verdicts[case]] == []


def test_what_was_accepted_is_in_the_gate_and_nothing_else_is(gate: Results) -> None:
    assert gate.carried_out == accepted(gate)


def test_a_good_request_before_a_bad_one_is_answered(gate: Results) -> None:
    assert list(not_answered(gate)) == []


def test_a_refusal_says_that_the_connection_ends_and_ends_it(gate: Results) -> None:
    assert seen(gate)[REFUSALS] > 1000
    assert list(kept_open(gate)) == []


def test_every_conversation_ends(gate: Results) -> None:
    assert [sending.case.name for sending, heard in gate.transcripts.items() if not heard.is_over] == []


def test_the_gate_never_blames_itself_and_stays_alive(gate: Results) -> None:
    assert list(broken_by_the_server(gate)) == []
    assert gate.is_alive


def test_every_refusal_is_counted(gate: Results) -> None:
    assert gate.counted[REFUSALS] == seen(gate)[REFUSALS]


def test_requests_are_counted_as_they_were_answered(gate: Results) -> None:
    # 499 is for those who went away before an answer.
    answered = {code: count for code, count in seen(gate).items() if code != REFUSALS}
    assert {code: gate.counted[code] for code in answered} == answered


def test_each_difference_from_the_rfc_and_from_uvicorn_is_explained(results: list[Results]) -> None:
    assert differences(whole(results[0]), whole(results[-1])) == set(EXPLANATIONS)


def test_the_page_says_what_the_gate_does(results: list[Results]) -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert page(whole(results[0]), whole(results[-1]), version("uvicorn")) == written, (
        "write it anew: python -m tests.http.corpus --write"
    )
