"""Count how often each claim of the chapters holds, on seeds that were not used while writing.

`python -m tools.claims COUNT [NOTEBOOK ...]` runs all notebooks, or those named, on
COUNT such seeds and both data sets. An assertion that fails is counted, and the notebook goes on;
one that is not reached, because something before it broke, counts as failed.
What a run saw is kept when it ends, in benchmarks/claims.json, which the book shows (ledger.py).
A second call runs only what is missing; what was seen of a notebook whose code has changed since
then is dropped. If a claim failed on one of the seeds asked for, in this call or an earlier one,
the call ends with its name and exit status 1, and the record is kept all the same.
"""

import ast
import hashlib
import json
import os
import signal
import sys
from concurrent.futures import as_completed
from pathlib import Path

import nbformat
import yaml
from tqdm import tqdm

from tools import kernels, record
from tools.execute import ROOT, side_by_side

DATA = ("mnist", "digits")
# A chapter also uses a few seeds above its own, hence the distance.
FIRST_SEED, DISTANCE = 100, 10
STORED = ROOT / "benchmarks" / "claims.json"

# In front of a notebook's first cell.
PREPARE = (ROOT / "tools" / "counted.py").read_text("utf8")
REPORT = 'import json\nprint(json.dumps({"held": claims_held, "margins": claims_margins}))'
ORDERS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


def _measured(test):
    """Return the test with its comparisons measured: `x < 1` as `claims_compare(x, "<", 1)`.

    They are those on which it stands or falls alone: also each part of an `and`, and of an `all`.
    """
    match test:
        case ast.Compare() if all(type(operator) in ORDERS for operator in test.ops):
            arguments = [test.left]
            for operator, side in zip(test.ops, test.comparators):
                arguments += [ast.Constant(ORDERS[type(operator)]), side]
            return ast.Call(ast.Name("claims_compare", ast.Load()), arguments, [])
        case ast.BoolOp(op=ast.And()):
            test.values = [_measured(value) for value in test.values]
        case ast.Call(func=ast.Attribute(attr="all") as method, args=[]):
            method.value = _measured(method.value)
        case ast.Call(func=ast.Name(id="all") | ast.Attribute(attr="all"), args=[part]):
            if isinstance(part, (ast.GeneratorExp, ast.ListComp)):
                part.elt = _measured(part.elt)
            else:
                test.args = [_measured(part)]
    return test


class _Count(ast.NodeTransformer):
    """`assert f(x)` becomes `claims_count("f(x)", lambda: f(x))`; NumPy's assertions alike."""

    def __init__(self):
        self.texts = []

    def _counted(self, claim, test):
        text = ast.unparse(claim)
        self.texts.append(text)
        nothing = ast.arguments([], [], None, [], [], None, [])
        arguments = [ast.Constant(text), ast.Lambda(nothing, _measured(test))]
        return ast.Expr(ast.Call(ast.Name("claims_count", ast.Load()), arguments, []))

    def visit_Assert(self, node):
        return self._counted(node.test, node.test)

    def visit_Expr(self, node):
        call = node.value
        if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("np.testing.assert_"):
            # It returns None, or raises.
            return self._counted(call, ast.Compare(call, [ast.Is()], [ast.Constant(None)]))
        return node


def counting(code):
    """Return a cell's code with its assertions counted, and their texts.

    A cell with magics stays as it is.
    """
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return code, []
    count = _Count()
    return ast.unparse(ast.fix_missing_locations(count.visit(tree))), count.texts


def counting_notebook(notebook):
    """Return a copy of a notebook that reports its assertions at its end, and their texts."""
    counted = [counting(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    codes = [PREPARE, *(code for code, _ in counted), REPORT]
    copy = nbformat.v4.new_notebook(metadata=notebook.metadata)
    copy.cells = [nbformat.v4.new_code_cell(code) for code in codes]
    return copy, [text for _, texts in counted for text in texts]


def glued(notebook):
    """Return what a notebook glued for its sentences: key -> text."""
    kept = {}
    for output in (output for cell in notebook.cells for output in cell.outputs):
        name = output.get("metadata", {}).get("scrapbook", {}).get("name")
        for text in output.get("data", {}).values() if name else ():
            kept[name] = ast.literal_eval(text)
    return kept


def run(path, dataset, seed, timeout):
    """Run a notebook with another seed, on a data set.

    Returns:
        claims: text of each assertion -> whether it held, each time that it was reached;
        margins: text of each that compares numbers -> the narrowest margin (the difference of
            both sides as a share of the larger one, below 0 if it failed), and both sides;
        glued: key of each number of the sentences -> its text;
        error: the first that is not an assertion's, or None.
    """
    os.environ.update(VAE_DATASET=dataset, VAE_SEED=str(seed))  # the kernel inherits both
    notebook, texts = counting_notebook(nbformat.read(path, 4))
    result = kernels.run(notebook, path.parent, timeout, allow_errors=True)
    errors = [
        f"{output.ename}: {output.evalue}"
        for cell in notebook.cells
        for output in cell.outputs
        if output.output_type == "error"
    ]
    printed = "".join(output.get("text", "") for output in notebook.cells[-1].outputs)
    reached = json.loads(printed) if printed.startswith("{") else {"held": {}, "margins": {}}
    if result.err:  # it took too long
        errors.insert(0, str(result.err))
    return {
        "claims": {text: reached["held"].get(text, False) for text in texts},
        "margins": reached["margins"],
        "glued": glued(notebook),
        "error": errors[0] if errors else None,
    }


def fingerprint(path):
    """Return what changes with the code of a notebook: not with its text, nor with comments."""
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    code = "\n\n".join(plain(cell.source) for cell in cells)
    return hashlib.sha256(code.encode()).hexdigest()


def plain(code):
    """Return a cell's code without comments. A cell with magics stays as it is."""
    try:
        return ast.unparse(ast.parse(code))
    except SyntaxError:
        return code


def in_words(one):
    """Say how a run went: how many claims held, and which did not."""
    failed = [text for text, held in one["claims"].items() if not held]
    lines = [f"{len(one['claims']) - len(failed)} of {len(one['claims'])} claims held"]
    for text in failed:
        numbers = one["margins"].get(text)
        found = f" ({numbers[1]:g} against {numbers[2]:g})" if numbers else ""
        lines.append(f"  failed: {text}{found}")
    lines += [f"  stopped by {one['error']}"] if one["error"] else []
    return "\n".join(lines)


def failures(runs):
    """Name what failed: `runs` has what each saw, by its name."""
    named = []
    for name, one in runs.items():
        named += [f"{name}: {text}" for text, held in one["claims"].items() if not held]
        named += [f"{name}: stopped by {one['error']}"] if one["error"] else []
    return named


def forget(name):
    """Drop what was seen of a notebook, so that the next call runs it anew."""
    results = record.read(STORED)
    results.pop(name, None)
    record.write(STORED, results)


def main(count, paths):
    """Run what is missing, and keep each result as it comes.

    Returns:
        The names of what failed on the seeds asked for, whether it ran now or before.
    """
    results = record.read(STORED)
    timeout = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["execute"]["timeout"]
    for path in paths:
        if results.get(path.stem, {}).get("code") != fingerprint(path):
            results[path.stem] = {"code": fingerprint(path), "runs": {}}
    wanted = [
        (path, data, FIRST_SEED + DISTANCE * number)
        for number in range(count)
        for path in paths
        for data in DATA
    ]
    missing = [
        (path, data, seed)
        for path, data, seed in wanted
        if f"{data} {seed}" not in results[path.stem]["runs"]
    ]
    lost = 0
    with side_by_side(STORED.with_suffix(".log")) as pool:
        futures = {pool.submit(run, *one, timeout): one for one in missing}
        for future in tqdm(as_completed(futures), total=len(missing), unit="run"):
            path, data, seed = futures[future]
            try:
                one = results[path.stem]["runs"][f"{data} {seed}"] = future.result()
            except Exception as error:  # for instance, a kernel ran out of memory: not the claims
                tqdm.write(f"{path.stem}, {data}, seed {seed}: {error!r}", file=sys.stderr)
                lost += 1
                continue
            tqdm.write(f"{path.stem}, {data}, seed {seed}: {in_words(one)}")
            record.write(STORED, results)
    if lost:
        sys.exit(f"{lost} of {len(missing)} runs broke off; the next call repeats them")
    return failures(
        {
            f"{path.stem}, {data}, seed {seed}": results[path.stem]["runs"][f"{data} {seed}"]
            for path, data, seed in wanted
        }
    )


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # the kernels end, too
    named = [Path(name).resolve() for name in sys.argv[2:]]
    chapters = sorted((ROOT / "notebooks").glob("*.ipynb"))
    try:
        failed = main(int(sys.argv[1]), named or chapters)
    except KeyboardInterrupt:
        sys.exit("interrupted; finished runs are kept")
    if failed:
        sys.exit("\n".join(["These failed, and are in the record as such:", *failed]))
