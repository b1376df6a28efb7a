"""How a study's mechanism works, as its module says it: docstrings beside the code that they explain."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from html import escape
from itertools import groupby
from types import ModuleType
from typing import Any, NamedTuple

from minijinja import safe
from pygments import lex
from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String

from ._study import Study

UNEXPLAINED = "This study does not say how its mechanism works: its module has no docstring."

SOURCES = re.compile(
    r"\b(sections?|tables?|appendix|equations?|eqs?\.|algorithm|figures?|et al\.|repository|paper)\b", re.I
)
"""What a sentence says that names where something comes from."""


PIECES = re.compile(r"\n\s*\n|(?:^|\n)\s*Args:\s*|\n(?=\s{4}\w+(?:, \w+)*: )")
"""What parts the paragraphs of a docstring, and its arguments."""

COLOURS = {
    Keyword: "k",
    Operator.Word: "k",
    String: "s",
    Number: "n",
    Comment: "c",
    Name.Function: "d",
    Name.Class: "d",
    Name.Decorator: "d",
}
"""The classes of what is coloured, as page.css knows them."""

LEXER = PythonLexer(stripnl=False, ensurenl=False)

ABBREVIATED = re.compile(r"\b(et al|eqs?|sec|figs?|e\.g|i\.e)\. ", re.I)


class Part(NamedTuple):
    """A piece of a study's code, and in HTML what explains it; either may be empty."""

    words: str
    code: str


def mechanism(study: Study) -> str:
    """Return the docstring of the study's module as HTML paragraphs."""
    module = study.module
    return paragraphs((inspect.getdoc(module) if hasattr(module, "__file__") else None) or UNEXPLAINED)


def annotated(study: Study) -> list[Part]:
    """Return the study's module below its docstring, piece by piece, each with what explains it; none without a file."""
    module = study.module
    if module is None or not hasattr(module, "__file__"):
        return []
    text = inspect.getsource(module)
    body, lines = ast.parse(text).body, text.splitlines()
    body = body[1:] if _is_text(body[0]) else body
    parts = [Part(*pair) for node, after in _with_next(body) for pair in _explained(node, after, lines, module)]
    return list(_merged(parts))


def pieces(study: Study) -> list[dict[str, str]]:
    """Return the annotated code as a page takes it."""
    return [{"words": safe(part.words), "code": safe(coloured(part.code))} for part in annotated(study)]


def coloured(code: str) -> str:
    """Return Python as HTML in which keywords, strings, numbers, comments and names being defined can be told apart."""
    runs = groupby(lex(code, LEXER), lambda token: _colour(token[0]))
    return "".join(_span(colour, "".join(text for _, text in tokens)) for colour, tokens in runs)


def _colour(kind: Any) -> str:
    return next((COLOURS[above] for above in reversed(kind.split()) if above in COLOURS), "")


def _span(colour: str, text: str) -> str:
    shown = escape(text, quote=False)
    return f'<span class="{colour}">{shown}</span>' if colour else shown


def origins(study: Study) -> list[tuple[str, str]]:
    """Return the sentences that name a source and a number: the study's own, and of the parts that it is made of."""
    module = study.module
    found = [("this study", f"{getattr(module, '__doc__', None) or ''}\n\n{study.simplified}")]
    found += [(one.__name__, inspect.getdoc(one) or "") for one in _made_of(module)]
    pairs = [
        (name, sentence) for name, words in found for piece in PIECES.split(words) for sentence in _sentences(piece)
    ]
    return [(name, _inline(one)) for name, one in pairs if SOURCES.search(one) and re.search(r"\d", one)]


def _sentences(words: str) -> list[str]:
    """Return the sentences of a text; a few abbreviations do not end one."""
    text = ABBREVIATED.sub(lambda found: f"{found[1]}.\u00a0", " ".join(words.split()))
    return [one for one in re.split(r"(?<=[.!?]) +(?=[A-Z`\d])", text) if one]


def _made_of(module: ModuleType | None) -> list[type]:
    """Return the classes of the library that a module imports, its lab left out."""
    named = vars(module).values() if module else ()
    return [
        one
        for one in dict.fromkeys(value for value in named if isinstance(value, type))
        if one.__module__.startswith("lifelong.")
        and not one.__module__.startswith(("lifelong.lab", "lifelong.studies"))
    ]


def _with_next(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, ast.stmt | None]]:
    """Yield every statement with the text that follows it, if one does."""
    for node, after in zip(body, [*body[1:], None], strict=True):
        if not _is_text(node):
            yield node, after if after is not None and _is_text(after) else None


def _explained(
    node: ast.stmt, after: ast.stmt | None, lines: list[str], module: ModuleType
) -> Iterator[tuple[str, str]]:
    """Yield what explains a statement, and its code without that."""
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
    if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lifelong"):
        yield _imported(node, module), _code(lines, first, node.end_lineno)
    elif isinstance(node, ast.FunctionDef | ast.ClassDef) and _is_text(node.body[0]):
        text = node.body[0]
        rest = [_code(lines, first, text.lineno - 1), _code(lines, (text.end_lineno or 0) + 1, node.end_lineno)]
        yield paragraphs(ast.get_docstring(node) or ""), "\n".join(one for one in rest if one)
    elif _declares(node):
        yield from _declaration(node.value, lines, node)  # type: ignore[attr-defined]
    else:
        words = inspect.cleandoc(after.value.value) if after else ""  # type: ignore[attr-defined]
        yield paragraphs(words), _code(lines, first, node.end_lineno)


def _imported(node: ast.ImportFrom, module: ModuleType) -> str:
    """Return what the imported parts of the library are, in the first sentence of each."""
    if (node.module or "").startswith("lifelong.lab"):
        return ""
    known = [(one.asname or one.name, getattr(module, one.asname or one.name, None)) for one in node.names]
    said = [(name, _first(one)) for name, one in known if callable(one) and _first(one)]
    return "".join(f"<p><code>{escape(name)}</code> {_inline(words)}</p>" for name, words in said)


def _first(one: object) -> str:
    return (_sentences(inspect.getdoc(one) or "") or [""])[0]


def _declares(node: ast.stmt) -> bool:
    call = node.value if isinstance(node, ast.Assign) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Study"


def _declaration(call: ast.Call, lines: list[str], node: ast.stmt) -> Iterator[tuple[str, str]]:
    """Yield the fields of a study, explained by the docstring of `Study`."""
    meaning = dict(re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", inspect.getdoc(Study) or "", re.M))
    start = node.lineno
    for field in call.keywords:
        words = f"`{field.arg}`: {meaning.get(field.arg or '', '')}"
        yield paragraphs(words), _code(lines, start, field.end_lineno)
        start = (field.end_lineno or start) + 1
    yield "", _code(lines, start, node.end_lineno)


def _merged(parts: list[Part]) -> Iterator[Part]:
    """Yield parts, with code that nobody explains beside what explains the piece before it."""
    held = Part("", "")
    for part in parts:
        if held.code and part.words:
            yield held
            held = part
        else:
            held = Part(held.words or part.words, "\n".join(one for one in (held.code, part.code) if one))
    if held.code:
        yield held


def _code(lines: list[str], first: int, last: int | None) -> str:
    return "\n".join(lines[first - 1 : last])


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def paragraphs(words: str) -> str:
    """Return a docstring as HTML: paragraphs, lists and indented blocks; text in backquotes becomes code."""
    return "".join(_paragraph(part) for part in re.split(r"\n\s*\n", words) if part.strip())


def _paragraph(part: str) -> str:
    lines = part.splitlines()
    if all(line.startswith("    ") for line in lines):
        return f"<pre>{escape(textwrap.dedent(part))}</pre>"
    if lines[0].startswith("- "):
        items = re.split(r"\n- ", part[2:])
        return f"<ul>{''.join(f'<li>{_inline(item)}</li>' for item in items)}</ul>"
    return f"<p>{_inline(part)}</p>"


def _inline(words: str) -> str:
    text = re.sub(r"`+([^`]+)`+", r"<code>\1</code>", escape(" ".join(words.split()), quote=False))
    return re.sub(r"(?<![\w*])\*(\w+)\*(?![\w*])", r"<em>\1</em>", text)
