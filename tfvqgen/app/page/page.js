// The controls: what is asked for, in small portions.
"use strict";

const PORTION_SECONDS = 3;
const FIRST_PORTION = 2;

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
  $("draw").disabled = busy || !model || (completing && (!crop || tooMany));
  $("reconstruct").hidden = !completing;
  $("reconstruct").disabled = busy || !crop;
  $("file").disabled = busy || !model;
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
    if (!$("file").disabled && event.dataTransfer.files.length) upload([...event.dataTransfer.files], false);
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
