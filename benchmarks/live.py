"""Time a step of the VAE of `live/` in Chromium, beside TensorFlow.js and jax-js."""

import gzip
import json
import shutil
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
from playwright.sync_api import sync_playwright
from tqdm import tqdm

from benchmarks.rounds import spread
from tools import live_scripts
from tools.browser import FLAGS, chromium, served
from tools.fetch_scripts import fetch, unpack

TITLE = "In the reader's browser"
NET = {
    **{"batch": 64, "pixels": 196, "width": 64, "depth": 5, "latent": 8},
    **{"rate": 0.002, "variance": 0.25},
}
ROUNDS = 10
PEERS = Path(__file__).parent / "peers/live"
# Each package, its SHA-256, and which of its files go where.
PACKAGES = (
    (
        "@tensorflow/tfjs@4.22.0",
        "56505c191e24116787477b3bb5bb1cc0cf1c2bdce8112b9c402a8a2d31cf2f00",
        [("package/dist/tf.min.js", "")],
    ),
    (
        "@tensorflow/tfjs-backend-wasm@4.22.0",
        "5cd6f5e18657c12fb94f4ec3dcef485c8c1a9ca39f3ef1d261c1cb13c1a231c3",
        [
            ("package/dist/tf-backend-wasm.min.js", ""),
            ("package/dist/*.wasm", "tfjs-wasm"),
        ],
    ),
    (
        "@jax-js/jax@0.1.25",
        "6bb85e8f37f497fa0eccf0beb25f1c69225db94e555e82e20a848eaac79db30e",
        [("package/dist/*.js", "jaxjs")],
    ),
)
# Contestant -> (scripts, argument of `prepare`, steps per turn).
CONTESTANTS = {
    "live, SIMD": (("engine.js", "ours.js"), "simd", 200),
    "live, plain JavaScript": (("engine.js", "ours.js"), "plain", 50),
    "TensorFlow.js, WebAssembly": (("tf.min.js", "tf-backend-wasm.min.js", "tfjs.js"), "", 20),
    "jax-js, WebAssembly": (("jaxjs.js",), "", 50),
}


COMPONENT = '<div data-live-vae style="max-width: 700px"></div>'
# Train an experiment at full speed; return the milliseconds to its first picture, and the longest
# task of the page's own thread (50 at most are not reported: 0).
TRAIN = """
async (kernels) => {
  const box = document.querySelector("[data-live-vae]");
  const find = (selector) => box.querySelector(selector);
  box.dataset.kernels = kernels;
  find("[name=speed]").value = "fast";
  let longest = 0;
  const observer = new PerformanceObserver((list) => {
    for (const {duration} of list.getEntries()) longest = Math.max(longest, duration);
  });
  observer.observe({entryTypes: ["longtask"]});
  const svg = find(".live-plot .live-now");
  const began = performance.now();
  const first = new Promise((done) => {
    // The press clears the chart; the worker's first look puts a line there.
    const drawn = new MutationObserver(() => {
      if (!svg.querySelector(".a")?.getAttribute("points")) return;
      drawn.disconnect();
      done(performance.now() - began);
    });
    drawn.observe(svg, {childList: true, subtree: true});
  });
  find("[data-preset=annealed]").click();
  const took = await first;
  while (box.dataset.state !== "done") await new Promise((next) => setTimeout(next, 20));
  observer.disconnect();
  return [took, longest];
}
"""


def collect(folder):
    """Put the engine and its peers into a folder, with a page for each contestant."""
    for number, (package, digest, files) in enumerate(PACKAGES):
        place = folder / f"package-{number}"
        place.mkdir()
        unpack(fetch(package, digest, place), files, folder)
    (folder / "engine.js").write_text(live_scripts.joined(live_scripts.ENGINE))
    tags = "".join(f'<script src="/{name}.js"></script>' for name in ("digits", "page"))
    (folder / "digits.js").write_text(f"const LIVE_DIGITS = {json.dumps(live_scripts.digits())};")
    (folder / "page.js").write_text(live_scripts.page_script())
    shutil.copy(live_scripts.LIVE / "live.css", folder)
    style = '<link rel="stylesheet" href="/live.css">'
    page = f"<!doctype html><title>page</title>{style}{COMPONENT}{tags}"
    (folder / "component.html").write_text(page)
    for script in PEERS.glob("*.js"):
        shutil.copy(script, folder)
    for number, (scripts, _, _) in enumerate(CONTESTANTS.values()):
        kind = ' type="module"' if scripts == ("jaxjs.js",) else ""
        tags = "".join(f'<script{kind} src="/{name}"></script>' for name in scripts)
        (folder / f"{number}.html").write_text(f"<!doctype html><title>{number}</title>{tags}")


def processes(browser):
    """Return what Chromium says of each of its processes."""
    session = browser.new_browser_cdp_session()
    return session.send("SystemInfo.getProcessInfo")["processInfo"]


def seconds_of(browser):
    """Return the processor time of all processes of a browser so far."""
    return sum(process["cpuTime"] for process in processes(browser))


def megabytes_of(browser):
    """Return the memory of the processes that hold pages."""
    pages = [process["id"] for process in processes(browser) if process["type"] == "renderer"]
    return sum(psutil.Process(page).memory_info().rss for page in pages) / 1e6


def growth(browser, page):
    """Return the memory before 10,000 steps, and by how much it grew every 2,000 of them."""
    levels = [megabytes_of(browser)]
    for _ in range(5):
        page.evaluate("run(2000)")
        levels.append(megabytes_of(browser))
    return {"before": levels[0], "growth": np.diff(levels).tolist()}


def whole_page(browser, address):
    """Train an experiment in the component, pictures included, with both sets of kernels."""
    results = {}
    for kernels, name in (("", "SIMD"), ("plain", "plain JavaScript")):
        page = browser.new_page()
        page.goto(f"{address}/component.html")
        page.evaluate(TRAIN, kernels)  # to draw the digits, and warm up
        seconds, first, longest = [], [], []
        for _ in tqdm(range(ROUNDS), unit="run", desc=name):
            before = seconds_of(browser)
            took, task = page.evaluate(TRAIN, kernels)
            seconds.append(seconds_of(browser) - before)
            first.append(took)
            longest.append(task)
        page.close()
        results[name] = {
            **{"seconds": spread(seconds), "first picture": spread(first)},
            "longest task": max(longest),
        }
    return results


def measure():
    """Take turns: each contestant in a browser of its own, so many steps at a time."""
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        collect(folder)
        address = stack.enter_context(served(folder))
        playwright = stack.enter_context(sync_playwright())
        pages = {}
        for number, (contestant, (_, argument, steps)) in enumerate(CONTESTANTS.items()):
            browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
            stack.callback(browser.close)
            page = browser.new_page()
            page.goto(f"{address}/{number}.html", wait_until="load")
            page.wait_for_function("globalThis.prepare !== undefined")
            page.evaluate(
                "async ([net, kernels]) => { globalThis.run = await prepare(net, kernels); }",
                [NET, argument],
            )
            page.evaluate("steps => run(steps)", steps)  # to compile, and warm up
            pages[contestant] = (browser, page, steps)
        milliseconds = {contestant: [] for contestant in CONTESTANTS}
        for _ in tqdm(range(ROUNDS), unit="round"):
            for contestant, (browser, page, steps) in pages.items():
                before = seconds_of(browser)
                loss = page.evaluate("steps => run(steps)", steps)
                assert np.isfinite(loss), contestant
                milliseconds[contestant].append(1000 * (seconds_of(browser) - before) / steps)
        first = pages["live, SIMD"][:2]
        memory = growth(*first)
        version = f"Chromium {first[0].version}"
        for browser, _, _ in pages.values():
            browser.close()
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        stack.callback(browser.close)
        experiment = whole_page(browser, address)
    ours = np.array(milliseconds["live, SIMD"])
    return {
        "browser": version,
        "milliseconds": {name: spread(times) for name, times in milliseconds.items()},
        "times_ours": {name: spread(np.array(t) / ours) for name, t in milliseconds.items()},
        "memory": memory,
        "experiment": experiment,
        "kilobytes": weight(),
    }


def weight():
    """Return the compressed size of what a page of the book loads to train a VAE."""
    script, style = live_scripts.page_script(), (live_scripts.LIVE / "live.css").read_text()
    digits = json.dumps(live_scripts.digits())
    return {
        name: len(gzip.compress(text.encode())) / 1000
        for name, text in (("scripts and style", script + style), ("digits", digits))
    }


def tables(result):
    def cell(values, digits):
        return " to ".join(f"{values[key]:.{digits}f}" for key in ("low", "high"))

    lines = [
        "| | ms of processor time per step | times ours |",
        "|---|---|---|",
    ]
    for name, times in result["milliseconds"].items():
        ratio = result["times_ours"][name]
        lines.append(
            f"| {name} | {times['median']:.1f} ({cell(times, 1)}) "
            f"| {ratio['median']:.1f} ({cell(ratio, 1)}) |"
        )
    lines += [
        "",
        "| the experiment *Annealed*, 800 steps, pictures included | SIMD | plain JavaScript |",
        "|---|---|---|",
    ]
    both = result["experiment"].values()

    def row(name, key, digits):
        cells = [f"{one[key]['median']:.{digits}f} ({cell(one[key], digits)})" for one in both]
        return f"| {name} | {' | '.join(cells)} |"

    tasks = [f"{one['longest task']:.0f}" if one["longest task"] else "below 50" for one in both]
    memory = result["memory"]
    lines += [
        row("seconds of processor time, whole browser", "seconds", 1),
        row("ms from *Train* to the first picture", "first picture", 0),
        f"| longest task of the page's own thread, ms | {' | '.join(tasks)} |",
    ]
    sizes = ", ".join(f"{name} {size:.0f} kB" for name, size in result["kilobytes"].items())
    grown = ", ".join(f"{change:+.1f}" for change in memory["growth"]).replace("-", "\u2212")
    return "\n".join(
        [*lines, "", f"In {result['browser']}, without a GPU. Over the wire, compressed: {sizes}. "]
        + [f"Memory of the page with SIMD kernels: {memory['before']:.0f} MB; over 10,000 further "]
        + [f"steps it changed, every 2,000 steps, by {grown} MB."]
    )
