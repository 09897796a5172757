"use strict";

// What the worker and the page both have to know.

const SIDE = 14; // pixels, of what the model sees
const PIXELS = SIDE * SIDE;
const TEST_IMAGES = 128; // on which models are compared
const SHOWN = 8; // of them, and of random codes, that the page shows
