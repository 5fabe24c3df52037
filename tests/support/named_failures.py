"""What an operator sees of a store that fails: the log, `/readyz`, answers to posts, `tidegate health`."""

from click.testing import CliRunner

from app.cli.main import tidegate
from tests.support.gate import START_SECONDS, GateProcess, has_port
from tests.support.processes import wait_until


def assert_named(gate: GateProcess, kind: str, sentence: str) -> None:
    """Assert that all of them name the failure with one sentence, of which this is a part; the log once."""
    assert wait_until(lambda: has_port(gate), START_SECONDS)
    with gate.client() as client:
        [reason] = client.get("/readyz").json()["reasons"]
        posted = client.post("/transactions", json={"signature": "one"})
    name, _, advice = reason.partition(": ")
    assert name == f"the store is down ({kind})"
    assert sentence in advice
    assert posted.status_code == 503
    assert advice in posted.json()["detail"]
    [told] = [event for event in gate.events() if event["event"] == "store down"]
    assert (told["kind"], told["advice"]) == (kind, advice)
    assert str(told["error"]).isprintable()
    asked = CliRunner().invoke(tidegate, ["health", "--url", gate.url, "--timeout", str(START_SECONDS)])
    assert asked.exit_code == 1
    assert reason in asked.stderr
