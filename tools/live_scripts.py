"""A Sphinx extension: the VAE that trains in the reader's page, from the folder `live/`.

It joins the files of `live/` into one script, writes the digits into another, and adds both to the
pages that have a `<div data-live-vae>`. No modules and no bundler: scripts of modules are forbidden
where a book is opened from a folder.
"""

import json
from pathlib import Path

from sklearn.datasets import load_digits

from vae_utils.data import digit_rows

LIVE = Path(__file__).parents[1] / "live"
# What the worker runs, and what the page runs, each in the order in which it is read.
ENGINE = ("sizes", "kernels", "kernels-simd", "random", "schedules", "vae", "data", "training")
WORKER = (*ENGINE, "worker")
PAGE = ("sizes", "settings", "pictures", "layout", "component")
TRAIN_IMAGES = 2000
TEST_IMAGES = 128
MARK = "data-live-vae"


def joined(names):
    """Return the files of these names as one script."""
    return "\n".join((LIVE / f"{name}.js").read_text(encoding="utf-8") for name in names)


def page_script():
    """Return the script of a page: the component, and within it the worker's script as a text."""
    worker = json.dumps(joined(WORKER), ensure_ascii=False)
    return f'(() => {{\n"use strict";\nconst LIVE_WORKER = {worker};\n{joined(PAGE)}\n}})();\n'


def digits():
    """Return the digits as `live/data.js` takes them: what they are, and how each is placed."""
    small, labels = load_digits(return_X_y=True)
    train_rows, test_rows, rng = digit_rows()
    train_state = written(rng)
    rng.uniform(size=3 * len(train_rows))  # an angle and two shifts for each image
    return {
        "digits": "".join(chr(ord("a") + int(value)) for value in small.ravel()),
        "labels": "".join(map(str, labels)),
        "train": {"rows": train_rows[:TRAIN_IMAGES].tolist(), "state": train_state},
        "test": {"rows": test_rows[:TEST_IMAGES].tolist(), "state": written(rng)},
    }


def written(rng):
    """Return the state of NumPy's PCG64 in letters that JavaScript's BigInt reads."""
    state = rng.bit_generator.state["state"]
    return [hex(state["state"]), hex(state["inc"])]


def write(app, config):
    """Write the scripts where Sphinx takes its static files from."""
    folder = Path(app.doctreedir, "live")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "live.js").write_text(page_script(), encoding="utf-8")
    (folder / "live-digits.js").write_text(f"const LIVE_DIGITS = {json.dumps(digits())};\n")
    (folder / "live.css").write_text((LIVE / "live.css").read_text(encoding="utf-8"))
    config.html_static_path.append(str(folder))


def add_to_page(app, page, template, context, doctree):
    """Add scripts and style to a page that trains a VAE."""
    if MARK in context.get("body", ""):
        app.add_css_file("live.css")
        app.add_js_file("live-digits.js", loading_method="defer")
        app.add_js_file("live.js", loading_method="defer")


def setup(app):
    app.connect("config-inited", write)
    app.connect("html-page-context", add_to_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
