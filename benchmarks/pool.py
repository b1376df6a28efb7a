"""What spare threads in XLA's pool would cost: one life, timed in a process for each size of the pool.

    python benchmarks/pool.py [THREADS …]

Prints a line for every size: the seconds of the machine, and of its processors, that the best of ten warm lives took.
"""

import os
import subprocess
import sys
import time

SIZES = ("2", "3", "8")
LIVES = 10


def main(sizes: list[str]) -> None:
    for size in sizes or SIZES:
        subprocess.run([sys.executable, __file__, "--one"], env={**os.environ, "NPROC": size}, check=True)


def one() -> None:
    from lifelong import MLP, GradientLearner, OneByOne, Recipe, Replay, Split, live

    world = Split("digits", tasks=5, shuffle=True)
    learner = GradientLearner(
        Recipe(MLP, inputs=64, outputs=10, width=128), memory=Replay(capacity=200, batch=32), batch=32
    )

    def lived() -> tuple[float, float]:
        wall, processor = time.perf_counter(), time.process_time()
        live(learner, world, OneByOne(5, 100), steps=500, seeds=16, at_ends=False, progress=lambda moment: None)
        return time.perf_counter() - wall, time.process_time() - processor

    lived()
    walls, processors = zip(*(lived() for _ in range(LIVES)), strict=True)
    print(f"{os.environ['NPROC']} threads: {min(walls):.2f} s, {min(processors):.2f} s of processors")


if __name__ == "__main__":
    one() if sys.argv[1:] == ["--one"] else main(sys.argv[1:])
