"""What is kept of the past, and how."""

from ._base import Chain as Chain
from ._base import Loss as Loss
from ._base import Memory as Memory
from ._base import Nothing as Nothing
from ._base import Step as Step
from ._base import chain as chain
from ._base import number as number
from ._buffer import Buffer as Buffer
from ._buffer import Policy as Policy
from ._replay import Replay as Replay
