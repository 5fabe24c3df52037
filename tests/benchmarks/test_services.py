"""What Tidegate is compared with: the design it replaces, and the gate whose event loop is timed."""

from pathlib import Path

import httpx

from benchmarks.common.gates import Service, module, service
from benchmarks.stalls import longest_turn
from tests.support.payloads import Payloads, body_of


def _post(running: Service, body: bytes, source: str) -> dict[str, int]:
    url, headers = f"{running.url}/transactions?source={source}", {"Content-Type": "application/json"}
    answer = httpx.post(url, content=body, headers=headers, trust_env=False, verify=False)
    summary: dict[str, int] = answer.json()
    return summary


def test_the_replaced_design_answers_as_tidegate_does_and_forgets_nothing() -> None:
    with service(*module("benchmarks.rivals.replaced")) as running:
        first, again = (_post(running, body_of(Payloads(1).items(20)), source) for source in "ab")
        assert (first["accepted"], first["duplicate"]) == (20, 0)
        assert (again["accepted"], again["duplicate"]) == (0, 20)
        assert running.resident().keys() == {"gate"}


def test_the_watched_gate_tells_the_longest_turn_of_its_event_loop_since_it_was_last_asked(
    tmp_path: Path,
) -> None:
    path = tmp_path / "watch"
    with service(*module("benchmarks.watched_gate", str(path))) as running:
        assert _post(running, body_of(Payloads(1).items(20)), "a")["accepted"] == 20
        assert min(longest_turn(path).values()) > 0
        assert running.resident().keys() == {"gate", "store"}
