"""Group relative policy optimization of a small language model, with TRL and with lifelong: rounds a second.

    python benchmarks/grpo.py [--seeds 8] [--json]

Both start from the same checkpoint, two hundred steps of demonstrations old, and the same 600 chains of operations whose
ends can be verified. A round poses eight of them, samples eight answers of at most six tokens to each, judges them, and takes
one step (Adam, no term that holds the model near the checkpoint). TRL trains one model, with as many threads as are fastest;
lifelong one, and all seeds at once. Rates leave out loading and compiling. The environment of TRL comes from
install_peers.sh; results/grpo.json keeps the last run.
"""

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import jax
from continual import Report, describe_machine, finish, launch, usable_cores
from rich.console import Console
from rich.table import Table

from lifelong.connect import Tokenizer, save_language_model
from lifelong.learners import next_token_learner
from lifelong.life import live, silent
from lifelong.teachers import OneByOne
from lifelong.worlds import OpChain

HERE = Path(__file__).resolve().parent
PEER = HERE.parent / ".peers" / "trl" / "bin" / "python"
RESULTS = HERE / "results" / "grpo.json"
LIFE = {"prompts": 8, "samples": 8, "tokens": 6, "rate": 5e-4, "rounds": 100}
LESSONS, PROBLEMS, TASK = 200, 600, 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=8, help="models that lifelong trains at once (8 unless given)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if not PEER.exists():
        print(f"TRL is not installed in {PEER.parents[1]}: run benchmarks/install_peers.sh", file=sys.stderr)
        return 2
    result = measure(options.seeds)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    Console(width=120).print(json.dumps(result, indent=1) if options.json else table(result))
    return 0


def measure(seeds: int) -> Report:
    """Run both sides in fresh processes, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        given = [folder, json.dumps(LIFE)]
        peers = [[str(PEER), str(HERE / "peer_trl.py"), *given, str(n)] for n in range(1, usable_cores() + 1)]
        trl = [finish([launch(peer)])[0] for peer in peers]
        own = [finish([launch([sys.executable, str(HERE / "own_grpo.py"), *given, str(n)])])[0] for n in (1, seeds)]
    return {
        "life": LIFE,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "trl": max(trl, key=lambda report: report["rate"]),
        "lifelong": own,
    }


def prepare(folder: Path) -> None:
    """Teach a model all but some facts, and write it down with problems that need one of those."""
    world = OpChain(holes=True)
    pupil = next_token_learner(world.outputs, steps=LESSONS)
    life = live(pupil, world, OneByOne(1, LESSONS), steps=LESSONS, seeds=1, at_ends=False, progress=silent)
    model = jax.tree.map(lambda leaf: leaf[0], life.state.learner.model.net)
    texts = {
        "tokenizer.json": Tokenizer.of_words(world.lexicon).to_json(),
        "generation_config.json": json.dumps({"eos_token_id": world.lexicon["EOS"]}),
    }
    save_language_model(model, folder / "model", texts=texts)
    prompts = world.exam_set(TASK, PROBLEMS)
    ends = [world.lexicon.decode(answer).split()[-2] for answer in world.demonstrate(prompts, key=jax.random.key(0))]
    rows = [{"prompt": world.lexicon.decode(prompt), "end": end} for prompt, end in zip(prompts, ends, strict=True)]
    (folder / "problems.json").write_text(json.dumps(rows))


def table(result: Report) -> Table:
    trl, machine = result["trl"], result["machine"]
    shown = Table(title=f"GRPO; {machine['processor']}, {machine['cores']} cores", title_justify="left")
    for place, column in enumerate(("", "models", "rounds a second, together", "÷ TRL", "reward, last ten rounds")):
        shown.add_column(column, justify="right" if place else "left")
    shown.add_row(f"TRL, {trl['threads']} threads", "1", f"{trl['rate']:.2f}", "1.0", f"{trl['reward']:.3f}")
    for own in result["lifelong"]:
        ratio = own["rate"] / trl["rate"]
        shown.add_row("lifelong", str(own["seeds"]), f"{own['rate']:.1f}", f"{ratio:.1f}", f"{own['reward']:.3f}")
    return shown


if __name__ == "__main__":
    sys.exit(main())
