// The map: every crop a dot, written straight into the canvas's pixels. That takes a few
// milliseconds for 157,000 dots on any machine, with or without a graphics card.
"use strict";

const canvas = $("scatter");
const view = { scale: 1, x: 0, y: 0, fit: 1, whole: true }; // Pixel = coordinate * scale + (x or y).
const ink = new Uint32Array(N); // Colour of each dot, as the canvas's bytes (ABGR).
// In a shuffled order no cluster covers the others.
const ORDER = shuffle(Uint32Array.from({ length: N }, (_, i) => i), 1);
let buffer, pixels;
let highlighted = null; // A legend's entry: crops for which it is false are dimmed.
let frame = 0;
let firstDrawn = 0; // Milliseconds from the opening of the page.

const SIDE = 256;
const bucketStart = new Uint32Array(SIDE * SIDE + 1);
const bucketItems = new Uint32Array(N);

function prepareScatter() {
  const bucket = (i) => (Y[i] >> 8) * SIDE + (X[i] >> 8);
  for (let i = 0; i < N; i++) bucketStart[bucket(i) + 1]++;
  for (let b = 0; b < SIDE * SIDE; b++) bucketStart[b + 1] += bucketStart[b];
  const next = bucketStart.slice();
  for (let i = 0; i < N; i++) bucketItems[next[bucket(i)]++] = i;
  new ResizeObserver(resizeScatter).observe($("stage"));
  resizeScatter();
}

function resizeScatter() {
  const { clientWidth: width, clientHeight: height } = $("stage");
  if (!width || !height) return;
  // A canvas of very many pixels would be slow to fill.
  const ratio = width * height * devicePixelRatio ** 2 < 3e6 ? devicePixelRatio : 1;
  const whole = !buffer || view.whole;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  buffer = canvas.getContext("2d").createImageData(canvas.width, canvas.height);
  pixels = new Uint32Array(buffer.data.buffer);
  if (whole) wholeMap();
  redraw();
}

function wholeMap() {
  // The map lies beside the legend if that leaves enough room.
  const ratio = canvas.width / canvas.clientWidth;
  const width = canvas.width - Math.min(0.35 * canvas.width, $("legend").offsetWidth * ratio);
  view.fit = view.scale = 0.96 * Math.min(width, canvas.height) / 65536;
  view.x = width / 2 - 32768 * view.scale;
  view.y = canvas.height / 2 - 32768 * view.scale;
  view.whole = true;
  redraw();
}

function redraw() {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(drawDots);
}

function dotSize() {
  const few = N < 3000 ? 4 : N < 30000 ? 3 : 2;
  return Math.min(9, Math.round(few * Math.sqrt(Math.sqrt(view.scale / view.fit)) ** 1.5));
}

function drawDots() {
  const { width, height } = canvas;
  pixels.fill(0xff0b0907);
  const dot = (i, size, colour) => {
    const left = Math.round(X[i] * view.scale + view.x - size / 2);
    const top = Math.round(Y[i] * view.scale + view.y - size / 2);
    if (KIND[i] & hidden || left < 0 || top < 0 || left + size > width || top + size > height) return;
    for (let row = top; row < top + size; row++) {
      const from = row * width + left;
      for (let at = from; at < from + size; at++) pixels[at] = colour;
    }
  };
  const size = dotSize();
  const undecidedOnly = $("only-undecided").checked;
  const hidden = hiddenKinds();
  for (const i of ORDER) if (!undecidedOnly || codeFor(i) % 3 === 0) dot(i, size, ink[i]);
  for (let i = STARTS[chosen]; i < STARTS[chosen + 1]; i++) dot(i, size + 2, 0xffffffff);
  for (let i = STARTS[chosen]; i < STARTS[chosen + 1]; i++) dot(i, size, ink[i]);
  if (chosenCrop >= 0) {
    dot(chosenCrop, size + 8, 0xffffffff);
    dot(chosenCrop, size + 4, 0xff0b0907);
    dot(chosenCrop, size + 2, ink[chosenCrop]);
  }
  canvas.getContext("2d").putImageData(buffer, 0, 0);
  firstDrawn ||= performance.now();
}

// The crop nearest to a place of the canvas within a few pixels, or -1.
function cropAt(px, py, reach = 8) {
  const x = (px - view.x) / view.scale;
  const y = (py - view.y) / view.scale;
  const far = Math.max(reach, dotSize()) / view.scale;
  const clip = (v) => Math.max(0, Math.min(SIDE - 1, Math.floor(v / 256)));
  const hidden = hiddenKinds();
  let best = -1;
  let least = far * far;
  for (let row = clip(y - far); row <= clip(y + far); row++) {
    for (let column = clip(x - far); column <= clip(x + far); column++) {
      const b = row * SIDE + column;
      for (let k = bucketStart[b]; k < bucketStart[b + 1]; k++) {
        const i = bucketItems[k];
        if (KIND[i] & hidden) continue;
        const d = (X[i] - x) ** 2 + (Y[i] - y) ** 2;
        if (d < least) [least, best] = [d, i];
      }
    }
  }
  return best;
}

function moveBy(dx, dy) { view.x += dx; view.y += dy; view.whole = false; redraw(); }

function zoomAt(factor, px = canvas.width / 2, py = canvas.height / 2) {
  const scale = Math.max(view.fit / 2, Math.min(view.fit * 400, view.scale * factor));
  view.x = px - (px - view.x) * scale / view.scale;
  view.y = py - (py - view.y) * scale / view.scale;
  view.scale = scale;
  view.whole = false;
  redraw();
}

// Colours.
function abgr(r, g, b) { return (0xff000000 | (b << 16) | (g << 8) | r) >>> 0; }

function hue(h, s, l) {
  const f = (n) => {
    const k = (n + h / 30) % 12;
    return Math.round(255 * (l - s * Math.min(l, 1 - l) * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return abgr(f(0), f(8), f(4));
}

function nth(n) { return hue((n * 137.508 + 10) % 360, 0.62, [0.62, 0.46, 0.75][n % 3]); }

function ramp(t) { // Dark blue, green, yellow: readable without telling red from green.
  const stops = [[68, 60, 150], [45, 125, 142], [84, 197, 104], [253, 231, 60]];
  const place = Math.min(2.999, Math.max(0, t) * 3);
  const [a, b] = [stops[Math.floor(place)], stops[Math.floor(place) + 1]];
  return abgr(...a.map((v, k) => Math.round(v + (b[k] - v) * (place % 1))));
}

function css(colour) { return `rgb(${colour & 255} ${(colour >> 8) & 255} ${(colour >> 16) & 255})`; }

const GREY = abgr(92, 104, 114);
const FAINT = abgr(38, 45, 51);
const WORDS = { keep: abgr(95, 208, 138), drop: abgr(255, 123, 107), undecided: GREY };
const OF_KIND = [abgr(240, 184, 102), abgr(255, 110, 140), abgr(130, 170, 255), abgr(120, 210, 200)];

// What each way to colour shows: the colour of a crop, and the legend's entries.
function colouring(name) {
  if (name === "label") {
    return {
      of: (i) => { const l = DATA.combinations[COMBO[i]]; return l.length ? nth(l[0]) : GREY; },
      entries: DATA.labels.map((text, l) => ({ text, colour: nth(l), has: (i) => DATA.combinations[COMBO[i]].includes(l) })),
    };
  }
  if (name === "cluster") return { of: (i) => nth(CLUSTER[i]), entries: [] };
  if (name === "decision") {
    return {
      of: (i) => WORDS[decisionOf(i)],
      entries: Object.entries(WORDS).map(([text, colour]) => ({ text, colour, has: (i) => decisionOf(i) === text })),
    };
  }
  if (name === "suggestion") {
    return {
      of: (i) => { const k = KINDS.findIndex((_, bit) => KIND[i] >> bit & 1); return k < 0 ? GREY : OF_KIND[k]; },
      entries: KINDS.map((text, bit) => ({ text, colour: OF_KIND[bit], has: (i) => KIND[i] >> bit & 1 })),
    };
  }
  const column = COLUMNS.find((c) => c.name === name);
  return { of: (i) => column.values[i] === 255 ? GREY : ramp(column.values[i] / 254), column, entries: [] };
}

function paint() {
  const way = colouring($("colour").value);
  for (let i = 0; i < N; i++) ink[i] = highlighted && !highlighted.has(i) ? FAINT : way.of(i);
  redraw();
}

function showLegend() {
  highlighted = null;
  const way = colouring($("colour").value);
  const parts = way.entries.map((entry) => {
    const mark = make("i");
    mark.style.background = css(entry.colour);
    const button = make("button", { type: "button" }, mark, entry.text);
    button.onclick = () => {
      const off = button.ariaPressed === "true";
      for (const other of $("legend").children) other.ariaPressed = "false";
      button.ariaPressed = String(!off);
      highlighted = off ? null : entry;
      paint();
    };
    return button;
  });
  if (way.column) {
    const bar = make("div", { className: "ramp" });
    bar.style.background = `linear-gradient(to right, ${[0, 1, 2, 3].map((k) => css(ramp(k / 3))).join(", ")})`;
    const ends = [way.column.low, way.column.high].map((end) => make("span", {}, Number(end.toPrecision(3))));
    parts.push(bar, make("p", {}, ...ends));
  }
  $("legend").replaceChildren(...parts);
  $("legend").hidden = !parts.length;
}
