"""What turns of single images do to learn2learn's convolutions on Omniglot, early in the life of a published number.

    python benchmarks/turns.py [--steps 600] [--seeds 2]

Lives the first steps of the row learn2learn/maml-cnn/5-way-1-shot of docs/anchors.md twice: as it is, every image turned by
itself by 0 to 3 quarters, and without turns, all else the same. Prints the percentage of right answers about characters
that were never met, after the step on their support set, for every seed. Needs Omniglot (`lifelong data`).
"""

import argparse
import sys
from dataclasses import replace

from jaxtyping import Array, PRNGKeyArray

from lifelong.lab._anchors import chosen
from lifelong.lab._episode_protocols import (
    DEALT,
    LEFT_OUT,
    TESTED,
    DealtClasses,
    EpisodeProtocol,
    episode_protocol,
    solved,
)
from lifelong.lab._reproduce import data_for
from lifelong.life import live
from lifelong.teachers import OneByOne
from lifelong.worlds import Episode, FewShotClasses

ROW = "learn2learn/maml-cnn/5-way-1-shot"


class Upright(DealtClasses):
    """Episodes of the same tuples and drawings, their images as they are."""

    def deal(self, part: Array, *, key: PRNGKeyArray) -> Episode:
        """Return an episode."""
        return FewShotClasses.deal(self, part, key=key)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600, help="of the row's 60,000 (600 unless given)")
    parser.add_argument("--seeds", type=int, default=2, help="seeds (2 unless given)")
    options = parser.parse_args()
    (anchor,) = chosen([ROW])
    drawings = data_for(anchor)
    plan = episode_protocol(anchor, drawings)
    upright = Upright(drawings, 5, 1, queries=1, unseen=TESTED, left_out=LEFT_OUT, dealt=DEALT)
    for name, world in {"turned": plan.world, "upright": upright}.items():
        found = lived(replace(plan, world=world, steps=options.steps), options.seeds)
        print(f"{name}: {', '.join(f'{share:.1f} %' for share in found)} after {options.steps} steps")
    return 0


def lived(plan: EpisodeProtocol, seeds: int) -> list[float]:
    """Return each seed's percentage of right answers at the end."""
    life = live(plan.learner, plan.world, OneByOne(1, plan.steps), plan.exam, steps=plan.steps, seeds=seeds, record=100)
    return solved(life).tolist()


if __name__ == "__main__":
    sys.exit(main())
