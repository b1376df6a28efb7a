"""The lab: what runs studies, keeps their results, and says what they show. Names are loaded when first used."""

from typing import TYPE_CHECKING

from lifelong._lazily import lazily

if TYPE_CHECKING:
    from ._bases import Bases as Bases
    from ._bases import bases as bases
    from ._catalogue import Entry as Entry
    from ._catalogue import bibtex as bibtex
    from ._catalogue import catalogue as catalogue
    from ._catalogue import entry as entry
    from ._catalogue import select as select
    from ._runner import Interrupted as Interrupted
    from ._runner import Run as Run
    from ._runner import run as run
    from ._runner import stored as stored
    from ._store import Store as Store
    from ._study import Arm as Arm
    from ._study import Grid as Grid
    from ._study import Settings as Settings
    from ._study import Study as Study
    from ._verdict import Claim as Claim
    from ._verdict import Control as Control
    from ._verdict import Outcome as Outcome
    from ._verdict import Verdict as Verdict

_HOMES = {
    "_bases": ("Bases", "bases"),
    "_catalogue": ("Entry", "bibtex", "catalogue", "entry", "select"),
    "_runner": ("Interrupted", "Run", "run", "stored"),
    "_store": ("Store",),
    "_study": ("Arm", "Grid", "Settings", "Study"),
    "_verdict": ("Claim", "Control", "Outcome", "Verdict"),
}

__getattr__, __dir__ = lazily(__name__, _HOMES)
