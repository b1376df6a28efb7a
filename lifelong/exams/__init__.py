"""How to know what has been learned."""

from ._accuracy import Accuracy as Accuracy
from ._exam import Exam as Exam
from ._statistics import mean_interval as mean_interval
