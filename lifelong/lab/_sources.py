"""What a study's lives depend on: the library's modules that it imports, directly or through others.

Packages re-export their parts name by name, so an import is followed to the module that defines the name, not to
everything its package holds. The rest of the lab is left out: what measures and judges is done again when a result is
verified.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import lifelong

from ._catalogue import Entry

HERE = Path(lifelong.__file__).parent
"""The library's own folder."""

LEFT_OUT = ("lab", "connect", "errors.py", "__init__.py")
TALK = ("life/_progress.py", "life/_plot.py")
"""What a life says while it is lived, and how it is drawn: no number depends on it."""

KEPT = "lab/measures.py"


class Import(NamedTuple):
    """`from module import name as known`."""

    module: str
    name: str
    known: str


def sources_of(paper: Entry, root: Path = HERE) -> dict[str, str]:
    """Return a short hash of every module that a paper's study depends on, itself included, by its path in a library.

    Comments, docstrings and empty lines do not count.
    """
    found: dict[str, str] = {}
    waiting = [_study_file(paper)]
    while waiting:
        place = waiting.pop()
        if place in found or not _counts(place):
            continue
        found[place] = _hash(root / place)
        waiting += [_home(root, one.module, one.name) for one in _imports(root / place)]
    return dict(sorted(found.items()))


def imported_by(paper: Entry, root: Path = HERE) -> list[Import]:
    """Return what a paper's study imports from the library by name."""
    return list(_imports(root / _study_file(paper)))


def changed_sources(paper: Entry, recorded: dict[str, str]) -> list[str]:
    """Return the modules that a study depended on and that differ now, are gone, or are new."""
    now = sources_of(paper)
    return sorted(place for place in {*recorded, *now} if _counts(place) and recorded.get(place) != now.get(place))


def _study_file(paper: Entry) -> str:
    return f"studies/{paper.family}/{paper.slug.replace('-', '_')}.py"


def _counts(place: str) -> bool:
    return place == KEPT or not (place.split("/")[0] in LEFT_OUT or place in TALK)


def _home(root: Path, module: str, name: str) -> str:
    """Return the path of the file in which an imported name is defined."""
    file, package = root / f"{module}.py", root / module
    if file.exists():
        return f"{module}.py"
    for inside in (f"{name}.py", f"{name}/__init__.py"):
        if (package / inside).exists():
            return f"{module}/{inside}"
    for one in _imports(package / "__init__.py"):
        if one.known == name:
            return _home(root, one.module, one.name)
    return f"{module}/__init__.py"


@cache
def _imports(path: Path) -> tuple[Import, ...]:
    return tuple(_read_imports(path)) if path.exists() else ()


def _read_imports(path: Path) -> Iterator[Import]:
    """Return what a file imports from the library, with modules as paths from its root."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        module = (node.module or "").replace(".", "/")
        if node.level:
            module = "/".join(part for part in (_package(path, node.level), module) if part)
        elif module.partition("/")[0] == "lifelong":
            module = module.partition("/")[2]
        else:
            continue
        yield from (Import(module, name.name, name.asname or name.name) for name in node.names)


def _package(path: Path, level: int) -> str:
    """Return the package that `level` dots mean in a file, as a path from the library's root."""
    parts = path.parts[len(path.parts) - path.parts[::-1].index("lifelong") : -1]
    return "/".join(parts[: len(parts) + 1 - level])


@cache
def _hash(path: Path) -> str:
    """Return a short hash of a file's code."""
    if not path.exists():
        return "missing"
    text = path.read_text(encoding="utf-8")
    prose = {line for start, end in _docstrings(ast.parse(text)) for line in range(start, end + 1)}
    lines = [line.rstrip() for number, line in enumerate(text.splitlines(), 1) if number not in prose]
    code = "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))
    return hashlib.sha256(code.encode()).hexdigest()[:12]


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """Return the first and last line of every docstring, those after assignments included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.end_lineno or node.lineno
