"""A lease that is committed too late: the client says how much of it comes again, and goes on."""

from contextlib import aclosing

import pytest

from tests.support.handing_out import lease, line, refusal
from tests.support.stand_in import Answer
from tests.unit.client.conftest import Serve
from tidegate.client import Client


@pytest.mark.parametrize("answer", [refusal(409, "lease-lost"), refusal(404, "unknown-lease")])
async def test_a_commit_that_came_too_late_is_told_and_the_work_goes_on(
    serve: Serve, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    gate = serve(lease("l-1", [line(1)]), answer, lease("l-2", [line(1)]))
    async with Client(gate.url) as client, aclosing(client.consume("bot")) as transactions:
        assert [(await anext(transactions)).signature for _ in range(2)] == ["s-1", "s-1"]
    assert "bot: a lease of 1 was committed too late; its transactions are handed out again" in caplog.text


@pytest.mark.parametrize(
    ("partitions", "said"),
    [
        ({"committed": 5, "lost": 1}, "what 1 of its 6 partitions gave is handed out again"),
        ({"committed": 0, "lost": 6}, "its transactions are handed out again"),
        ({"committed": None}, "its transactions are handed out again"),
        ([], "its transactions are handed out again"),
    ],
)
async def test_of_a_lease_of_a_cluster_it_is_told_how_much_comes_again(
    serve: Serve, partitions: object, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    problem = {"type": "urn:tidegate:problem:lease-lost", "partitions": partitions}
    gate = serve(lease("l-1", [line(1)]), Answer(409, problem))
    async with Client(gate.url) as client:
        assert not await client.commit(await client.lease("bot"))
    assert f"bot: a lease of 1 was committed too late; {said}" in caplog.text
