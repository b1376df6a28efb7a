"""Living blocks of seeds on several hosts, each a process of one `jax.distributed` job.

Lanes do not talk to each other, so each process lives a share of the blocks on its own devices. The folder of the run is
all that hosts share; the first process reports once everything lies there.
"""

import os
import time
from collections.abc import Sequence

from lifelong.errors import BadInput

from ._cache import BLOCKS, drop_compiled
from ._output import say
from ._plan import Block, Plan, blocks_of

PLACE = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
"""What the environment of a process says of the job that it belongs to."""


def several_hosts() -> bool:
    """Say whether the environment makes this process one of several, and join them."""
    given = [name for name in PLACE if os.environ.get(name)]
    if not given:
        return False
    if missing := [name for name in PLACE if name not in given]:
        raise BadInput(f"{given[0]} is set and {missing[0]} is not: a job of several hosts needs {', '.join(PLACE)}")
    address, count, place = (os.environ[name] for name in PLACE)
    if not (count.isdigit() and place.isdigit() and int(place) < int(count)):
        raise BadInput(
            f"{PLACE[1]} and {PLACE[2]} must be whole numbers, the second below the first, not '{count}' and '{place}'"
        )
    import jax

    jax.distributed.initialize(address, int(count), int(place))
    return True


def live_share(plans: Sequence[Plan], blocks: Sequence[Block]) -> bool:
    """Live this process's share of blocks, wait for the others', and say whether it is for this process to report."""
    import jax

    count, place = jax.process_count(), jax.process_index()
    for number, block in enumerate(blocks[place::count], 1):
        block.live()
        say(f"process {place}: {block} is done ({number} of {len(blocks[place::count])})")
        if number % BLOCKS == 0:
            drop_compiled()
    while blocks_of(plans, None):
        time.sleep(0.5)
    return place == 0
