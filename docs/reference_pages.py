"""The pages of the reference: for every package one that lists its public names, and one for every module behind them.

They are written before a site is built, from what the packages' `__init__` import, so none can be forgotten.
"""

import ast
import inspect
import re
import shutil
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any, get_origin

from sphinx.pycode import ModuleAnalyzer

PACKAGES = (
    "life",
    "worlds",
    "learners",
    "nets",
    "memory",
    "teachers",
    "feedback",
    "exams",
    "exams.tracing",
    "exams.mechanics",
    "exams.growth",
    "lab",
    "connect",
)
MODULES = ("lab.measures", "recipe", "keys", "errors")
"""Public modules whose names are their own."""

SENTENCE_ENDS = re.compile(r"(?<=\.)(?<!al\.) (?=[A-Z`])")
"""A blank that does not follow on "et al."."""


def write(folder: Path) -> None:
    """Write the pages of all packages and modules into a folder each, in place of those that were there."""
    for package in PACKAGES:
        name = f"lifelong.{package}"
        place = folder / package
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        homes = public(name)
        (place / "index.rst").write_text(listed(name, homes), encoding="utf-8")
        for home, names in homes.items():
            (place / f"{stem(home)}.rst").write_text(described(name, home, names), encoding="utf-8")
    for module in MODULES:
        title = heading(f"lifelong.{module}")
        (folder / f"{module}.rst").write_text(f"{title}\n.. automodule:: lifelong.{module}\n", encoding="utf-8")


def public(package: str) -> dict[str, list[str]]:
    """Return the names that a package imports from its modules, by module, whether at once or when first used."""
    found = defaultdict(list)
    for node in ast.walk(ast.parse(inspect.getsource(import_module(package)))):
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
            found[f"{package}.{node.module}"] += [one.name for one in node.names if not one.name.startswith("_")]
    return {home: names for home, names in sorted(found.items()) if names}


def listed(package: str, homes: dict[str, list[str]]) -> str:
    """Return a package's first page: what it is for, and all its names with a sentence each."""
    lines = [heading(package), f".. py:module:: {package}", "", prose(inspect.getdoc(import_module(package)) or "")]
    lines += ["", ".. list-table::", "   :widths: 1 2", ""]
    for name, home in sorted((name, home) for home, names in homes.items() for name in names):
        lines += [f"   * - :doc:`{name} <{stem(home)}>`", f"     - {prose(sentence(package, home, name))}"]
    return "\n".join([*lines, ""])


def described(package: str, home: str, names: list[str]) -> str:
    """Return the page of a module: what it is about, and its public names with their docstrings."""
    about = (inspect.getdoc(import_module(home)) or "").partition("\n\n")[0]
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    lines = [":orphan:", "", heading(shown), f"In :doc:`{package} <index>`: {prose(about)}", ""]
    lines += [f".. py:currentmodule:: {package}", ""]
    return "\n".join([*lines, *(directive(package, home, name) for name in names), ""])


def directive(package: str, home: str, name: str) -> str:
    """Return what Sphinx is told to write of a name."""
    there = getattr(import_module(package), name)
    if speaks_for_itself(there) and inspect.isclass(there):
        bare = ", ".join(without_words(there))
        return f".. autoclass:: {name}\n" + (f"   :exclude-members: {bare}\n" if bare else "")
    if speaks_for_itself(there):
        return f".. autofunction:: {name}\n"
    text = "\n   ".join(prose(line) for line in attribute_lines(home, name))
    return f".. py:data:: {name}\n\n   {text}\n"


def without_words(there: type) -> list[str]:
    """Return the fields of a class that have no docstring below them, and properties that its own docstring lists."""
    described = ModuleAnalyzer.for_module(there.__module__).find_attr_docs()
    fields, text = vars(there).get("__annotations__", {}), inspect.getdoc(there) or ""
    bare = {name for name in fields if (there.__qualname__, name) not in described}
    properties = {name for name, value in vars(there).items() if isinstance(value, property)}
    return sorted(bare | {name for name in properties if re.search(rf"^\s*{name} ?:", text, flags=re.MULTILINE)})


def sentence(package: str, home: str, name: str) -> str:
    """Return the first sentence about a name."""
    there = getattr(import_module(package), name)
    text = (inspect.getdoc(there) or "") if speaks_for_itself(there) else "\n".join(attribute_lines(home, name))
    return SENTENCE_ENDS.split(" ".join(text.partition("\n\n")[0].split()))[0]


def speaks_for_itself(there: Any) -> bool:
    """Say whether this is a class or a function, which has a docstring of its own; a value or an alias has none."""
    return callable(there) and get_origin(there) is None


def attribute_lines(home: str, name: str) -> list[str]:
    """Return the lines of the docstring that stands below a value."""
    return ModuleAnalyzer.for_module(home).find_attr_docs().get(("", name), [])


def stem(home: str) -> str:
    """Return the name of a module's page."""
    return home.rpartition(".")[2].removeprefix("_")


def heading(text: str) -> str:
    """Return a title."""
    return f"{text}\n{'=' * len(text)}\n"


def prose(text: str) -> str:
    """Return text as it is to be read: what would be markup in it is taken as written, but for code."""
    return text.replace("\\", "\\\\").replace("*", r"\*").replace("|", r"\|")
