"""Reads what the author of a class has written about it and its fields, for the `doc` of a schema."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel


def docs_of(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the documentation of a model: by field name, that of the model itself under the empty name.

    A field's is the text below it, in the class or the nearest base that has one; without any, the description of its
    `Field`. Without source code only descriptions are there.
    """
    described = {name: _one_line(info.description or "") for name, info in model.model_fields.items()}
    texts = (each for base in reversed(model.__mro__) for each in _attribute_docs(base).items())
    written = {name: text for name, text in texts if name in described}
    return {"": _one_line(vars(model).get("__doc__") or ""), **described, **written}


def _attribute_docs(kind: type) -> Mapping[str, str]:
    path = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return _docs_in(path).get(kind.__qualname__, {}) if path else {}


@cache
def _docs_in(path: str) -> Mapping[str, Mapping[str, str]]:
    """Return the texts below the fields of each class in a file, by the class's qualified name."""
    try:
        tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return {}
    return {name: dict(_texts_below(node)) for name, node in _classes(tree, "")}


def _classes(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield prefix + child.name, child
            yield from _classes(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes(child, f"{prefix}{child.name}.<locals>.")
        else:
            yield from _classes(child, prefix)


def _texts_below(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in zip(node.body, node.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, _one_line(text)


def _one_line(text: str) -> str:
    return " ".join(text.split())
