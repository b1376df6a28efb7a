"""How a study's mechanism works, as its module says it: docstring and code."""

import inspect
import re
import textwrap
from html import escape

from ._study import Study

UNEXPLAINED = "This study does not say how its mechanism works: its module has no docstring."


def mechanism(study: Study) -> str:
    """Return the docstring of the study's module as HTML paragraphs."""
    module = study.module
    words = inspect.getdoc(module) if hasattr(module, "__file__") else None
    return "".join(_paragraph(part) for part in re.split(r"\n\s*\n", words or UNEXPLAINED))


def code(study: Study) -> str:
    """Return the text of the study's module below its docstring, empty where it has no file."""
    module = study.module
    if not hasattr(module, "__file__"):
        return ""
    text = inspect.getsource(module)  # type: ignore[arg-type]
    return text.split('"""', 2)[-1].lstrip() if module.__doc__ else text


def _paragraph(part: str) -> str:
    """Return one paragraph, list or indented block; text in backquotes becomes code."""
    lines = part.splitlines()
    if all(line.startswith("    ") for line in lines):
        return f"<pre>{escape(textwrap.dedent(part))}</pre>"
    if lines[0].startswith("- "):
        items = re.split(r"\n- ", part[2:])
        return f"<ul>{''.join(f'<li>{_inline(item)}</li>' for item in items)}</ul>"
    return f"<p>{_inline(part)}</p>"


def _inline(words: str) -> str:
    return re.sub(r"`+([^`]+)`+", r"<code>\1</code>", escape(" ".join(words.split()), quote=False))
