"""What signal experience gives: losses over models and experiences."""

from ._bregman import bregman as bregman
from ._bregman import half_square as half_square
from ._bregman import kullback_leibler as kullback_leibler
from ._bregman import negative_entropy as negative_entropy
from ._bregman import quadratic as quadratic
from ._bregman import squared_distance as squared_distance
from ._contrastive import Augmented as Augmented
from ._contrastive import class_means as class_means
from ._contrastive import prototype_contrast as prototype_contrast
from ._contrastive import supervised_contrast as supervised_contrast
from ._contrastive import unit_length as unit_length
from ._hypernetworks import TaskCrossEntropy as TaskCrossEntropy
from ._labels import FORBIDDEN as FORBIDDEN
from ._labels import AngleCrossEntropy as AngleCrossEntropy
from ._labels import CrossEntropy as CrossEntropy
from ._labels import Feedback as Feedback
from ._labels import Info as Info
from ._labels import PresentCrossEntropy as PresentCrossEntropy
from ._labels import cosines as cosines
from ._labels import cross_entropy_of as cross_entropy_of
from ._labels import permitted as permitted
from ._labels import weighted_mean as weighted_mean
from ._uncertain import FieldEnergy as FieldEnergy
from ._uncertain import SampledCrossEntropy as SampledCrossEntropy
from ._uncertain import log_mills as log_mills
from ._uncertain import log_tail as log_tail
