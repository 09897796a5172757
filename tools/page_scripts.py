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


def is_thebe(script):
    """By name or code. Pictures in the state of widgets may hold these letters by chance."""
    code = "" if "json" in script.attributes.get("type", "") else script.attributes.get("body", "")
    return "thebe" in f"{script.filename} {code}".lower()


def leave_out_thebe(app, page, template, context, doctree):
    """The theme adds Thebe's script twice, an error for the browser; no page here uses it."""
    scripts = context.get("script_files", [])
    context["script_files"] = [script for script in scripts if not is_thebe(script)]


def setup(app):
    app.connect("config-inited", use_fetched)
    app.connect("html-page-context", leave_out_thebe, priority=900)  # after all that add some
    return {"parallel_read_safe": True, "parallel_write_safe": True}
