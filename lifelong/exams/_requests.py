"""What requests to learn and to unlearn did, from the accuracies of exams sat after each of them.

A record a[..., r, i] holds the accuracy on task i after request r, with any number of leading axes (seeds, arms).
`requests` are written as in 'L0 L1 U0'. An exam that was not sat is NaN and makes the values NaN that it enters.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from lifelong.errors import BadInput
from lifelong.worlds import read_requests

Values = Float[np.ndarray, "..."]
Record = Float[np.ndarray, "... requests tasks"]


def retained_accuracy(record: Record, requests: str) -> Values:
    """Return RA, the mean accuracy at the end over tasks that were learned and not unlearned; NaN where there are none.

    RA, FA and spill are those of UnCLe ("An Unlearning Framework for Continual Learning", 2025).
    Raises `BadInput` where the record does not fit the requests.
    """
    record, read = _checked(record, requests)
    return _mean(record[..., -1, sorted(_kept(read))])


def forgotten_accuracy(record: Record, requests: str) -> Values:
    """Return FA, the mean accuracy at the end over tasks that were unlearned and not learned again.

    The ideal is what a model says of a task it has never met: usually chance. NaN where nothing was unlearned.
    Accuracy at chance does not show that nothing is left. Raises `BadInput` where the record does not fit.
    """
    record, read = _checked(record, requests)
    return _mean(record[..., -1, sorted({task for task, _ in read} - _kept(read))])


def spill(record: Record, requests: str) -> Values:
    """Return what unlearning did to the others: the sum of |a[r, i] − a[r−1, i]| over tasks i then retained, averaged
    over requests r to unlearn. NaN where nothing was unlearned. Raises `BadInput` where the record does not fit.
    """
    record, read = _checked(record, requests)
    changes = [
        np.abs(record[..., r, sorted(kept)] - record[..., r - 1, sorted(kept)]).sum(-1, keepdims=True)
        for r, kept in enumerate(_kept(read[: r + 1]) for r in range(len(read)))
        if read[r][1]
    ]
    return _mean_of(changes, record)


def relapse(record: Record, requests: str) -> Values:
    """Return how far unlearned tasks came back: the highest accuracy on them in any exam after a later request, less
    that right after they were unlearned, averaged over them. Exams after the task was learned again do not count; NaN
    where no request followed. Raises `BadInput` where the record does not fit.
    """
    record, read = _checked(record, requests)
    rises = [
        record[..., later, task].max(-1, keepdims=True) - record[..., [r], task]
        for r, (task, unlearned) in enumerate(read)
        if unlearned and (later := _until_learned(read, r))
    ]
    return _mean_of(rises, record)


def kept_tasks(requests: str, tasks: int) -> Bool[np.ndarray, "requests tasks"]:
    """Return, after each request, which of so many tasks are learned and not unlearned."""
    read = read_requests(requests)
    return np.array([[task in _kept(read[: r + 1]) for task in range(tasks)] for r in range(len(read))])


def _until_learned(read: Sequence[tuple[int, bool]], r: int) -> list[int]:
    """Return the requests after `r` up to the one that asks for the same task again."""
    again = [s for s in range(r + 1, len(read)) if read[s][0] == read[r][0]]
    return list(range(r + 1, again[0] if again else len(read)))


def _kept(read: Iterable[tuple[int, bool]]) -> set[int]:
    """Return the tasks that are learned and not unlearned after these requests."""
    kept: set[int] = set()
    for task, unlearned in read:
        (kept.discard if unlearned else kept.add)(task)
    return kept


def _checked(record: Record, requests: str) -> tuple[np.ndarray, list[tuple[int, bool]]]:
    read, record = read_requests(requests), np.asarray(record, np.float64)
    if record.ndim < 2 or record.shape[-2] != len(read) or record.shape[-1] <= max(task for task, _ in read):
        raise BadInput(
            f"a record has one row after each of the {len(read)} requests '{requests}' and one column a task, "
            f"(..., requests, tasks), and its shape is {record.shape}"
        )
    return record, read


def _mean_of(parts: list[np.ndarray], record: np.ndarray) -> np.ndarray:
    return _mean(np.concatenate([record[..., -1, :0], *parts], -1))


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis as an array, NaN where that axis is empty."""
    return np.asarray(values.mean(-1)) if values.shape[-1] else np.full(values.shape[:-1], np.nan)
