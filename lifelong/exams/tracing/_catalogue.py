"""The tracers by short names, for command lines and tables."""

from collections.abc import Callable

from ._akt import AKT
from ._bkt import BKT
from ._cakt import CAKT
from ._dkt import DKT
from ._factors import AFM, DAS3H, PFA, BestLR
from ._half_life import HalfLife
from ._individual import IndividualBKT
from ._irt import Rasch, TwoParameterIRT
from ._psi_kt import PSIKT
from ._rates import SkillRates
from ._tracer import Tracer

RESTARTS = 5
"""Starts of every fit of BKT here, where each is repeated for all folds and again on coin flips."""

MODELS: dict[str, Callable[[], Tracer]] = {
    "rates": SkillRates,
    "bkt": lambda: BKT(restarts=RESTARTS),
    "bkt-forgetting": lambda: BKT(forgets=True, restarts=RESTARTS),
    "bkt-individual": lambda: IndividualBKT(forgets=True),
    "irt": Rasch,
    "irt-2": TwoParameterIRT,
    "afm": AFM,
    "pfa": PFA,
    "best-lr": BestLR,
    "das3h": DAS3H,
    "half-life": HalfLife,
    "dkt": DKT,
    "akt": AKT,
    "cakt": CAKT,
    "psi-kt": PSIKT,
}
"""Short name → what makes the tracer."""

USUAL_MODELS = ("rates", "bkt-forgetting", "irt", "afm", "pfa", "best-lr", "das3h")
"""Those that are fitted unless others are named: one of each kind, and none that takes long."""
