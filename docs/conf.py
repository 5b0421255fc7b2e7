"""How the documentation is built: `make docs`."""

project = "Sparekey"
copyright = "the Sparekey authors"  # the name is Sphinx's
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Sparekey"
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
