"""The page that trains a VAE: every dial, every experiment, and what a reader may do meanwhile."""

import gzip
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import PAGES
from playwright.sync_api import expect

from tools.browser import served

PRESETS = ["constant", "annealed", "too-slow", "mean", "cap", "half-variance", "shallow", "revive"]
NUMBERS = ("step", "weight", "kl", "active", "error", "elbo")


class Live:
    """The component on a page, as a reader meets it."""

    def __init__(self, page):
        self.page = page
        self.box = page.locator("[data-live-vae]").first

    def find(self, selector):
        return self.box.locator(selector)

    def press(self, action):
        self.find(f"[data-action={action}]").click()

    def state(self):
        return self.box.get_attribute("data-state")

    def wait(self, state):
        self.page.locator(f"[data-live-vae][data-state={state}]").first.wait_for(timeout=60_000)

    def wait_for_step(self, step):
        self.page.wait_for_function(
            "step => Number(document.querySelector('[data-out=step]').textContent) >= step",
            arg=step,
        )

    def out(self, name, model="a"):
        text = self.find(f"[data-model={model}] [data-out={name}]").inner_text()
        return float(text.replace("\u2212", "-"))

    def numbers(self, model="a"):
        return {name: self.out(name, model) for name in NUMBERS}

    def open_dials(self):
        self.find(".live-settings").evaluate("details => details.open = true")

    def fast(self):
        self.open_dials()
        self.find("[name=speed]").select_option("fast")

    def value(self, name):
        return self.find(f"[name={name}]").input_value()


@pytest.fixture
def open_live(visit):
    """Opens the page with the settings of an address, at a width."""

    def open_page(fragment="", width=1280):
        seen = visit("book/live", width, fragment)
        live = Live(seen.page)
        live.wait("idle")
        live.seen = seen
        return live

    return open_page


# ---- experiments -------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_an_experiment_trains_at_the_press_of_its_button(open_live, preset):
    live = open_live()
    live.fast()
    button = live.find(f"[data-preset={preset}]")
    button.click()
    live.wait("done")
    assert button.get_attribute("aria-pressed") == "true"
    assert live.out("step") == (1000 if preset == "revive" else 800)
    words = live.find(".live-status").inner_text()
    assert f"{live.find('[data-out=kl]').first.inner_text()} nats" in words
    assert live.seen.wrong == []


def test_two_train_side_by_side(open_live):
    live = open_live()
    live.fast()
    live.find("[name=beside]").select_option("annealed")
    live.press("train")
    live.wait("done")
    assert live.out("kl", "b") > live.out("kl", "a")
    assert live.find(".live-plot").first.locator("polyline").count() == 2
    assert live.seen.wrong == []


# ---- dials -------------------------------------------------------------------

SLIDERS = ("ramp", "cap", "variance", "depth", "learning-rate")


@pytest.mark.parametrize("name", SLIDERS)
def test_a_slider_turns_by_keyboard_and_by_mouse(open_live, name):
    live = open_live()
    live.open_dials()
    slider, before = live.find(f"[data-slider={name}]"), float(live.value(name))
    slider.focus()
    for _ in range(3):
        live.page.keyboard.press("ArrowLeft")
    by_keyboard = float(live.value(name))
    assert by_keyboard < before
    box = slider.bounding_box()
    live.page.mouse.click(box["x"] + 0.95 * box["width"], box["y"] + box["height"] / 2)
    assert float(live.value(name)) > by_keyboard


@pytest.mark.parametrize("name", [*SLIDERS, "seed"])
def test_a_number_can_be_typed_and_a_bad_one_goes_back(open_live, name):
    live = open_live()
    live.open_dials()
    field = live.find(f"[name={name}]")
    good = "0.01" if name == "learning-rate" else "1"
    field.fill(good)
    for bad in ("-5", "1e9", ""):
        field.fill(bad)
        assert field.get_attribute("aria-invalid") == "true"
        field.blur()
        assert field.input_value() == good
        assert field.get_attribute("aria-invalid") == "false"
        words = field.locator("xpath=..").locator(".live-wrong")
        expect(words).to_have_text(re.compile(r"number from [\d.]+ to [\d.,]+\.$"))
        expect(field).to_have_accessible_description(words.inner_text())
    field.fill(good)
    expect(words).to_have_text("")
    expect(field).to_have_accessible_description("")


@pytest.mark.parametrize("name", ["schedule", "latent", "start", "beside", "speed"])
def test_a_choice_is_made_by_keyboard(open_live, name):
    live = open_live()
    live.open_dials()
    choice, before = live.find(f"[name={name}]"), live.value(name)
    choice.focus()
    live.page.keyboard.press("ArrowUp" if name == "latent" else "ArrowDown")
    assert live.value(name) != before


def test_marks_set_the_variance_of_the_sum_and_of_the_mean(open_live):
    live = open_live()
    live.open_dials()
    for text, value in (("mean of squares", "98"), ("sum of squares", "0.5")):
        live.find(f"button:text-is('{text}')").click()
        assert live.value("variance") == value


def test_two_latent_units_show_their_map(open_live):
    live = open_live("#latent=2&schedule=linear")
    live.fast()
    live.press("train")
    live.wait("done")
    drawn = live.find(".live-map canvas").evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter(b => b).length"
    )
    assert drawn > 10_000


# ---- meanwhile ---------------------------------------------------------------


def test_pause_resume_step_and_reset(open_live):
    live = open_live()
    live.press("train")
    live.wait_for_step(30)
    live.press("pause")
    assert live.state() == "paused"
    live.page.wait_for_timeout(150)
    at = live.out("step")
    live.page.wait_for_timeout(400)
    assert live.out("step") == at
    live.press("step")
    live.wait_for_step(at + 1)
    assert live.out("step") == at + 1
    live.press("pause")
    assert live.state() == "training"
    live.wait_for_step(at + 20)
    live.press("reset")
    assert live.state() == "idle"
    live.page.wait_for_timeout(200)
    assert live.state() == "idle"
    assert not live.find(".live-numbers").is_visible()


def test_a_first_step_starts_a_training_that_waits(open_live):
    live = open_live()
    live.press("step")
    live.wait_for_step(1)
    assert live.state() == "paused"
    assert live.out("step") == 1


def test_the_kl_weight_is_turned_by_hand_and_given_back(open_live):
    live = open_live()
    live.press("train")
    live.wait_for_step(20)
    live.find("[name=weight]").fill("0.25")
    live.wait_for_step(live.out("step") + 30)  # on a busy machine, far beyond 20 by now
    assert live.out("weight") == 0.25
    live.press("follow")
    live.wait_for_step(live.out("step") + 30)
    assert live.out("weight") == 1


def test_a_weight_that_is_turned_before_the_first_look_counts_from_the_first_step(open_live):
    live = open_live()
    live.fast()
    live.box.evaluate("""box => {
      box.querySelector("[data-action=train]").click();
      const weight = box.querySelector("[name=weight]");
      weight.value = 0.5;
      weight.dispatchEvent(new Event("input"));
    }""")
    live.wait("done")
    assert live.value("weight") == "0.5"
    assert live.find("[data-action=follow]").is_visible()
    live.page.evaluate("location.hash = '#cap=0.5'")  # the same weight, by schedule
    live.press("train")
    live.wait("done")
    _, by_hand, by_schedule = (line.split(",")[-7:] for line in saved(live).splitlines())
    assert (by_hand[0], by_schedule[0]) == ("true", "false")
    assert by_hand[1:] == by_schedule[1:]  # step, weight and results, to the last digit
    assert live.seen.wrong == []


def test_a_run_that_is_done_goes_on_when_its_weight_is_turned(open_live):
    live = open_live()
    live.fast()
    live.find("[data-preset=constant]").click()
    live.wait("done")
    collapsed = live.out("kl")
    live.find("[name=weight]").fill("0")
    live.wait_for_step(1000)
    live.wait("done")
    assert live.out("step") == 1200
    assert live.out("weight") == 0
    assert live.out("kl") > 10 + collapsed
    title = live.find(".live-title")
    expect(title).to_have_text("Constant weight, weight by hand, seed 0")
    lines = saved(live).splitlines()
    assert len(lines) == 2  # still one run
    assert ",true,1200," in lines[1]
    assert live.find(".live-runs a").count() == 0  # no link repeats it


def test_training_again_and_another_experiment_start_over(open_live):
    live = open_live()
    live.press("train")
    live.wait_for_step(300)
    live.press("train")
    # From the start again. (To see one of the first looks, each for 60 ms, a machine must be free.)
    assert int(live.find("[data-out=step]").text_content()) < 300
    live.wait_for_step(10)
    assert live.state() == "training"
    live.find("[data-preset=shallow]").click()
    live.fast()
    live.press("train")
    live.wait("done")
    assert live.out("step") == 800
    assert live.seen.wrong == []


def test_a_dial_that_is_turned_while_it_trains_counts_from_the_next_training(open_live):
    live = open_live()
    live.open_dials()
    live.press("train")
    live.wait_for_step(20)
    live.find("[name=depth]").fill("1")
    assert live.find(".live-pending").is_visible()
    live.fast()  # counts at once
    live.wait("done")
    live.press("train-these")
    assert not live.find(".live-pending").is_visible()
    live.wait("done")
    assert "depth=1" in live.page.url
    depths = [line.split(",")[4] for line in saved(live).splitlines()]
    assert depths == ["depth", "5", "1"]


def test_a_hidden_tab_rests(open_live):
    live = open_live()
    live.press("train")
    live.wait_for_step(20)
    live.page.evaluate("""() => {
      Object.defineProperty(document, "hidden", {value: true, configurable: true});
      document.dispatchEvent(new Event("visibilitychange"));
    }""")
    live.page.wait_for_timeout(300)
    at = live.out("step")
    live.page.wait_for_timeout(400)
    assert live.out("step") == at
    live.page.evaluate("""() => {
      Object.defineProperty(document, "hidden", {value: false});
      document.dispatchEvent(new Event("visibilitychange"));
    }""")
    live.wait_for_step(at + 10)


def test_a_page_that_is_paused_stays_so_when_it_was_hidden(open_live):
    live = open_live()
    live.press("train")
    live.wait_for_step(20)
    live.press("pause")
    live.page.wait_for_timeout(200)
    at = live.out("step")
    live.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    live.page.wait_for_timeout(300)
    assert (live.state(), live.out("step")) == ("paused", at)


LEAVE = "dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))"


def test_leaving_the_page_ends_the_worker(open_live):
    live = open_live()
    live.press("train")
    live.wait_for_step(20)
    assert len(live.page.workers) == 1
    live.page.evaluate(LEAVE)
    live.page.wait_for_timeout(200)
    assert live.page.workers == []
    assert live.state() == "idle"
    words = live.find(".live-status").inner_text()  # no longer "Training."
    assert words.startswith(f"Step {live.out('step'):.0f} of 800. Constant weight: KL")
    live.fast()
    live.press("train")  # the reader came back
    live.wait("done")


def test_a_run_that_was_done_when_the_page_was_left_is_shown_but_does_not_go_on(open_live):
    live = open_live()
    live.fast()
    live.find("[data-preset=shallow]").click()
    live.wait("done")
    live.find("[name=weight]").fill("0.5")
    live.wait_for_step(1200)
    live.wait("done")
    seen = """box => [
      ...[...box.querySelectorAll(".live-status, .live-numbers, tbody")].map((it) => it.innerText),
      ...[...box.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL()),
      ...[...box.querySelectorAll(".live-plot, .live-bars")].map((chart) => chart.outerHTML),
    ]"""
    before = live.box.evaluate(seen)
    live.page.evaluate(LEAVE)
    assert live.state() == "idle"
    assert live.find("[name=weight]").is_disabled()
    assert not live.find("[data-action=follow]").is_visible()
    assert live.box.evaluate(seen) == before
    live.press("train")  # the reader came back
    live.wait("done")
    assert live.out("step") == 800
    assert len(saved(live).splitlines()) == 3


def test_where_no_worker_may_start_the_page_says_so(browser, address):
    page = browser.new_page()
    page.add_init_script("window.Worker = class { constructor() { throw Error('forbidden'); } };")
    page.goto(f"{address}/book/live.html")
    live = Live(page)
    live.press("train")
    live.wait("error")
    assert "could not start a worker (forbidden)" in live.find(".live-message").inner_text()
    page.close()


# ---- runs and links ----------------------------------------------------------


def test_a_link_reproduces_its_run_to_the_last_digit(open_live):
    first = open_live()
    first.fast()
    first.page.evaluate("location.hash = '#schedule=linear&ramp=300&depth=2&seed=7'")
    first.press("train")
    first.wait("done")
    again = open_live("#" + first.page.url.split("#")[1])
    again.fast()
    again.press("train")
    again.wait("done")
    results = [saved(live) for live in (first, again)]
    assert results[0] == results[1]
    assert "linear,300,1,0.25,2,8,0.002,prior,7,false,800" in results[0]


def saved(live):
    """The table as a reader saves it."""
    live.find(".live-runs").evaluate("details => details.open = true")
    with live.page.expect_download() as download:
        live.press("save")
    return download.value.path().read_text()


def test_all_runs_are_listed_and_stay_behind(open_live):
    live = open_live()
    live.fast()
    for preset in ("shallow", "annealed"):
        live.find(f"[data-preset={preset}]").click()
        live.page.wait_for_timeout(50)
        live.wait("done")
    rows = live.find(".live-runs tbody tr")
    assert rows.locator("a").all_text_contents() == ["Shallow decoder", "Annealed"]
    assert live.find(".live-plot .earlier").count() == 4
    expect(live.find(".live-earlier")).to_have_text("Thin lines:  Shallow decoder, seed 0")
    lines = saved(live).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("schedule,ramp,cap,variance,depth,latent,learning-rate,start,seed")
    live.press("clear")
    assert rows.count() == 0
    live.press("train")
    live.page.wait_for_timeout(50)
    live.wait("done")
    assert rows.count() == 1


@pytest.mark.parametrize("may", [True, False])
def test_a_copy_of_the_table_is_confirmed_beside_its_button_politely(open_live, may):
    live = open_live()
    live.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    if not may:
        live.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(); }")
    live.fast()
    live.find("[data-preset=shallow]").click()
    live.wait("done")
    live.find(".live-runs").evaluate("details => details.open = true")
    live.press("copy")
    said = live.find(".live-runs [role=status]")
    expect(said).to_have_text("Copied." if may else re.compile("^The table is selected"))
    assert said.is_visible()
    expect(live.find(".live-message")).to_have_text("")  # which interrupts
    if may:
        copied = live.page.evaluate("navigator.clipboard.readText()")
        assert copied == saved(live)
    else:
        assert "Shallow decoder" in live.page.evaluate("String(getSelection())")
    live.press("train")
    live.page.wait_for_timeout(50)
    live.wait("done")
    expect(said).to_have_text("")


def with_a_run(open_live):
    """A page whose table has one run, and is open."""
    live = open_live()
    live.fast()
    live.find("[data-preset=shallow]").click()
    live.wait("done")
    live.find(".live-runs").evaluate("details => details.open = true")
    return live


def test_a_run_in_the_table_gives_its_settings_back(open_live):
    live = open_live()
    live.fast()
    live.find("[data-preset=shallow]").click()
    live.wait("done")
    live.find("[name=depth]").fill("3")
    live.find(".live-runs").evaluate("details => details.open = true")
    live.find(".live-runs a").click()
    assert live.value("depth") == "1"
    live.page.wait_for_timeout(50)
    live.wait("done")
    assert len(saved(live).splitlines()) == 3  # and trained them again


def test_a_new_seed_trains_the_same_settings_again(open_live):
    live = open_live("#preset=shallow&seed=9998")
    live.fast()
    seeds = []
    for _ in range(2):
        live.press("new-seed")
        live.page.wait_for_timeout(50)
        live.wait("done")
        seeds.append(live.find(".live-title").inner_text())
    assert seeds == ["Shallow decoder, seed 9999", "Shallow decoder, seed 0"]
    assert len(saved(live).splitlines()) == 3


def test_a_ramp_that_has_no_part_in_it_makes_no_other_run(open_live):
    live = open_live("#schedule=constant&ramp=100")
    constant = live.find("[data-preset=constant]")
    expect(constant).to_have_attribute("aria-pressed", "true")
    live.page.evaluate("location.hash = '#schedule=linear&ramp=100'")
    expect(constant).to_have_attribute("aria-pressed", "false")
    expect(live.find("[data-preset=annealed]")).to_have_attribute("aria-pressed", "false")


def test_silent_relus_are_told_from_the_cause_of_collapse(open_live):
    live = open_live()
    live.fast()
    live.find("[data-preset=mean]").click()
    live.wait("done")
    words = live.find(".live-dead").inner_text()
    assert re.search(r"collapse came first: .* step \d\d, the KL was already 0\.0\d nats", words)
    live.find("[data-preset=annealed]").click()
    live.wait("done")
    assert not live.find(".live-dead").is_visible()


def test_settings_that_are_not_known_are_left_out(open_live):
    live = open_live("#ramp=-3&depth=three&latent=5&schedule=toString&seed=4&preset=none")
    assert live.value("ramp") == "800"
    assert live.value("depth") == "5"
    assert live.value("latent") == "8"
    assert live.value("schedule") == "constant"
    assert live.value("seed") == "4"
    words = live.find(".live-message").inner_text()
    assert words.startswith("Some settings in the link were ignored.")
    assert "Steps from weight 0 to 1 must be a whole number from 1 to 10,000." in words
    assert "Latent units must be one of 2, 4, 8, 16." in words


# ---- by keyboard -------------------------------------------------------------


def has_focus(live, selector):
    return live.find(selector).evaluate("element => element === document.activeElement")


def test_the_button_below_the_dials_hands_the_focus_on(open_live):
    live = open_live()
    live.fast()
    live.press("train")
    live.wait("done")
    live.find("[name=depth]").fill("1")
    button = live.find("[data-action=train-these]")
    button.focus()
    button.evaluate("button => button.scrollIntoView()")
    live.page.keyboard.press("Enter")
    assert live.find("[data-action=train-these]").is_hidden()
    assert has_focus(live, "[data-action=train]")
    expect(live.find("[data-action=train]")).to_be_in_viewport()
    live.wait("done")
    assert has_focus(live, "[data-action=train]")


def test_by_mouse_the_focus_is_handed_on_out_of_sight(open_live):
    live = open_live()
    live.fast()
    live.press("train")
    live.wait("done")
    live.find("[name=depth]").fill("1")
    live.find("[data-action=train-these]").evaluate("button => button.scrollIntoView()")
    live.press("train-these")
    assert has_focus(live, "[data-action=train]")
    expect(live.find("[data-action=train]")).not_to_be_in_viewport()


def test_a_run_in_the_table_hands_the_focus_on_or_keeps_it(open_live):
    live = with_a_run(open_live)
    link = live.find(".live-runs a").first
    link.focus()
    live.page.keyboard.press("Enter")  # trains the run again
    assert has_focus(live, "[data-action=train]")
    expect(live.find("[data-action=train]")).to_be_in_viewport()
    link.focus()
    live.wait("done")  # with another row in the table
    assert live.find(".live-runs a").count() == 2
    assert link.evaluate("link => link === document.activeElement")


def test_a_run_that_is_no_link_any_more_leaves_the_focus_to_the_table(open_live):
    live = with_a_run(open_live)
    live.find("[name=weight]").fill("0.5")
    live.find(".live-runs a").focus()
    live.wait("done")
    assert live.find(".live-runs a").count() == 0
    assert has_focus(live, ".live-scroll")


def test_a_weight_that_can_be_turned_no_longer_hands_the_focus_on(open_live):
    live = open_live()
    live.press("train")
    live.wait_for_step(20)
    live.find("[name=weight]").fill("0.5")
    assert has_focus(live, "[name=weight]")
    live.page.evaluate(LEAVE)
    assert has_focus(live, "[data-action=train]")


# ---- for everyone ------------------------------------------------------------


@pytest.mark.parametrize("width", [380, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_too_wide(open_live, width, scheme):
    live = open_live(width=width)
    live.page.emulate_media(color_scheme=scheme)
    expect(live.page.locator("html")).to_have_attribute("data-theme", scheme)
    live.fast()
    live.find("[data-preset=cap]").click()
    live.wait("done")
    live.find(".live-runs").evaluate("details => details.open = true")
    found = Axe().run(live.page, context="[data-live-vae]")
    assert found.violations_count == 0, found.generate_report()
    assert live.page.evaluate("document.documentElement.scrollWidth") == width


def test_on_a_phone_the_press_brings_the_pictures_into_view(open_live):
    live = open_live(width=380)
    live.find("[data-preset=annealed]").click()
    images = live.find(".live-images").bounding_box()
    assert live.find(".live-presets").bounding_box()["y"] >= 0
    assert images["y"] + images["height"] <= live.page.viewport_size["height"]


def test_on_a_phone_buttons_and_pictures_are_on_one_screen(open_live):
    live = open_live(width=380)
    live.find("[data-preset=annealed]").click()
    live.wait("done")
    top = live.find(".live-presets").bounding_box()["y"]
    charts = live.find(".live-charts").bounding_box()
    assert charts["y"] + charts["height"] - top < 740


def test_charts_and_bars_have_their_numbers_in_words(open_live):
    live = open_live()
    live.fast()
    assert "no run yet" in live.find(".live-plot").first.get_attribute("aria-label")
    live.find("[data-preset=shallow]").click()
    live.wait("done")
    charts = [p.get_attribute("aria-label") for p in live.find(".live-plot").all()]
    assert len(charts) == 4
    assert all(re.search(r"from .?[\d.]+ to .?[\d.]+", words) for words in charts)
    bars = live.find(".live-bars").get_attribute("aria-label")
    assert len(re.findall(r"\d\.\d\d", bars)) == 8


def test_who_wants_little_motion_sees_few_pictures(open_live):
    live = open_live()
    live.page.emulate_media(reduced_motion="reduce")
    live.page.evaluate("""() => {
      globalThis.drawn = 0;
      new MutationObserver(() => (drawn += 1)).observe(
        document.querySelector(".live-plot .live-now"), {childList: true});
    }""")
    live.find("[data-preset=annealed]").click()
    live.wait("done")
    assert 3 <= live.page.evaluate("drawn") <= 14


def test_without_javascript_there_is_a_picture(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/book/live.html")
    image = page.locator("[data-live-vae] img")
    assert image.is_visible()
    assert len(image.get_attribute("alt")) > 50
    context.close()


# ---- from anywhere -----------------------------------------------------------


@pytest.fixture
def below():
    """The book under a path of its own."""
    with served(PAGES.parent) as address:
        yield f"{address}/{PAGES.name}"


@pytest.mark.parametrize("place", ["sub-path", "file"])
@pytest.mark.parametrize("kernels", ["", "plain"])
def test_it_trains_from_a_sub_path_and_from_a_folder(browser, below, place, kernels):
    page = browser.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    icon = "favicon.ico"  # which browsers ask of every server
    page.on(
        "console",
        lambda line: (
            line.type == "error"
            and not line.location["url"].endswith(icon)
            and wrong.append(line.text)
        ),
    )
    page.goto(f"{below if place == 'sub-path' else PAGES.as_uri()}/book/live.html")
    live = Live(page)
    live.wait("idle")
    live.box.evaluate("(box, kernels) => (box.dataset.kernels = kernels)", kernels)
    live.fast()
    live.find("[data-preset=shallow]").click()
    live.wait("done")
    assert live.out("active") >= 3
    used = "plain JavaScript" if kernels else "WebAssembly with SIMD"
    assert live.box.get_attribute("data-uses") == used
    assert wrong == []
    page.close()


def test_the_scripts_weigh_little():
    files = [PAGES / "_static" / name for name in ("live.js", "live-digits.js", "live.css")]
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < 120_000


def test_links_of_the_book_hold_settings_that_the_page_takes(open_live):
    links = set()
    for file in (PAGES / "notebooks").glob("*.html"):
        found = re.findall(r'href="[^"]*live\.html(#[^"]*=[^"]*)"', file.read_text("utf8"))
        assert found, f"{file.name} has none"
        links |= {link.replace("&amp;", "&") for link in found}
    live = open_live()
    for link in links:
        live.page.evaluate("link => (location.hash = link)", link)
        for name, value in (part.split("=") for part in link[1:].split("&")):
            if name == "preset":
                expect(live.find(f"[data-preset={value}]")).to_have_attribute(
                    "aria-pressed", "true"
                )
            else:
                expect(live.find(f"[name={name}]")).to_have_value(value)


def test_two_models_learn_on_the_first_page(visit):
    seen = visit("book/intro")
    live = Live(seen.page)
    live.press("train")
    live.wait("done")
    assert live.out("kl", "b") > live.out("kl", "a")
    assert live.find("input, select").count() == 0
    assert seen.wrong == []
