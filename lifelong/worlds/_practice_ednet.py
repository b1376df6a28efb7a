"""EdNet's folder of one file a student, read as one file of practice."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lifelong.errors import BadFile

from ._practice_columns import plain_name
from ._practice_files import LIST, NONE, PIECE, CSVFile, Piece, PracticeFile


class EdNetFolder(PracticeFile):
    """EdNet KT1 as published: a folder with one `u….csv` a student, and `questions.csv` there or in `contents` beside.

    An answer is right where it equals the question's `correct_answer`; skills are the question's tags.
    """

    def __init__(self, path: Path, encoding: str | None = None):
        super().__init__(path)
        self.files = sorted(path.glob("u*.csv"), key=lambda file: (len(file.name), file.name))
        places = [
            folder / "questions.csv" for folder in (path, path / "contents", path.parent / "contents", path.parent)
        ]
        questions = next((place for place in places if place.is_file()), None)
        if not self.files or questions is None:
            lacking = "files u….csv" if not self.files else "questions.csv, there or in `contents` beside it"
            raise BadFile(f"{path} is no folder of EdNet KT1: it has no {lacking}")
        if empty := sum(not file.stat().st_size for file in self.files):
            self.remarks.append(f"{empty:,} of {len(self.files):,} files are empty")
        self.questions = _by_first(questions, ("question_id", "correct_answer", "tags"))

    def names(self) -> list[str]:
        """Return the columns that files and questions make together."""
        return ["user_id", "question_id", "timestamp", "correct", "tags"]

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """Yield one piece for some students at a time."""
        rows: list[tuple[str, ...]] = []
        number = 0
        for last, file in enumerate(self.files, 1):
            rows += list(self._rows(file)) if file.stat().st_size else []
            if rows and (len(rows) >= PIECE or last == len(self.files)):
                turned = dict(zip(self.names(), map(list, zip(*rows, strict=True)), strict=True))
                yield Piece({name: turned[name] for name in columns}, np.arange(number, number + len(rows)), NONE)
                number, rows = number + len(rows), []

    def _rows(self, file: Path) -> Iterator[tuple[str, ...]]:
        whole = CSVFile(file)
        for piece in whole.pieces(("timestamp", "question_id", "user_answer")):
            for moment, question, answer in zip(*piece.columns.values(), strict=True):
                correct, tags = self.questions.get(question, ("", ""))
                grade = str(int(answer == correct)) if correct else "no such question"
                yield file.stem, question, moment, grade, tags.replace(";", LIST)


def _by_first(path: Path, columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return first column → the others, of a small CSV file."""
    file = CSVFile(path)
    missing = [column for column in columns if column not in map(plain_name, file.names())]
    if missing:
        raise BadFile(f"{path} has no column '{missing[0]}'; its columns are: {', '.join(file.names())}")
    table: dict[str, tuple[str, ...]] = {}
    for piece in file.pieces(columns):
        table |= {first: tuple(rest) for first, *rest in zip(*piece.columns.values(), strict=True)}
    return table
