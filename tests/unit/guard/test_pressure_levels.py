import pytest

from app.guard.pressure_levels import LevelBand
from app.guard.status import Level
from app.settings.model import Settings

SETTINGS = Settings()


def levels(shares: list[float], settings: Settings = SETTINGS) -> list[str]:
    band = LevelBand()
    return [band.tick(round(share * 1000), 1000, settings) for share in shares]


def test_a_level_is_entered_at_its_ratio_and_left_below_its_exit_ratio() -> None:
    assert levels([0.749, 0.75, 0.66, 0.65, 0.649]) == ["normal", "soft", "soft", "soft", "normal"]
    assert levels([0.90, 0.81, 0.80, 0.799, 0.70, 0.64]) == ["hard", "hard", "hard", "soft", "soft", "normal"]


def test_ingest_is_refused_from_entering_hard_until_it_is_left() -> None:
    band = LevelBand()
    told = []
    for share in (0.5, 0.8, 0.9, 0.85, 0.7, 0.1):
        band.tick(round(share * 1000), 1000, SETTINGS)
        told.append(band.refuses_ingest)
    assert told == [False, False, True, True, False, False]


def test_between_the_bands_nothing_flaps() -> None:
    assert levels([0.76, 0.74, 0.76, 0.74, 0.89, 0.76]) == ["soft"] * 6


def test_hard_falls_to_normal_at_once_when_memory_does() -> None:
    assert levels([0.95, 0.10]) == ["hard", "normal"]


@pytest.mark.parametrize(("level", "number"), [(Level.NORMAL, 0), (Level.SOFT, 1), (Level.HARD, 2)])
def test_levels_have_the_numbers_of_the_metric(level: Level, number: int) -> None:
    assert level.number == number


def test_ratios_that_contradict_each_other_are_refused_with_a_sentence_naming_both() -> None:
    with pytest.raises(
        ValueError, match=r"TIDEGATE_MEMORY_SOFT_RATIO=0.95 .* TIDEGATE_MEMORY_HARD_RATIO=0.9"
    ):
        Settings(memory_soft_ratio=0.95)
    with pytest.raises(ValueError, match=r"MEMORY_HARD_EXIT_RATIO=0.95 .* TIDEGATE_MEMORY_HARD_RATIO=0.9"):
        Settings(memory_hard_exit_ratio=0.95)
