"""How something changes with experience."""

from ._gradient import GradientLearner as GradientLearner
from ._gradient import GradientState as GradientState
from ._learner import Learner as Learner
