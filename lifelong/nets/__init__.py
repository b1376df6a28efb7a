"""The architectures that learners are made of."""

from ._conv import ConvNet as ConvNet
from ._hyper import Hypernetwork as Hypernetwork
from ._mlp import MLP as MLP
from ._vae import VAE as VAE
from ._vae import Likelihood as Likelihood
from ._vae import divergence_from_prior as divergence_from_prior
from ._vae import log_evidence as log_evidence
from ._vae import negative_elbo as negative_elbo
