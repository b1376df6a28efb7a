"""Where experience comes from."""

from ._batch import Batch as Batch
from ._batch import Lesson as Lesson
from ._batch import Mixture as Mixture
from ._batch import empty_batch as empty_batch
from ._shuffle import shuffled as shuffled
from ._sources import Dataset as Dataset
from ._sources import dataset as dataset
from ._stream import Scenario as Scenario
from ._stream import Split as Split
from ._stream import Stream as Stream
from ._stream import Transformed as Transformed
from ._transforms import Transform as Transform
from ._transforms import permutation as permutation
from ._transforms import rotation as rotation
from ._world import Pages as Pages
from ._world import World as World
