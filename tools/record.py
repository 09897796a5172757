"""The file in which the record of claims is kept.

A record maps the name of a notebook to the fingerprint of its code and its runs, which are as
`claims.run` returns them: `{"01_theory": {"code": "…", "runs": {"mnist 100": …}}}`.
In the file, a notebook's texts stand once, and each run has one line, with lists in their order.
"""

import json

from tools.whole_files import replace_text

# What a run has for each text; None stands for what it has not.
LISTED = ("claims", "margins", "glued")


def read(path):
    """Return the record; it is empty if there is no file."""
    kept = json.loads(path.read_text("utf8")) if path.exists() else {}
    return {
        name: {
            "code": one["code"],
            "runs": {run: _with_texts(seen, one) for run, seen in one["runs"].items()},
        }
        for name, one in kept.items()
    }


def write(path, record):
    """Replace the file, whole."""
    replace_text(path, _lines({name: _notebook(one) for name, one in record.items()}) + "\n")


def _notebook(one):
    runs = one["runs"]
    texts = {
        part: list(dict.fromkeys(text for seen in runs.values() for text in seen[part]))
        for part in LISTED
    }
    packed = {run: _json(_without_texts(seen, texts)) for run, seen in runs.items()}
    texts_and_code = {"code": _json(one["code"])} | {part: _json(texts[part]) for part in LISTED}
    return _lines(texts_and_code | {"runs": _lines(packed)})


def _without_texts(seen, texts):
    return seen | {part: [seen[part].get(text) for text in texts[part]] for part in LISTED}


def _with_texts(seen, texts):
    return seen | {
        part: {
            text: value
            for text, value in zip(texts[part], seen[part], strict=True)
            if value is not None
        }
        for part in LISTED
    }


def _json(value):
    return json.dumps(value, ensure_ascii=False)


def _lines(parts):
    """Return an object with a line for each part, which is JSON already."""
    return "{\n" + ",\n".join(f"{_json(key)}: {part}" for key, part in parts.items()) + "\n}"
