"""Every text by which the core may refuse or warn, found in its source: what errors and warnings are built with.

A text is a template: `{}` stands for a value. If a value is itself one of several fixed texts, those are found as
well, each on its own. What cannot be followed (a text of another library) is left out.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path

from modelyard import errors

PACKAGE = Path(errors.__file__).parent
SAYS = {
    *(kind.__name__ for kind in errors.tree()),
    *(
        "FieldError",
        "ModelWarning",
        "_Wrong",
        "ValueError",
        "Promotion",
        "LeaderboardEntry",
        "PairDifference",
        "model_copy",
    ),
}
NOT_FOR_VISITORS = (
    *("cli", "dashboard", "settings.py", "setting_values.py", "bootstrap.py", "connection.py"),
    *("open_inference", "tracking"),
    *("storage/upkeep", "storage/postgres", "storage/documents", "storage/series", "storage/artifacts/bucket.py"),
    *("storage/files.py", "storage/folder.py", "storage/ledger.py", "storage/memory.py", "storage/protocols.py"),
    *("storage/servers.py", "access/pem.py", "access/signing.py", "access/tls.py", "access/trust.py"),
    *("grpc_server/", "rest_api/"),
)
"""Rooms whose errors only those meet who run the server, or call it by a program of their own."""
BUT_THESE = (
    "grpc_server/client",
    "grpc_server/faults.py",
    "grpc_server/gate.py",
    "rest_api/client",
    "rest_api/gate.py",
)
_TEXTS = ("message", "reason", "detail", "words")
_KEYS = {"audit", "end", "by", "details", "lost", "told", "utf-8"}
"""Names in documents, which stand where texts do."""
_NO_TEXTS = ("shown", "str", "repr", "join", "len", "of", "count", "label_text", "label", "max", "min", "sorted")
_DEEPEST = 8

Function = ast.FunctionDef | ast.AsyncFunctionDef
Found = tuple[ast.expr, ast.AST]
"""An expression, and the function in which it stands."""


class Source:
    """A module's tree, and what its names are."""

    def __init__(self, path: Path) -> None:
        self.tree = ast.parse(path.read_text())
        self.functions: dict[str, list[Function]] = defaultdict(list)
        self.values: dict[str, list[ast.expr]] = defaultdict(list)
        self.calls: dict[str, list[tuple[ast.Call, ast.AST]]] = defaultdict(list)
        self._look(self.tree, self.tree)
        for statement in self.tree.body:
            for name, value in _assigned(statement):
                self.values[name].append(value)

    def _look(self, node: ast.AST, scope: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                self.functions[child.name].append(child)
            elif isinstance(child, ast.Call):
                self.calls[_called(child)].append((child, scope))
            self._look(child, child if isinstance(child, Function) else scope)

    def given(self, name: str, scope: ast.AST) -> list[Found]:
        """Return what callers of this module give for a parameter."""
        if not isinstance(scope, Function):
            return []
        names = [one.arg for one in (*scope.args.posonlyargs, *scope.args.args) if one.arg not in ("self", "cls")]
        found: list[Found] = []
        for call, caller in self.calls[scope.name]:
            if name in names and names.index(name) < len(call.args):
                found.append((call.args[names.index(name)], caller))
            found.extend((one.value, caller) for one in call.keywords if one.arg == name)
        return found


class Reader:
    """Collects the texts that expressions of one module can be."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.fragments: set[str] = set()
        self._within: list[object] = []

    def texts(self, node: ast.expr, scope: ast.AST, depth: int = 0) -> list[str]:  # noqa: C901 - a case for each kind
        """Return the templates an expression may be; none if it cannot be followed."""
        if depth > _DEEPEST:
            return []
        match node:
            case ast.Constant(value=str() as text):
                return [text]
            case ast.JoinedStr():
                return ["".join(self._part(part, scope, depth) for part in node.values)]
            case ast.BinOp(op=ast.Add()):
                pairs = [self.texts(side, scope, depth + 1) or ["{}"] for side in (node.left, node.right)]
                return ["".join(both) for both in product(*pairs) if set(both) != {"{}"}]
            case ast.IfExp():
                return self._all((node.body, node.orelse), scope, depth)
            case ast.BoolOp(op=ast.And()):  # its last value, or one that is empty
                return [*self.texts(node.values[-1], scope, depth + 1), ""]
            case ast.BoolOp():
                return self._all(node.values, scope, depth)
            case ast.Subscript():  # a text of a table of texts
                return self._of_table(node.value, scope, depth)
            case ast.Name():
                return self._of_name(node.id, scope, depth)
            case ast.Call():
                return self._of_call(node, scope, depth)
        return []

    def _all(self, nodes: list[ast.expr] | tuple[ast.expr, ...], scope: ast.AST, depth: int) -> list[str]:
        return [text for one in nodes for text in self.texts(one, scope, depth + 1)]

    def _part(self, part: ast.expr, scope: ast.AST, depth: int) -> str:
        if isinstance(part, ast.Constant):
            return str(part.value)
        assert isinstance(part, ast.FormattedValue)
        if part.conversion != ord("r"):  # what is in quotes is a value
            self.fragments.update(self.texts(part.value, scope, depth + 1))
        return "{}"

    def _of_table(self, node: ast.expr, scope: ast.AST, depth: int) -> list[str]:
        values = self.source.values.get(node.id, []) if isinstance(node, ast.Name) else [node]
        return [text for one in values if isinstance(one, ast.Dict) for text in self._all(one.values, scope, depth)]

    def _of_name(self, name: str, scope: ast.AST, depth: int) -> list[str]:
        local: list[Found] = [
            (value, scope) for node in ast.walk(scope) for found, value in _assigned(node) if found == name
        ]
        found = local or self.source.given(name, scope)
        found = found or [(value, self.source.tree) for value in self.source.values.get(name, ())]
        if (name, scope) in self._within:
            return []
        self._within.append((name, scope))
        texts = [text for value, where in found for text in self.texts(value, where, depth + 1)]
        self._within.pop()
        return texts if found else _constant_elsewhere(name, depth)

    def _of_call(self, node: ast.Call, scope: ast.AST, depth: int) -> list[str]:
        name = _called(node)
        if isinstance(node.func, ast.Attribute) and name in ("format", "format_map"):
            return [re.sub(r"{\w+[^}]*}", "{}", text) for text in self.texts(node.func.value, scope, depth + 1)]
        if isinstance(node.func, ast.Attribute) and name == "get":
            return self._of_table(node.func.value, scope, depth) + self._all(node.args[1:], scope, depth)
        if name in _NO_TEXTS:
            return []
        own = self.source.functions.get(name)
        return self.returned(own[0], depth) if own else _returned_elsewhere(name, depth)

    def returned(self, function: Function, depth: int) -> list[str]:
        """Return the texts that a function may return or yield."""
        if function in self._within:
            return []
        self._within.append(function)
        found = [
            text
            for node in ast.walk(function)
            if isinstance(node, ast.Return | ast.Yield) and node.value is not None
            for text in self.texts(node.value, function, depth + 1)
        ]
        self._within.pop()
        return found


@cache
def templates() -> dict[str, set[str]]:
    """Return all texts that a visitor of the dashboard may be shown, by the module that says them."""
    found: dict[str, set[str]] = {}
    for name, source in _sources().items():
        if name.startswith(NOT_FOR_VISITORS) and not name.startswith(BUT_THESE):
            continue
        reader, said = Reader(source), set[str]()
        for call, scope in (one for called in SAYS for one in source.calls[called]):
            for argument in _said(call):
                said.update(reader.texts(argument, scope))
        texts = {text for text in said | reader.fragments if _has_words(text) and text not in _KEYS}
        if texts:
            found[name] = texts
    return found


def _has_words(text: str) -> bool:
    """Whether a text is for people: a word of small letters beside its values, and no name of a field or a format."""
    words = re.sub(r"'[^']*'|`[^`]*`|{}", "", text)
    return re.search(r"[a-z]{2,}", words) is not None and re.fullmatch(r"[a-z]+[_./][a-z_./]*", text) is None


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Assign(targets=[ast.Tuple() as names], value=ast.Tuple() as values):
            pairs = zip(names.elts, values.elts, strict=False)
            yield from ((one.id, value) for one, value in pairs if isinstance(one, ast.Name))
        case ast.Assign():
            yield from ((one.id, node.value) for one in node.targets if isinstance(one, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case (
            ast.NamedExpr(target=ast.Name(id=name), value=value) | ast.AugAssign(target=ast.Name(id=name), value=value)
        ):
            yield name, value


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _said(call: ast.Call) -> Iterator[ast.expr]:
    """Return what a call of an error's or a warning's class says."""
    if _called(call) == "FieldError":
        yield from call.args[1:2]
    elif _called(call) not in ("ModelWarning", "model_copy"):
        yield from call.args[:1]
    yield from (one.value for one in call.keywords if one.arg in _TEXTS)
    for changes in (one.value for one in call.keywords if isinstance(one.value, ast.Dict)):
        pairs = zip(changes.keys, changes.values, strict=True)
        yield from (value for key, value in pairs if isinstance(key, ast.Constant) and key.value in _TEXTS)


@cache
def _sources() -> dict[str, Source]:
    return {str(path.relative_to(PACKAGE)): Source(path) for path in sorted(PACKAGE.rglob("*.py"))}


def _constant_elsewhere(name: str, depth: int) -> list[str]:
    """Return the texts of a constant of another module, if only one has it."""
    having = [source for source in _sources().values() if name in source.values]
    if not name.lstrip("_").isupper() or len(having) != 1:
        return []
    return [text for value in having[0].values[name] for text in Reader(having[0]).texts(value, having[0].tree, depth)]


def _returned_elsewhere(name: str, depth: int) -> list[str]:
    """Return the texts of a function of another module, if only one has it."""
    having = [source for source in _sources().values() if name in source.functions]
    if len(having) != 1 or name.startswith("_"):
        return []
    return Reader(having[0]).returned(having[0].functions[name][0], depth)
