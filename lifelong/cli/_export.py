"""Runs for other tools: `export`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from lifelong.errors import BadInput
from lifelong.lab._catalogue import entry
from lifelong.lab._folders import default_folder, recorded, runs_of

from ._cache import keep_compiled
from ._options import Command, option
from ._output import say, show_json
from ._stored import run_named


@dataclass(frozen=True, kw_only=True)
class Export(Command):
    """Export a stored run for another tool: as logs of l2logger, as tidy CSV tables, or as score matrices for rliable.

    Give the folder of a run, or a study and, where it has several, the name of one of its runs as `lifelong show` lists
    them.
    """

    run: Annotated[list[str], option("a run's folder, or a study and one of its runs", nargs="+", metavar="RUN")]
    to: Annotated[str, option("l2logger, csv or rliable", metavar="FORMAT")] = ""
    out: Annotated[Path | None, option("the folder to write", type=Path, metavar="DIR")] = None
    force: Annotated[bool, option("replace an earlier export")] = False

    def __call__(self) -> int:
        """Write the folder and say where it is."""
        if not self.to or self.out is None:
            raise BadInput("say what for and where: lifelong export RUN --to l2logger|csv|rliable --out DIR")
        folder = self._folder()
        keep_compiled()
        from lifelong import studies
        from lifelong.connect import export

        written = export(folder, studies.load(recorded(folder).study), self.to, self.out, force=self.force)
        if self.json:
            show_json({"run": folder, "folder": self.out, **written})
            return 0
        for arm, why in written["left_out"].items():
            say(f"left out: {arm}, for {why}")
        print(f"{len(written['files'])} files in {self.out}")
        return 0

    def _folder(self) -> Path:
        first, *rest = self.run
        if len(rest) > 1:
            raise BadInput("one run is exported at a time: its folder, or a study and the name of one of its runs")
        if not rest and Path(first).is_dir():
            return Path(first)
        slug = entry(first).slug
        if not runs_of(slug, None):
            raise BadInput(f"there are no runs of '{slug}' in '{default_folder()}'; run it with: lifelong run {slug}")
        return run_named(slug, rest[0] if rest else "", None)
