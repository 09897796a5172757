"use strict";

// The part of a page that trains a VAE: `<div data-live-vae>`; or, without dials, with two presets
// beside one another: `<div data-live-vae="compact" data-models="constant annealed">`.

const CHARTS = {
  weight: { title: "KL weight", unit: "", range: fromZero },
  kl: { title: "KL", unit: "in nats", range: fromZero },
  error: { title: "Error", unit: "(mean image: 1)", range: () => [0, 1.2] },
  elbo: { title: "ELBO", unit: "in nats", range: aroundTheEnd },
};
const LETTERS = ["a", "b"];
const FEW = 0.15; // ReLUs that answer: below this share, a word of warning
const COLLAPSED = 0.05; // nats of KL: below, the codes are empty
const TELLING = 0.1; // nats of KL: a unit with less says next to nothing, active or not
const HAND_STEPS = 400; // that a run goes on for after its weight was turned by hand
const WATCH = 60; // milliseconds from one look to the next: slow enough to follow
const REDRAW = 100; // milliseconds at least from one drawing to the next, at full speed
const STILL = 100; // steps from one drawing to the next, for readers who want little motion
const EARLIER_RUNS = 12; // that are drawn behind the current one
const NAMED_RUNS = 3; // of them, the last ones, each in a style of its own

let created = 0;

/** One component: its dials, its worker, its pictures. */
class LiveVAE {
  constructor(element) {
    this.element = element;
    this.name = `live-${(created += 1)}`;
    this.compact = element.dataset.liveVae === "compact";
    this.runs = []; // earlier ones and the last: {settings, looks, address, byHand, kept}
    this.current = []; // those that are shown: two beside one another, one, or none yet
    this.id = 0; // of the training: what an older one still sends is ignored
    element.replaceChildren(fromHTML(this.compact ? compactPage() : wholePage(this.name)));
    this.charts = Object.fromEntries(
      Object.entries(CHARTS).map(([name, options]) => [name, new Chart(options)]),
    );
    this.find(".live-charts").append(...Object.values(this.charts).map((chart) => chart.element));
    if (!this.compact) {
      this.dials = new Dials(this.find(".live-dials"), this.name, () => this.dialsChanged());
      const asked = fromAddress(location.hash);
      this.use(asked ?? { settings: presetSettings("constant"), beside: "" });
      if (asked) element.scrollIntoView();
      this.sayRefused(asked);
    }
    this.setState("idle");
    this.showModels(this.chosen());
    this.listen();
    whenSeen(element, () => this.ready());
  }

  find(selector) {
    return this.element.querySelector(selector);
  }

  // ---- what is to be trained -------------------------------------------------

  /** The settings of each model that Train would train. */
  chosen() {
    if (this.compact) {
      // Another seed each time: it may have been luck.
      const names = this.element.dataset.models.split(" ");
      return names.map((name) => presetSettings(name, this.id));
    }
    const settings = this.dials.read();
    const beside = this.find("[name=beside]").value;
    return beside ? [settings, presetSettings(beside, settings.seed)] : [settings];
  }

  /** Put settings into the dials. */
  use({ settings, beside }) {
    this.dials.write(settings);
    this.find("[name=beside]").value = beside;
    this.dialsChanged();
  }

  /** Name what a link asked for and the page can't take: it is not the run that was meant. */
  sayRefused(asked) {
    if (asked?.refused.length) this.announce(`Some settings in the link were ignored. ${asked.refused.join(" ")}`);
  }

  dialsChanged() {
    const preset = presetOf(this.dials.read());
    for (const button of this.element.querySelectorAll("[data-preset]")) {
      button.setAttribute("aria-pressed", button.dataset.preset === preset);
    }
    this.find(".live-look-for").textContent = preset
      ? PRESETS[preset].text
      : "Your own settings: train with them, and compare the result with an earlier run.";
    this.showPending();
  }

  /** Say so if the dials have other settings than the training that has begun. */
  showPending() {
    const text = (all) => JSON.stringify(all.map((one) => Object.entries(one).sort()));
    const same = text(this.chosen()) === text(this.current.map(({ settings }) => settings));
    const pending = this.find(".live-pending");
    const hidden = same || this.current.length === 0;
    if (hidden) this.passFocus(pending);
    pending.hidden = hidden;
  }

  // ---- training --------------------------------------------------------------

  /** Start the worker, and let it draw the images. */
  ready() {
    if (this.worker) return;
    const code = new Blob([LIVE_WORKER], { type: "text/javascript" });
    try {
      this.worker = new Worker(URL.createObjectURL(code));
    } catch (error) {
      this.fail(`Nothing can be trained here: the browser could not start a worker (${error.message}).`);
      return;
    }
    this.worker.onmessage = ({ data }) => this.hear(data);
    this.worker.onerror = (event) => {
      this.worker.terminate();
      this.worker = null;
      this.fail(`Training stopped: ${event.message ?? "the worker could not start"}.`);
    };
    this.worker.postMessage({ type: "digits", digits: LIVE_DIGITS });
  }

  tell(type, more = {}) {
    this.worker?.postMessage({ type, ...more });
  }

  train({ paused = false } = {}) {
    this.ready();
    if (!this.worker) return;
    this.keepCurrent();
    const settings = this.chosen();
    this.id += 1;
    this.steps = Math.max(...settings.map(stepsOf));
    const address = toAddress(settings[0], this.find("[name=beside]")?.value);
    this.current = settings.map((one) => ({ settings: one, looks: [], address }));
    this.follow();
    this.showModels(settings);
    if (!this.compact) history.replaceState(null, "", address);
    const plain = this.element.dataset.kernels === "plain";
    this.setState(paused ? "paused" : "training");
    this.announce("");
    this.sayStatus("Training.");
    this.showPictures();
    const { id, steps } = this;
    this.tell("train", { id, steps, settings, pace: this.pace(), plain, paused });
  }

  /** Bring the pictures into view where the screen ends above them, as on a phone. */
  showPictures() {
    const { bottom } = this.find(".live-charts").getBoundingClientRect();
    if (bottom > innerHeight) this.element.scrollIntoView();
  }

  /** Milliseconds from one look to the next. */
  pace() {
    return this.find("[name=speed]")?.value === "fast" ? 0 : WATCH;
  }

  pause() {
    this.tell("pause");
    this.setState("paused");
    if (this.dirty) this.drawAll();
    this.describe();
  }

  resume() {
    this.setState("training");
    this.tell("resume");
  }

  step() {
    if (this.state === "training") this.pause();
    else if (this.state !== "paused") this.train({ paused: true });
    this.tell("step");
  }

  /** Forget the run that has begun; earlier ones stay. */
  reset() {
    this.tell("stop");
    this.id += 1;
    this.current = [];
    this.follow();
    this.setState("idle");
    this.showModels(this.chosen());
    this.announce("");
    this.find("[name=weight]").value = 0;
    this.find(".live-value").textContent = "";
    this.sayStatus("Back at the start.");
  }

  /** Put the runs that are shown among all runs, once they have begun. */
  keepCurrent() {
    const fresh = this.current.filter(({ looks, kept }) => looks.length > 1 && !kept);
    for (const run of fresh) run.kept = true;
    this.runs.push(...fresh);
    this.listRuns();
  }

  hear(message) {
    if (message.type === "ready") {
      Object.assign(this, { shown: message.shown, labels: message.labels });
      this.drawTests();
      return;
    }
    if (message.id !== this.id) return;
    if (message.type === "look") {
      this.element.dataset.uses = message.kernels;
      this.see(message.models);
    }
    if (message.type === "done") this.finish();
  }

  see(models) {
    models.forEach((look, i) => {
      const { looks } = this.current[i];
      if (looks.length) looks.at(-1).pictures = null; // only the last ones are shown
      looks.push(look);
      if (!Number.isFinite(look.elbo)) {
        this.fail(`At step ${look.step}, the loss of "${describe(this.current[i])}" is no longer a number. Try a lower learning rate.`);
      }
    });
    this.dirty = true;
    if (this.state !== "training") {
      this.drawAll();
      this.describe();
    } else if (!this.frame) this.frame = requestAnimationFrame((now) => this.drawFrame(now));
  }

  drawFrame(now) {
    this.frame = null;
    if (!this.dirty) return;
    // The processor's time is for the training; a later look is drawn in place of this one.
    if (this.pace() === 0 && now - this.drawnAt < REDRAW) return;
    this.drawnAt = now;
    const step = this.current[0]?.looks.at(-1)?.step ?? 0;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (still && step > this.drawnStep && step - this.drawnStep < STILL) return;
    this.drawnStep = step;
    this.drawAll();
  }

  finish() {
    this.setState("done");
    this.drawAll();
    this.describe();
    this.keepCurrent();
  }

  fail(words) {
    this.tell("stop");
    this.id += 1;
    this.setState("error");
    this.announce(words);
  }

  // ---- words -----------------------------------------------------------------

  setState(state) {
    this.state = this.element.dataset.state = state;
    const begun = state === "training" || state === "paused";
    this.find("[data-action=train]").textContent = state === "idle" ? "Train" : "Train again";
    const pause = this.find("[data-action=pause]");
    if (!begun) this.passFocus(pause);
    pause.textContent = state === "paused" ? "Resume" : "Pause";
    pause.disabled = !begun;
    if (!this.compact) {
      const off = state === "idle" || state === "error";
      if (off) this.passFocus(this.find(".live-weight"));
      this.find("[name=weight]").disabled = off;
      if (off) this.find("[data-action=follow]").hidden = true;
      this.showPending();
    }
  }

  /** Hand on the focus, if it is in what is about to be hidden, switched off or replaced. */
  passFocus(from, to = "[data-action=train]") {
    const had = document.activeElement;
    if (!from.contains(had)) return;
    // Who uses a mouse looks elsewhere: there, nothing scrolls.
    this.find(to).focus({ preventScroll: !had.matches(":focus-visible") });
  }

  /** Say to screen readers what others see. */
  sayStatus(words) {
    this.find(".live-status").textContent = words;
  }

  /** Say something to all readers. */
  announce(words) {
    this.find(".live-message").textContent = words;
  }

  /** Put what is seen into words, for those who don't see it: at the end, and in a pause. */
  describe() {
    const lasts = this.current.map((run) => [describe(run), run.looks.at(-1)]);
    if (lasts.some(([, look]) => !look)) return;
    const words = lasts.map(([name, look]) => `${name}: ${inWords(look)}`);
    const step = `Step ${lasts[0][1].step} of ${this.steps}.`;
    this.sayStatus(`${step} ${words.join(" ")}`);
    for (const [name, chart] of Object.entries(this.charts)) {
      const { title, unit } = CHARTS[name];
      const ends = this.current.map((run) => {
        const both = [run.looks[0], run.looks.at(-1)];
        const [first, last] = both.map((look) => say(look[name], DECIMALS[name]));
        return `${describe(run)}: from ${first} to ${last}`;
      });
      chart.describe(`${title} ${unit}: ${ends.join(". ")}.`);
    }
    lasts.forEach(([, look], i) => {
      const model = this.model(i);
      const idle = (k) => (look.active[k] ? "" : " (idle)");
      const units = look.klPerUnit.map((kl, k) => `${say(kl, 2)}${idle(k)}`);
      model.querySelector(".live-bars").setAttribute("aria-label", `KL per unit: ${units.join(", ")}`);
    });
  }

  // ---- pictures --------------------------------------------------------------

  model(i) {
    return this.element.querySelectorAll("[data-model]")[i];
  }

  /** Make a panel for each model. */
  showModels(settings) {
    const panels = settings.map((one, i) => {
      const panel = fromHTML(modelPanel(LETTERS[i], titleOf({ settings: one })));
      panel.querySelector(".live-map").hidden = one.latent !== 2;
      return panel;
    });
    const place = this.find(".live-models");
    place.replaceChildren(...panels);
    this.element.classList.toggle("live-two", panels.length > 1);
    for (const [name, chart] of Object.entries(this.charts)) {
      chart.describe(`${CHARTS[name].title}: no run yet`);
    }
    this.drawTests();
    this.drawCharts();
    this.nameEarlier();
  }

  /** The runs whose lines stay behind the current ones, the last one first: [run, style]. */
  get earlier() {
    const runs = this.runs.filter((run) => !this.current.includes(run)).reverse();
    // The last few can be told apart.
    const style = (age) => (age < NAMED_RUNS ? `earlier earlier-${age}` : "earlier");
    return runs.slice(0, EARLIER_RUNS).map((run, age) => [run, style(age)]);
  }

  nameEarlier() {
    const { earlier } = this;
    const line = this.find(".live-earlier");
    line.hidden = earlier.length === 0;
    const named = earlier.slice(0, NAMED_RUNS).map(([run, style]) => {
      const swatch = svg("svg", { viewBox: "0 0 30 4", "aria-hidden": true });
      swatch.append(svg("line", { x1: 0, x2: 30, y1: 2, y2: 2, class: style }));
      const name = document.createElement("span");
      name.append(swatch, ` ${titleOf(run)}`);
      return name;
    });
    line.replaceChildren("Thin lines: ", ...named);
    if (earlier.length > NAMED_RUNS) line.append(" and older runs, dotted.");
  }

  drawAll() {
    this.dirty = false;
    this.drawCharts();
    this.drawPictures();
  }

  drawCharts() {
    const steps = this.steps ?? STEPS;
    for (const [name, chart] of Object.entries(this.charts)) {
      const line = (run, style) => ({ points: run.looks.map((look) => [look.step, look[name]]), style });
      // The ELBO of another variance lies elsewhere altogether.
      const variance = (this.current[0]?.settings ?? this.chosen()[0]).variance;
      const behind = this.earlier.filter(
        ([run]) => name !== "elbo" || run.settings.variance === variance,
      );
      chart.draw(
        behind.map(([run, style]) => line(run, style)),
        this.current.map((run, i) => line(run, LETTERS[i])),
        steps,
      );
    }
  }

  /** Draw what stays the same while a model learns: the test images, once they are there. */
  drawTests() {
    const black = new Uint8Array(SHOWN * PIXELS);
    for (const panel of this.element.querySelectorAll("[data-model]")) {
      drawImages(panel.querySelector(".live-tests canvas"), this.shown ?? black);
      if (!panel.querySelector(".live-unseen")) continue;
      for (const name of ["reconstructions", "generated"]) {
        drawImages(panel.querySelector(`.live-${name} canvas`), black);
      }
    }
  }

  drawPictures() {
    const looks = this.current.map((run) => run.looks.at(-1));
    const highest = Math.max(1, ...looks.flatMap((look) => look?.klPerUnit ?? []));
    for (const [i, panel] of this.element.querySelectorAll("[data-model]").entries()) {
      const canvas = (name) => panel.querySelector(`.live-${name} canvas`);
      const look = looks[i];
      if (!look) continue;
      panel.querySelector(".live-numbers").classList.remove("live-unseen");
      const { reconstructions, generated, codes } = look.pictures;
      drawImages(canvas("reconstructions"), reconstructions);
      drawImages(canvas("generated"), generated);
      if (codes) drawMap(canvas("map"), codes, this.labels);
      drawBars(panel.querySelector(".live-bars"), look.klPerUnit, look.active, Math.ceil(highest));
      const numbers = { ...look, active: countActive(look) };
      for (const out of panel.querySelectorAll("[data-out]")) {
        out.textContent = say(numbers[out.dataset.out], DECIMALS[out.dataset.out]);
      }
      const telling = look.klPerUnit.filter((kl) => kl > TELLING).length;
      panel.querySelector(".live-of").textContent =
        `of ${look.active.length} (${telling} above ${TELLING} nats)`;
      panel.querySelector(".live-last").textContent = this.steps;
      const dead = panel.querySelector(".live-dead");
      dead.hidden = look.alive >= FEW;
      if (!dead.hidden) dead.textContent = aboutDead(this.current[i].looks);
    }
    const weight = this.find("[name=weight]");
    if (weight && looks[0] && !this.byHand) weight.value = looks[0].weight;
    if (weight && looks[0]) this.find(".live-value").textContent = say(Number(weight.value), 2);
  }

  // ---- the table of runs -----------------------------------------------------

  rows() {
    return this.runs.map((run, i) => {
      const look = run.looks.at(-1);
      const more = { active: countActive(look), byHand: Boolean(run.byHand) };
      return { run: i + 1, name: describe(run), ...run.settings, ...look, ...more };
    });
  }

  listRuns() {
    if (this.compact) return;
    this.find(".live-copied").textContent = ""; // that was another table
    const body = this.find(".live-runs tbody");
    const lines = this.rows().map((row, i) => {
      const line = document.createElement("tr");
      // What was turned by hand can't be repeated by a link.
      const link = document.createElement(row.byHand ? "span" : "a");
      if (!row.byHand) link.href = this.runs[i].address;
      link.textContent = row.name;
      const numbers = Object.entries(DECIMALS).map(([name, digits]) => say(row[name], digits));
      for (const cell of [row.run, link, row.seed, ...numbers]) {
        const element = document.createElement("td");
        element.append(cell);
        line.append(element);
      }
      return line;
    });
    // Rows that stay the same stay where they are: one may have the focus.
    lines.forEach((line, i) => {
      const old = body.rows[i];
      if (!old) body.append(line);
      else if (!old.isEqualNode(line)) {
        this.passFocus(old, ".live-scroll");
        old.replaceWith(line);
      }
    });
    while (body.rows.length > lines.length) body.lastElementChild.remove();
    this.find(".live-runs").hidden = this.runs.length === 0;
  }

  csv() {
    const columns = [...Object.keys(BASE), "byHand", ...Object.keys(DECIMALS)];
    const lines = this.rows().map((row) => columns.map((name) => row[name]).join(","));
    return [columns.join(","), ...lines].join("\n") + "\n";
  }

  async copy() {
    const said = this.find(".live-copied");
    try {
      await navigator.clipboard.writeText(this.csv());
      said.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(this.find(".live-runs table"));
      said.textContent = "The table is selected: press Ctrl+C or ⌘C to copy it.";
    }
  }

  save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([this.csv()], { type: "text/csv" }));
    link.download = "vae-runs.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href));
  }

  clear() {
    this.runs = [];
    this.find("[data-action=train]").focus(); // the table, and its buttons, are gone
    this.listRuns();
    this.drawCharts();
    this.nameEarlier();
  }

  // ---- what the reader does --------------------------------------------------

  /** Turn the weight by hand from now on; the run goes on for long enough to see what comes of it. */
  takeWeight() {
    this.byHand = true;
    this.current.forEach((run, i) => {
      run.byHand = true;
      this.model(i).querySelector(".live-title").textContent = titleOf(run);
    });
    const step = this.current[0].looks.at(-1)?.step ?? 0; // before the first look, too
    this.steps = Math.max(this.steps, step + HAND_STEPS);
    this.find("[data-action=follow]").hidden = false;
    const value = Number(this.find("[name=weight]").value);
    this.find(".live-value").textContent = say(value, 2);
    this.tell("weight", { value, steps: this.steps });
    if (this.state === "done") this.resume();
  }

  /** Let the schedule turn it again. */
  follow() {
    this.byHand = false;
    this.tell("weight", { value: null, steps: this.steps });
    if (!this.compact) this.find("[data-action=follow]").hidden = true;
  }

  listen() {
    const actions = {
      train: () => this.train(),
      pause: () => (this.state === "paused" ? this.resume() : this.pause()),
      step: () => this.step(),
      "train-these": () => this.train(),
      "new-seed": () => {
        this.dials.set("seed", (this.dials.values.seed + 1) % (DIALS.seed.max + 1));
        this.train();
      },
      reset: () => this.reset(),
      follow: () => {
        this.find("[name=weight]").focus();
        this.follow();
      },
      copy: () => this.copy(),
      save: () => this.save(),
      clear: () => this.clear(),
    };
    this.element.addEventListener("click", (event) => {
      const link = event.target.closest(".live-runs a");
      if (link) {
        event.preventDefault();
        this.goTo(link.hash);
        this.passFocus(link);
        this.train();
      }
      const button = event.target.closest("button");
      if (!button) return;
      if (button.dataset.action) actions[button.dataset.action]();
      if (button.dataset.preset) this.choosePreset(button.dataset.preset);
    });
    if (!this.compact) {
      this.find("[name=weight]").addEventListener("input", () => this.takeWeight());
      this.find("[name=beside]").addEventListener("change", () => this.dialsChanged());
      this.find("[name=speed]").addEventListener("change", () => {
        this.tell("pace", { pace: this.pace() });
      });
      addEventListener("hashchange", () => this.goTo(location.hash));
    }
    // A page that nobody sees rests; one that is left ends its worker.
    document.addEventListener("visibilitychange", () => {
      if (this.state === "training") this.tell(document.hidden ? "pause" : "resume");
    });
    addEventListener("pagehide", () => {
      this.worker?.terminate();
      this.worker = null;
      this.id += 1;
      if (!["training", "paused", "done"].includes(this.state)) return;
      // Who comes back finds what was learned, but nothing that goes on.
      this.setState("idle");
      if (this.dirty) this.drawAll();
      this.sayStatus("");
      this.describe();
    });
  }

  /** Take settings from an address. */
  goTo(address) {
    const asked = fromAddress(address);
    if (!asked) return;
    history.replaceState(null, "", address);
    this.use(asked);
    this.sayRefused(asked);
    this.element.scrollIntoView();
  }

  /** A preset's button trains it, as a reader expects of a button. */
  choosePreset(name) {
    const { seed } = this.dials.read();
    this.use({ settings: presetSettings(name, seed), beside: PRESETS[name].beside ?? "" });
    this.train();
  }
}

/** What stands above a model: its name and its seed. */
const titleOf = (run) => `${describe(run)}, seed ${run.settings.seed}`;

const countActive = ({ active }) => active.filter(Boolean).length;

/** What to know where few ReLUs are left: did the collapse come first? */
function aboutDead(looks) {
  const first = looks.find(({ alive }) => alive < FEW);
  const share = Math.round(100 * looks.at(-1).alive);
  const order =
    first.kl < COLLAPSED
      ? `The collapse came first: when the share fell below ${Math.round(100 * FEW)} %, at step ` +
        `${first.step}, the KL was already ${say(first.kl, 2)} nats. The silent units did not cause ` +
        "it, but they can make it hard to undo: set the weight to 0, and see. "
      : "";
  return (
    `Only ${share} % of the encoder's hidden units still respond to at least one test image. ${order}` +
    "(A ReLU that outputs 0 for every image no longer learns.)"
  );
}

/** The numbers of a look, as a sentence. */
function inWords(look) {
  return (
    `KL ${say(look.kl, 2)} nats, ${countActive(look)} of ${look.active.length} units active, ` +
    `error ${say(look.error, 2)} of the mean image's, ELBO ${say(look.elbo, 1)} nats.`
  );
}

/** Call back when an element comes into view and the page has time. */
function whenSeen(element, then) {
  const idle = globalThis.requestIdleCallback ?? ((call) => setTimeout(call, 200));
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    idle(then);
  });
  observer.observe(element);
}

for (const element of document.querySelectorAll("[data-live-vae]")) new LiveVAE(element);
