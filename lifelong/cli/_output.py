"""Results go to standard output, news to standard error."""

import json
import math
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

WIDTH = 100
"""Columns of a table, unless the terminal has fewer."""


def show(*parts: "RenderableType") -> None:
    """Print tables and paragraphs."""
    from rich.console import Console

    width = min(WIDTH, get_terminal_size().columns) if sys.stdout.isatty() else WIDTH
    console = Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)
    for part in parts:
        console.print(part)


def show_json(content: Any) -> None:
    """Print plain values as JSON; numbers that are not finite become null."""
    print(json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False))


def say(text: str) -> None:
    """Print a line of news."""
    print(text, file=sys.stderr, flush=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Collection[str] = ()) -> "Table":
    """Return a table; the columns named in `numbers` are aligned to the right, the last one may wrap."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        last = column == columns[-1]
        made.add_column(column, justify="right" if column in numbers else "left", no_wrap=not last, overflow="fold")
    for row in rows:
        made.add_row(*("" if cell is None else str(cell) for cell in row))
    return made


def facts(pairs: Mapping[str, Any]) -> "Table":
    """Return names beside their values; what is empty is left out."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True, style="bold")
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        if value not in (None, "", ()):
            made.add_row(name, str(value))
    return made


def _plain(value: Any) -> Any:
    """Return a value in the types that JSON has."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
