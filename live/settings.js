"use strict";

// What a reader can turn, the presets, and how settings are written into an address.

const STEPS = 800;
const REVIVE_STEPS = 1000;
const stepsOf = ({ schedule }) => (schedule === "revive" ? REVIVE_STEPS : STEPS);

// Up to constants, the loss is the sum of the squared errors + KL at a variance of 1/2, and their mean
// + KL at D/2: for D pixels in [0, 1].
const SUM = 0.5;
const MEAN = PIXELS / 2;

/** Numbers have a range, and on a logarithmic slider equal ratios lie equally far apart. */
const DIALS = {
  schedule: {
    label: "Schedule of the KL weight",
    choices: {
      constant: "constant",
      linear: "a ramp",
      cyclical: "four ramps (cyclical)",
      gate: "a ramp behind a quality gate",
      revive: "on, off, then a ramp",
    },
  },
  ramp: {
    label: "Steps from weight 0 to 1",
    ...{ min: 1, max: 10000, whole: true, log: true },
    ends: ["too fast", "too slow"],
    note: "A lower cap stops the ramp earlier.",
  },
  cap: { label: "Highest weight (cap)", min: 0, max: 2, grain: 0.05, ends: ["0", "2"] },
  variance: {
    label: "Variance of each pixel",
    ...{ min: 0.005, max: MEAN, log: true },
    ends: ["sharp", "blurred"],
    marks: { "sum of squares": SUM, "mean of squares": MEAN },
  },
  depth: { label: "Hidden layers of the decoder", min: 1, max: 6, whole: true, ends: ["1", "6"] },
  latent: { label: "Latent units", choices: { 2: "2 (with a map)", 4: "4", 8: "8", 16: "16" } },
  "learning-rate": {
    label: "Learning rate",
    ...{ min: 0.0001, max: 0.02, log: true },
    ends: ["slow", "fast"],
  },
  start: {
    label: "Posterior at the start",
    choices: { prior: "near the prior (σ = 1)", narrow: "narrow (σ = 0.05)" },
  },
  seed: { label: "Seed", min: 0, max: 9999, whole: true },
};

const BASE = {
  ...{ schedule: "constant", ramp: 800, cap: 1, variance: 0.25, depth: 5, latent: 8 },
  ...{ "learning-rate": 0.002, start: "prior", seed: 0 },
};

// Each with what to look for.
const PRESETS = {
  constant: {
    title: "Constant weight",
    settings: {},
    text:
      "The KL counts in full from the first step. Do the reconstructions differ from one another? Try " +
      "other seeds.",
  },
  annealed: {
    title: "Annealed",
    settings: { schedule: "linear" },
    text:
      "The KL weight rises over all 800 steps, so the model learns to use its code while the KL is still " +
      "cheap. Which digits can you tell apart now?",
  },
  "too-slow": {
    title: "Too slow",
    settings: { schedule: "linear", ramp: 10000 },
    text:
      "A ramp of 10,000 steps, cut short after 800: the KL has cost almost nothing so far. Compare " +
      "error and ELBO with those of a collapsed model.",
  },
  mean: {
    title: "Mean squared error",
    settings: { schedule: "linear", variance: MEAN },
    text:
      "The mean of the squared errors instead of their sum, as in many implementations: relative to the " +
      `error, the KL counts ${MEAN / BASE.variance} times as much as with “Constant weight”. Does the ` +
      "ramp help?",
  },
  cap: {
    title: "Cap of one half",
    settings: { schedule: "linear", ramp: 1200, cap: 0.5 },
    beside: "half-variance",
    text:
      "A weight that stops at one half, beside a model with half the variance: up to a constant, one loss " +
      "is twice the other. KL and images agree; the ELBOs are on different scales.",
  },
  "half-variance": {
    title: "Half the variance",
    settings: { schedule: "linear", ramp: 600, variance: 0.125 },
    text:
      "An error costs twice as much as at a variance of 0.25, so more KL is worth its price. (The " +
      "ELBO is on another scale, too.)",
  },
  shallow: {
    title: "Shallow decoder",
    settings: { depth: 1 },
    text:
      "One hidden layer in the decoder instead of five, at a constant weight. Does it need annealing?",
  },
  revive: {
    title: "Revive it",
    settings: { schedule: "revive", ramp: 400 },
    text:
      "A weight of 1 for 250 steps, then 0 for another 250, then a ramp. Is a collapsed model lost? " +
      "Watch its units.",
  },
};

/** Return the settings of a preset; the seed is the reader's. */
function presetSettings(name, seed = BASE.seed) {
  return { ...BASE, ...PRESETS[name].settings, seed };
}

/** Return the value that a text stands for, or null if the dial can't take it. */
function readSetting(name, text) {
  const { choices, min, max, whole } = DIALS[name];
  if (choices) return Object.hasOwn(choices, text) ? (name === "latent" ? Number(text) : text) : null;
  const value = Number(text);
  const fits = String(text).trim() !== "" && value >= min && value <= max;
  return fits && (!whole || Number.isInteger(value)) ? value : null;
}

/** Say which values a dial takes. */
function accepts(name) {
  const { label, choices, min, max, whole } = DIALS[name];
  if (choices) return `${label} must be one of ${Object.keys(choices).join(", ")}.`;
  const inWords = (value) => value.toLocaleString("en", { maximumFractionDigits: 4 });
  return `${label} must be a ${whole ? "whole number" : "number"} from ${inWords(min)} to ${inWords(max)}.`;
}

/** Write settings as an address's last part, so that it reproduces the run. */
function toAddress(settings, beside) {
  const parts = new URLSearchParams(settings);
  if (beside) parts.set("beside", beside);
  return `#${parts}`;
}

/** Read what `toAddress` wrote, or {preset: …}; what it can't take is left out, and named. */
function fromAddress(address) {
  const parts = new URLSearchParams(address.slice(1));
  const known = (name) => (Object.hasOwn(PRESETS, parts.get(name) ?? "") ? parts.get(name) : null);
  const preset = known("preset");
  const [found, refused] = [{}, []];
  for (const name of Object.keys(DIALS).filter((dial) => parts.has(dial))) {
    const value = readSetting(name, parts.get(name));
    if (value === null) refused.push(accepts(name));
    else found[name] = value;
  }
  if (!preset && Object.keys(found).length + refused.length === 0) return null;
  const settings = { ...(preset ? presetSettings(preset) : BASE), ...found };
  const beside = known("beside") ?? (preset && PRESETS[preset].beside) ?? "";
  return { settings, beside, refused };
}

/** List the settings in which two models differ. A constant weight has no ramp. */
function differences(one, other) {
  const alike = one.schedule === "constant" && other.schedule === "constant" ? ["ramp"] : [];
  return Object.keys(BASE).filter((key) => one[key] !== other[key] && !alike.includes(key));
}

/** Return the preset that has these settings, if there is one. */
function presetOf(settings) {
  return Object.keys(PRESETS).find(
    (name) => differences(settings, presetSettings(name, settings.seed)).length === 0,
  );
}

/** Name a run: its preset, or in a few words how its settings differ from a constant weight. */
function describe({ settings, byHand }) {
  const preset = presetOf(settings);
  const other = differences(settings, presetSettings("constant", settings.seed));
  const short = (key) =>
    key === "schedule" ? DIALS.schedule.choices[settings.schedule] : `${key} ${settings[key]}`;
  const name = preset ? PRESETS[preset].title : other.map(short).join(", ").replaceAll("-", " ");
  return byHand ? `${name}, weight by hand` : name;
}
