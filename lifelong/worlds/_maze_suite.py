"""Mazes drawn by hand, to ask what an agent has learned that never was in them."""

from ._maze_levels import MazeLevel, drawn_mazes

MAZE_SUITE = (
    "S...... ######. ######. ######. ######. ######. ######G",
    "S...... ######. #...... #.##### #...G.. ######. .......",
    "....... ######. #....#. #.##.#S #.#G.#. #.####. #......",
    "S..#... ...#... ....... ##.#.## ....... ...#... ...#..G",
    "S.#...# ..#.#.. #.#.#.# ..#.#G. .##.##. ....#.. ##..#..",
    "S#...#. .#.#.#. .#.#G#. .#.#.#. .#.#.#. .#.#.#. ...#...",
    "...#... .#.#.#. .#...#. .#.#.#. .##.##. S#...#G .......",
    "....... .#####. .#...#. .#.S.#. .#...#. .##.##. G......",
    "S...... .#.#.#. ....... .#.#.#. ....... .#.#.#. ......G",
    "....... .#####. .#...#. .#.G.#. .#...#. .##.##. S......",
    "S.....# #####.. ......# .###### ...G..# #####.. ......#",
    "...G... .#####. .#...#. .#.#.#. .#.#.#. ...#... ...S...",
)
"""Corridor, switchbacks, spiral, four rooms, labyrinth, comb, chambers, out of a room, pillars, into a room, zig-zag, hood."""


def maze_suite() -> MazeLevel:
    """Return twelve mazes of 7×7, stacked, with ways of 6 to 20 steps."""
    return drawn_mazes(*MAZE_SUITE)
