"""`tidegate tail` as a process, before a stand-in for a gate."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from tests.support.gate import tidegate_command
from tests.support.stand_in import Answer, Request, Respond, StandIn, in_turn

PATIENCE = 60
DONE = Answer(200, {})


@contextmanager
def tail_process(
    *arguments: str, gate: StandIn | None = None, stdout: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a process; killed in the end, should it run still."""
    where = ["--url", gate.url] if gate else []
    with subprocess.Popen(
        [tidegate_command(), "tail", *where, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def commits(gate: StandIn) -> list[str]:
    """The leases that were committed, in order."""
    return [json.loads(request.body)["lease"] for request in gate.requests if "/commit" in request.path]


def held(release: Event, *answers: Answer) -> Respond:
    """Give these answers in turn, and none after them before the event is set."""

    def hold(_: Request) -> Answer:
        release.wait(PATIENCE)
        return Answer(0, None)

    return in_turn(*answers, then=hold)
