"""Spoils the lists of labels by which PromQL tells series apart: `by` and `on`."""

import re
from collections.abc import Iterator

LISTS = re.compile(r"\b(?P<clause>by|on) \((?P<labels>[^)]+)\)")


def spoilt_labels(expression: str) -> Iterator[tuple[str, str]]:
    """How a list of labels can be spoilt, one label less, and the expression then.

    Beside `instance`, `on` needs neither `namespace` nor `job`: one address is that of one gate.
    """
    for number, found in enumerate(LISTS.finditer(expression)):
        names = found["labels"].split(", ")
        implied = {"namespace", "job"} if found["clause"] == "on" and "instance" in names else set[str]()
        for name in [one for one in names if one not in implied]:
            kept = ", ".join(other for other in names if other != name)
            how = f"{found[0]} without {name} (number {number})"
            yield how, f"{expression[: found.start()]}{found['clause']} ({kept}){expression[found.end() :]}"
