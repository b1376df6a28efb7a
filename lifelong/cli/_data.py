"""The data sets that studies use: `data list`, `data get`, `data check`. None of them waits for JAX."""

import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from lifelong.errors import BadInput, UnknownName

from ._options import Command, option
from ._output import CLEAR, say, show, show_json, table

if TYPE_CHECKING:
    from lifelong.worlds._registry import DataStatus

ACTIONS = ("list", "get", "check")


@dataclass(frozen=True, kw_only=True)
class Data(Command):
    """List data sets, get them, or check that they are whole.

    They are kept in $LIFELONG_DATA, or where the platform keeps a user's data. `get` downloads what is missing, and
    nothing else ever does. `check` reads every file through and compares its SHA-256; without names it checks what is
    there.
    """

    action: Annotated[str, option("list, get or check", metavar="ACTION")]
    names: Annotated[list[str], option("the data sets", nargs="*", metavar="NAME")]

    def __call__(self) -> int:
        """Do what was asked for and print where things are."""
        if self.action not in ACTIONS:
            raise UnknownName("data command", self.action, ACTIONS)
        if self.action == "get":
            return self._get()
        return self._show(self._statuses())

    def _get(self) -> int:
        from lifelong.worlds._registry import find_source, get

        if not self.names:
            raise BadInput("name the data sets to get, as `lifelong data list` names them")
        for name in self.names:
            find_source(name)
        files = {name: get(name, _on_stderr) for name in self.names}
        if self.json:
            show_json(files)
        for name, paths in files.items() if not self.json else ():
            print(f"{name}: {', '.join(map(str, paths.values())) or 'part of an installed package'}")
        return 0

    def _statuses(self) -> list["DataStatus"]:
        """Return what is known of the data sets named, or of all."""
        from lifelong.worlds._registry import check, find_source, status

        wanted = [find_source(name).name for name in self.names]
        for name in wanted if self.action == "check" else ():
            check(name)
        every = [one for one in status() if not wanted or one.name in wanted]
        return every if self.action == "list" or wanted else [one for one in every if one.state != "missing"]

    def _show(self, statuses: list["DataStatus"]) -> int:
        if self.json:
            show_json([asdict(one) for one in statuses])
        else:
            rows = [(one.name, one.state, _size(one.bytes), one.licence, one.where) for one in statuses]
            show(table(("name", "state", "size", "licence", "where"), rows, numbers=("size",)))
        corrupt = [one for one in statuses if one.state == "corrupt"]
        for one in corrupt:
            say(f"lifelong: {one.problem}")
        return 2 if corrupt and self.action == "check" else 0


def _size(count: int) -> str:
    if not count:
        return ""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.0f} kB"


def _on_stderr(file: str, come: int, total: int | None) -> None:
    """Show how far a download has come: rewritten in place on a terminal, at its end elsewhere."""
    progress: Any = f"{file}: {_size(come)}" + (f" of {_size(total)}" if total else "")
    if sys.stderr.isatty():
        sys.stderr.write(f"{CLEAR}{progress}" + ("\n" if come == total else ""))
    elif come == total:
        say(progress)
