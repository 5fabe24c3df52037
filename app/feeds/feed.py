"""What is known of a feed, whether the feeds file declares it or not."""

import re
from typing import NamedTuple

from app.feeds.feed_rules import FeedRules
from app.feeds.webhook_hmac import BodySignature
from app.models import SOURCE_PATTERN

_NAME = re.compile(SOURCE_PATTERN)


def is_feed_name(name: str) -> bool:
    """Tell whether a feed may have this name, which is the source of what it delivers."""
    return _NAME.match(name) is not None


class Feed(NamedTuple):
    """How bodies of one feed are let in and read."""

    name: str
    signature: BodySignature | None = None
    """What its bodies are signed with; then a token is neither needed nor of use. None: it needs a token."""
    over_inflated: bool = False
    """Whether the body is signed before it is compressed with gzip."""
    rules: FeedRules = FeedRules()
    transactions_per_second: int | None = None
    """The feed's share of the rate; None: no limit."""
