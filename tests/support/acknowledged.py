"""What a steady load was told, held against what the store has after a failover."""

from collections.abc import Sequence

from tests.support.gate import GateProcess
from tests.support.history import ACCEPTED, History, Item, look_up
from tests.support.steady_load import Post, Steady
from tests.support.wire import connected

RESENT_AT_ONCE = 100


async def lost_of(gate: GateProcess, posts: Sequence[Post]) -> list[Post]:
    """Return those of the posts, all acknowledged, whose transaction is not there."""
    found = await look_up(gate.url, [post.signature for post in posts])
    return [post for post in posts if found[post.signature] is None]


def acknowledged(load: Steady) -> list[Post]:
    """Return what was answered `accepted`: each was posted once, so nothing may be called a duplicate."""
    told = [post for post in load.posts if post.status == 200]
    assert {post.verdict for post in told} == {"accepted"}
    assert {post.status for post in load.posts} <= {0, 200, 503}
    return told


async def assert_no_false_duplicate(gate: GateProcess, load: Steady) -> None:
    """Send again what was refused: what is called a duplicate, or accepted now, is there."""
    async with connected(gate.url, 1) as [connection]:
        for post in load.failed():
            item = {"signature": post.signature, "source": "a", "payload": [1, 2]}
            assert (await connection.post(item)).status == 200
            assert (await connection.get(f"/transactions/{post.signature}")).status == 200


async def assert_accepted_once(gate: GateProcess, told: Sequence[Post], lost: Sequence[Post]) -> None:
    """Send again what was acknowledged, within its window: accepted twice is what was lost, and no other."""
    items: list[Item] = [{"signature": post.signature, "source": "a", "payload": [1, 2]} for post in told]
    again = History()
    async with connected(gate.url, 1) as [connection]:
        for first in range(0, len(items), RESENT_AT_ONCE):
            await again.post(gate.url, connection, items[first : first + RESENT_AT_ONCE])
    assert again.unanswered() == []
    twice = {str(item["signature"]) for item in again.answered(ACCEPTED)}
    assert sorted(twice) == sorted(post.signature for post in lost), "accepted again, and lost"


def assert_latest(lost: Sequence[Post], told: Sequence[Post], killed_ms: float) -> None:
    """What a primary took with it is the last that it accepted: replicas follow in its order."""
    if lost:
        first = min(post.first_seen_ms for post in lost)
        kept = [post for post in told if post.first_seen_ms < killed_ms and post not in lost]
        assert max(post.first_seen_ms for post in kept) <= first
