"""What a learner knows, traced from its practice: models, their marks, and what to practise next."""

from ._marks import Marks as Marks
from ._marks import Reliability as Reliability
from ._marks import auc as auc
from ._marks import mark as mark
from ._marks import marks_of as marks_of
from ._marks import reliability as reliability
from ._rates import SkillRates as SkillRates
from ._recommend import Advice as Advice
from ._tracer import DoubtfulFit as DoubtfulFit
from ._tracer import Tracer as Tracer
from ._tracer import lane_of as lane_of
