"""The studies, one paper each, in folders by family; loaded when they are asked for."""

from importlib import import_module
from typing import TYPE_CHECKING

from lifelong.errors import BadInput
from lifelong.lab import entry

if TYPE_CHECKING:
    from lifelong.lab import Study


def load(slug: str) -> "Study":
    """Return a study by its slug.

    Raises `UnknownName` for a slug that is not in the catalogue, `BadInput` for a paper whose study is only planned.
    """
    paper = entry(slug)
    if paper.status != "ready":
        raise BadInput(
            f"the study '{slug}' is planned but not written yet; `lifelong list --status ready` shows those that run"
        )
    return import_module(f"lifelong.studies.{paper.family}.{slug.replace('-', '_')}").study
