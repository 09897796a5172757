"""A Sphinx extension: what sliders show is fetched when a reader comes near them.

The pictures of a page's sliders are megabytes of one script, which a browser reads before the first
words. It moves into a file beside the page, which `widgets.js` asks for. Until then, and on paper,
the output shows the picture at which its sliders start.
"""

import base64
import hashlib
import html
import json
import os
import re
from pathlib import Path

STATE = re.compile(
    r'<script type="application/vnd\.jupyter\.widget-state\+json">(.*?)</script>\s*'
    r'((?:<script [^>]*src="[^"]*(?:require|embed-amd)[^"]*"[^>]*></script>\s*)+)',
    re.DOTALL,
)
VIEW = re.compile(
    r'<script type="application/vnd\.jupyter\.widget-view\+json">(.*?)</script>', re.DOTALL
)
PICTURE = re.compile(r"data:image/(\w+);base64,([\w+/=]+)")
# Run as a file, it puts the state back where the widgets' own script looks for it.
FETCHED = """document.head.append(Object.assign(document.createElement("script"), {{
  type: "application/vnd.jupyter.widget-state+json",
  textContent: {text},
}}));
"""


def parted(page: str, name: str) -> tuple[str, str] | None:
    """Return a page without the state of its widgets, and the script `name` that brings it.

    A page without widgets, or one that was parted before, gives None.
    """
    found = STATE.search(page)
    if found is None:
        return None
    models = {key: model["state"] for key, model in json.loads(found[1])["state"].items()}
    scripts = f'<script src="{name}"></script>{found[2].strip()}'
    late = f'<template id="late-scripts">{scripts}</template>\n'
    rest = page[: found.start()] + late + page[found.end() :]
    shown = VIEW.sub(lambda view: still(models, json.loads(view[1])["model_id"]) + view[0], rest)
    return shown, FETCHED.format(text=json.dumps(found[1]))


def still(models: dict, root: str) -> str:
    """Return the HTML of what an output shows before anyone moves its sliders."""
    parts = [_first(models, child) for child in _children(models, models[root])]
    moved = ", ".join(words for model in _below(models, models[root]) if (words := _stands(model)))
    return (
        f'<div class="still">{"".join(parts)}'
        f'<p class="still-words">One of several pictures; the online page has the others. '
        f"Here: {moved}.</p></div>"
    )


def _children(models, model):
    return [models[child.removeprefix("IPY_MODEL_")] for child in model.get("children", ())]


def _below(models, model):
    yield model
    for child in _children(models, model):
        yield from _below(models, child)


def _first(models, model):
    """Return the HTML of a model: of a stack, only what it shows first."""
    if model["_model_name"] == "StackModel":
        return _first(models, _children(models, model)[model["selected_index"]])
    return model["value"] if model["_model_name"] == "HTMLModel" else ""


def _stands(model):
    """Say in words where a control stands."""
    if model["_model_name"] not in ("SelectionSliderModel", "ToggleButtonsModel"):
        return ""
    label = model["_options_labels"][model["index"]]
    return f"{html.escape(model['description'])} <em>{html.escape(label)}</em>"


def written(page: str, to_images: str, images: Path) -> str:
    """Return a page whose pictures within its text are files in a folder."""

    def file(picture):
        data = base64.b64decode(picture[2])
        name = f"still-{hashlib.sha256(data).hexdigest()[:16]}.{picture[1]}"
        images.mkdir(exist_ok=True)
        (images / name).write_bytes(data)
        return f"{to_images}/{name}"

    return re.sub(
        r'<div class="still">.*?<p class="still-words">',
        lambda still: PICTURE.sub(file, still[0]),
        page,
        flags=re.DOTALL,
    )


def part(app, failure):
    """Part all pages that were written."""
    if failure or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        found = parted(path.read_text("utf8"), f"{path.stem}.sliders.js")
        if found:
            page, script = found
            images = Path(app.outdir, "_images")
            to_images = Path(os.path.relpath(images, path.parent)).as_posix()
            path.write_text(written(page, to_images, images), "utf8")
            path.with_suffix(".sliders.js").write_text(script, "utf8")


def setup(app):
    app.connect("build-finished", part)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
