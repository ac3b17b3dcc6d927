"""Mistakes that anybody makes: an edit of one operator, argument, constant or statement in the body of a function."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

Outermost = ast.FunctionDef | ast.AsyncFunctionDef

_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_BOUNDS: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}
_OBVIOUS: Final = {"isinstance", "issubclass", "getattr", "setattr", "hasattr"}
"""Whoever swaps their arguments sees it at once."""
_COMMUTATIVE: Final = {"min", "max"}
"""Whoever swaps their arguments changes nothing."""
_LARGEST_CONSTANT: Final = 10
"""Larger ones tune something: 300 or 301 seconds is no mistake that a test should find."""


class Edit(NamedTuple):
    """One mistake: the text that takes the place of a node."""

    kind: str
    node: ast.expr | ast.stmt
    text: str

    def apply(self, source: str) -> str:
        """Return the source with the mistake in it; every other line keeps its number."""
        before, old, after = self._cut(source)
        new = self.text + "\n" * old.count("\n")
        return f"{before}({new}){after}" if self._is_expression else f"{before}{new}{after}"

    def apply_beside_dead_code(self, source: str) -> str:
        """Return the source with the mistake in it and, never run, what it takes the place of.

        So each function still closes over the same variables. Python accepts no other code in a function's place.
        """
        if not any(isinstance(each, ast.Name) for each in ast.walk(self.node)):
            return self.apply(source)  # a constant may be a pattern, and a pattern is no expression
        before, old, after = self._cut(source)
        both = f"(({self.text}) if True else ({old}))" if self._is_expression else f"if False: {old}"
        return f"{before}{both}{after}"

    def _cut(self, source: str) -> tuple[str, str, str]:
        lines = source.encode().splitlines(keepends=True)
        begin = sum(map(len, lines[: self.node.lineno - 1])) + self.node.col_offset
        end = sum(map(len, lines[: (self.node.end_lineno or 0) - 1])) + (self.node.end_col_offset or 0)
        text = source.encode()
        return text[:begin].decode(), text[begin:end].decode(), text[end:].decode()

    @property
    def _is_expression(self) -> bool:
        return isinstance(self.node, ast.expr)


def edits_in(tree: ast.Module) -> Iterator[Edit]:
    """Yield every edit of the bodies of functions. What is written to logs and said in errors stays as it is."""
    for function in outermost_functions(tree):
        for statement in function.body:
            for node in _walk(statement):
                for edits_of in _KINDS:
                    yield from edits_of(node)


def outermost_functions(node: ast.AST) -> Iterator[Outermost]:
    """Yield functions and methods, without those inside them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Outermost):
            yield child
        else:
            yield from outermost_functions(child)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Assert | ast.Raise | ast.ImportFrom | ast.Import) or _is_log_call(node):
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name not in {"annotation", "returns", "decorator_list"}:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _walk(child)


def _is_log_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[0] in {"log", "_log", "logger"}


def _comparison(node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
        ops = [_COMPARISONS[type(node.ops[0])](), *node.ops[1:]]
        yield Edit("comparison", node, ast.unparse(ast.Compare(node.left, ops, node.comparators)))


def _boolean(node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield Edit("boolean", node, ast.unparse(ast.BoolOp(other, node.values)))
        yield Edit("operand", node, " and ".join(f"({ast.unparse(each)})" for each in node.values[:-1]))
        yield Edit("operand", node, ast.unparse(node.values[-1]))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield Edit("boolean", node, ast.unparse(node.operand))


def _condition(node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.If | ast.IfExp):
        yield Edit("condition", node.test, "True")
        yield Edit("condition", node.test, "False")
    if isinstance(node, ast.comprehension):
        for test in node.ifs:
            yield Edit("condition", test, "True")


def _deletion(node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.Expr(value=ast.Call() | ast.Await() as call) if not _is_log_call(call):
            yield Edit("deletion", node, "pass")
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]) | ast.AugAssign() | ast.Delete():
            yield Edit("deletion", node, "pass")
        case ast.Continue() | ast.Break() | ast.Return(value=None):
            yield Edit("deletion", node, "pass")
        case _:
            pass


def _arithmetic(node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.BinOp(left, ast.Add(), right) if not isinstance(left, ast.Constant | ast.JoinedStr):
            yield Edit("arithmetic", node, ast.unparse(ast.BinOp(left, ast.Sub(), right)))
        case ast.BinOp(left, ast.Sub(), right):
            yield Edit("arithmetic", node, ast.unparse(ast.BinOp(left, ast.Add(), right)))
        case ast.Call(func=ast.Name(id=name)) if name in _BOUNDS:
            yield Edit("arithmetic", node.func, _BOUNDS[name])
        case _:
            pass


def _constant(node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.Constant(value=bool() as value):
            yield Edit("constant", node, str(not value))
        case ast.Constant(value=int() as value) if abs(value) <= _LARGEST_CONSTANT:
            yield Edit("constant", node, str(value + 1))
        case _:
            pass


def _arguments(node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in _OBVIOUS | _COMMUTATIVE:
            pass
        case ast.Call(func, [first, second, *rest], keywords) if not isinstance(first, ast.Starred):
            yield Edit("arguments", node, ast.unparse(ast.Call(func, [second, first, *rest], keywords)))
        case _:
            pass


def _result(node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.Return) and node.value and not isinstance(node.value, ast.Constant):
        yield Edit("result", node.value, "None")


def _exception(node: ast.AST) -> Iterator[Edit]:
    if isinstance(node, ast.ExceptHandler) and node.type:
        yield Edit("exception", node.type, "()")


_KINDS: Final[tuple[Callable[[ast.AST], Iterator[Edit]], ...]] = (
    _comparison,
    _boolean,
    _condition,
    _deletion,
    _arithmetic,
    _constant,
    _arguments,
    _result,
    _exception,
)
