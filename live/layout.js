"use strict";

// The HTML of the component, and its dials.

const button = (action, text, more = "") =>
  `<button type="button" data-action="${action}" ${more}>${text}</button>`;

const options = (choices) =>
  Object.entries(choices)
    .map(([value, text]) => `<option value="${value}">${text}</option>`)
    .join("");

const titles = () => Object.entries(PRESETS).map(([name, { title }]) => [name, title]);

function wholePage(name) {
  const presets = titles()
    .map(([preset, title]) => `<button type="button" data-preset="${preset}">${title}</button>`)
    .join("");
  return `
    <div class="live-body">
      <div class="live-presets" role="group" aria-label="Experiments">${presets}</div>
      <div class="live-actions" role="group" aria-label="Training">
        ${button("train", "Train", 'class="live-primary"')} ${button("pause", "Pause")}
        ${button("step", "Step")} ${button("reset", "Reset")}
        ${button("new-seed", "New seed")}
        <span class="live-weight">
          <label>KL weight now
            <input type="range" name="weight" min="0" max="2" step="0.01" value="0">
          </label>
          <span class="live-value"></span> ${button("follow", "Back to schedule", "hidden")}
        </span>
      </div>
      <p class="live-look-for"></p>
      <p class="live-status" role="status"></p>
      <p class="live-message" role="alert"></p>
      <div class="live-models"></div>
      <div class="live-charts"></div>
      <p class="live-earlier" hidden></p>
      <details class="live-settings" ${matchMedia("(min-width: 40rem)").matches ? "open" : ""}>
        <summary>Change the settings</summary>
        <p class="live-pending" hidden>${button("train-these", "Train with these settings")}</p>
        <div class="live-dials"></div>
        <div class="live-choice">
          <label for="${name}-beside">Train alongside, with its own settings</label>
          <select id="${name}-beside" name="beside">
            <option value="">nothing</option>${options(Object.fromEntries(titles()))}
          </select>
        </div>
        <div class="live-choice">
          <label for="${name}-speed">Speed</label>
          <select id="${name}-speed" name="speed">
            <option value="watch">slow enough to follow</option>
            <option value="fast">full speed</option>
          </select>
        </div>
      </details>
      <details class="live-runs" hidden>
        <summary>All runs so far</summary>
        <div class="live-scroll" tabindex="0" role="region" aria-label="All runs so far">
          <table>
            <thead><tr>
              <th scope="col">Run</th><th scope="col">Settings</th><th scope="col">Seed</th>
              <th scope="col">Step</th><th scope="col">Weight</th><th scope="col">KL</th>
              <th scope="col">Active</th><th scope="col">Error</th><th scope="col">ELBO</th>
            </tr></thead>
            <tbody></tbody>
          </table>
        </div>
        ${button("copy", "Copy")} ${button("save", "Save as CSV")} ${button("clear", "Clear")}
        <span class="live-copied" role="status"></span>
      </details>
    </div>`;
}

function compactPage() {
  return `
    <div class="live-body">
      <div class="live-actions" role="group" aria-label="Training">
        ${button("train", "Train", 'class="live-primary"')} ${button("pause", "Pause")}
      </div>
      <p class="live-status" role="status"></p>
      <p class="live-message" role="alert"></p>
      <div class="live-models"></div>
      <div class="live-charts"></div>
      <p class="live-earlier" hidden></p>
    </div>`;
}

const MAP_CAPTION =
  "Codes of the test images: a digit at each posterior mean, in an ellipse of one standard deviation; " +
  "the circles mark one and two standard deviations of the prior";

/** The pictures of one model, and its numbers. */
function modelPanel(letter, title) {
  const picture = (name, caption, words) => `
    <figure class="live-${name}">
      <figcaption>${caption}</figcaption>
      <canvas role="img" aria-label="${words}"></canvas>
    </figure>`;
  return `
    <section data-model="${letter}" aria-label="${title}">
      <p class="live-title live-${letter}">${title}</p>
      <p class="live-numbers live-unseen">
        step <b data-out="step">0</b> of <span class="live-last"></span>, weight <b data-out="weight">0</b>,
        KL <b data-out="kl">0</b>, active <b data-out="active">0</b> <span class="live-of"></span>,
        error <b data-out="error">0</b>, ELBO <b data-out="elbo">0</b>
      </p>
      <div class="live-images">
        ${picture("tests", "Test images", "Test images, each a handwritten digit")}
        ${picture("reconstructions", "Their reconstructions", "The test images, reconstructed")}
        ${picture("generated", "Images from random codes", "Images from random codes")}
      </div>
      <figure class="live-units">
        <figcaption>KL of each unit, in nats (idle ones grey)</figcaption>
        <div class="live-bars" role="img" aria-label="KL per unit: no run yet">
          <span class="live-high"></span>
          <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true"></svg>
        </div>
      </figure>
      ${picture("map", MAP_CAPTION, "Map of the codes")}
      <p class="live-dead" hidden></p>
    </section>`;
}

/** A slider and a field with the exact number; or a choice. */
function dial(name, id) {
  const { label, choices, min, max, grain, whole, ends, marks, note } = DIALS[name];
  if (choices) {
    return `
      <div class="live-choice">
        <label for="${id}">${label}</label>
        <select id="${id}" name="${name}">${options(choices)}</select>
      </div>`;
  }
  const slider = ends
    ? `<input type="range" ${range(DIALS[name])} data-slider="${name}" aria-label="${label}: coarse">
       <span class="live-ends"><span>${ends[0]}</span>
       ${Object.entries(marks ?? {})
         .map(([text, value]) => `<button type="button" data-value="${value}">${text}</button>`)
         .join("")}
       <span>${ends[1]}</span></span>`
    : "";
  return `
    <div class="live-dial">
      <label for="${id}">${label}</label>
      <input type="number" id="${id}" name="${name}" min="${min}" max="${max}"
        step="${whole ? 1 : grain ?? "any"}" required aria-describedby="${id}-wrong">
      ${slider}
      ${note ? `<span class="live-note">${note}</span>` : ""}
      <span class="live-wrong" id="${id}-wrong" role="alert"></span>
    </div>`;
}

/** The dials of a component. */
class Dials {
  constructor(element, prefix, changed) {
    this.element = element;
    element.innerHTML = Object.keys(DIALS)
      .map((name) => dial(name, `${prefix}-${name}`))
      .join("");
    this.values = { ...BASE };
    element.addEventListener("input", ({ target }) => {
      const { slider } = target.dataset;
      if (slider) this.set(slider, fromSlider(slider, Number(target.value)), { slider: false });
      else if (target.name) this.take(target);
      changed();
    });
    // A field with a value that can't be taken goes back to the last one that could, and says so.
    element.addEventListener("change", ({ target }) => {
      if (!target.name) return;
      const taken = readSetting(target.name, target.value) !== null;
      this.set(target.name, this.values[target.name]);
      if (!taken) this.complain(target, accepts(target.name));
    });
    element.addEventListener("click", ({ target }) => {
      if (!target.dataset.value) return;
      this.set("variance", Number(target.dataset.value));
      changed();
    });
  }

  field(name) {
    return this.element.querySelector(`[name="${name}"]`);
  }

  /** Write below a dial what is wrong with what was typed. */
  complain(field, words) {
    const place = field.parentElement.querySelector(".live-wrong");
    if (place) place.textContent = words;
  }

  take(field) {
    const value = readSetting(field.name, field.value);
    field.setAttribute("aria-invalid", value === null);
    if (value !== null) this.set(field.name, value, { field: false });
  }

  /** Set a value, and show it: not in what the reader is about to move, which would fight back. */
  set(name, value, show = {}) {
    this.values[name] = value;
    const field = this.field(name);
    this.complain(field, "");
    if (show.field ?? true) {
      field.value = value;
      field.setAttribute("aria-invalid", false);
    }
    const slider = this.element.querySelector(`[data-slider="${name}"]`);
    if (slider && (show.slider ?? true)) slider.value = toSlider(name, value);
    slider?.setAttribute("aria-valuetext", value);
  }

  read() {
    return { ...this.values };
  }

  write(settings) {
    for (const [name, value] of Object.entries(settings)) this.set(name, value);
  }
}

// A logarithmic slider has a hundred places, another one those of its values.
const range = ({ min, max, grain, log }) =>
  log ? 'min="0" max="100"' : `min="${min}" max="${max}" step="${grain ?? 1}"`;

/** Where a value lies on its slider. */
function toSlider(name, value) {
  const { min, max, log } = DIALS[name];
  return log ? Math.round((100 * Math.log(value / min)) / Math.log(max / min)) : value;
}

/** The value at a place of the slider; of a logarithmic one, rounded to two digits. */
function fromSlider(name, place) {
  const { min, max, log, whole } = DIALS[name];
  if (!log) return place;
  const value = Number((min * (max / min) ** (place / 100)).toPrecision(2));
  return Math.min(Math.max(whole ? Math.round(value) : value, min), max);
}
