"""No module may need itself: imports at any level count, also those for types only and `import_module` of a literal."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def modules(root: Path, *tops: str) -> dict[str, Path]:
    found = (path for top in tops for path in (root / top).rglob("*.py"))
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in found}


def imported(name: str, path: Path) -> Iterator[tuple[str, str]]:
    """(module, the name taken from it, which may be a module too)."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
            start = parts[: len(parts) - node.level + 1] if node.level else []
            yield from ((".".join([*start, *filter(None, [node.module])]), alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from ((str(arg.value), "") for arg in node.args[:1] if isinstance(arg, ast.Constant))


def circle(found: Mapping[str, Path]) -> str:
    graph = {
        name: {f"{base}.{part}" if f"{base}.{part}" in found else base for base, part in imported(name, path)} - {name}
        for name, path in found.items()
    }
    try:
        TopologicalSorter({name: needs & found.keys() for name, needs in graph.items()}).prepare()
    except CycleError as error:
        return " -> ".join(reversed(error.args[1]))
    return ""


def test_no_module_of_the_product_imports_itself_by_a_detour() -> None:
    found = modules(ROOT, "core", "app", "ui")
    assert len(found) > 150
    assert circle(found) == ""


@pytest.mark.parametrize(
    "back",
    [
        "import top.a", "from top import a", "from .a import x", "from . import a", "def f():\n    from top.a import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from top.a import x",
        "import importlib\nimportlib.import_module('top.a')",
    ],
)  # fmt: skip
def test_every_way_back_is_seen(tmp_path: Path, back: str) -> None:
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "__init__.py").touch()
    (tmp_path / "top" / "a.py").write_text("from top import b\n")
    (tmp_path / "top" / "b.py").write_text("import os\n")
    assert circle(modules(tmp_path, "top")) == ""
    (tmp_path / "top" / "b.py").write_text(back)
    assert circle(modules(tmp_path, "top")) in ("top.a -> top.b -> top.a", "top.b -> top.a -> top.b")
