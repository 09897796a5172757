"""A Sphinx extension: load each script of a page once, from this build if it was fetched.

`fetch_scripts.py` fetches the scripts. If it could not, the pages load them from their CDN.
"""

from pathlib import Path

FETCHED = ".venv/scripts"


def use_fetched(app, config):
    """Load MathJax and the widgets from the files of this build."""
    folder = Path(app.srcdir, FETCHED)
    if folder.exists():
        config.html_static_path.append(str(folder / "static"))
        config.html_extra_path.append(str(folder / "pages"))
        config.mathjax_path = "mathjax/tex-mml-chtml.js"
        config.nb_ipywidgets_js = {"require.js": {}, "embed-amd.js": {}}


def is_thebe(script):
    """Recognise Thebe's script by its name or its code.

    JSON doesn't count: the pictures in the state of widgets may contain these letters by chance.
    """
    code = "" if "json" in script.attributes.get("type", "") else script.attributes.get("body", "")
    return "thebe" in f"{script.filename} {code}".lower()


def leave_out_thebe(app, page, template, context, doctree):
    """Remove Thebe's script: no page uses it, and the theme adds it twice, which is an error."""
    scripts = context.get("script_files", [])
    context["script_files"] = [script for script in scripts if not is_thebe(script)]


def setup(app):
    app.connect("config-inited", use_fetched)
    app.connect("html-page-context", leave_out_thebe, priority=900)  # after whatever adds scripts
    return {"parallel_read_safe": True, "parallel_write_safe": True}
