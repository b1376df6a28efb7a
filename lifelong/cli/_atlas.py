"""The site of everything that was found: `atlas build`."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from lifelong.errors import BadInput, LifelongError, UnknownName
from lifelong.lab._catalogue import catalogue, select
from lifelong.lab._shipped import all_shipped

from ._options import Command, option
from ._output import say, show_json

ACTIONS = ("build",)


@dataclass(frozen=True, kw_only=True)
class Atlas(Command):
    """Build the atlas: a site of static pages, one a study and an index of all papers, from shipped results.

    Everything a page needs is in it: no script, font or picture is loaded from elsewhere. Results are those that come with
    the library, or those that `lifelong ship` wrote into another folder.
    """

    action: Annotated[str, option("build", metavar="ACTION")]
    results: Annotated[Path | None, option("a folder of shipped results", type=Path, metavar="DIR")] = None
    out: Annotated[Path, option("the folder of the site (default: ./atlas)", type=Path, metavar="DIR")] = Path("atlas")

    docs: Annotated[str, option("where the documentation lies, as seen from the site", metavar="URL")] = ""

    def __call__(self) -> int:
        """Write the pages and say where they are."""
        if self.action not in ACTIONS:
            raise UnknownName("action of `lifelong atlas`", self.action, ACTIONS)
        if self.results is not None and not self.results.is_dir():
            raise BadInput(f"'{self.results}' is no folder of results; write one with: lifelong ship STUDY --to DIR")
        begun, found = time.perf_counter(), all_shipped(self.results)
        from lifelong import studies
        from lifelong.lab._anchors import anchors, compared
        from lifelong.lab._atlas import build_atlas
        from lifelong.lab._ship import revived

        runs = {}
        for slug, one in found.items():
            try:
                runs[slug] = revived(one, studies.load(slug))
            except LifelongError as error:
                say(f"left out: {error}")
        written = {paper.slug: studies.load(paper.slug) for paper in select(status="ready")}
        files = build_atlas(catalogue(), runs, compared(anchors()), self.out, written, self.docs)
        seconds = time.perf_counter() - begun
        if self.json:
            sizes = {str(file): file.stat().st_size for file in files}
            show_json({"index": files[0], "bytes": sizes, "seconds": round(seconds, 2)})
        else:
            print(f"{len(files)} page{'s' * (len(files) > 1)} in {seconds:.1f} s; open {files[0]}")
        return 0
