"""Finds in a test's source what would make it fail on a busy machine, or without a terminal."""

import ast
from collections.abc import Iterator
from typing import TypeGuard

CLOCKS = {"perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "time", "time_ns", "now", "utcnow"}
CLOCK_OWNERS = {"time", "loop", "datetime"}
MEASURED = {"elapsed", "total_seconds"}
STARTS = {
    "subprocess": {"Popen", "run", "check_call", "check_output"},
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell"},
}
# Calls that end a wait, and at which place they are given the seconds if not as `timeout=` or `seconds=`.
WAITS = {
    "timeout": 0,
    "wait_until": 1,
    "until": 1,
    "wait_for": 1,
    "communicate": 9,
    "run": 9,
    "wait_procs": 1,
}
LEAST_SECONDS = 30
ORDERINGS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def complaints(source: str) -> Iterator[str]:
    """What breaks a rule, each with its line: a time asserted, a short deadline, a process without stdin."""
    tree = ast.parse(source)
    numbers = _module_numbers(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _timed_asserts(node)
        if isinstance(node, ast.Call):
            yield from _short_deadline(node, numbers)
            yield from _inherited_stdin(node)


def _timed_asserts(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Asserts that a stretch of time is short or long; moments may be compared with one another."""
    spans = _spans(function)
    for check in (node for node in ast.walk(function) if isinstance(node, ast.Assert)):
        for compared in (node for node in ast.walk(check.test) if isinstance(node, ast.Compare)):
            if any(isinstance(operator, ORDERINGS) for operator in compared.ops) and _has_span(
                compared, spans
            ):
                yield f"line {check.lineno}: asserts how long something took"


def _spans(function: ast.AST) -> set[str]:
    """The names that hold a stretch of time: assigned or appended a difference of clocks, or `.elapsed`."""
    spans: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and _has_span(node.value, spans):
            spans |= {name.id for target in node.targets for name in _names(target)}
        if _is_append(node) and any(_has_span(argument, spans) for argument in node.args):
            spans |= {name.id for name in _names(node.func)}
    return spans


def _is_append(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and _name(node.func) == "append"


def _has_span(expression: ast.AST, spans: set[str]) -> bool:
    return any(
        (_is_difference(node) and any(map(_is_clock, ast.walk(node))))
        or (isinstance(node, ast.Attribute) and node.attr in MEASURED)
        or (isinstance(node, ast.Name) and node.id in spans)
        for node in ast.walk(expression)
    )


def _is_difference(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub)


def _is_clock(node: ast.AST) -> bool:
    """Tell whether a call reads a clock that goes on while the machine is busy with others."""
    return isinstance(node, ast.Call) and _name(node.func) in CLOCKS and _owner(node.func) in CLOCK_OWNERS


def _short_deadline(call: ast.Call, numbers: dict[str, float]) -> Iterator[str]:
    place = WAITS.get(_name(call.func))
    if place is None:
        return
    given = [word.value for word in call.keywords if word.arg in ("timeout", "seconds")]
    seconds = _number((call.args[place : place + 1] + given)[:1], numbers)
    if seconds is not None and seconds < LEAST_SECONDS:
        yield f"line {call.lineno}: a deadline of {seconds:g} s, which a busy machine misses"


def _inherited_stdin(call: ast.Call) -> Iterator[str]:
    starts = _name(call.func) in STARTS.get(_owner(call.func), ())
    if starts and not {"stdin", "input"} & {word.arg for word in call.keywords}:
        yield f"line {call.lineno}: a process that inherits the stdin of the test run"


def _module_numbers(tree: ast.Module) -> dict[str, float]:
    """The numbers that have a name in the module."""
    found: dict[str, float] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            value = node.value.value
            if isinstance(value, int | float):
                found |= {name.id: value for target in node.targets for name in _names(target)}
    return found


def _number(given: list[ast.expr], numbers: dict[str, float]) -> float | None:
    match given:
        case [ast.Constant(value=int() | float() as value)]:
            return value
        case [ast.Name(id=name)]:
            return numbers.get(name)
    return None


def _names(expression: ast.AST) -> Iterator[ast.Name]:
    return (node for node in ast.walk(expression) if isinstance(node, ast.Name))


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _owner(function: ast.expr) -> str:
    """`time` of `time.monotonic`, `get_running_loop` of `asyncio.get_running_loop().time`."""
    owner = function.value if isinstance(function, ast.Attribute) else None
    if isinstance(owner, ast.Call):
        return "loop" if _name(owner.func).endswith("_loop") else ""
    return _name(owner) if owner is not None else ""
