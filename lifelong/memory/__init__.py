"""What is kept of the past, and how."""

from ._base import Chain as Chain
from ._base import Loss as Loss
from ._base import Memory as Memory
from ._base import Nothing as Nothing
from ._base import Step as Step
from ._base import chain as chain
from ._buffer import Buffer as Buffer
from ._buffer import Policy as Policy
from ._greedy import GDumb as GDumb
from ._importance import fisher as fisher
from ._perturb import Perturb as Perturb
from ._perturb import random_perturbation as random_perturbation
from ._perturb import refresh as refresh
from ._perturb import sam as sam
from ._prototypes import ICaRL as ICaRL
from ._prototypes import NearestMean as NearestMean
from ._replay import Replay as Replay
