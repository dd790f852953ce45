// Decodes data.js: crops, clusters, labels and sprite sheets.
"use strict";

const $ = (id) => document.getElementById(id);
const $$ = (selector) => document.querySelectorAll(selector);
const KINDS = ["quality", "outlier", "duplicate", "other labels"];
const DROPPING = 7; // Bits of the kinds that suggest to drop.
const REFUSED = 128; // Bit of crops that crops.csv does not accept.

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Shuffles in place, always in the same way for a seed.
function shuffle(items, seed) {
  for (let i = items.length - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const j = Math.floor(seed / 4294967296 * (i + 1));
    [items[i], items[j]] = [items[j], items[i]];
  }
  return items;
}

function bytes(text) {
  const decoded = atob(text);
  const found = new Uint8Array(decoded.length);
  for (let i = 0; i < found.length; i++) found[i] = decoded.charCodeAt(i);
  return found;
}

const N = DATA.num_crops;
const STARTS = DATA.starts; // Cluster c has the crops STARTS[c] to STARTS[c + 1] - 1, nearest first.
const K = STARTS.length - 1;
const X = new Uint16Array(bytes(DATA.x).buffer);
const Y = new Uint16Array(bytes(DATA.y).buffer);
const COMBO = new Uint16Array(bytes(DATA.combination).buffer);
const KIND = bytes(DATA.kinds);
const COLUMNS = DATA.columns.map((column) => ({ ...column, values: bytes(column.values) }));
const CLUSTER = new Uint16Array(N);
for (let c = 0; c < K; c++) CLUSTER.fill(c, STARTS[c], STARTS[c + 1]);
const SUGGESTED_CLUSTER = new Uint8Array(K);
for (const c of DATA.suggested_clusters) SUGGESTED_CLUSTER[c] = 1;
// Crops that crops.csv does not accept are not counted and are shown on demand; they can be
// kept one by one.
const ACCEPTED = new Uint32Array(K); // Accepted crops of each cluster,
const SUGGESTED = new Uint32Array(K); // and those that are suggested to be dropped.
for (let i = 0; i < N; i++) {
  if (KIND[i] & REFUSED) continue;
  ACCEPTED[CLUSTER[i]]++;
  if (KIND[i] & DROPPING) SUGGESTED[CLUSTER[i]]++;
}
const NUM_ACCEPTED = ACCEPTED.reduce((sum, n) => sum + n, 0);

// Ids, groups, reasons and hashes are large: they are loaded after the page.
let names = null;
const whenNamed = new Promise((done, fail) => {
  addEventListener("load", () => setTimeout(() => {
    const script = make("script", { src: "names.js" });
    script.onload = () => {
      names = {
        ids: NAMES.crop_ids.split("\n"), groups: NAMES.groups, reasons: NAMES.reasons,
        group: new Uint32Array(bytes(NAMES.group).buffer),
        reason: new Uint32Array(bytes(NAMES.reason).buffer), hashes: bytes(NAMES.hashes),
      };
      done(names);
    };
    script.onerror = () => fail(new Error("names.js is missing in the folder of the page."));
    document.head.append(script);
  }, 50));
});
whenNamed.catch((error) => complain(error.message));

function isSuggested(index) { return KIND[index] & DROPPING && !(KIND[index] & REFUSED); }

// The bits of KIND of crops that are not shown.
function hiddenKinds() { return $("refused").checked ? 0 : REFUSED; }

function sizeOf(cluster) { return STARTS[cluster + 1] - STARTS[cluster]; }

function hashOf(index) {
  const hash = names.hashes.subarray(32 * index, 32 * index + 32);
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function labelsOf(index) { return DATA.combinations[COMBO[index]].map((l) => DATA.labels[l]); }

function describe(index, long) {
  const reason = names?.reasons[names.reason[index]];
  const known = COLUMNS.filter((c) => c.values[index] !== 255);
  const valueOf = (c) => c.low + (c.high - c.low) * c.values[index] / 254;
  const lines = [
    names?.ids[index],
    labelsOf(index).join(", ") || "no label",
    `cluster ${CLUSTER[index]}: ${decisionOf(index)}`,
    KIND[index] & REFUSED && "not accepted: only kept one by one",
    reason && `suggested: ${reason}`,
    long && names && `group ${names.groups[names.group[index]]}`,
    long && known.map((c) => `${c.name} ${Number(valueOf(c).toPrecision(3))}`).join(", "),
  ];
  return lines.filter(Boolean).join("\n");
}

// Sprite sheets: crop i is the tile i % PER_SHEET of the sheet floor(i / PER_SHEET).
const PER_SHEET = DATA.tiles_a_side ** 2;
const loadedSheets = new Map();

function sheetUrl(index) { return `sprites/${DATA.sheets[Math.floor(index / PER_SHEET)]}`; }

function tilePlace(index) {
  const tile = index % PER_SHEET;
  return [tile % DATA.tiles_a_side, Math.floor(tile / DATA.tiles_a_side)];
}

function drawTile(canvas, index) {
  const url = sheetUrl(index);
  const image = loadedSheets.get(url) || make("img", { src: url });
  // The first sheet of loadedSheets is the least recently used one.
  loadedSheets.delete(url);
  loadedSheets.set(url, image);
  if (loadedSheets.size > 12) loadedSheets.delete(loadedSheets.keys().next().value);
  canvas.dataset.index = index;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const paint = () => {
    if (Number(canvas.dataset.index) !== index) return;
    const [column, row] = tilePlace(index);
    const t = DATA.tile;
    context.imageSmoothingQuality = "high";
    context.drawImage(image, column * t, row * t, t, t, 0, 0, canvas.width, canvas.height);
    canvas.dataset.painted = index;
  };
  if (image.complete && image.naturalWidth) paint();
  else {
    image.addEventListener("load", paint);
    image.addEventListener("error", () => complain(`${url} is missing in the folder of the page.`));
  }
}

function complain(message) {
  $("error").textContent = message;
  $("error").hidden = !message;
}
