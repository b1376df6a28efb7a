"""The mechanics of training: what theories predict of it, and instruments that measure it."""

from ._collapse import Collapse as Collapse
from ._collapse import neural_collapse as neural_collapse
from ._descent import descend as descend
from ._instruments import INSTRUMENTS as INSTRUMENTS
from ._instruments import Reading as Reading
from ._laws import PowerLaw as PowerLaw
from ._laws import conserved as conserved
from ._laws import fit_power_law as fit_power_law
from ._laws import half_time as half_time
from ._laws import mode_strength as mode_strength
from ._sharpness import linearised as linearised
from ._sharpness import sharpness as sharpness
from ._width import Widths as Widths
from ._width import scaled_by_leaf as scaled_by_leaf
