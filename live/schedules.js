"use strict";

// The weight of the KL term, step by step, with the arithmetic of `vae_utils.schedules`: float32.

const float = Math.fround;

/** At the rate of 1 in `ramp` steps, from 0 up to the cap. */
const rampAt = (step, ramp, cap) => Math.min(float(float(1 / ramp) * step), float(cap));

// Each takes the step, and the step at which its gate opened (−1 while it is shut).
const SCHEDULES = {
  /** The cap at every step. */
  constant: ({ cap }, step) => float(cap),

  /** A ramp from the first step on (Bowman et al. 2016). */
  linear: ({ ramp, cap }, step) => rampAt(step, ramp, cap),

  /** Four cycles, each a ramp to the cap and as many steps there; then the cap (Fu et al. 2019). */
  cyclical({ ramp, cap }, step) {
    const progress = step >= 8 * ramp ? 1 : float((step % (2 * ramp)) / ramp);
    return float(float(cap) * Math.min(progress, 1));
  },

  /** 0 until the gate opens, then a ramp: the rule of the original analysis. */
  gate: ({ ramp, cap }, step, openedAt) => (openedAt < 0 ? 0 : rampAt(step - openedAt, ramp, cap)),

  /** The cap, then 0, then a ramp: can a collapsed model be revived? */
  revive({ ramp, cap }, step) {
    if (step < REVIVE.off) return float(cap);
    return rampAt(Math.max(step - REVIVE.on, 0), ramp, cap);
  },
};

// Steps at which the weight of "revive" drops to 0, and at which its ramp begins.
const REVIVE = { off: 250, on: 500 };
