"""The process in which a user's verifier runs: it reads a call in each line and writes what came of it, both as JSON.

Started as a script, so that it imports nothing but what the verifier needs.
"""

import json
import math
import os
import runpy
import signal
import sys
import traceback


def load(path: str, name: str) -> tuple[dict, object]:
    """Return what to tell of the start, and the verifier, None where there is none."""
    try:
        found = runpy.run_path(path, run_name="verifier")
    except BaseException as error:
        return {"error": described(error, path)}, None
    if name not in found:
        functions = [key for key, value in found.items() if callable(value) and not key.startswith("_")]
        return {"missing": name, "names": functions}, None
    if not callable(found[name]):
        return {"error": f"'{name}' is a {type(found[name]).__name__}, not a function"}, None
    return {"ready": True}, found[name]


def described(error: BaseException, path: str) -> str:
    """Return an exception in a line, with the last line of the verifier's file that led to it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    where = f", line {lines[-1]}" if lines else ""
    return f"{type(error).__name__}: {error}{where}"


def judged(verifier, path: str, problem: dict, answer: str) -> dict:
    """Return the verdict on one answer, or what went wrong."""
    try:
        value = verifier(problem, answer)
    except BaseException as error:
        return {"error": described(error, path)}
    try:
        number = float(value)
    except (TypeError, ValueError):
        return {"error": f"it returned {value!r}, and a truth value or a number is expected"}
    if not math.isfinite(number):
        return {"error": f"it returned {number}, and a truth value or a number is expected"}
    return {"value": number}


def main(path: str, name: str, seconds: str) -> None:
    """Serve calls until there are no more; whatever the verifier prints goes to stderr, and there is nothing it could read.

    An alarm ends the process where nobody else is left to end a call that hangs.
    """
    calls = os.fdopen(os.dup(0), encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    def say(what: dict) -> None:
        replies.write(json.dumps(what) + "\n")
        replies.flush()

    started, verifier = load(path, name)
    say(started)
    for line in calls if verifier else ():
        signal.setitimer(signal.ITIMER_REAL, 2 * float(seconds) + 1)
        verdict = judged(verifier, path, *json.loads(line))
        signal.setitimer(signal.ITIMER_REAL, 0)
        say(verdict)


if __name__ == "__main__":
    main(*sys.argv[1:])
