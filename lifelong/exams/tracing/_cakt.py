"""Convolution-augmented knowledge tracing (Yang et al. 2020): the learning curve of the concept asked about, convolved."""

import math
from dataclasses import dataclass
from itertools import product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from lifelong.errors import BadInput
from lifelong.nets import LSTM, lookup
from lifelong.worlds import PracticeLog

from ._deep import Deep
from ._dkt import asked
from ._network import Network
from ._recent import Key, recent
from ._rows import Rows
from ._tokens import Answers, Table, delayed, turned

TAPS = 27
"""Weights of a 3×3×3 kernel for one channel in and one out."""


class Convolution(eqx.Module):
    """A 3×3×3 convolution of small volumes [frames, side, side, channels], padded with zeros, as one product.

    Volumes of 64 numbers are too small for a convolution to be worth its gathering: the kernel is spread into the matrix
    that it stands for.
    """

    kernel: Float[Array, "taps channels made"]
    shape: tuple[int, int] = eqx.field(static=True)

    def __init__(self, shape: tuple[int, int], channels: int, made: int, *, key: PRNGKeyArray):
        scale = math.sqrt(2 / (TAPS * made))
        self.kernel, self.shape = scale * jax.random.normal(key, (TAPS, channels, made)), shape

    def __call__(self, x: Float[Array, "*many places channels"]) -> Float[Array, "*many places made"]:
        """Return the volume convolved."""
        taps = jnp.asarray(neighbours(*self.shape))
        channels, made = self.kernel.shape[1:]
        kernel = jnp.concatenate([self.kernel.reshape(TAPS, -1), jnp.zeros((1, channels * made))])
        spread = lookup(kernel, taps).reshape(*taps.shape, channels, made).transpose(0, 2, 1, 3)
        flat = x.reshape(*x.shape[:-2], -1) @ spread.reshape(len(taps) * channels, -1)
        return flat.reshape(*x.shape[:-1], made)


def neighbours(frames: int, side: int) -> Int[np.ndarray, "places places"]:
    """Return which tap of a 3×3×3 kernel leads from each place of a volume to each other, `TAPS` where none does."""
    place = np.array(list(product(range(frames), range(side), range(side))))
    step = place[:, None] - place[None] + 1
    return np.where(((step >= 0) & (step <= 2)).all(axis=-1), step @ np.array([9, 3, 1]), TAPS)


class Block(eqx.Module):
    """Two convolutions, frames weighed by what they hold (squeeze and excitation), and a skip."""

    first: Convolution
    second: Convolution
    skip: Float[Array, "channels made"]
    squeeze: Float[Array, "frames fewer"]
    excite: Float[Array, "fewer frames"]

    def __init__(self, shape: tuple[int, int], channels: int, made: int, *, key: PRNGKeyArray):
        keys, fewer = jax.random.split(key, 3), max(1, shape[0] // 2)
        self.first = Convolution(shape, channels, made, key=keys[0])
        self.second = Convolution(shape, made, made, key=keys[1])
        drawn = jax.random.normal(keys[2], (channels * made + 2 * shape[0] * fewer,))
        skip, squeeze, excite = jnp.split(drawn, np.cumsum([channels * made, shape[0] * fewer]))
        self.skip = skip.reshape(channels, made) * math.sqrt(2 / made)
        self.squeeze = squeeze.reshape(shape[0], fewer) / math.sqrt(shape[0])
        self.excite = excite.reshape(fewer, shape[0]) / math.sqrt(fewer)

    def __call__(self, x: Float[Array, "*many places channels"]) -> Float[Array, "*many places made"]:
        """Return the volume, rectified."""
        y = self.second(jax.nn.relu(self.first(x)))
        frames = y.reshape(*y.shape[:-2], self.squeeze.shape[0], -1, y.shape[-1])
        mean = jnp.swapaxes(frames.mean(axis=-2), -1, -2)
        weight = jax.nn.sigmoid(jax.nn.relu(mean @ self.squeeze) @ self.excite)
        y = (frames * jnp.swapaxes(weight, -1, -2)[..., None, :]).reshape(y.shape)
        return jax.nn.relu(y + x @ self.skip)


class Convolved(Network):
    """An LSTM over all answers, convolutions over the last ones at one concept, gates that fuse both, a second LSTM."""

    answers: Answers
    front: LSTM
    blocks: tuple[Block, Block]
    decay: Float[Array, ""]
    decays: Float[Array, ""]
    gates: Float[Array, "double double"]
    biases: Float[Array, " double"]
    rear: LSTM
    readout: Table
    window: int = eqx.field(static=True)

    def __init__(self, skills: int, side: int, window: int, channels: int, decays: bool, *, key: PRNGKeyArray):
        keys, width = jax.random.split(key, 7), side**2
        self.answers, self.readout = Answers(skills, width, key=keys[0]), Table(skills, width + 1, key=keys[1])
        self.front, self.rear = LSTM(width, width, key=keys[2]), LSTM(width, width, key=keys[3])
        shape = (window, side)
        self.blocks = (Block(shape, 1, channels, key=keys[4]), Block(shape, channels, 1, key=keys[5]))
        self.gates = jax.random.uniform(keys[6], (2 * width, 2 * width), minval=-1.0) / math.sqrt(2 * width)
        self.biases, self.window = jnp.zeros(2 * width), window
        self.decay, self.decays = jnp.ones(()), jnp.asarray(decays, jnp.float32)

    def logits(self, rows: Rows) -> Float[Array, "pieces length"]:
        """Return logits, a mean over the skills of a row."""
        by_time = turned(rows)
        answers = self.answers(by_time.skill, by_time.outcome)
        overall, _ = self.front(answers, by_time.asks)
        curve = jnp.swapaxes(self._curve(jnp.swapaxes(answers, 0, 1), rows), 0, 1)
        both = jnp.concatenate([curve, delayed(overall)], axis=-1)
        opened = jax.nn.sigmoid(both @ self.gates + self.biases) * both
        fused = opened[..., : curve.shape[-1]] + opened[..., curve.shape[-1] :]
        return asked(self.readout, self.rear(fused, by_time.asks)[1], by_time.skill).T

    def _curve(self, answers: Float[Array, "pieces length width"], rows: Rows) -> Float[Array, "pieces length width"]:
        """Return what the last answers at the concept look like, convolved; nothing where there is none."""
        place, apart = (jnp.asarray(part) for part in rows.extra)
        rate = jnp.maximum(self.decay, 0.0) * jax.lax.stop_gradient(self.decays)
        weight = jnp.where(place >= 0, jnp.exp(-rate * apart), 0.0)
        frames = jax.vmap(lookup)(answers, jnp.maximum(place, 0)) * weight[..., None]
        volume = frames.reshape(*place.shape[:2], -1, 1)
        for block in self.blocks:
            volume = block(volume)
        return volume.reshape(*place.shape, -1).mean(axis=2)


@dataclass
class CAKT(Deep):
    """P(right) from an LSTM over fused features: the state of another LSTM, and the last `window` answers at one concept.

    Yang, Shen, Cui, Xu, Yu and Lan 2020 ("Deep Knowledge Tracing with Learning Curves"). An answer is a frame of
    `side`×`side` numbers, faded by exp(−S·rows since then) with a learned S from 1 on (the authors' code); frames go
    through two residual blocks of 3×3×3 convolutions with `channels` channels between them, and two independent gates fuse
    the result with the overall state. `key` is the concept: that of the question ("next", the abstract), that of the last
    answer ("current", the authors' code), or none ("any": the last answers whatever they are about). `fades` turns the
    fading off. `side` is 4 and not 15, and blocks are two and not four.

    No batch norm: most windows are padding, whose statistics would rule it, and a norm of every window for itself would undo
    the fading. `width` is the square of `side`.

    Raises BadInput for a window or side below 1, or a key that does not exist.
    """

    side: int = 4
    window: int = 4
    channels: int = 4
    key: Key = "next"
    fades: bool = True
    learning_rate: float = 3e-3

    def __post_init__(self):
        super().__post_init__()
        if min(self.side, self.window, self.channels) < 1:
            raise BadInput(f"CAKT: {self.side=}, {self.window=}, {self.channels=}, and 1 is the least")
        if self.key not in ("next", "current", "any"):
            raise BadInput(f"CAKT: the key is 'next', 'current' or 'any', not '{self.key}'")

    def network(self, log: PracticeLog, *, key: PRNGKeyArray) -> Convolved:
        """Return LSTMs and convolutions for the skills of a log."""
        return Convolved(log.skill_codes, self.side, self.window, self.channels, self.fades, key=key)

    def prepared(self, rows: Rows) -> Rows:
        """Return rows with the last ones at the concept of each."""
        return rows._replace(extra=recent(rows, self.window, self.key))
