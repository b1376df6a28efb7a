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

FIXED = 32
"""Characters up to which a column of a table is never wrapped."""


def show(*parts: "RenderableType") -> None:
    """Print tables and paragraphs; a table that cannot be narrower than the page is printed wider, not cut."""
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table

    width = min(WIDTH, get_terminal_size().columns) if sys.stdout.isatty() else WIDTH
    console = Console(file=sys.stdout, width=width, highlight=False, emoji=False)
    wide = Console(file=sys.stdout, width=10 * WIDTH, highlight=False, emoji=False)
    for part in parts:
        least = Measurement.get(wide, wide.options, part).minimum if isinstance(part, Table) else 0
        (console if least <= width else wide).print(part, width=max(least, width))


def show_json(content: Any) -> None:
    """Print plain values as JSON; numbers that are not finite become null."""
    print(json.dumps(_plain(content), indent=1, allow_nan=False))


CLEAR = "\r\x1b[K"
"""What takes a line away that is rewritten on a terminal."""


def say(text: str) -> None:
    """Print a line of news, in the place of what is being rewritten on a terminal."""
    print(f"{CLEAR if sys.stderr.isatty() else ''}{text}", file=sys.stderr, flush=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Collection[str] = ()) -> "Table":
    """Return a table; columns in `numbers` are aligned to the right, the last one and wide ones may wrap."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, header_style="bold")
    for column, texts in zip(columns, zip(columns, *cells, strict=True), strict=True):
        width, side = max(map(len, texts)), "right" if column in numbers else "left"
        fixed = width <= FIXED and column != columns[-1]  # rich measures slowly, so it is told what is known
        made.add_column(column, justify=side, no_wrap=fixed, width=width if fixed else None, overflow="fold")
    for row in cells:
        made.add_row(*map(Text, row))
    return made


def facts(pairs: Mapping[str, Any]) -> "Table":
    """Return names beside their values; what is empty is left out."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True, style="bold")
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        if value not in (None, "", ()):
            made.add_row(name, Text(str(value)))
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
