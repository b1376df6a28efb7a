"""What comes next."""

from ._mastery import Mastery as Mastery
from ._mastery import MasteryTeacher as MasteryTeacher
from ._orders import AllAtOnce as AllAtOnce
from ._orders import Blend as Blend
from ._orders import Blurred as Blurred
from ._orders import OneByOne as OneByOne
from ._orders import Timetable as Timetable
from ._recency import Only as Only
from ._recency import Recency as Recency
from ._requests import Requests as Requests
from ._teacher import Teacher as Teacher
