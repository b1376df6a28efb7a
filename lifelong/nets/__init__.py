"""The architectures that learners are made of."""

from ._binary import BinaryMLP as BinaryMLP
from ._binary import BinaryPerceptron as BinaryPerceptron
from ._binary import field_moments as field_moments
from ._binary import signs as signs
from ._conv import ConvNet as ConvNet
from ._mlp import MLP as MLP
