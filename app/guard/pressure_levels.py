"""The pressure level of a limit, with a band (hysteresis) between entering a level and leaving it.

Without the band a level would flap: an action frees a little, the level falls, memory fills again. Four
settings, each a share of the limit, say where a level begins and ends:

| level | entered at | left below |
|---|---|---|
| soft | `memory_soft_ratio` | `memory_soft_exit_ratio` |
| hard | `memory_hard_ratio` | `memory_hard_exit_ratio` |

At soft, garbage and free heap are given back and an embedded store is cleaned (`process_relief`,
`store_relief`). At hard, ingest is also refused with 503, and idle connections are closed.

For example, if soft is entered at 0.6 and left below 0.5, the readings 0.59, 0.61, 0.55 and 0.49 are normal,
soft, soft and normal.
"""

from app.guard.status import Level
from app.settings.model import Settings

HARD_AGAIN_SECONDS = 1.0
"""While `hard` lasts, memory is freed again after so long."""


class LevelBand:
    """The level of one limit, from one reading to the next."""

    def __init__(self) -> None:
        self.level = Level.NORMAL

    @property
    def refuses_ingest(self) -> bool:
        """Whether ingest is answered 503 `memory-pressure` at this level."""
        return self.level is Level.HARD

    def tick(self, used_bytes: int, limit_bytes: int, settings: Settings) -> Level:
        """Take a reading of what is used; the level that follows from it and from the level before."""
        share = used_bytes / limit_bytes
        hard = settings.memory_hard_exit_ratio if self.level is Level.HARD else settings.memory_hard_ratio
        soft = settings.memory_soft_ratio if self.level is Level.NORMAL else settings.memory_soft_exit_ratio
        self.level = Level.HARD if share >= hard else Level.SOFT if share >= soft else Level.NORMAL
        return self.level
