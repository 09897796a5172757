"""The page that trains a VAE in Firefox, as Debian has it: driven by WebDriver BiDi, its own way.

(Playwright drives a Firefox of its own making only, and geckodriver isn't in Debian.)
"""

import itertools
import json
import re
import shutil
import subprocess

import pytest
from conftest import PAGES
from websocket import create_connection

NAMES = ("firefox-esr", "firefox")

# What the page of a component offers to the functions below, once its scripts have run: Firefox
# may call a page complete before.
HELPERS = """
while (document.readyState !== "complete") await new Promise((next) => setTimeout(next, 20));
const box = document.querySelector("[data-live-vae]");
const find = (selector) => box.querySelector(selector);
const until = async (condition) => {
  while (!condition()) await new Promise((next) => setTimeout(next, 20));
};
const out = (name) => Number(find(`[data-out=${name}]`).textContent.replace("\u2212", "-"));
const finished = () => until(() => ["done", "error"].includes(box.dataset.state));
"""


class Firefox:
    """A headless Firefox with one page, and what its console said was wrong."""

    def __init__(self, program, profile):
        command = [program, "--headless", "--no-remote", "--profile", str(profile)]
        self.process = subprocess.Popen(
            [*command, "--remote-debugging-port", "0"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        lines = iter(self.process.stderr.readline, "")
        found = (re.search(r"BiDi listening on (ws://\S+)", line) for line in lines)
        address = next(filter(None, found))[1]
        self.socket = create_connection(f"{address}/session", timeout=120, suppress_origin=True)
        self.numbers = itertools.count()
        self.wrong = []
        self.call("session.new", capabilities={})
        self.call("session.subscribe", events=["log.entryAdded"])
        self.page = self.call("browsingContext.getTree")["contexts"][0]["context"]

    def call(self, method, **params):
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("method") == "log.entryAdded":
                if answer["params"]["level"] == "error":
                    self.wrong.append(answer["params"]["text"])
            elif answer.get("id") == number:
                assert answer["type"] == "success", answer
                return answer["result"]

    def visit(self, url):
        # First another page: a change of settings alone loads nothing.
        for address in ("about:blank", url):
            self.call("browsingContext.navigate", context=self.page, url=address, wait="complete")

    def evaluate(self, body):
        """Run the body of an async function on the page, and return what it returns."""
        result = self.call(
            "script.evaluate",
            target={"context": self.page},
            awaitPromise=True,
            expression=f"(async () => {{ {HELPERS} {body} }})().then(JSON.stringify)",
        )
        assert result["type"] == "success", result
        return json.loads(result["result"]["value"])

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.communicate()  # which also closes the pipe


@pytest.fixture(scope="module")
def firefox(tmp_path_factory):
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.fail("no Firefox here; install Debian's `firefox-esr`")
    firefox = Firefox(found, tmp_path_factory.mktemp("profile"))
    yield firefox
    firefox.close()


@pytest.mark.parametrize("place", ["server", "file"])
def test_every_experiment_trains(firefox, address, place):
    start = address if place == "server" else PAGES.as_uri()
    firefox.visit(f"{start}/book/live.html")
    results = firefox.evaluate("""
      const results = {};
      find("[name=speed]").value = "fast";
      for (const button of box.querySelectorAll("[data-preset]")) {
        button.click();
        await finished();
        results[button.dataset.preset] = [box.dataset.state, out("step"), out("kl")];
      }
      return results;
    """)
    assert {state for state, _, _ in results.values()} == {"done"}
    assert len(results) == 8
    kl = {name: kl for name, (_, _, kl) in results.items()}
    assert kl["mean"] < 0.01
    assert kl["constant"] < kl["annealed"] < kl["too-slow"]
    assert firefox.wrong == []


def test_pause_step_and_a_weight_by_hand(firefox, address):
    firefox.visit(f"{address}/book/live.html")
    states = firefox.evaluate("""
      find("[data-action=train]").click();
      await until(() => out("step") >= 20);
      find("[data-action=pause]").click();
      await new Promise((next) => setTimeout(next, 200));
      const [state, at] = [box.dataset.state, out("step")];
      find("[data-action=step]").click();
      await until(() => out("step") > at);
      const after = out("step") - at;
      find("[name=weight]").value = 0.25;
      find("[name=weight]").dispatchEvent(new Event("input"));
      find("[data-action=pause]").click();
      await until(() => out("step") >= at + 40);
      return [state, after, box.dataset.state, out("weight")];
    """)
    assert states == ["paused", 1, "training", 0.25]
    assert firefox.wrong == []


def test_a_link_reproduces_its_run(firefox, address):
    link = f"{address}/book/live.html#schedule=linear&ramp=300&depth=2&seed=7"
    words = []
    for _ in range(2):
        firefox.visit(link)
        words.append(
            firefox.evaluate("""
              find("[name=speed]").value = "fast";
              find("[data-action=train]").click();
              await finished();
              return find(".live-status").textContent;
            """)
        )
    assert "Step 800" in words[0]
    assert words[0] == words[1]
