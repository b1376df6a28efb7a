"""What a learner knows, traced from its practice: models, their marks, and what to practise next."""

from ._bkt import BKT as BKT
from ._factors import AFM as AFM
from ._factors import DAS3H as DAS3H
from ._factors import PFA as PFA
from ._factors import BestLR as BestLR
from ._half_life import HalfLife as HalfLife
from ._individual import IndividualBKT as IndividualBKT
from ._irt import Rasch as Rasch
from ._irt import TwoParameterIRT as TwoParameterIRT
from ._logistic import Logistic as Logistic
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
