"""The architectures that learners are made of."""

from ._actor_critic import ActorCritic as ActorCritic
from ._actor_critic import RecurrentActorCritic as RecurrentActorCritic
from ._actor_critic import orthogonal as orthogonal
from ._binary import BinaryMLP as BinaryMLP
from ._binary import BinaryPerceptron as BinaryPerceptron
from ._binary import field_moments as field_moments
from ._binary import signs as signs
from ._conv import ConvNet as ConvNet
from ._hyper import Hypernetwork as Hypernetwork
from ._lookup import lookup as lookup
from ._lstm import LSTM as LSTM
from ._lstm import recur as recur
from ._lstm import recur_held as recur_held
from ._mlp import MLP as MLP
from ._policies import Categorical as Categorical
from ._policies import EpsilonGreedy as EpsilonGreedy
from ._policies import Gaussian as Gaussian
from ._policies import Policy as Policy
from ._projected import Projected as Projected
from ._reader import Reader as Reader
from ._sigmoid import SigmoidNet as SigmoidNet
from ._vae import VAE as VAE
from ._vae import Likelihood as Likelihood
from ._vae import divergence_from_prior as divergence_from_prior
from ._vae import log_evidence as log_evidence
from ._vae import negative_elbo as negative_elbo
