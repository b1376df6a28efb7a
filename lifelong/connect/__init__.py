"""Doors to other ecosystems: scikit-learn, Gymnasium, chat models, language models, exports. Names load when first used."""

from typing import TYPE_CHECKING

from lifelong._lazily import lazily

if TYPE_CHECKING:
    from ._chat import ChatModel as ChatModel
    from ._checkpoints import load_language_model as load_language_model
    from ._checkpoints import save_language_model as save_language_model
    from ._estimator import ContinualClassifier as ContinualClassifier
    from ._export import export as export
    from ._gymnasium import TeachGymnasium as TeachGymnasium
    from ._improving import METHODS as METHODS
    from ._improving import Improvement as Improvement
    from ._improving import improve as improve
    from ._names import memories as memories
    from ._problem_file import ProblemFile as ProblemFile
    from ._problem_file import read_problems as read_problems
    from ._report import Report as Report
    from ._tokenizer import Tokenizer as Tokenizer
    from ._verifier import Verifier as Verifier

_HOMES = {
    "_chat": ("ChatModel",),
    "_checkpoints": ("load_language_model", "save_language_model"),
    "_estimator": ("ContinualClassifier",),
    "_export": ("export",),
    "_gymnasium": ("TeachGymnasium",),
    "_improving": ("METHODS", "Improvement", "improve"),
    "_names": ("memories",),
    "_problem_file": ("ProblemFile", "read_problems"),
    "_report": ("Report",),
    "_tokenizer": ("Tokenizer",),
    "_verifier": ("Verifier",),
}

__getattr__, __dir__ = lazily(__name__, _HOMES)
