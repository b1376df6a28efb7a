"""Small practice logs that several test modules share."""

import numpy as np

from lifelong.worlds import PracticeLog


def practice(students=40, attempts=24, skills=4, seed=0, ungraded=0.1, several=True):
    """Students of different ability who get better at each skill, with rows of two skills and rows without a grade."""
    random = np.random.default_rng(seed)
    ability, tried = random.normal(0, 1, students), np.zeros((students, skills))
    rows = []
    for place in range(attempts):
        for student in range(students):
            chosen = random.choice(skills, 2 if several and random.random() < 0.2 else 1, replace=False)
            odds = ability[student] + np.mean(0.4 * tried[student, chosen] - 1 + 0.5 * chosen)
            outcome = int(random.random() < 1 / (1 + np.exp(-odds)))
            outcome = -1 if random.random() < ungraded else outcome
            rows.append((f"s{student}", tuple(f"k{k}" for k in chosen), f"i{chosen[0]}.{random.integers(3)}", outcome,
                60.0 * place + random.random() + 90_000 * (place > 18)))  # fmt: skip
            tried[student, chosen] += 1
    columns = list(zip(*rows, strict=True))
    return PracticeLog.of(columns[0], columns[1], columns[3], item=columns[2], time=columns[4])
