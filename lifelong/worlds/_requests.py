"""Requests to learn and to unlearn."""

import re

from lifelong.errors import BadInput


def read_requests(requests: str) -> list[tuple[int, bool]]:
    """Return task and whether it is to be unlearned for requests written as 'L0 L1 U0': learn 0, learn 1, unlearn 0.

    Raises `BadInput` where there are none, one is written otherwise, or a task is to be unlearned that is not learned.
    """
    read, known = [], set()
    for word in requests.split():
        if not (found := re.fullmatch(r"([LU])(\d+)", word)):
            raise BadInput(
                f"a request is L or U and the number of a task, as in 'L0 L1 U0', and one of them is '{word}'"
            )
        task, unlearn = int(found[2]), found[1] == "U"
        if unlearn and task not in known:
            raise BadInput(f"task {task} is to be unlearned, and at that point of '{requests}' it is not learned")
        (known.discard if unlearn else known.add)(task)
        read.append((task, unlearn))
    if not read:
        raise BadInput("a stream of requests needs at least one, as in 'L0 L1 U0'")
    return read
