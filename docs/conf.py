"""How the documentation is built: `make docs`. Nothing on its pages is loaded from elsewhere."""

import inspect
import os
import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import reference_pages  # noqa: E402

project = "lifelong"
author = copyright = "The lifelong authors"
release = version = installed("lifelong")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["*.py"]

html_theme = "furo"
html_title = "lifelong"
html_static_path = ["_static"]
html_css_files = ["lifelong.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"top_of_page_buttons": []}
html_context = {"atlas": os.environ.get("LIFELONG_ATLAS", "atlas/index.html")}
templates_path = ["_templates"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/atlas.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing", "ref.python"]  # pages also link to files beside them on GitHub

default_role = "code"
autodoc_default_options = {"members": True, "imported-members": True, "undoc-members": False}
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
add_module_names = False
napoleon_custom_sections = [("Day-to-day arguments", "params_style"), ("Other arguments", "params_style")]


def plain(app, what, name, obj, options, lines):
    """Docstrings are prose with equations, not reStructuredText: what would be markup there is taken as written."""
    lines[:] = [reference_pages.prose(line) for line in lines]


def ours(app, what, name, obj, skip, options):
    """Leave out what a package imports from elsewhere."""
    module = getattr(obj, "__module__", None) or ""
    foreign = (inspect.isclass(obj) or inspect.isfunction(obj)) and not module.startswith("lifelong")
    return True if foreign else None


FOR_ALL = {
    "<pre>": '<pre tabindex="0">',
    'role="heading">': 'role="heading" aria-level="2">',
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="All pages">',
    '<aside class="toc-drawer">': '<aside class="toc-drawer" aria-label="On this page">',
}
"""What the theme leaves out for readers without a mouse or without sight."""


def for_all(app, error):
    """Mend the pages for all readers."""
    for page in () if error else Path(app.outdir).rglob("*.html"):
        text = mended = page.read_text(encoding="utf-8")
        for old, new in FOR_ALL.items():
            mended = mended.replace(old, new)
        if mended != text and "atlas" not in page.relative_to(app.outdir).parts:
            page.write_text(mended, encoding="utf-8")


def setup(app):
    """Let the docstrings be read as they are written, and the pages by everybody."""
    app.connect("builder-inited", lambda app: reference_pages.write(Path(app.srcdir) / "reference"))
    app.connect("autodoc-process-docstring", plain, priority=100)
    app.connect("build-finished", for_all)
    app.connect("autodoc-skip-member", ours)
