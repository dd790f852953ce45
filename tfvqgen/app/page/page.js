// The page: asks the server for cells in small portions, and shows what came.
"use strict";

const $ = (id) => document.getElementById(id);
const PORTION_SECONDS = 3;
const FIRST_PORTION = 2;

let model = null; // what /api/about says
let title = ""; // of the cells
let cells = []; // shown: {id, name, labels, seed, text, kind}
let gain = null; // brightens each channel for the eye
let chosen = -1; // index in cells
let view = "composite";
let zoom = 0;
let crop = null; // the uploaded crop, a cell
let rect = null; // what to redraw, in pixels
let pending = null; // uploaded files that may be reduced
let busy = false;
let stopped = false;

// ---- asking ---------------------------------------------------------------

class Failure extends Error {
  constructor(answer) {
    super(answer.error || "something went wrong");
    this.answer = answer;
  }
}

async function ask(path, body) {
  let response;
  try {
    response = await fetch(path, body === undefined ? {} : {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Failure({ error: "the page’s server does not answer: is `python -m tfvqgen app` still running?" });
  }
  let answer;
  try {
    answer = await response.json();
  } catch {
    throw new Failure({ error: `the page’s server answered ${response.status} without words` });
  }
  if (!response.ok) throw new Failure(answer);
  return answer;
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// Runs something that takes time: one at a time, with its errors in words.
async function work(what, act) {
  if (busy) return;
  busy = true;
  stopped = false;
  $("error").hidden = true;
  document.body.setAttribute("aria-busy", "true");
  const start = performance.now();
  const said = () => { $("status").textContent = `${what()} ${seconds(start)} s`; };
  const timer = setInterval(said, 200);
  said();
  update();
  let done = "";
  try {
    done = await act();
  } catch (error) {
    if (!(error instanceof Failure)) console.error(error);
    $("error").textContent = sentence(error.message);
    $("error").hidden = false;
  }
  clearInterval(timer);
  busy = false;
  document.body.removeAttribute("aria-busy");
  $("status").textContent = done ? `${done} in ${seconds(start)} s` : "";
  $("progress").hidden = true;
  $("stop").hidden = true;
  update();
}

function seconds(start) {
  return ((performance.now() - start) / 1000).toFixed(1);
}

// ---- drawing --------------------------------------------------------------

function wanted() {
  return {
    labels: chosenLabels(),
    temperature: Number($("temperature").value),
    top_p: Number($("top_p").value),
    guidance: Number($("guidance").value),
  };
}

// Asks for cells in portions that take a few seconds each, so that they appear early
// and can be stopped.
async function drawPortions(path, extra, kind) {
  const total = Number($("count").value);
  const first = Number($("seed").value);
  const how = { ...wanted(), ...extra };
  let done = 0;
  let portion = FIRST_PORTION;
  $("progress").value = 0;
  $("progress").hidden = false;
  $("stop").hidden = false;
  await work(() => `${done} of ${total} cells …`, async () => {
    while (done < total && !stopped) {
      const count = Math.min(portion, total - done, model.most_at_once);
      const start = performance.now();
      const answer = await ask(path, { ...how, count, seed: first + done });
      const each = (performance.now() - start) / 1000 / count;
      // The first answer has waited for the graph to be made.
      portion = done === 0 ? 4 : Math.max(1, Math.floor(PORTION_SECONDS / each));
      add(answer, kind, done === 0);
      done += count;
      $("progress").value = done / total;
    }
    return `${done} ${done === 1 ? "cell" : "cells"}${stopped ? " (stopped)" : ""}`;
  });
}

function draw() {
  if (!$("controls").reportValidity()) return;
  if (mode() === "draw") {
    show([], setName(chosenLabels()));
    drawPortions("/api/draw", {}, "generated");
  } else if (crop) {
    show([crop], "Your crop, completed");
    drawPortions("/api/complete", { crop: crop.id, redraw: { ...rect } }, "completed");
  }
}

function reconstruct() {
  show([crop], "Your crop, reconstructed");
  work(() => "Encoding and decoding …", async () => {
    add(await ask("/api/reconstruct", { crop: crop.id }), "reconstructed", true);
    return "Reconstructed";
  });
}

// ---- the crop -------------------------------------------------------------

async function upload(files, reduce) {
  const size = files.reduce((sum, file) => sum + file.size, 0);
  $("question").hidden = true;
  await work(() => "Reading the crop …", async () => {
    if (size > model.most_upload_bytes) {
      throw new Failure({ error: `too large an upload: expected ${megabytes(model.most_upload_bytes)} MB at most. Received: ${megabytes(size)} MB` });
    }
    const body = { reduce, files: await Promise.all(files.map(readFile)) };
    try {
      const answer = await ask("/api/upload", body);
      setCrop(answer, files);
    } catch (error) {
      if (!error.answer || !error.answer.factor) throw error;
      pending = files;
      $("question").querySelector("p").textContent = sentence(error.message);
      $("reduce").textContent = `Reduce it ${error.answer.factor} times`;
      $("question").hidden = false;
      return "";
    }
    return "Crop read";
  });
  $("file").value = "";
}

function megabytes(bytes) {
  return (bytes / 2 ** 20).toFixed(1);
}

function readFile(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve({ name: file.name, data: reader.result.split(",")[1] || "" });
    reader.onerror = () => reject(new Failure({ error: `cannot read ${file.name}` }));
    reader.readAsDataURL(file);
  });
}

function setCrop(answer, files) {
  crop = { ...answer.cells[0], kind: "your crop" };
  gain = answer.gain;
  $("drop-text").textContent = `${files.map((file) => file.name).join(", ")} — choose another`;
  $("crop-ready").hidden = false;
  if (!rect) setPart([0.5, 0, 0.5, 1]);
  show([crop], "Your crop");
  select(0);
  update();
}

function setPart([x, y, width, height]) {
  const [rows, columns] = model.image_shape;
  setRect({ x: x * columns, y: y * rows, width: width * columns, height: height * rows });
}

// Puts the rectangle on whole patches: what is touched is drawn anew.
function setRect(wish) {
  const [rows, columns] = model.image_shape;
  const [stepX, stepY] = patch();
  const along = (start, length, step, most) => {
    const from = Math.max(0, Math.min(most - step, Math.round(start / step) * step));
    const size = Math.max(step, Math.min(most - from, Math.round(length / step) * step));
    return [from, size];
  };
  const [x, width] = along(wish.x, wish.width, stepX, columns);
  const [y, height] = along(wish.y, wish.height, stepY, rows);
  rect = { x, y, width, height };
  const style = $("redraw").style;
  style.left = `${100 * x / columns}%`;
  style.top = `${100 * y / rows}%`;
  style.width = `${100 * width / columns}%`;
  style.height = `${100 * height / rows}%`;
  for (const name of ["x", "y", "width", "height"]) $(name).value = rect[name];
}

// The width and height of the pixels of a top code.
function patch() {
  const [rows, columns] = model.image_shape;
  return [columns / model.top_shape[1], rows / model.top_shape[0]];
}

function rectFromNumbers() {
  const read = (name) => Number($(name).value) || 0;
  setRect({ x: read("x"), y: read("y"), width: read("width"), height: read("height") });
}

function moveRect(event) {
  const [stepX, stepY] = patch();
  const moves = { ArrowLeft: [-stepX, 0], ArrowRight: [stepX, 0], ArrowUp: [0, -stepY], ArrowDown: [0, stepY] };
  if (!(event.key in moves)) return;
  event.preventDefault();
  const [dx, dy] = moves[event.key];
  const [rows, columns] = model.image_shape;
  const next = { ...rect };
  if (event.shiftKey) {
    next.width += dx;
    next.height += dy;
  } else {
    next.x = Math.min(next.x + dx, columns - next.width);
    next.y = Math.min(next.y + dy, rows - next.height);
  }
  setRect(next);
}

// Dragging draws a new rectangle; within the old one it moves it.
function dragRect(event) {
  if (event.button !== 0) return;
  event.preventDefault();
  const stage = event.currentTarget;
  const box = stage.getBoundingClientRect();
  const [rows, columns] = model.image_shape;
  const at = (e) => ({
    x: Math.max(0, Math.min(columns, (e.clientX - box.left) / box.width * columns)),
    y: Math.max(0, Math.min(rows, (e.clientY - box.top) / box.height * rows)),
  });
  const start = at(event);
  const old = { ...rect };
  const moving = event.target === $("redraw");
  const onMove = (e) => {
    const now = at(e);
    if (moving) {
      setRect({
        ...old,
        x: Math.min(old.x + now.x - start.x, columns - old.width),
        y: Math.min(old.y + now.y - start.y, rows - old.height),
      });
    } else {
      const [stepX, stepY] = patch();
      const from = { x: Math.min(start.x, now.x), y: Math.min(start.y, now.y) };
      const to = { x: Math.max(start.x, now.x), y: Math.max(start.y, now.y) };
      const x = Math.floor(from.x / stepX) * stepX;
      const y = Math.floor(from.y / stepY) * stepY;
      setRect({ x, y, width: Math.ceil((to.x - x) / stepX) * stepX, height: Math.ceil((to.y - y) / stepY) * stepY });
    }
  };
  stage.setPointerCapture(event.pointerId);
  stage.addEventListener("pointermove", onMove);
  stage.addEventListener("pointerup", () => stage.removeEventListener("pointermove", onMove), { once: true });
  stage.addEventListener("pointercancel", () => stage.removeEventListener("pointermove", onMove), { once: true });
  $("redraw").focus();
}

// ---- showing --------------------------------------------------------------

function show(some, name) {
  cells = some;
  title = name;
  chosen = some.length ? 0 : -1;
  render();
}

function add(answer, kind, isFirst) {
  if (isFirst && kind === "generated") gain = answer.gain;
  cells = cells.concat(answer.cells.map((cell) => ({ ...cell, kind })));
  if (isFirst) chosen = cells.length - answer.cells.length;
  render();
}

function address(cell, what) {
  const query = $("brighten").checked && gain ? `?gain=${gain.join(",")}` : "";
  return `/cells/${cell.id}/${what}.png${query}`;
}

function caption(cell) {
  return cell.seed ? `seed ${cell.seed}` : cell.kind;
}

function picture(cell, what, alt) {
  const image = document.createElement("img");
  image.src = address(cell, what);
  image.alt = alt;
  image.draggable = false;
  image.onerror = () => { image.alt = "not kept any more: make it again"; };
  return image;
}

function element(tag, text, children = []) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function render() {
  $("empty").hidden = cells.length > 0 || busy;
  $("gallery").hidden = cells.length === 0;
  $("gallery").replaceChildren(...cells.map((cell, index) => {
    const what = cell.text && cell.text.Model ? "Generated cell" : "Uploaded crop";
    const item = element("div", "", [
      picture(cell, "composite", `${what}, ${caption(cell)}`), element("span", caption(cell)),
    ]);
    item.id = `cell-${index}`;
    item.setAttribute("role", "option");
    item.onclick = () => select(index);
    return item;
  }));
  // One row of them leaves more room to the chosen one.
  const columns = Math.max(1, Math.floor($("results").clientWidth / 113));
  $("viewer").classList.toggle("few", cells.length <= columns);
  const made = cells.filter((cell) => cell.kind !== "your crop");
  $("title").textContent = made.length ? `${title}: ${made.length} generated` : title;
  $("zip").hidden = made.length === 0;
  $("zip").href = `/cells.zip?${made.map((cell) => `id=${cell.id}`).join("&")}`;
  if (crop) $("crop-picture").src = address(crop, "composite");
  select(chosen);
}

function select(index) {
  chosen = index;
  const cell = cells[index];
  $("viewer").hidden = !cell;
  for (const [i, item] of [...$("gallery").children].entries()) {
    item.setAttribute("aria-selected", String(i === index));
  }
  if (!cell) return;
  $("gallery").setAttribute("aria-activedescendant", `cell-${index}`);
  const isCrop = cell.kind === "your crop";
  const name = { generated: `${setName(cell.labels)}, seed ${cell.seed}`, completed: `completed, seed ${cell.seed}` }[cell.kind] || cell.kind;
  $("cell-title").textContent = sentence(name) + (isCrop ? " (not generated)" : " (generated)");
  $("download").hidden = isCrop;
  $("download").href = `/cells/${cell.id}/download`;
  $("tiles").replaceChildren(...["composite", ...model.channels.keys()].map((what) => tile(cell, what)));
  $("facts").replaceChildren(...Object.entries(cell.text)
    .filter(([key]) => !["Description", "Software", "Credit"].includes(key))
    .map(([key, value]) => element("div", "", [element("dt", key), element("dd", value)])));
  enlarge();
}

function tile(cell, what) {
  const name = what === "composite" ? "Composite" : `${model.channels[what]}${shownAs(what)}`;
  const radio = document.createElement("input");
  radio.type = "radio";
  radio.name = "view";
  radio.checked = String(what) === view;
  radio.onchange = () => { view = String(what); enlarge(); };
  return element("label", "", [radio, picture(cell, what, ""), element("span", name)]);
}

function shownAs(index) {
  const colours = Object.keys(model.display).filter((x) => model.display[x] === model.channels[index]);
  const others = colours.filter((x) => x !== model.channels[index]);
  return others.length ? ` (${others.join(", ")})` : "";
}

function enlarge() {
  const cell = cells[chosen];
  if (!cell) return;
  const [rows, columns] = model.image_shape;
  const image = $("big").querySelector("img");
  const what = view === "composite" ? "composite" : `channel ${model.channels[view]}`;
  image.src = address(cell, view);
  image.alt = `${$("cell-title").textContent}, ${what}`;
  const room = Math.min($("big").clientWidth, $("big").clientHeight);
  const fitting = Math.max(1, Math.floor(room / Math.max(rows, columns)));
  const factor = zoom || fitting;
  image.width = columns * factor;
  image.height = rows * factor;
  $("zoom").textContent = `${factor} ×`;
}

function zoomBy(step) {
  const now = parseInt($("zoom").textContent, 10);
  zoom = Math.max(1, Math.min(32, now + step));
  enlarge();
}

function galleryKey(event) {
  const first = $("gallery").children[0];
  const columns = first ? Math.max(1, Math.round($("gallery").clientWidth / (first.offsetWidth + 8))) : 1;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -cells.length, End: cells.length };
  if (!(event.key in steps) || !cells.length) return;
  event.preventDefault();
  select(Math.max(0, Math.min(cells.length - 1, chosen + steps[event.key])));
  $("gallery").children[chosen].scrollIntoView({ block: "nearest" });
}

// ---- controls -------------------------------------------------------------

function mode() {
  return document.querySelector("input[name=mode]:checked").value;
}

function chosenLabels() {
  return [...document.querySelectorAll("#labels input:checked")].map((input) => input.value);
}

function setName(labels) {
  return labels.length ? labels.join(" + ") : "Any localization";
}

function update() {
  const labels = chosenLabels();
  const completing = mode() === "crop";
  const tooMany = completing && labels.length > 1;
  $("crop-part").hidden = !completing;
  $("clear").hidden = !labels.length;
  $("asked").textContent = tooMany
    ? "Completing takes one localization, or none."
    : labels.length ? `One cell’s: ${labels.join(" + ")}` : "None chosen: cells of no particular kind.";
  $("asked").style.color = tooMany ? "var(--warn)" : "";
  $("draw").textContent = completing ? "Complete" : "Draw";
  $("draw").disabled = busy || (completing && (!crop || tooMany));
  $("reconstruct").hidden = !completing;
  $("reconstruct").disabled = busy || !crop;
  $("file").disabled = busy;
  $("empty").hidden = cells.length > 0 || busy;
}

function introduce() {
  const [rows, columns, channels] = model.image_shape;
  const bits = model.dtype === "uint16" ? 16 : 8;
  $("model-id").textContent = model.id;
  $("model-facts").textContent = `${model.preset ? model.preset + ", " : ""}${columns} × ${rows}, ${channels} channel${channels === 1 ? "" : "s"}, ${bits} bit`;
  $("credit").textContent = model.credit || "not said";
  $("wanted").textContent = `${columns} × ${rows} pixels (or a multiple, which can be reduced), ${bits} bit, `
    + (channels > 4 ? "a grey PNG for each channel: " : channels > 1 ? "all channels in one PNG or a grey PNG each: " : "grey: ")
    + model.channels.join(", ") + ".";
  const [stepX, stepY] = patch();
  $("patches").textContent = `What is striped is drawn anew, in steps of ${stepX} × ${stepY} pixels. Drag, or use the arrow keys; Shift changes its size.`;
  for (const [name, step] of [["x", stepX], ["width", stepX], ["y", stepY], ["height", stepY]]) {
    $(name).step = step;
    if ($(name).min !== "0") $(name).min = step;
  }
  $("labels").replaceChildren(...model.labels.map((label) => {
    const input = document.createElement("input");
    input.type = "checkbox";
    input.value = label;
    input.onchange = update;
    return element("label", "", [input, element("span", label)]);
  }));
}

function listen() {
  $("controls").onsubmit = (event) => { event.preventDefault(); if (!busy) draw(); };
  $("reconstruct").onclick = reconstruct;
  $("stop").onclick = () => { stopped = true; };
  $("clear").onclick = () => {
    for (const input of document.querySelectorAll("#labels input")) input.checked = false;
    update();
  };
  for (const radio of document.querySelectorAll("input[name=mode]")) radio.onchange = update;
  for (const slide of document.querySelectorAll(".slide")) {
    const input = slide.querySelector("input");
    const tell = () => { slide.querySelector("output").textContent = Number(input.value).toFixed(2); };
    input.oninput = tell;
    tell();
  }
  $("file").onchange = () => { if ($("file").files.length) upload([...$("file").files], false); };
  $("reduce").onclick = () => upload(pending, true);
  $("drop").ondragover = (event) => { event.preventDefault(); $("drop").classList.add("over"); };
  $("drop").ondragleave = () => $("drop").classList.remove("over");
  $("drop").ondrop = (event) => {
    event.preventDefault();
    $("drop").classList.remove("over");
    if (!busy && event.dataTransfer.files.length) upload([...event.dataTransfer.files], false);
  };
  document.querySelector(".stage-inner").onpointerdown = dragRect;
  $("redraw").onkeydown = moveRect;
  for (const name of ["x", "y", "width", "height"]) $(name).onchange = rectFromNumbers;
  for (const button of document.querySelectorAll("[data-part]")) {
    button.onclick = () => setPart(button.dataset.part.split(" ").map(Number));
  }
  $("gallery").onkeydown = galleryKey;
  $("brighten").onchange = render;
  $("in").onclick = () => zoomBy(1);
  $("out").onclick = () => zoomBy(-1);
  window.onresize = enlarge;
}

listen();
update();
work(() => "Opening the model …", async () => {
  model = await ask("/api/about");
  introduce();
  return "";
});
