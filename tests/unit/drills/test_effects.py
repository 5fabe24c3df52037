"""What a drill makes others take for true ends by the clock, whoever looks after it."""

from app.drills.effects import DrillEffects
from app.drills.kinds import DrillKind


def test_each_effect_is_that_of_its_drill_and_is_over_when_its_time_is() -> None:
    now = 100.0
    effects = DrillEffects(lambda: now)
    assert (effects.memory_share(), effects.no_store(), effects.leaks()) == (0.0, False, False)
    effects.share, effects.ends_seconds = 0.9, 160.0
    for kind, expected in {
        DrillKind.PRESSURE: (0.9, False, False),
        DrillKind.STORE_DOWN: (0.0, True, False),
        DrillKind.LEAK: (0.0, False, True),
        DrillKind.FULL: (0.0, False, False),
    }.items():
        effects.kind, now = kind, 159.0
        assert (effects.memory_share(), effects.no_store(), effects.leaks()) == expected
        now = 160.0
        assert (effects.memory_share(), effects.no_store(), effects.leaks()) == (0.0, False, False)
