"""Sphinx's configuration. `make docs` builds with warnings as errors."""

import sys
from pathlib import Path

import hauberk

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Hauberk"
author = "The Hauberk authors"
copyright = "The Hauberk authors, Apache-2.0"
version = release = hauberk.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "hauberk_docs"]
exclude_patterns = ["_build", "_ext"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = [("Class attributes", "Attributes")]

html_theme = "furo"
html_title = f"Hauberk {release}"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
