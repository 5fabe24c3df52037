"""The ceiling: how near memory is to its limit, with a band between entering a level and leaving it."""

from enum import StrEnum

from app.settings.model import Settings


class Level(StrEnum):
    """`soft` asks for an emergency cleanup, `hard` also refuses ingest."""

    NORMAL = "normal"
    SOFT = "soft"
    HARD = "hard"

    @property
    def number(self) -> int:
        """0, 1 or 2, as the metric has it."""
        return list(Level).index(self)


class LevelBand:
    """The level, from one reading to the next."""

    def __init__(self) -> None:
        self.level = Level.NORMAL

    def tick(self, pressure_bytes: int, limit_bytes: int, settings: Settings) -> Level:
        """Take a reading: a level is entered at its ratio of the limit, and left below its exit ratio."""
        share = pressure_bytes / limit_bytes
        hard = settings.memory_hard_exit_ratio if self.level is Level.HARD else settings.memory_hard_ratio
        soft = settings.memory_soft_ratio if self.level is Level.NORMAL else settings.memory_soft_exit_ratio
        self.level = Level.HARD if share >= hard else Level.SOFT if share >= soft else Level.NORMAL
        return self.level
