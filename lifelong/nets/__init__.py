"""The architectures that learners are made of."""

from ._conv import ConvNet as ConvNet
from ._hyper import Hypernetwork as Hypernetwork
from ._mlp import MLP as MLP
