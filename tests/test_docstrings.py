"""What crosses a room says what it takes and gives: every function that another room uses, every method of a Protocol.

The tree is only parsed: a function crosses where another room imports it, or uses it by its module's name. Commands are
left out (their help is their docstring), so are properties, and so are methods whose contract a Protocol of the same
room states.
"""

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def _trees() -> dict[str, ast.Module]:
    """Module → its tree, of every room and of the front door."""
    paths = [ROOT / "milepost.py", *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))]
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths)
    return {name: ast.parse(path.read_text()) for name, path in zip(names, paths, strict=True)}


@cache
def _crossing() -> dict[str, set[str]]:
    """Module → the names in it that another room uses."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, tree in _trees().items():
        modules = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                room = node.module.partition(".")[0]
                if room in ROOMS and room != module.partition(".")[0]:
                    for one in node.names:
                        found[node.module].add(one.name)
                        modules[one.asname or one.name] = f"{node.module}.{one.name}"
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
                found[modules[node.value.id]].add(node.attr)
    return found


def _functions(module: str) -> Iterator[tuple[str, Function]]:
    tree, crossing, stated = _trees()[module], _crossing()[module], _stated()[module.partition(".")[0]]
    for node in tree.body:
        if isinstance(node, Function) and node.name in crossing and not _decorated(node, "command"):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and (node.name in crossing or _is_protocol(node)):
            for method in node.body:
                if not isinstance(method, Function) or _decorated(method, "property", "override", "setter"):
                    continue
                if _is_protocol(node) or method.name not in stated:
                    yield f"{node.name}.{method.name}", method


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).partition("[")[0] in {"Protocol", "typing.Protocol"} for base in node.bases)


def _decorated(function: Function, *words: str) -> bool:
    return any(word in ast.unparse(one) for one in function.decorator_list for word in words)


def _missing(function: Function) -> list[str]:
    text, said = ast.get_docstring(function) or "", function.args
    arguments = [one for one in [*said.posonlyargs, *said.args, *said.kwonlyargs] if one.arg not in {"self", "cls"}]
    gives = function.returns is not None and ast.unparse(function.returns) not in {"None", "NoReturn", "Never"}
    missing = ["Args"] if arguments and "Args:" not in text else []
    return missing + (["Returns"] if gives and not ("Returns:" in text or "Yields:" in text) else [])


@cache
def _stated() -> dict[str, set[str]]:
    """Room → names of the methods of its Protocols."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, tree in _trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and _is_protocol(node):
                found[module.partition(".")[0]] |= {one.name for one in node.body if isinstance(one, Function)}
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_what_crosses_a_room_has_a_contract(room: str) -> None:
    lacking = []
    for module in _trees():
        if module.partition(".")[0] == room:
            for name, function in _functions(module):
                if not function.name.startswith("_") and (missing := _missing(function)):
                    lacking.append(f"{module}.{name}: {', '.join(missing)}")
    assert lacking == []


def test_there_is_something_to_check() -> None:
    seen = [name for module in _trees() for name, _ in _functions(module)]
    assert len(seen) > 300
    assert {"Store.put_samples", "parse", "open_reader"} <= set(seen)
