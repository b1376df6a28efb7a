"""Where experience comes from. Names are loaded when first used, so that looking for data never waits for JAX."""

from typing import TYPE_CHECKING

from lifelong._lazily import lazily

if TYPE_CHECKING:
    from ._account import Account as Account
    from ._account import Fate as Fate
    from ._batch import Batch as Batch
    from ._batch import Lesson as Lesson
    from ._batch import Mixture as Mixture
    from ._batch import Rows as Rows
    from ._batch import empty_batch as empty_batch
    from ._block_plans import after_move as after_move
    from ._block_plans import allowed_moves as allowed_moves
    from ._block_plans import every_plan as every_plan
    from ._blocks import Blocks as Blocks
    from ._bursty_sequences import BurstySequences as BurstySequences
    from ._causal import Causal as Causal
    from ._classic_control import Acrobot as Acrobot
    from ._classic_control import CartPole as CartPole
    from ._classic_control import MountainCar as MountainCar
    from ._composed import ComposedOperations as ComposedOperations
    from ._composed import Composites as Composites
    from ._concepts import BooleanConcepts as BooleanConcepts
    from ._corridor import Corridor as Corridor
    from ._corruption import Corruption as Corruption
    from ._cubes import Cubes as Cubes
    from ._embedded import Embedded as Embedded
    from ._environment import Box as Box
    from ._environment import Discrete as Discrete
    from ._environment import Environment as Environment
    from ._environment import Outcome as Outcome
    from ._environment import Several as Several
    from ._environment import Situation as Situation
    from ._environment import Vectors as Vectors
    from ._episodes import Episode as Episode
    from ._episodes import Episodes as Episodes
    from ._few_shot import FewShot as FewShot
    from ._few_shot import FewShotClasses as FewShotClasses
    from ._few_shot import Points as Points
    from ._game24 import Game24 as Game24
    from ._glimpses import Glimpses as Glimpses
    from ._glimpses import glimpses as glimpses
    from ._in_context import InContext as InContext
    from ._in_context import answers as answers
    from ._in_context import labelled as labelled
    from ._kvbio import KvBio as KvBio
    from ._latent_factors import LatentFactors as LatentFactors
    from ._leap import Leap as Leap
    from ._lexicon import Lexicon as Lexicon
    from ._lexicon import padded as padded
    from ._making import LatentMazes as LatentMazes
    from ._making import Making as Making
    from ._making import PlacingMazes as PlacingMazes
    from ._maze import Maze as Maze
    from ._maze_levels import MazeLevel as MazeLevel
    from ._maze_levels import any_maze as any_maze
    from ._maze_levels import distances as distances
    from ._maze_levels import drawing as drawing
    from ._maze_levels import drawn_mazes as drawn_mazes
    from ._maze_levels import mutated_maze as mutated_maze
    from ._maze_levels import placed_maze as placed_maze
    from ._maze_levels import random_maze as random_maze
    from ._maze_levels import shortest_path as shortest_path
    from ._maze_sequences import MazeSequences as MazeSequences
    from ._maze_sequences import maze_sequence as maze_sequence
    from ._maze_sequences import sequence_maze as sequence_maze
    from ._maze_suite import MAZE_SUITE as MAZE_SUITE
    from ._maze_suite import maze_suite as maze_suite
    from ._neurons import NeuralPopulation as NeuralPopulation
    from ._neurons import NeuralViews as NeuralViews
    from ._omniglot import omniglot as omniglot
    from ._opchain import ChainSteps as ChainSteps
    from ._opchain import OpChain as OpChain
    from ._opsearch import OpSearch as OpSearch
    from ._passes import Passes as Passes
    from ._patterns import Patterns as Patterns
    from ._patterns import dataset_entropy as dataset_entropy
    from ._practice import UNGRADED as UNGRADED
    from ._practice import PracticeLog as PracticeLog
    from ._practice import Vocabulary as Vocabulary
    from ._practice_reader import practice_log as practice_log
    from ._problems import Problems as Problems
    from ._problems import Verdicts as Verdicts
    from ._problems import few as few
    from ._problems import transcripts as transcripts
    from ._projected_sequences import ProjectedSequences as ProjectedSequences
    from ._projected_tasks import ProjectedTasks as ProjectedTasks
    from ._requests import read_requests as read_requests
    from ._sequences import Sequences as Sequences
    from ._sequences import buckets as buckets
    from ._sequences import sequences as sequences
    from ._shortcut import Shortcut as Shortcut
    from ._shuffle import shuffled as shuffled
    from ._sines import Sines as Sines
    from ._sources import Dataset as Dataset
    from ._sources import dataset as dataset
    from ._stream import Scenario as Scenario
    from ._stream import Split as Split
    from ._stream import Stream as Stream
    from ._stream import Transformed as Transformed
    from ._tasks import TaskBox as TaskBox
    from ._tasks import TaskList as TaskList
    from ._tasks import TaskMaker as TaskMaker
    from ._tasks import TaskSpace as TaskSpace
    from ._tasks import Trial as Trial
    from ._tasks import task_space as task_space
    from ._teacher_student import TeacherStudent as TeacherStudent
    from ._tech_tree import Feat as Feat
    from ._tech_tree import TechTree as TechTree
    from ._transforms import Transform as Transform
    from ._transforms import permutation as permutation
    from ._transforms import rotation as rotation
    from ._views import RandomViews as RandomViews
    from ._walker import Walker as Walker
    from ._world import Pages as Pages
    from ._world import World as World

_HOMES = {
    "_account": ("Account", "Fate"),
    "_batch": ("Batch", "Lesson", "Mixture", "Rows", "empty_batch"),
    "_latent_factors": ("LatentFactors",),
    "_lexicon": ("Lexicon", "padded"),
    "_block_plans": ("after_move", "allowed_moves", "every_plan"),
    "_blocks": ("Blocks",),
    "_causal": ("Causal",),
    "_game24": ("Game24",),
    "_kvbio": ("KvBio",),
    "_opchain": (
        "ChainSteps",
        "OpChain",
    ),
    "_opsearch": ("OpSearch",),
    "_problems": (
        "Problems",
        "Verdicts",
        "few",
        "transcripts",
    ),
    "_practice": ("UNGRADED", "PracticeLog", "Vocabulary"),
    "_practice_reader": ("practice_log",),
    "_sequences": ("Sequences", "buckets", "sequences"),
    "_shortcut": ("Shortcut",),
    "_composed": ("ComposedOperations", "Composites"),
    "_bursty_sequences": ("BurstySequences",),
    "_classic_control": ("Acrobot", "CartPole", "MountainCar"),
    "_concepts": ("BooleanConcepts",),
    "_corridor": ("Corridor",),
    "_corruption": ("Corruption",),
    "_cubes": ("Cubes",),
    "_embedded": ("Embedded",),
    "_environment": ("Box", "Discrete", "Environment", "Outcome", "Several", "Situation", "Vectors"),
    "_episodes": ("Episode", "Episodes"),
    "_few_shot": ("FewShot", "FewShotClasses", "Points"),
    "_leap": ("Leap",),
    "_making": ("LatentMazes", "Making", "PlacingMazes"),
    "_maze": ("Maze",),
    "_maze_levels": (
        "MazeLevel",
        "any_maze",
        "distances",
        "drawing",
        "drawn_mazes",
        "mutated_maze",
        "placed_maze",
        "random_maze",
        "shortest_path",
    ),
    "_maze_suite": ("MAZE_SUITE", "maze_suite"),
    "_maze_sequences": ("MazeSequences", "maze_sequence", "sequence_maze"),
    "_omniglot": ("omniglot",),
    "_glimpses": ("Glimpses", "glimpses"),
    "_neurons": ("NeuralPopulation", "NeuralViews"),
    "_in_context": ("InContext", "answers", "labelled"),
    "_projected_sequences": ("ProjectedSequences",),
    "_passes": ("Passes",),
    "_patterns": ("Patterns", "dataset_entropy"),
    "_projected_tasks": ("ProjectedTasks",),
    "_requests": ("read_requests",),
    "_shuffle": ("shuffled",),
    "_sines": ("Sines",),
    "_sources": ("Dataset", "dataset"),
    "_stream": ("Scenario", "Split", "Stream", "Transformed"),
    "_tasks": ("TaskBox", "TaskList", "TaskMaker", "TaskSpace", "Trial", "task_space"),
    "_teacher_student": ("TeacherStudent",),
    "_tech_tree": ("Feat", "TechTree"),
    "_transforms": ("Transform", "permutation", "rotation"),
    "_views": ("RandomViews",),
    "_walker": ("Walker",),
    "_world": ("Pages", "World"),
}

__getattr__, __dir__ = lazily(__name__, _HOMES)
