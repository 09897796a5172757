"use strict";

// Trains in a thread of its own, so that the page never stutters.
//
// It is told: digits, train, pause, resume, step, weight, stop. It answers: ready, look, done, error.

const LOOK_EVERY = 10; // steps

let data = null;
let models = []; // trained in turns, step by step
let run = null; // {id, steps, pace}
let timer = null;

function prepare(digits) {
  const train = drawDigits(digits, digits.train);
  const test = drawDigits(digits, digits.test);
  data = { train, test, meanError: meanImageError(train, test) };
  const shown = asBytes(test.images);
  postMessage({ type: "ready", shown, labels: test.labels.slice(0, TEST_IMAGES) });
}

function start({ id, settings, steps, pace, plain }) {
  const kernels = () => (plain ? plainKernels() : fastestKernels());
  models = settings.map((one) => new Training(one, data, kernels()));
  run = { id, steps, pace };
  look();
  goOn(0);
}

function look() {
  postMessage({ type: "look", id: run.id, models: models.map((model) => model.look()) });
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
  } while (models[0].step % LOOK_EVERY && models[0].step < run.steps);
  look();
  if (models.some((model) => !model.isFinite())) return;
  if (models[0].step < run.steps) goOn(Math.max(0, run.pace - (performance.now() - began)));
  else postMessage({ type: "done", id: run.id });
}

const answers = {
  digits: ({ digits }) => prepare(digits),
  train: start,
  pause: () => clearTimeout(timer),
  resume: () => goOn(0),
  stop: () => clearTimeout(timer),
  step() {
    models.forEach((model) => model.takeStep());
    look();
    if (models[0].step >= run.steps) postMessage({ type: "done", id: run.id });
  },
  weight({ value }) {
    for (const model of models) model.weightByHand = value;
  },
};

onmessage = ({ data: message }) => answers[message.type](message);
