"""How something changes with experience."""

from ._agent import Agent as Agent
from ._agent import Crew as Crew
from ._agent import Fortunes as Fortunes
from ._cubes import CubeLearner as CubeLearner
from ._dqn import DQN as DQN
from ._dqn import DQNState as DQNState
from ._entropy import EntropyLearner as EntropyLearner
from ._entropy import EntropyState as EntropyState
from ._entropy import entropy_slope as entropy_slope
from ._entropy import knowledge_flow as knowledge_flow
from ._generative_classifier import GenerativeClassifier as GenerativeClassifier
from ._generative_classifier import GenerativeClassifierState as GenerativeClassifierState
from ._gradient import GradientLearner as GradientLearner
from ._gradient import GradientState as GradientState
from ._hebbian import HebbianLearner as HebbianLearner
from ._hebbian import HebbianState as HebbianState
from ._learner import Learner as Learner
from ._metaplastic import attenuated as attenuated
from ._metaplastic import metaplastic as metaplastic
from ._optimizers import clipped_adam as clipped_adam
from ._optimizers import falling as falling
from ._ppo import PPO as PPO
from ._ppo import PPOState as PPOState
from ._unlearning import UnlearningLearner as UnlearningLearner
from ._unlearning import UnlearningState as UnlearningState
