"""What comes next."""

from ._learning_progress import ALPGMM as ALPGMM
from ._learning_progress import CovarGMM as CovarGMM
from ._orders import AllAtOnce as AllAtOnce
from ._orders import Blurred as Blurred
from ._orders import OneByOne as OneByOne
from ._recency import Only as Only
from ._recency import Recency as Recency
from ._requests import Requests as Requests
from ._searching import Searching as Searching
from ._searching import Uniform as Uniform
from ._teacher import Teacher as Teacher
