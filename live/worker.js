"use strict";

// Trains in a thread of its own, so that the page never stutters.
//
// It is told: digits, train, pause, resume, step, weight, pace, stop. It answers: ready, look, done.

// Steps from one look to the next. A look costs nearly a step: where steps are slow, looks are rare.
const LOOK_EVERY = { fast: 10, plain: 20 };

let data = null;
let models = []; // trained in turns, step by step
let run = null; // {id, steps, pace, lookEvery}
let timer = null;
const slots = {}; // kernels, used again by each training: their memory is large

function prepare(digits) {
  const train = drawDigits(digits, digits.train);
  const test = drawDigits(digits, digits.test);
  data = { train, test, meanError: meanImageError(train, test) };
  const shown = asBytes(test.images);
  postMessage({ type: "ready", shown, labels: test.labels });
}

function kernelsFor(slot) {
  slots[slot] ??= slot.startsWith("plain") ? plainKernels() : fastestKernels();
  slots[slot].reset();
  return slots[slot];
}

function start({ id, settings, steps, pace, plain, paused }) {
  clearTimeout(timer);
  const slot = (i) => `${plain ? "plain" : "fast"} ${i}`;
  models = settings.map((one, i) => new Training(one, data, kernelsFor(slot(i))));
  const slow = models[0].vae.kernels.name === PLAIN;
  run = { id, steps, pace, lookEvery: slow ? LOOK_EVERY.plain : LOOK_EVERY.fast };
  look();
  if (!paused) goOn(0);
}

function look() {
  const kernels = models[0].vae.kernels.name;
  postMessage({ type: "look", id: run.id, kernels, models: models.map((model) => model.look()) });
}

function goOn(wait) {
  clearTimeout(timer);
  timer = setTimeout(work, wait);
}

/** Train until the next look, then let messages in. */
function work() {
  const began = performance.now();
  do {
    models.forEach((model) => model.takeStep());
  } while (models[0].step % run.lookEvery && models[0].step < run.steps);
  look();
  if (isDone()) postMessage({ type: "done", id: run.id });
  else goOn(Math.max(0, run.pace - (performance.now() - began)));
}

const isDone = () => models[0].step >= run.steps;

const answers = {
  digits: ({ digits }) => prepare(digits),
  train: start,
  pause: () => clearTimeout(timer),
  resume: () => isDone() || goOn(0),
  stop: () => clearTimeout(timer),
  step() {
    if (isDone()) return;
    models.forEach((model) => model.takeStep());
    look();
    if (isDone()) postMessage({ type: "done", id: run.id });
  },
  pace({ pace }) {
    if (run) run.pace = pace;
  },
  weight({ value, steps }) {
    if (run) run.steps = steps;
    for (const model of models) model.weightByHand = value;
  },
};

onmessage = ({ data: message }) => answers[message.type](message);
