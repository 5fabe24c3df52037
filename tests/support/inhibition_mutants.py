"""Spoils the inhibitions of Alertmanager's configuration, and judges which alert silences which by them.

The judge is Alertmanager's rule in ten lines, so that hundreds of spoilt configurations cost no server;
test_alertmanager.py asks Alertmanager itself about the same alerts with the configuration as it is.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Labels = Mapping[str, str]
Rule = dict[str, Any]
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"(.*)"')


def silences(rules: list[Rule], source: Labels, target: Labels) -> bool:
    """Return if the one alert silences the other; a label that is missing is an empty one."""
    return any(
        _matches(rule["source_matchers"], source)
        and _matches(rule["target_matchers"], target)
        and all(source.get(name, "") == target.get(name, "") for name in rule.get("equal", ()))
        for rule in rules
    )


def spoilt(rules: list[Rule]) -> Iterator[tuple[str, list[Rule]]]:
    """How the inhibitions can be spoilt (a rule, matcher, alternative or label less), and the rules then."""
    for at, rule in enumerate(rules):
        before, after = rules[:at], rules[at + 1 :]
        name = f"{' '.join(rule['source_matchers'])} > {' '.join(rule['target_matchers'])}"
        yield f"{name}: left out", before + after
        for how, one in _spoilt_rule(rule):
            yield f"{name}: {how}", [*before, one, *after]


def _spoilt_rule(rule: Rule) -> Iterator[tuple[str, Rule]]:
    for label in rule["equal"]:
        yield f"whatever {label}", rule | {"equal": [name for name in rule["equal"] if name != label]}
    for side in ("source_matchers", "target_matchers"):
        for place, matcher in enumerate(rule[side]):
            others = [one for at, one in enumerate(rule[side]) if at != place]
            if others:
                yield f"without {matcher}", rule | {side: others}
            name, operator, value = _parsed(matcher)
            alternatives = value.split("|")
            for left_out in alternatives if len(alternatives) > 1 else ():
                kept = "|".join(one for one in alternatives if one != left_out)
                yield f"{side} without {left_out}", rule | {side: [*others, f'{name}{operator}"{kept}"']}


def _matches(matchers: list[str], labels: Labels) -> bool:
    return all(_holds(*_parsed(matcher), labels) for matcher in matchers)


def _holds(name: str, operator: str, value: str, labels: Labels) -> bool:
    found = labels.get(name, "")
    is_met = re.fullmatch(value, found) is not None if "~" in operator else found == value
    return is_met is not operator.startswith("!")


def _parsed(matcher: str) -> tuple[str, str, str]:
    found = MATCHER.fullmatch(matcher)
    assert found, matcher
    return found[1], found[2], found[3]
