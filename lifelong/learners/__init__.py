"""How something changes with experience."""

from ._cubes import CubeLearner as CubeLearner
from ._generative_classifier import GenerativeClassifier as GenerativeClassifier
from ._generative_classifier import GenerativeClassifierState as GenerativeClassifierState
from ._gradient import GradientLearner as GradientLearner
from ._gradient import GradientState as GradientState
from ._hebbian import HebbianLearner as HebbianLearner
from ._hebbian import HebbianState as HebbianState
from ._learner import Learner as Learner
from ._metaplastic import attenuated as attenuated
from ._metaplastic import metaplastic as metaplastic
from ._unlearning import UnlearningLearner as UnlearningLearner
from ._unlearning import UnlearningState as UnlearningState
