"""What `lifelong trace` costs: the LKT log, and a simulated log of millions of rows.

    python benchmarks/trace_command.py [lkt] [simulated] [--students 25000] [--attempts 200] [--json]

Every command is a fresh process, with nothing compiled before; LKT is traced again with what the first has left. Seconds
are those of the whole process on the clock and on all cores, memory is its peak. The simulated students answer by an item
response model with 40 skills of 10 items, and get better with practice. Of more than 200,000 rows the command draws a sample
of students, as it says in its first lines, which are kept. results/trace_command.json keeps the last run of each log.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from continual import Report, describe_machine

RESULTS = Path(__file__).resolve().parent / "results" / "trace_command.json"
RUNS = {"lkt": ("cold", "warm"), "simulated": ("cold",)}
SKILLS, ITEMS, AT_ONCE = 40, 10, 500


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", nargs="*", metavar="LOG", help="lkt or simulated; both unless given")
    parser.add_argument("--students", type=int, default=25_000, help="of the simulated log (25,000 unless given)")
    parser.add_argument("--attempts", type=int, default=200, help="of each of them (200 unless given)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    options = parser.parse_args()
    found = {name: measure(name, options.students, options.attempts) for name in options.logs or RUNS}
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(kept | found, indent=1) + "\n")
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    for name, report in found.items():
        print(*report["says"], sep="\n")
        for when in RUNS[name]:
            one = report[when]
            print(f"{when}: {one['seconds']:.1f} s, {one['cpu']:.1f} CPU-seconds, {one['peak_mb']:,.0f} MB")
    return 0


def measure(name: str, students: int, attempts: int) -> Report:
    """Trace a log, and return what that took and what was said of its rows."""
    with tempfile.TemporaryDirectory() as folder:
        place, log = Path(folder), name
        if name == "simulated":
            log = str(place / "simulated.csv")
            write(Path(log), students, attempts)
        runs = {when: traced(log, place) for when in RUNS[name]}
        says = (place / "said").read_text().split("\n\n")[0].splitlines()
        size = os.path.getsize(log) / 1e6 if name == "simulated" else None
    machine, date = describe_machine(), datetime.now(UTC).isoformat(timespec="seconds")
    return {"says": says, "megabytes": size, **runs, "machine": machine, "date": date}


def write(path: Path, students: int, attempts: int, seed: int = 0) -> None:
    """Write the attempts of simulated students, some students at a time."""
    random = np.random.default_rng(seed)
    difficulty = random.normal(size=(SKILLS, ITEMS))
    with path.open("w") as file:
        file.write("student,skill,item,outcome,time\n")
        for first in range(0, students, AT_ONCE):
            shape = (min(AT_ONCE, students - first), attempts)
            skill, item = random.integers(SKILLS, size=shape), random.integers(ITEMS, size=shape)
            odds = random.normal(size=(shape[0], 1)) + np.arange(attempts) / attempts - difficulty[skill, item]
            right = (random.random(shape) < 1 / (1 + np.exp(-odds))).astype(int)
            time_ = 1.6e9 + np.cumsum(random.exponential(3600, size=shape), axis=1)
            student = np.repeat(np.arange(first, first + shape[0]), attempts)
            columns = (student, *(values.ravel() for values in (skill, item, right, time_.astype(int))))
            rows = zip(*(column.tolist() for column in columns), strict=True)
            file.writelines(f"s{s},skill {k},q{k}.{i},{y},{t}\n" for s, k, i, y, t in rows)


def traced(log: str, place: Path) -> dict[str, float]:
    """Run the command, and return its seconds, CPU-seconds and peak of memory."""
    command = [sys.executable, "-m", "lifelong", "trace", log, "--out", str(place / "page.html")]
    own = {"JAX_COMPILATION_CACHE_DIR": str(place / "compiled"), "LIFELONG_HOME": str(place / "home")}
    with (place / "said").open("w") as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=os.environ | own, stdout=said, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}


if __name__ == "__main__":
    raise SystemExit(main())
