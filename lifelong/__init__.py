"""For anything that learns over time: what to show it next, what it keeps, what it forgets, how to know what it learned.

Names are loaded when first used, so `import lifelong` costs nothing; the guard against a hang of JAX's CPU runtime is set
here, before JAX starts.
"""

from typing import TYPE_CHECKING

from . import _runtime as _runtime
from ._lazily import lazily

if TYPE_CHECKING:
    from .connect import ContinualClassifier as ContinualClassifier
    from .exams import Accuracy as Accuracy
    from .exams import Exam as Exam
    from .feedback import CrossEntropy as CrossEntropy
    from .feedback import Feedback as Feedback
    from .learners import GradientLearner as GradientLearner
    from .learners import Learner as Learner
    from .life import Life as Life
    from .life import live as live
    from .memory import Memory as Memory
    from .memory import Replay as Replay
    from .memory import chain as chain
    from .nets import MLP as MLP
    from .nets import ConvNet as ConvNet
    from .recipe import Recipe as Recipe
    from .teachers import AllAtOnce as AllAtOnce
    from .teachers import Blurred as Blurred
    from .teachers import OneByOne as OneByOne
    from .teachers import Teacher as Teacher
    from .worlds import Dataset as Dataset
    from .worlds import Split as Split
    from .worlds import Transformed as Transformed
    from .worlds import World as World
    from .worlds import dataset as dataset

__version__ = "0.1.0"

_HOMES = {
    "connect": ("ContinualClassifier",),
    "exams": ("Accuracy", "Exam"),
    "feedback": ("CrossEntropy", "Feedback"),
    "learners": ("GradientLearner", "Learner"),
    "life": ("Life", "live"),
    "memory": ("Memory", "Replay", "chain"),
    "nets": ("MLP", "ConvNet"),
    "recipe": ("Recipe",),
    "teachers": ("AllAtOnce", "Blurred", "OneByOne", "Teacher"),
    "worlds": ("Dataset", "Split", "Transformed", "World", "dataset"),
}

__getattr__, __dir__ = lazily(__name__, _HOMES)
