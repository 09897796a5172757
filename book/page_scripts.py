"""A Sphinx extension: each script of a page once, and from this build where it was fetched.

`fetch_scripts.py` fetches them. Where it could not, the pages take them from their CDN.
"""

from pathlib import Path

FETCHED = ".venv/scripts"


def use_fetched(app, config):
    """Point MathJax and the widgets at the files of this build."""
    folder = Path(app.srcdir, FETCHED)
    if folder.exists():
        config.html_static_path.append(str(folder / "static"))
        config.html_extra_path.append(str(folder / "pages"))
        config.mathjax_path = "mathjax/tex-mml-chtml.js"
        config.nb_ipywidgets_js = {"require.js": {}, "embed-amd.js": {}}


def leave_out_thebe(app, page, template, context, doctree):
    """The theme adds Thebe's script twice, an error for the browser; no page here uses it."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in f"{script.filename} {script.attributes.get('body', '')}".lower()
    ]


def setup(app):
    app.connect("config-inited", use_fetched)
    app.connect("html-page-context", leave_out_thebe, priority=900)  # after all that add some
    return {"parallel_read_safe": True, "parallel_write_safe": True}
