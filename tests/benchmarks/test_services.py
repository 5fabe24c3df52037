"""What Tidegate is compared with: the design it replaces, and itself without its guard."""

import httpx

from benchmarks.common.altered_gates import altered
from benchmarks.common.gates import Service, module, service
from tests.support.payloads import Payloads, body_of


def _post(running: Service, body: bytes, source: str) -> dict[str, int]:
    url, headers = f"{running.url}/transactions?source={source}", {"Content-Type": "application/json"}
    answer = httpx.post(url, content=body, headers=headers, trust_env=False)
    summary: dict[str, int] = answer.json()
    return summary


def test_the_replaced_design_answers_as_tidegate_does_and_forgets_nothing() -> None:
    with service(*module("benchmarks.rivals.replaced")) as running:
        first, again = (_post(running, body_of(Payloads(1).items(20)), source) for source in "ab")
        assert (first["accepted"], first["duplicate"]) == (20, 0)
        assert (again["accepted"], again["duplicate"]) == (0, 20)
        assert running.resident().keys() == {"gate"}


def test_the_gate_without_its_guard_lacks_its_rounds_and_nothing_else() -> None:
    with service(*altered("unguarded")) as running:
        metrics = httpx.get(f"{running.url}/metrics", trust_env=False).text
        tasks = {line.split('"')[1] for line in metrics.splitlines() if "background_task_up{" in line}
        assert {"tick", "cleanup"} <= tasks
        assert not {"memory", "ceiling"} & tasks
        assert _post(running, body_of(Payloads(1).items(20)), "a")["accepted"] == 20
        assert running.resident().keys() == {"gate", "store"}
