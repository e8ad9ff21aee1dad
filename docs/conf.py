"""The site: `sphinx-build -W --keep-going -n docs docs/_build/html`, with fastlr[docs] installed.

Pages are Markdown that a code host shows, too; tests/test_docs.py runs their code.
"""

import sys
from pathlib import Path

import fastlr

sys.path.insert(0, str(Path(__file__).parent))  # for _stories.py

project = "fastlr"
author = "The fastlr developers"
copyright = author
version = release = fastlr.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
default_role = "code"  # `coef_` in docstrings
highlight_language = "text"  # fences without a language show what a program has printed

html_theme = "pydata_sphinx_theme"
html_title = f"fastlr {release}"
html_theme_options = {
    "show_toc_level": 2,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "footer_end": [],
}
# Pages that stand alone have nothing to list there, and stories need the room for their code.
ALONE = (
    "benchmarks", "changelog", "compatibility", "contributing", "design", "faq", "gallery", "math",
    "migration", "performance", "quickstart", "security", "stories/*",
)  # fmt: skip
html_sidebars = {page: [] for page in ALONE}
smartquotes = False  # X' is a transpose, "auto" a string
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False

# Links to headings, as a code host makes them: two levels and one more.
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

autodoc_typehints = "none"  # numpydoc's tables tell types in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the template of classes does


def skip_inherited(app, what, name, obj, skip, options):
    """Methods of scikit-learn's own base classes are described there."""
    module = getattr(obj, "__module__", None) or ""
    return True if callable(obj) and not module.startswith("fastlr") else None


sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "stories",
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"^_",
    "reset_argv": "_stories.arguments",
    "reset_modules": ("matplotlib", "_stories.prepare"),
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,
    "download_all_examples": False,
    "show_signature": False,
    "plot_gallery": "True",
}


def setup(app):
    app.connect("autodoc-skip-member", skip_inherited)
