"""One table `[feeds.NAME]` of the feeds file: its keys, their types and limits, and what has to go together.

A table without `hmac` and `shape` is as good as one with both; what one key needs of another is checked here,
what lies in other files is not.
"""

from collections.abc import Iterator
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.feeds.feed_rules import FeedRules, MappedShape
from app.feeds.json_pointers import pointer_of
from app.feeds.webhook_hmac import DEFAULT_MAX_AGE_SECONDS

MOST_TRANSACTIONS_PER_SECOND: Final = 10**9
DAY_SECONDS: Final = 86_400


def _pointer(text: str) -> str:
    pointer_of(text)  # for its error
    return text


Pointer = Annotated[str, AfterValidator(_pointer)]


class Conflict(NamedTuple):
    """Keys of one table that do not go together: where to look, and a sentence."""

    key: str
    sentence: str


class Declaration(BaseModel):
    """The keys of one table; the values are taken as they are, so that `"5"` is no number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    hmac: Literal["quicknode", "standard-webhooks"] | None = None
    secrets_file: Annotated[str, Field(min_length=1)] | None = None
    hmac_over: Literal["sent", "inflated"] = "sent"
    max_age_seconds: Annotated[float, Field(ge=1, le=DAY_SECONDS)] = DEFAULT_MAX_AGE_SECONDS
    transactions_per_second: Annotated[int, Field(ge=1, le=MOST_TRANSACTIONS_PER_SECOND)] | None = None
    skip: list[Literal["votes", "failed"]] = []
    shape: Literal["mapped"] | None = None
    items: Pointer | None = None
    signature: Pointer | None = None
    slot: Pointer | None = None

    @property
    def rules(self) -> FeedRules:
        """How the feed's bodies are read."""
        mapped = MappedShape(self.items, self.signature, self.slot) if self.signature is not None else None
        return FeedRules(mapped, frozenset(self.skip))

    def conflicts(self) -> Iterator[Conflict]:
        """Find what is missing beside a key that stands there."""
        given = self.model_fields_set
        if self.hmac and not self.secrets_file:
            yield Conflict("hmac", "needs secrets_file beside it; without a secret everybody could sign")
        if self.shape and self.signature is None:
            yield Conflict("shape", 'needs signature beside it, as in signature = "/hash"')
        for key in ("secrets_file", "hmac_over", "max_age_seconds"):
            if key in given and not self.hmac:
                yield Conflict(key, 'needs hmac beside it, as in hmac = "quicknode"')
        if self.shape and self.skip:
            yield Conflict("skip", 'does not go with shape = "mapped"; it is for transactions of Solana')
        for key in ("items", "signature", "slot"):
            if key in given and not self.shape:
                yield Conflict(key, 'needs shape = "mapped" beside it')


KEYS: Final = tuple(Declaration.model_fields)
