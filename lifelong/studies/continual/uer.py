"""Unbias experience replay: learn new classes by angle alone, rehearse old ones by angle and norm.

A linear head's logit splits into two factors, w_c·h = ‖w_c‖‖h‖ · cos θ_c. The paper finds that the bias towards the newest
classes sits in the angle, while the norm remembers. UER therefore trains the current batch on scaled cosines, which
cannot raise the norm of new classes' weights, and the rehearsed batch on plain dot products, so that scale is learned
from the buffer, where old and new classes are balanced.

The knock-out swaps the factors: dot products on the current batch, cosines on the rehearsed one. All arms answer with
dot products, over the classes seen so far; the head has no bias term, and the gradient flows through both norms.
"""

import optax
import xarray as xr

from lifelong.exams import Accuracy, Bias, several
from lifelong.feedback import AngleCrossEntropy, CrossEntropy
from lifelong.lab import Arm, Claim, Control, Settings, Study
from lifelong.lab import measures as m
from lifelong.learners import GradientLearner
from lifelong.life import live
from lifelong.memory import Replay
from lifelong.nets import MLP
from lifelong.recipe import Recipe
from lifelong.teachers import AllAtOnce, OneByOne
from lifelong.worlds import Split, dataset

DOT, ANGLE = CrossEntropy(), AngleCrossEntropy(scale=10.0)


def lifetime(arm: Arm, settings: Settings, **options) -> xr.Dataset:
    """Live a single pass over a class-incremental stream, with one loss for new and one for rehearsed examples."""
    current, rehearsed = arm.build
    data = dataset(settings.world).take(per_class=settings.per_class).standardized()
    data = data.shuffled_labels(seed=0) if arm.role == "negative control" else data
    world = Split(data, settings.tasks, scenario="class", shuffle=True)
    steps = len(data.y_train) // settings.tasks // settings.batch
    learner = GradientLearner(
        Recipe(MLP, inputs=data.features, outputs=world.outputs, width=settings.width, depth=1, head_bias=False),
        feedback=current,
        optimizer=Recipe(optax.sgd, learning_rate=settings.learning_rate),
        memory=Replay(settings.buffer, settings.batch, feedback=rehearsed),
        batch=settings.batch,
    )
    teacher = AllAtOnce(settings.tasks) if arm.role == "positive control" else OneByOne(settings.tasks, steps)
    exam = several(Accuracy(), Bias())
    return live(learner, world, teacher, exam, steps=steps * settings.tasks, every=steps, **options).to_xarray()


def norm_ratio_from_one(life: xr.Dataset) -> xr.DataArray:
    """Return |log(‖w_new‖ / ‖w_old‖)| at the end: 0 where the last task's classes weigh as much as the others'."""
    norms = life.head_norm.isel(exam=-1)
    return abs(xr.ufuncs.log(norms.isel(task=-1) / norms.isel(task=slice(None, -1)).mean("task")))


study = Study(
    slug="uer",
    question="Does learning new classes by angle alone, and old ones by angle and norm, remove the recency bias of replay?",
    arms={
        "er": Arm("baseline", "dot products for new and rehearsed examples", (DOT, DOT)),
        "uer": Arm("method", "angle for new examples, dot products for rehearsed ones", (ANGLE, DOT)),
        "cosine": Arm("baseline", "angle for both: a cosine classifier", (ANGLE, ANGLE)),
        "swapped": Arm("knock-out", "dot products for new examples, angle for rehearsed ones", (DOT, ANGLE)),
        "joint": Arm("positive control", "all classes mixed from the start", (DOT, DOT)),
        "shuffled-labels": Arm("negative control", "ER on labels that mean nothing", (DOT, DOT), like="er"),
    },
    lifetime=lifetime,
    measures={
        "final_accuracy": m.final_accuracy,
        "forgetting": m.forgetting,
        "learning_accuracy": m.learning_accuracy,
        "answered_last_task": lambda life: life.answered.isel(exam=-1, task=-1),
        "norm_imbalance": norm_ratio_from_one,
    },
    claim=Claim(
        better="uer",
        than="er",
        on="final_accuracy",
        by=0.01,
        knockout="swapped",
        sentence="UER ends at a class-incremental accuracy at least one point above plain experience replay, and swapping "
        "the factors loses the gain.",
    ),
    controls=(
        Control("joint", "final_accuracy", above="er", because="seeing all classes at once is the upper bound"),
        Control(
            "er", "final_accuracy", at_least=0.2, because="replay must do better than answering the last task only"
        ),
        Control("shuffled-labels", "final_accuracy", at_least=0.05, at_most=0.15, because="chance is 1 in 10"),
    ),
    secondary=(
        Claim("uer", "cosine", "final_accuracy", sentence="UER also beats the cosine classifier."),
        Claim(
            "uer",
            "er",
            "answered_last_task",
            higher_is_better=False,
            sentence="UER gives fewer of its answers to the last task's classes.",
        ),
        Claim(
            "uer",
            "er",
            "norm_imbalance",
            higher_is_better=False,
            sentence="UER keeps the weights of new and old classes closer in norm.",
        ),
    ),
    settings={
        "world": "digits",
        "seeds": 16,
        "per_class": 130,
        "tasks": 5,
        "batch": 10,
        "width": 100,
        "learning_rate": 0.05,
        "buffer": 100,
    },
    budgets={"smoke": {"seeds": 2, "per_class": 40}, "quick": {"seeds": 8}, "full": {}},
    simplified="A perceptron on 8×8 digits, standardised, 130 examples a class in one pass, stands for a reduced ResNet-18 on "
    "CIFAR and Mini-ImageNet; no augmentation. The scale s = 1/τ = 10 is that of the authors' related code, not tuned. "
    "The paper's own code is not published: which classes enter the softmax and how it answers are inferred.",
)
