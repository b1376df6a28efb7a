"""Pictures of a life, and how notebooks show it."""

import io
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from lifelong.errors import UnknownName
from lifelong.exams import forgetting, mean_interval

from ._life import Result

if TYPE_CHECKING:
    from ._life import Life

PANELS = 6
"""Swept values that are drawn side by side."""

INK = "#1a1b1c"
"""The colour of text and axes; notebooks show it in their own text colour."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#B65C93", "#7A6A00", "#6E6E6E")
"""Okabe and Ito's colours, which colour-blind readers tell apart; the pale ones darkened to be seen on white and black."""

STYLES = ("-", (0, (5, 2)), (0, (1, 1.3)), (0, (7, 2, 1, 2)), (0, (9, 3)), (0, (3, 1.5, 1, 1.5, 1, 1.5)))
"""A pattern for each colour, so that lines differ without colours too."""

SHADES = LinearSegmentedColormap.from_list("shades", [(0.2, 0.5, 0.8, 0.0), (0.2, 0.5, 0.8, 0.6)])
"""From nothing to a blue on which text can be read, dark on white or light on black."""

LEGEND = {"loc": "outside right upper", "frameon": False, "labelcolor": INK, "fontsize": 8, "handlelength": 3.2}


class Picture(Figure):
    """A Matplotlib figure that notebooks show by itself, on any background; pyplot has no part in it."""

    def _repr_html_(self) -> str:
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lifelong"}):
            file = io.StringIO()
            nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
            self.savefig(file, format="svg", transparent=True, metadata=nothing)
        svg = file.getvalue()
        return svg[svg.index("<svg") :].replace(INK, "currentColor")


class Panel(NamedTuple):
    """The lanes of one swept value: all seeds of it."""

    title: str
    place: tuple[int, ...]


class Plots:
    """Pictures of one life, as Matplotlib figures: `life.plot.matrix()`, `life.plot.curves()`.

    A life with swept values has one panel a value; where they are more than six, six of them are drawn, evenly spread.
    """

    def __init__(self, life: "Life"):
        self.life = life

    def matrix(self) -> Picture:
        """Draw accuracy (in per cent, mean over seeds) on every task after every finished task.

        Tasks are taken to be learned in their order: cells of later tasks are muted. Raises `BadInput` where the
        teacher announced no ends of tasks.
        """
        matrix = self.life.matrix
        exams, tasks = matrix.shape[-2:]
        side = 0.38 * max(tasks, 4) + 0.9
        figure, axes = _figure(self.life, side, side * (exams + 1) / (tasks + 1) + 0.3)
        for panel, ax in axes:
            _heat(ax, _mean(matrix[panel.place]))
        axes[0][1].set_ylabel("exam after task", color=INK)
        return figure

    def curves(self, name: str = "accuracy") -> Picture:
        """Draw one exam result over the steps of the life: task by task, seeds thin, their mean thick.

        Ends of tasks are vertical lines. Raises `UnknownName` where the exam has no such result.
        """
        if name not in self.life.exams:
            raise UnknownName("exam result", name, self.life.exams)
        values = self.life.exams[name]
        values = values.reshape(*values.shape[: len(self.life.dims) + 1], -1)
        figure, axes = _figure(self.life, 3.4 if len(self.life.dims) > 1 else 5.2, 2.8)
        for panel, ax in axes:
            self._curves_on(ax, values[panel.place])
            ax.set_xlabel("step", color=INK)
        axes[0][1].set_ylabel(name, color=INK)
        if values.shape[-1] > 1:
            what = (self.life.exam_dims.get(name) or ("part",))[-1]
            figure.legend(*axes[0][1].get_legend_handles_labels(), title=what, **LEGEND)
        return figure

    def _curves_on(self, ax: Axes, values: np.ndarray) -> None:
        """Draw values [seed, exam, line] over the steps at which exams were sat."""
        steps = self.life.exam_steps
        for end in self.life.ends:
            ax.axvline(end, color=INK, alpha=0.25, linewidth=0.6)
        for i in range(values.shape[-1]):
            style = {"color": COLOURS[i % len(COLOURS)], "linestyle": STYLES[i % len(STYLES)]}
            ax.plot(steps, values[..., i].T, color=style["color"], linewidth=0.5, alpha=0.35)
            ax.plot(steps, _mean(values[..., i]), linewidth=1.8, label=str(i + 1), **style)
        _tidy(ax)


def panels_of(life: "Life") -> list[Panel]:
    """Return one panel for every combination of swept values, six at most."""
    names = [name for name in life.dims if name != "seed"]
    places = list(np.ndindex(*(len(life.dims[name]) for name in names)))
    chosen = np.unique(np.linspace(0, len(places) - 1, min(PANELS, len(places))).round().astype(int))

    def title(place: tuple[int, ...]) -> str:
        values = ((name.split(".")[-1], life.dims[name][i]) for name, i in zip(names, place, strict=True))
        return ", ".join(f"{name} = {value:g}" for name, value in values)

    return [Panel(title(places[i]), places[i]) for i in chosen]


def as_html(life: "Life") -> str:
    """Return a small table of what came out beside the two pictures, for notebooks."""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in _facts(life))
    box = "display:flex;flex-wrap:wrap;gap:1.5em;align-items:flex-start"
    return f'<div style="{box}"><table style="text-align:left;color:inherit">{rows}</table>{"".join(_pictures(life))}</div>'


def _facts(life: "Life") -> Iterator[tuple[str, str]]:
    """Yield what a reader wants first, as names and values."""
    for panel in panels_of(life) if "accuracy" in life.exams else ():
        where = f", {panel.title}" if panel.title else ""
        yield f"final accuracy{where}", _estimate(life.final[panel.place])
        yield f"forgetting{where}", _forgetting(life, panel)
    ended = {result.name: life.results.count(result) for result in Result if result in life.results}
    yield "lanes", f"{len(life.results)}: " + ", ".join(f"{count} {name}" for name, count in ended.items())
    if len(life.exam_steps):
        yield "steps", f"{life.exam_steps[-1]:,}"


def _forgetting(life: "Life", panel: Panel) -> str:
    if not len(life.ends):
        return "undefined: no ends of tasks were announced"
    matrix = life.matrix
    if matrix.shape[-1] != matrix.shape[-2]:
        return f"undefined: {matrix.shape[-2]} ends of tasks for {matrix.shape[-1]} tasks"
    return _estimate(forgetting(matrix[panel.place])) if matrix.shape[-1] > 1 else "undefined: there is one task only"


def _estimate(values: np.ndarray) -> str:
    """Return mean and 95 % interval of shares over lanes; lanes without a value are named."""
    values = values.ravel()
    finite = values[np.isfinite(values)]
    rest = f"; {len(values) - len(finite)} of {len(values)} lanes undefined" if len(finite) < len(values) else ""
    if not len(finite):
        return "undefined on every lane"
    if len(finite) == 1:
        return f"{100 * finite[0]:.1f} % on one lane{rest}"
    interval = mean_interval(finite)
    return f"{100 * finite.mean():.1f} % ({100 * interval.low:.1f} to {100 * interval.high:.1f}{rest})"


def _pictures(life: "Life") -> Iterator[str]:
    if "accuracy" in life.exams and len(life.ends):
        yield f"<div>{Plots(life).matrix()._repr_html_()}</div>"
    if life.exams:
        name = "accuracy" if "accuracy" in life.exams else next(iter(life.exams))
        yield f"<div>{Plots(life).curves(name)._repr_html_()}</div>"


def _figure(life: "Life", width: float, height: float) -> tuple[Picture, list[tuple[Panel, Axes]]]:
    """Return a picture with axes of a size (in inches) for every panel, at most three in a row."""
    panels, values = panels_of(life), np.prod([len(life.dims[name]) for name in life.dims if name != "seed"])
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure = Picture(figsize=(columns * width + 0.6, rows * height), layout="constrained")
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(len(panels))]
    for panel, ax in zip(panels, axes, strict=True):
        ax.set_title(panel.title, color=INK, fontsize=9)
    if len(panels) < values:
        figure.suptitle(f"{len(panels)} of {values:.0f} swept values", color=INK, fontsize=9)
    return figure, list(zip(panels, axes, strict=True))


def _heat(ax: Axes, matrix: np.ndarray) -> None:
    """Draw a matrix [exam, task] of shares with its numbers; tasks after an exam's own are muted and have no shade."""
    exams, tasks = matrix.shape
    later = np.arange(tasks) > np.arange(exams)[:, None]
    ax.pcolormesh(np.where(later, np.nan, matrix), cmap=SHADES, vmin=0, vmax=1, edgecolors="none")
    for k, i in np.ndindex(exams, tasks):
        words = f"{100 * matrix[k, i]:.0f}" if np.isfinite(matrix[k, i]) else "–"
        place = {"ha": "center", "va": "center", "fontsize": 8}
        ax.text(i + 0.5, k + 0.5, words, color=INK, alpha=0.6 if later[k, i] else 1.0, **place)
    ax.set(xticks=np.arange(tasks) + 0.5, xticklabels=range(1, tasks + 1), aspect="equal")
    ax.set(yticks=np.arange(exams) + 0.5, yticklabels=range(1, exams + 1))
    ax.invert_yaxis()
    ax.set_xlabel("task", color=INK)
    _tidy(ax)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def _tidy(ax: Axes) -> None:
    ax.tick_params(colors=INK, labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[:].set_color(INK)


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over lanes (first axis) of what is defined, NaN where nothing is."""
    defined = np.isfinite(values)
    total = np.where(defined, values, 0.0).sum(0)
    return np.where(defined.any(0), total / np.maximum(defined.sum(0), 1), np.nan)
