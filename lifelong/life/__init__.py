"""A life: the loop that lets learner, world, teacher and exam live together, compiled."""

from lifelong import _decompositions as _decompositions

from ._afterwards import sit_afterwards as sit_afterwards
from ._checkpoint import check_writable as check_writable
from ._checkpoint import fingerprint as fingerprint
from ._checkpoint import write_atomically as write_atomically
from ._life import Life as Life
from ._life import Result as Result
from ._live import live as live
from ._programs import LifeState as LifeState
from ._programs import Parts as Parts
from ._progress import Forecast as Forecast
from ._progress import Moment as Moment
from ._progress import Progress as Progress
from ._progress import on_stderr as on_stderr
from ._progress import silent as silent
from ._teaching import Teaching as Teaching
