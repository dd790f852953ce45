// Showing cells: all of them, and the chosen one enlarged.
"use strict";

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
