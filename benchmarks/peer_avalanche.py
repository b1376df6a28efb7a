"""The life of `continual.py`, as one writes it with Avalanche; runs in the environment of install_peers.sh.

    .peers/avalanche/bin/python benchmarks/peer_avalanche.py DATA.npz '{"batch": 64, …}' FIRST COUNT THREADS

Everything that is not the life is left out: no loggers, the only metric is the accuracy on each task, data lie in memory
as tensors, and the benchmark is built once for all seeds. Prints one line of JSON.
"""

import json
import sys
import time
import warnings
from itertools import pairwise

warnings.simplefilter("ignore")

import torchvision_without_cuda  # noqa: E402, F401, I001
import numpy as np  # noqa: E402
import torch  # noqa: E402
from avalanche import __version__ as avalanche_version  # noqa: E402
from avalanche.benchmarks import class_incremental_benchmark  # noqa: E402
from avalanche.benchmarks.utils import as_classification_dataset  # noqa: E402
from avalanche.evaluation.metrics import accuracy_metrics  # noqa: E402
from avalanche.training.plugins import EvaluationPlugin, ReplayPlugin  # noqa: E402
from avalanche.training.storage_policy import ReservoirSamplingBuffer  # noqa: E402
from avalanche.training.supervised import Naive  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import TensorDataset  # noqa: E402

warnings.simplefilter("ignore")
QUESTIONS = 500


def main(file: str, settings: str, first: str, count: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    life = json.loads(settings)
    benchmark = benchmark_of(file, life["tasks"])
    ready = time.time()
    lived = [live(benchmark, life, seed) for seed in range(int(first), int(first) + int(count))]
    report = {
        "ready": ready,
        "done": time.time(),
        "training": [seconds for seconds, _ in lived],
        "accuracy": [accuracy for _, accuracy in lived],
        "versions": {"avalanche": avalanche_version, "torch": torch.__version__},
    }
    print(json.dumps(report))


def benchmark_of(file: str, tasks: int):
    arrays = np.load(file)
    parts = {part: tensors(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")}
    order = list(range(int(arrays["y_train"].max()) + 1))
    return class_incremental_benchmark(parts, class_order=order, num_experiences=tasks)


def tensors(x: np.ndarray, y: np.ndarray):
    data = TensorDataset(torch.from_numpy(x.reshape(len(x), -1)), torch.from_numpy(y.astype(np.int64)))
    data.targets = y.tolist()
    return as_classification_dataset(data)


def live(benchmark, life: dict, seed: int) -> tuple[float, float]:
    """Return the seconds of training, and the mean accuracy over all tasks at the end."""
    torch.manual_seed(seed)
    strategy, training = learner(life), 0.0
    for experience in benchmark.train_stream:
        start = time.perf_counter()
        strategy.train(experience)
        training += time.perf_counter() - start
        accuracies = strategy.eval(benchmark.test_stream)
    return training, float(np.mean(list(accuracies.values())))


def learner(life: dict) -> Naive:
    sizes = [life["inputs"], life["width"], life["width"], life["outputs"]]
    layers = [layer for i, o in pairwise(sizes) for layer in (nn.Linear(i, o), nn.ReLU())]
    model = nn.Sequential(*layers[:-1])
    buffer = ReservoirSamplingBuffer(life["buffer"])
    return Naive(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=life["learning_rate"]),
        train_mb_size=life["batch"],
        train_epochs=1,
        eval_mb_size=QUESTIONS,
        plugins=[ReplayPlugin(life["buffer"], life["batch"], life["batch"], storage_policy=buffer)],
        evaluator=EvaluationPlugin(accuracy_metrics(experience=True), loggers=[]),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
