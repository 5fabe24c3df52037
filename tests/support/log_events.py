"""Reads from source which events are logged, and names each use of a logger of which it cannot tell.

A logger is what `get_logger()` or `getLogger()` answers, and what is bound to it. These are read:

    log.info("store up")                                        the method of a level
    log.log(level, "store up")                                  a level chosen at run time
    log.bind(store=1).info("store up")                          a bound logger, also one with a name
    (log.info if ok else log.error)("store up")                 one of several methods
    write = log.info if ok else log.error; write("store up")    a local name of it

The event is a text, a name of texts, or what a table of texts holds. All else is unreadable: an f-string, a
parameter, `getattr(log, level)`, a logger that is passed on or imported from another module.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import NamedTuple

MAKERS = {"get_logger", "getLogger"}
DERIVES = {"bind", "new", "unbind", "try_unbind"}
LEVELS = {"debug", "info", "warning", "warn", "error", "critical", "fatal", "exception", "msg"}
WRITES = LEVELS | {f"a{level}" for level in LEVELS}
"""Methods whose first argument is the event."""
BY_LEVEL = {"log", "alog"}
"""Methods whose second argument is the event."""
CONFIGURES = {"handlers", "setLevel", "addHandler", "removeHandler", "propagate", "level"}
SILENT = {"debug", "adebug"}

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Texts = frozenset[str] | None
_HAS_LOGGERS = re.compile(r"get_?[lL]ogger|\blogging\b")
_IMPORT = re.compile(r"^ *from ([\w.]+) import (\([^)]*\)|.*)", re.MULTILINE)
_NAME = re.compile(r"\w+")


class Use(NamedTuple):
    """A call that logs, or another use of a logger: where, its events, None if unreadable, and methods."""

    file: str
    line: int
    source: str
    """The expression of the event, or what is unreadable, as Python writes it."""
    events: Texts
    methods: frozenset[str]

    @property
    def is_silent(self) -> bool:
        """Tell whether the call logs at the level `debug` alone."""
        return bool(self.methods) and self.methods <= SILENT


def uses(sources: Mapping[str, str]) -> list[Use]:
    """Every use of a logger in modules, given as their sources by file, such as `app/tasks.py`."""
    modules = _Modules(sources)
    logging = [modules[file] for file, source in sources.items() if _HAS_LOGGERS.search(source)]
    found = [use for module in logging for use in module.uses()]
    loggers = {(module.file, name) for module in logging for name in module.loggers}
    return found + [use for file in sources for use in modules.imported(file, loggers)]


@dataclass
class _Modules:
    """The modules, each parsed when it is asked for: that takes most of the time."""

    sources: Mapping[str, str]
    parsed: dict[str, "_Module"] = field(default_factory=dict, init=False)

    def __getitem__(self, file: str) -> "_Module":
        if file not in self.parsed:
            self.parsed[file] = _Module(file, ast.parse(self.sources[file]), self)
        return self.parsed[file]

    def get(self, module: str) -> "_Module | None":
        """Return a module by its dotted name, None if it is not among them."""
        file = _file_of(module)
        return self[file] if file in self.sources else None

    def imported(self, file: str, loggers: Set[tuple[str, str]]) -> Iterator[Use]:
        """Yield the imports of loggers of other modules, whose lines would be lost."""
        for found in _IMPORT.finditer(self.sources[file]):
            if any((_file_of(found[1]), name) in loggers for name in _NAME.findall(found[2])):
                line = self.sources[file].count("\n", 0, found.start()) + 1
                yield Use(file, line, found[0], None, frozenset())


@dataclass
class _Module:
    """One module, and which names stand for loggers in it."""

    file: str
    tree: ast.Module
    others: _Modules
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict, init=False)
    loggers: set[str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        for node in ast.walk(self.tree):
            self.parents |= dict.fromkeys(ast.iter_child_nodes(node), node)
        given, known = list(_assigned(self.tree)), -1
        while known < len(self.loggers):
            known = len(self.loggers)
            self.loggers |= {name for name, value in given if self._is_logger(value)}

    def uses(self) -> Iterator[Use]:
        """Read each use of a logger; those that make another one, or configure it, log nothing."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.expr) and self._is_logger(node) and not self._is_assigned(node):
                yield from self._used(node)

    def _is_logger(self, node: ast.AST) -> bool:
        match node:
            case ast.Name(id=name) if name in self.loggers:
                return True
            case ast.Attribute(value=owner, attr=name) if name in self.loggers:
                return not self._is_logger(owner)  # `log.log` is a method
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in MAKERS:
                return True
            case ast.Call(func=ast.Attribute(value=bound, attr=name)) if name in DERIVES:
                return self._is_logger(bound)
            case ast.Name(id="logging"):  # its functions write to the root logger
                parent = self.parents.get(node)
                return isinstance(parent, ast.Attribute) and parent.attr in WRITES | BY_LEVEL
        return False

    def _is_assigned(self, node: ast.expr) -> bool:
        """Tell whether the expression is what an assignment writes to, or all that it assigns."""
        if isinstance(getattr(node, "ctx", None), ast.Store):
            return True
        parent = self.parents[node]
        return isinstance(parent, ast.Assign | ast.AnnAssign) and _names_of(parent) != []

    def _used(self, logger: ast.expr) -> Iterator[Use]:
        member = self.parents[logger]
        if isinstance(member, ast.Attribute) and member.attr in WRITES | BY_LEVEL:
            yield from self._method_used(member)
        elif not isinstance(member, ast.Attribute) or not (
            member.attr in CONFIGURES or (member.attr in DERIVES and self._is_called(member))
        ):
            yield self._unreadable(member)

    def _is_called(self, function: ast.AST) -> bool:
        call = self.parents[function]
        return isinstance(call, ast.Call) and call.func is function

    def _method_used(self, method: ast.Attribute) -> Iterator[Use]:
        """Read the calls of a method, or of a choice of some: at once, or by a local name."""
        chosen: ast.AST = method
        while isinstance(parent := self.parents[chosen], ast.IfExp) and parent.test is not chosen:
            chosen = parent
        choices = _choices(chosen)
        methods = [one.attr for one in choices if isinstance(one, ast.Attribute)]
        if method is not choices[0] and len(methods) == len(choices):
            return  # the choice is read with its first method
        if len(methods) == len(choices) and self._is_called(chosen):
            yield self._written(parent, methods)
        elif len(methods) == len(choices) and isinstance(parent, ast.Assign):
            yield from self._named_method_used(parent, methods)
        else:
            yield self._unreadable(parent)

    def _named_method_used(self, assignment: ast.Assign, methods: list[str]) -> Iterator[Use]:
        match assignment.targets:
            case [ast.Name(id=name)]:
                for node in ast.walk(self._scope(assignment)):
                    if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
                        use = self.parents[node]
                        yield self._written(use, methods) if self._is_called(node) else self._unreadable(use)
            case _:
                yield self._unreadable(assignment)

    def _written(self, call: ast.AST, methods: list[str]) -> Use:
        places = {int(method in BY_LEVEL) for method in methods}
        if not isinstance(call, ast.Call) or len(places) > 1 or len(call.args) <= max(places):
            return self._unreadable(call)
        event = call.args[max(places)]
        texts = self._texts(event, self._scope(call))
        return Use(self.file, call.lineno, ast.unparse(event), texts, frozenset(methods))

    def _unreadable(self, node: ast.AST) -> Use:
        return Use(self.file, getattr(node, "lineno", 0), ast.unparse(node), None, frozenset())

    def _scope(self, node: ast.AST) -> ast.AST:
        """Return the function that the node is in, or the module."""
        while not isinstance(node, Function | ast.Module):
            node = self.parents[node]
        return node

    def _texts(self, event: ast.expr, scope: ast.AST) -> Texts:
        """Return what an expression can be, None if that is not known."""
        match event:
            case ast.Constant(value=str(text)):
                return frozenset({text})
            case ast.IfExp(body=body, orelse=other):
                return _all([self._texts(body, scope), self._texts(other, scope)])
            case ast.Name(id=name) if _times_bound(scope, name):
                return self._given(name, scope)
            case ast.Name(id=name):
                return self.constant(name)
            case ast.Subscript(value=ast.Name(id=name)) if not _times_bound(scope, name):
                return self.constant(name)
        return None

    def _given(self, name: str, scope: ast.AST) -> Texts:
        """Return what a name is given in its scope, as far as all of that can be read."""
        values = [value for one, value in _assigned(scope) if one == name]
        if len(values) != _times_bound(scope, name) or any(_reads(value, name) for value in values):
            return None
        return _all([self._texts(value, scope) for value in values])

    def constant(self, name: str) -> Texts:
        """Return what a constant of this module, or of the one that it is imported from, is or holds."""
        top = ast.Module([one for one in self.tree.body if isinstance(one, ast.Assign | ast.AnnAssign)], [])
        match [value for one, value in _assigned(top) if one == name]:
            case [ast.Dict(values=held)] | [ast.List(elts=held)] | [ast.Tuple(elts=held)]:
                return _all([self._texts(one, top) for one in held])
            case [value]:
                return self._texts(value, top)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
                other = self.others.get(node.module or "")
                return other.constant(name) if other else None
        return None


def _file_of(module: str) -> str:
    return f"{module.replace('.', '/')}.py"


def _assigned(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that are assigned to below a node, with what they are given."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for name in _names_of(node):
                yield name, node.value


def _names_of(node: ast.Assign | ast.AnnAssign) -> list[str]:
    """Return the names, also those of attributes such as `self._log`, that an assignment gives a value."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    found = (one.id if isinstance(one, ast.Name) else getattr(one, "attr", "") for one in targets)
    return [name for name in found if name]


def _times_bound(scope: ast.AST, name: str) -> int:
    """Return how often a name is given a value below a node, also as a parameter, by a loop or a pattern."""
    return sum(
        (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store))
        or (isinstance(node, ast.arg) and node.arg == name)
        or (isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name == name)
        for node in ast.walk(scope)
    )


def _reads(value: ast.expr, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(value))


def _choices(chosen: ast.AST) -> list[ast.AST]:
    """Return what `a if x else b if y else c` can be: a, b, c."""
    if isinstance(chosen, ast.IfExp):
        return [*_choices(chosen.body), *_choices(chosen.orelse)]
    return [chosen]


def _all(found: list[Texts]) -> Texts:
    known = [texts for texts in found if texts is not None]
    return frozenset[str]().union(*known) if known and len(known) == len(found) else None
