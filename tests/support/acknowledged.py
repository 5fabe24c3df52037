"""What steady loads were told, held against what the store has after a failover."""

from collections import Counter
from collections.abc import Sequence

from tests.support.gate import GateProcess
from tests.support.history import ACCEPTED, History, look_up
from tests.support.steady_load import Post, Steady
from tests.support.truth import Store
from tests.support.wire import ask_once, connected

RESENT_AT_ONCE = 100
SAMPLED = 20  # one in so many payloads is looked up by HTTP; for the signatures of all the store is asked


async def lost_of(gate: GateProcess, posts: Sequence[Post]) -> list[Post]:
    """Return the posts, all acknowledged, whose transaction is not there."""
    found = await look_up(gate.url, [post.signature for post in posts])
    return [post for post in posts if found[post.signature] is None]


def acknowledged(load: Steady) -> list[Post]:
    """Return what was answered `accepted`: each was posted once, so nothing may be called a duplicate."""
    told = [post for post in load.posts if post.status == 200]
    assert {post.verdict for post in told} == {ACCEPTED}
    assert {post.status for post in load.posts} <= {0, 200, 503}
    return told


async def assert_honest(
    gate: GateProcess, store: Store, loads: Sequence[Steady], lost: Sequence[Post]
) -> None:
    """Send again all that was sent, within its window, and judge every answer by what the store has.

    Accepted twice is what was lost, and no other; nothing that is not there is called a duplicate. Then each
    transaction is there once, and law 3 holds: the ledger has added as many as were sent, removed none, and
    counts what lies in the maps.
    """
    posts, history = [post for load in loads for post in load.posts], History()
    history.attempts += [post.attempt for post in posts]
    async with connected(gate.url, 1) as [connection]:
        for first in range(0, len(posts), RESENT_AT_ONCE):
            items = [post.attempt.items[0] for post in posts[first : first + RESENT_AT_ONCE]]
            again = await history.post(gate.url, connection, items)
            assert again.is_processed, again.reply
    found = await history.findings(gate.url, store, SAMPLED)
    twice = found.pop("accepted twice", [])
    assert sorted(twice) == sorted(post.signature for post in lost), "accepted again, and lost"
    assert not found, {what: names[:5] for what, names in found.items()}
    signatures = (await ask_once(gate.url, "GET", "/stats")).json()["maps"]["signatures"]
    assert signatures["added_total"] == signatures["entries"] == len(posts), "counted, and sent"


async def assert_counted(gate: GateProcess, load: Steady) -> None:
    """Law 10: what the gate that had the load, and nothing else, counts is what it has answered."""
    counted = Counter((await ask_once(gate.url, "GET", "/stats")).json()["ingest"])
    failed = {post.status for post in load.posts if post.has_failed}
    assert failed <= {503}, "each was answered"
    refused = counted["failed"] + counted["refused"]
    answered = len(acknowledged(load)), 0, len(load.failed())
    assert (counted["accepted"], counted["duplicate"], refused) == answered, "counted, and answered"


def assert_latest(lost: Sequence[Post], told: Sequence[Post], killed_ms: float) -> None:
    """What a primary took with it is the last that it accepted: replicas follow in its order."""
    if lost:
        first = min(post.first_seen_ms for post in lost)
        kept = [post for post in told if post.first_seen_ms < killed_ms and post not in lost]
        assert max(post.first_seen_ms for post in kept) <= first
