"use strict";

// Pictures that move while a model trains. Each takes numbers and draws them; none keeps any.

/** Make an element from HTML with one root. */
function fromHTML(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  return template.content.firstElementChild;
}

// Digits after the point.
const DECIMALS = { step: 0, weight: 2, kl: 2, active: 0, error: 2, elbo: 1 };

/** Write a number for people, with a true minus sign. */
function say(value, decimals) {
  if (!Number.isFinite(value)) return "not a number";
  const text = value.toFixed(decimals);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "\u2212");
}

const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** The points of a line in a drawing of 100 by 100, x in steps. */
function toPoints(line, steps, [low, high]) {
  return line
    .map(([x, y]) => {
      const share = Math.min(Math.max((y - low) / (high - low), -0.02), 1.02);
      return `${((100 * x) / steps).toFixed(2)},${(100 - 100 * share).toFixed(2)}`;
    })
    .join(" ");
}

/** A small chart of one number over the steps. */
class Chart {
  constructor({ title, unit, range }) {
    this.range = range;
    this.element = fromHTML(`
      <figure class="live-chart">
        <figcaption><strong>${title}</strong> ${unit}</figcaption>
        <div class="live-plot" role="img" aria-label="${title}: no run yet">
          <span class="live-high"></span><span class="live-low"></span>
          <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
            <g class="live-behind"></g><g class="live-now"></g>
          </svg>
        </div>
        <div class="live-axis"><span>0</span><span class="live-steps"></span></div>
      </figure>`);
    this.plot = this.element.querySelector(".live-plot");
  }

  /**
   * @param behind, now - [{points: [[step, value], …], style}]: earlier lines, and those that grow.
   * @param steps - how far the axis goes.
   */
  draw(behind, now, steps) {
    const range = this.range(behind, now);
    const drawn = (lines) =>
      lines.map(({ points, style }) =>
        svg("polyline", { points: toPoints(points, steps, range), class: style }),
      );
    // Earlier lines are drawn again only where they or the axes have changed.
    const key = JSON.stringify([range, steps, behind.map(({ points }) => points.at(-1))]);
    if (key !== this.key) this.plot.querySelector(".live-behind").replaceChildren(...drawn(behind));
    this.key = key;
    this.plot.querySelector(".live-now").replaceChildren(...drawn(now));
    const decimals = range[1] - range[0] < 5 ? 1 : 0;
    this.element.querySelector(".live-low").textContent = say(range[0], decimals);
    this.element.querySelector(".live-high").textContent = say(range[1], decimals);
    this.element.querySelector(".live-steps").textContent = `step ${steps}`;
  }

  /** Put the picture into words. */
  describe(words) {
    this.plot.setAttribute("aria-label", words);
  }
}

/** All values of some lines, but for the first hundred steps, in which they come from afar. */
function settledValues(lines) {
  const settled = lines.flatMap(({ points }) =>
    points.slice(Math.min(10, Math.floor(points.length / 2))).map(([, y]) => y),
  );
  return settled.filter(Number.isFinite);
}

/** From 0 to the highest value, rounded up, and at least 1. */
function fromZero(behind, now) {
  const high = Math.max(1, ...settledValues([...behind, ...now]));
  const unit = 10 ** Math.floor(Math.log10(high));
  return [0, unit * [1, 2, 3, 5, 10].find((times) => times * unit >= high * 0.999)];
}

/** Around the values of the current runs, and where the earlier ones ended. */
function aroundTheEnd(behind, now) {
  const ends = behind.map(({ points }) => points.at(-1)[1]).filter(Number.isFinite);
  const values = [...settledValues(now), ...ends];
  if (values.length === 0) return [-100, 0];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const grain = high - low > 50 ? 20 : 2;
  return [Math.floor(low / grain - 0.2) * grain, Math.ceil(high / grain + 0.2) * grain];
}

/** Bars of the KL of each unit, the active ones filled. */
function drawBars(element, klPerUnit, active, high) {
  const width = 100 / klPerUnit.length;
  const bars = klPerUnit.map((kl, k) => {
    const height = Math.max((100 * Math.min(kl, high)) / high, 3); // so that its colour is seen
    const place = { x: (k + 0.12) * width, width: 0.76 * width, y: 100 - height, height };
    return svg("rect", { ...place, class: active[k] ? "active" : "idle" });
  });
  element.querySelector("svg").replaceChildren(...bars);
  element.querySelector(".live-high").textContent = high;
}

/** Draw the images that are shown, of bytes, in a row; half of them where there is little room. */
function drawImages(canvas, images) {
  const count = canvas.clientWidth < 240 ? SHOWN / 2 : SHOWN;
  const pitch = SIDE + 1; // with a gap between them
  canvas.width = count * pitch - 1;
  canvas.height = SIDE;
  const context = canvas.getContext("2d");
  const tile = context.createImageData(SIDE, SIDE);
  for (let n = 0; n < count; n++) {
    for (let i = 0; i < PIXELS; i++) {
      tile.data.fill(images[n * PIXELS + i], 4 * i, 4 * i + 3);
      tile.data[4 * i + 3] = 255;
    }
    context.putImageData(tile, n * pitch, 0);
  }
}

// Of the ellipses. No ten colours are told apart by everybody: the digits are written on them.
const DIGIT_COLOURS = [
  ...["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee"],
  ...["#aa3377", "#888888", "#ee8866", "#44bb99", "#9970ab"],
];

/** Draw the posteriors of two units: an ellipse of one standard deviation for each image. */
function drawMap(canvas, { mean, std }, labels) {
  const size = 320;
  const ink = getComputedStyle(canvas).color;
  const reach = 3.5;
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d");
  const place = (value) => ((value + reach) / (2 * reach)) * size;
  context.strokeStyle = "#8888";
  context.beginPath();
  for (const radius of [1, 2]) {
    context.moveTo(place(radius), place(0));
    context.arc(place(0), place(0), (radius * size) / (2 * reach), 0, 2 * Math.PI);
  }
  context.stroke();
  context.font = "bold 11px sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  labels.forEach((label, i) => {
    const [x, y] = [place(mean[2 * i]), place(-mean[2 * i + 1])];
    const scale = size / (2 * reach);
    context.fillStyle = DIGIT_COLOURS[label];
    context.globalAlpha = 0.25;
    context.beginPath();
    context.ellipse(x, y, scale * std[2 * i], scale * std[2 * i + 1], 0, 0, 2 * Math.PI);
    context.fill();
    context.globalAlpha = 1;
    context.fillStyle = ink;
    context.fillText(label, x, y);
  });
}
