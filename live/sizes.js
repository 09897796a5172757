"use strict";

// What the worker and the page both have to know.

const SIDE = 14; // pixels, of what the model sees
const PIXELS = SIDE * SIDE;
const SHOWN = 8; // test images, and random codes, that the page shows
