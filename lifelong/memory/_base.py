"""What every memory can do, and how memories are chained."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Shaped

from lifelong.keys import key_for
from lifelong.recipe import number as number
from lifelong.worlds import Batch, Pages

from ._buffer import Gone, released

Loss = Callable[..., Float[Array, ""]]
"""`loss(model, batch)` is the learner's own loss over the classes seen so far; `loss(model, batch, feedback)` that of
another feedback."""

Objective = Callable[[PyTree], Float[Array, ""]]
"""All that one step descends, as a function of the model: the weighted loss of the current batch and every penalty."""


class Step(NamedTuple):
    """One step of learning, as a memory sees it afterwards."""

    batch: Batch
    """What the stream brought, whatever was blended into it."""
    recalled: Any
    before: PyTree
    """The model at which the gradient was taken."""
    after: PyTree
    """The model that came out."""
    gradient: PyTree


class Memory(eqx.Module):
    """What is kept of the past, and how. Every hook has a default that does nothing, so a memory states only its idea.

    Within one step they are called in this order: `recall`, `blend`, `perturb`, then `weigh` and `penalty` inside the gradient,
    `shape`, the optimizer, `keep`. At the end of a task (where the learner is told of it) comes `consolidate`.
    `m` is the memory's state, any pytree of arrays; `loss(model, batch)` is the learner's own loss.
    """

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> PyTree:
        """Return the state before anything was learned; `like` is a batch of the shapes to come."""
        return None

    def recall(self, m: PyTree, *, key: PRNGKeyArray) -> Any:
        """Return what to rehearse in this step."""
        return None

    def blend(self, m: PyTree, batch: Batch, recalled: Any) -> Batch:
        """Return the batch to learn in place of the current one, of the same shapes."""
        return batch

    def perturb(
        self,
        m: PyTree,
        model: PyTree,
        batch: Batch,
        recalled: Any,
        loss: Loss,
        objective: Objective | None = None,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, PyTree]:
        """Return the model at which to take the gradient, and the model to which the update is applied.

        A chain tells its members the whole `objective`; None means that this memory adds nothing to the batch's loss.
        """
        return model, model

    def weigh(self, m: PyTree, batch: Batch, recalled: Any) -> Float[Array, ""] | float:
        """Return how much the loss on the current batch counts; where it is the float 0 no gradient of it is computed."""
        return 1.0

    def penalty(self, m: PyTree, model: PyTree, batch: Batch, recalled: Any, loss: Loss) -> Float[Array, ""] | float:
        """Return what is added to the loss."""
        return 0.0

    def shape(self, m: PyTree, gradient: PyTree, model: PyTree, recalled: Any, loss: Loss) -> PyTree:
        """Return the gradient without the directions that would harm what is remembered."""
        return gradient

    def keep(self, m: PyTree, step: Step, *, key: PRNGKeyArray) -> PyTree:
        """Return the state after a step of learning."""
        return m

    def consolidate(
        self, m: PyTree, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray
    ) -> tuple[PyTree, PyTree]:
        """Return model and state after the end of a task; `review` leafs through all its training examples."""
        return model, m

    def release(self, m: PyTree, gone: Gone) -> PyTree:
        """Return the state without the examples that `gone(batch)` marks; unless overridden, all that buffers and batches
        in the state hold of them is wiped out. Statistics, weights and logits of other examples stay as they are.
        """
        return released(m, gone)

    def answer(self, m: PyTree, model: PyTree, x: Shaped[Array, "n *shape"]) -> Float[Array, "n outputs"]:
        """Return the logits with which the learner answers."""
        return jax.vmap(model)(x)

    @property
    def consolidates(self) -> bool:
        """Whether anything happens at the end of a task."""
        return type(self).consolidate is not Memory.consolidate

    @property
    def answers(self) -> bool:
        """Whether this memory answers in the model's stead."""
        return type(self).answer is not Memory.answer


class Nothing(Memory):
    """Keep nothing: plain fine-tuning."""


class Chain(Memory):
    """Several memories at once, each with a state of its own, called in order.

    The first draws with the key it would get if it were alone, so a memory and a chain that begins with it stay paired.
    """

    memories: tuple[Memory, ...]

    def init(self, model: PyTree, like: Batch, *, key: PRNGKeyArray) -> PyTree:
        """Return the states of all memories."""
        pairs = zip(self.memories, self._keys(key), strict=True)
        return tuple(memory.init(model, like, key=k) for memory, k in pairs)

    def recall(self, m: PyTree, *, key: PRNGKeyArray) -> Any:
        """Return what each memory wants rehearsed."""
        parts = zip(self.memories, m, self._keys(key), strict=True)
        return tuple(memory.recall(s, key=k) for memory, s, k in parts)

    def blend(self, m: PyTree, batch: Batch, recalled: Any) -> Batch:
        """Blend with each memory in turn."""
        for memory, s, r in zip(self.memories, m, recalled, strict=True):
            batch = memory.blend(s, batch, r)
        return batch

    def perturb(
        self,
        m: PyTree,
        model: PyTree,
        batch: Batch,
        recalled: Any,
        loss: Loss,
        objective: Objective | None = None,
        *,
        key: PRNGKeyArray,
    ) -> tuple[PyTree, PyTree]:
        """Perturb with each memory in turn, from where the one before arrived."""

        def own(model: PyTree) -> Float[Array, ""]:
            return self.weigh(m, batch, recalled) * loss(model, batch) + self.penalty(m, model, batch, recalled, loss)

        point = base = model
        for memory, s, r, k in zip(self.memories, m, recalled, self._keys(key), strict=True):
            moved, kept = memory.perturb(s, point, batch, r, loss, objective or own, key=k)
            base = kept if base is point else _carried_over(base, point, kept)
            point = moved
        return point, base

    def weigh(self, m: PyTree, batch: Batch, recalled: Any) -> Float[Array, ""] | float:
        """Return the product of the weights."""
        weight = 1.0
        for memory, s, r in zip(self.memories, m, recalled, strict=True):
            weight = weight * memory.weigh(s, batch, r)
        return weight

    def penalty(self, m: PyTree, model: PyTree, batch: Batch, recalled: Any, loss: Loss) -> Float[Array, ""] | float:
        """Return the sum of the penalties."""
        terms = zip(self.memories, m, recalled, strict=True)
        return sum((memory.penalty(s, model, batch, r, loss) for memory, s, r in terms), start=0.0)

    def shape(self, m: PyTree, gradient: PyTree, model: PyTree, recalled: Any, loss: Loss) -> PyTree:
        """Shape the gradient with each memory in turn."""
        for memory, s, r in zip(self.memories, m, recalled, strict=True):
            gradient = memory.shape(s, gradient, model, r, loss)
        return gradient

    def keep(self, m: PyTree, step: Step, *, key: PRNGKeyArray) -> PyTree:
        """Let each memory keep what it wants of the step."""
        parts = zip(self.memories, m, step.recalled, self._keys(key), strict=True)
        return tuple(memory.keep(s, step._replace(recalled=r), key=k) for memory, s, r, k in parts)

    def consolidate(
        self, m: PyTree, model: PyTree, review: Pages, loss: Loss, *, key: PRNGKeyArray
    ) -> tuple[PyTree, PyTree]:
        """Consolidate with each memory in turn."""
        states = []
        for memory, s, k in zip(self.memories, m, self._keys(key), strict=True):
            model, s = memory.consolidate(s, model, review, loss, key=k)
            states.append(s)
        return model, tuple(states)

    def release(self, m: PyTree, gone: Gone) -> PyTree:
        """Let each memory release what it holds."""
        return tuple(memory.release(s, gone) for memory, s in zip(self.memories, m, strict=True))

    def answer(self, m: PyTree, model: PyTree, x: Shaped[Array, "n *shape"]) -> Float[Array, "n outputs"]:
        """Answer with the first memory that answers for itself, else with the model."""
        for memory, s in zip(self.memories, m, strict=True):
            if memory.answers:
                return memory.answer(s, model, x)
        return jax.vmap(model)(x)

    @property
    def consolidates(self) -> bool:
        """Whether anything happens at the end of a task."""
        return any(memory.consolidates for memory in self.memories)

    @property
    def answers(self) -> bool:
        """Whether one of them answers in the model's stead."""
        return any(memory.answers for memory in self.memories)

    def _keys(self, key: PRNGKeyArray) -> list[PRNGKeyArray]:
        return [key if i == 0 else key_for(key, "memory", i) for i in range(len(self.memories))]


def _carried_over(base: PyTree, point: PyTree, kept: PyTree) -> PyTree:
    """Return the base moved by as much as one memory moved it from its own point of departure."""
    if kept is point:
        return base
    return jax.tree.map(lambda b, p, k: b + (k - p) if eqx.is_inexact_array(b) else b, base, point, kept)


def chain(*memories: Memory) -> Chain:
    """Combine memories, as Optax combines transformations: `chain(Replay(500), EWC(strength=100.0))`."""
    return Chain(tuple(memories))
