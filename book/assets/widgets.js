// What the theme, MathJax and the widgets need to get along; and names for those who can't see.

// The theme replaces icons by drawings. Nested, they leave the element that a widget writes to.
window.FontAwesomeConfig = { autoReplaceSvg: "nest" };

// The widgets call MathJax by the name that it had in version 2.
document.addEventListener("DOMContentLoaded", () => {
  if (window.MathJax) {
    window.MathJax.Hub = {
      Queue: ([, , element]) => window.MathJax.typesetPromise?.([element]),
    };
  }
});

const PLAY_BUTTONS = ["Play or pause", "Back to the start", "Repeat"];

function nameSlider(slider) {
  const handle = slider.querySelector(".noUi-handle");
  const readout = slider.querySelector(".widget-readout");
  handle.setAttribute("aria-label", slider.querySelector(".widget-label").textContent);
  readout.setAttribute("contenteditable", "false"); // a label, not a number to type
  const say = () => {
    if (handle.getAttribute("aria-valuetext") !== readout.textContent) {
      handle.setAttribute("aria-valuetext", readout.textContent);
    }
  };
  say();
  const changes = { childList: true, characterData: true, subtree: true };
  new MutationObserver(say).observe(readout, changes);
  new MutationObserver(say).observe(handle, { attributeFilter: ["aria-valuetext"] });
}

// Which of several buttons is chosen: a colour for the eye, a word for the ear.
function nameChoice(button) {
  const say = () => button.setAttribute("aria-pressed", button.classList.contains("mod-active"));
  say();
  new MutationObserver(say).observe(button, { attributeFilter: ["class"] });
}

function nameAll() {
  document.querySelectorAll(".widget-toggle-buttons button:not([data-named])").forEach((button) => {
    button.dataset.named = "";
    nameChoice(button);
  });
  document.querySelectorAll('.widget-label[title="null"]').forEach((label) => {
    label.removeAttribute("title");
  });
  document.querySelectorAll(".widget-hslider:not([data-named])").forEach((slider) => {
    if (slider.querySelector(".noUi-handle")) {
      slider.dataset.named = "";
      nameSlider(slider);
    }
  });
  document.querySelectorAll(".widget-play:not([data-named])").forEach((play) => {
    play.dataset.named = "";
    play.querySelectorAll("button").forEach((button, i) => {
      button.setAttribute("aria-label", PLAY_BUTTONS[i]);
    });
  });
}

// The scripts and pictures of sliders are most of a page's weight (see `tools/late_sliders.py`).
function fetchSliders() {
  const late = document.getElementById("late-scripts").content.querySelectorAll("script");
  late.forEach((script) => {
    const copy = document.importNode(script);
    copy.async = false; // one after the other
    document.head.append(copy);
  });
}

document.addEventListener("DOMContentLoaded", () => {
  const near = new IntersectionObserver(
    (seen) => {
      if (seen.some((one) => one.isIntersecting)) {
        near.disconnect();
        fetchSliders();
      }
    },
    { rootMargin: "1000px" },
  );
  document.querySelectorAll(".still").forEach((still) => near.observe(still));
});

new MutationObserver(nameAll).observe(document, { childList: true, subtree: true });
