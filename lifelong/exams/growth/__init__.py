"""Curves over time in classes: when their slope changes, who is in which class, and what explains the rest."""

from ._curves import Curves as Curves
from ._estimates import Estimate as Estimate
from ._estimates import Natural as Natural
from ._estimates import by_name as by_name
from ._estimates import estimated as estimated
from ._fit import Growths as Growths
from ._fit import fit_growths as fit_growths
from ._fit import memberships as memberships
from ._importance import Importance as Importance
from ._importance import importances as importances
from ._mixture import GrowthMixture as GrowthMixture
from ._shapes import SHAPES as SHAPES
from ._simulated import POPULATION as POPULATION
from ._simulated import GrowingStudents as GrowingStudents
from ._simulated import growing_students as growing_students
from ._simulated import posterior as posterior
