"""What comes next."""

from ._interest import OMNI as OMNI
from ._learning_progress import ALPGMM as ALPGMM
from ._learning_progress import CovarGMM as CovarGMM
from ._levels import PLR as PLR
from ._levels import Learnability as Learnability
from ._levels import max_monte_carlo as max_monte_carlo
from ._levels import positive_value_loss as positive_value_loss
from ._manual import InOrder as InOrder
from ._manual import Window as Window
from ._orders import AllAtOnce as AllAtOnce
from ._orders import Blurred as Blurred
from ._orders import OneByOne as OneByOne
from ._pacing import Subsets as Subsets
from ._pacing import constant as constant
from ._pacing import cyclical as cyclical
from ._pacing import exponential as exponential
from ._pacing import linear as linear
from ._pacing import stepwise as stepwise
from ._randomization import ADR as ADR
from ._recency import Only as Only
from ._recency import Recency as Recency
from ._regions import RIAC as RIAC
from ._requests import Requests as Requests
from ._searching import Searching as Searching
from ._searching import Uniform as Uniform
from ._teacher import Teacher as Teacher
