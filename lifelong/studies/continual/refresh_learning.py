"""Refresh learning: unlearn the current batch a little, then learn it again.

Before every ordinary step of DER++ (replay of labels and of stored logits), refresh learning moves the weights *up* the
loss of the current batch, preconditioned by a diagonal Fisher and with noise, and leaves them there: the step that
follows relearns from the disturbed weights. To first order this penalises the gradient's norm, so the paper expects
flatter minima and less forgetting.

Two forms run side by side. The repository's form takes one ascent direction u on the current batch alone, rescales every
tensor of it to the norm of its weights, and adds δ·(u + 0.001·ε) / (1 + 0.001·F). The paper's form adds
γ·(F⁻¹∇L + noise of variance 2γF⁻¹) along the whole objective. Both sizes are chosen on tuning seeds, as is that of the
knock-out, whose direction is random and otherwise the same.

Arms that differ in numbers alone share one compiled program: fine-tuning is DER++ with both strengths at 0, experience
replay the one without logits, and the arm without Fisher a refresh whose Fisher weighs 0.
"""

from functools import partial

import optax
import xarray as xr

from lifelong.exams import Accuracy, Flatness, several
from lifelong.lab import Arm, Claim, Control, Grid, Settings, Study
from lifelong.lab import measures as m
from lifelong.learners import GradientLearner
from lifelong.life import live
from lifelong.memory import Memory, Nothing, Replay, chain, random_perturbation, refresh
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import AllAtOnce, OneByOne
from lifelong.worlds import Split, dataset

SIZES = Grid("learner.memory.memories.1.size", (1e-5, 1e-4, 5e-4, 1e-3))
STEPS = Grid("learner.memory.memories.1.size", (1e-14, 1e-12, 1e-10, 1e-8))


def replay(settings: Settings, labels: float = 0.5, logits: float = 1.0) -> Memory:
    """Return DER++; of no strength it is fine-tuning, without logits experience replay."""
    return Replay(settings.buffer, settings.batch, labels=labels, logits=logits)


def disturbed(settings: Settings, disturb=refresh, **options) -> Memory:
    """Return DER++ whose steps start from disturbed weights; the size of the disturbance is tuned."""
    return chain(replay(settings), disturb(**options))


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Live a class-incremental life with one arm's memory; the joint arm has all classes from the start."""
    data = dataset(settings.world).take(per_class=settings.per_class)
    data = data.shuffled_labels(seed=0) if arm.role == "negative control" else data
    world = Split(data, settings.tasks, scenario="class", shuffle=True)
    steps = settings.epochs * len(data.y_train) // settings.tasks // settings.batch
    learner = GradientLearner(
        Recipe(MLP, inputs=data.features, outputs=world.outputs, width=settings.width, depth=1),
        optimizer=Recipe(optax.sgd, learning_rate=settings.learning_rate),
        memory=arm.build(settings),
        batch=settings.batch,
    )
    joint = arm.role == "positive control"
    teacher = AllAtOnce(settings.tasks) if joint else OneByOne(settings.tasks, steps)
    exam = several(Accuracy(), Flatness())
    return live(learner, world, teacher, exam, steps=steps * settings.tasks, every=steps, **options).to_xarray()


study = Study(
    slug="refresh-learning",
    question="Does unlearning the current batch before relearning it make replay forget less?",
    arms={
        "finetune": Arm("baseline", "no memory", partial(replay, labels=0.0, logits=0.0), like="der++"),
        "joint": Arm("positive control", "all classes at once", lambda settings: Nothing()),
        "er": Arm("baseline", "replays labels", partial(replay, labels=1.0, logits=0.0), like="der++"),
        "der++": Arm("baseline", "replays labels and stored logits", replay),
        "refresh": Arm("method", "DER++, unlearning as the repository does", disturbed, SIZES),
        "refresh-paper": Arm(
            "variant", "DER++, unlearning as the paper writes", partial(disturbed, form="paper"), STEPS
        ),
        "random-direction": Arm(
            "knock-out", "moves as far, at random", partial(disturbed, disturb=random_perturbation), SIZES
        ),
        "no-fisher": Arm(
            "knock-out", "without the Fisher", partial(disturbed, fisher_weight=0.0), SIZES, like="refresh"
        ),
        "shuffled-labels": Arm("negative control", "DER++ on labels that mean nothing", replay, like="der++"),
    },
    lifetime=lifetime,
    measures={
        "final_accuracy": m.final_accuracy,
        "forgetting": m.forgetting,
        "learning_accuracy": m.learning_accuracy,
        "gradient_norm": lambda life: life.gradient_norm.isel(exam=-1),
        "loss_rise": lambda life: life.loss_rise.isel(exam=-1),
    },
    claim=Claim(
        better="refresh",
        than="der++",
        on="final_accuracy",
        by=0.005,
        knockout="random-direction",
        sentence="Refresh learning raises the final class-incremental accuracy of DER++ by at least half a point, "
        "and moving as far in a random direction does not.",
    ),
    controls=(
        Control("joint", "final_accuracy", above="der++", because="seeing all classes at once is the upper bound"),
        Control("finetune", "final_accuracy", at_most=0.35, because="without memory only the last task survives"),
        Control("der++", "final_accuracy", above="finetune", because="replay must help at all"),
        Control("shuffled-labels", "final_accuracy", at_least=0.05, at_most=0.15, because="chance is 1 in 10"),
    ),
    secondary=(
        Claim("refresh-paper", "der++", "final_accuracy", by=0.005, sentence="The paper's form raises accuracy too."),
        Claim("refresh", "no-fisher", "final_accuracy", sentence="The Fisher preconditioner adds to the gain."),
        Claim(
            "refresh",
            "random-direction",
            "gradient_norm",
            higher_is_better=False,
            sentence="Refresh ends at smaller gradients than a random disturbance.",
        ),
        Claim(
            "refresh",
            "random-direction",
            "loss_rise",
            higher_is_better=False,
            sentence="Refresh ends in flatter minima than a random disturbance.",
        ),
    ),
    settings={
        "world": "digits",
        "seeds": 16,
        "per_class": 100,
        "tasks": 5,
        "epochs": 5,
        "batch": 10,
        "width": 100,
        "learning_rate": 0.03,
        "buffer": 200,
    },
    budgets={"smoke": {"seeds": 2, "per_class": 20, "epochs": 1}, "quick": {"seeds": 8, "epochs": 2}, "full": {}},
    simplified="Digits of 8×8 pixels and a perceptron of one hidden layer stand for CIFAR and a ResNet-18; five "
    "epochs over 100 examples a class, a buffer of 200; δ and γ are chosen among four values on four tuning seeds. The "
    "repository's settings for sequential MNIST are kept: batches and rehearsals of 10, α = 1, β = 0.5, rate 0.03.",
)
