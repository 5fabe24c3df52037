"""Values as people read them, for the units the dashboards use."""

KIB = 1024.0
_BYTES = ((1.0, " B"), (KIB, " KiB"), (KIB**2, " MiB"), (KIB**3, " GiB"))
_PLAIN = ((1.0, ""), (1e3, " k"), (1e6, " M"))
_SUFFIXES = {"cps": "/s", "reqps": "/s", "cpm": "/min"}


def scaled(largest: float, unit: str) -> tuple[float, str]:
    """What to multiply values up to `largest` by, and what to write behind them."""
    if unit == "percentunit":
        return 100.0, " %"
    if unit in {"s", "dtdurations"}:
        return (1000.0, " ms") if largest < 1 else (1.0, " s")
    steps = _BYTES if unit == "bytes" else _PLAIN
    size, name = max((step for step in steps if step[0] <= abs(largest)), default=steps[0])
    return 1 / size, name + _SUFFIXES.get(unit, "")


def in_unit(value: float, unit: str) -> str:
    """One value."""
    factor, suffix = scaled(value, unit)
    return f"{value * factor:.3g}{suffix}" if abs(value * factor) < 1000 else f"{value * factor:.0f}{suffix}"  # noqa: PLR2004
