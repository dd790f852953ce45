// The thumbnails of the selected cluster, and the selected crop.
"use strict";

const PORTION = 60;
const SHOWN = 80; // Pixels of a tile on the page.
let sheetCrops = [];
let sheetShown = 0;

function cropsInOrder(cluster, order) {
  const hidden = hiddenKinds();
  const all = Array.from({ length: sizeOf(cluster) }, (_, k) => STARTS[cluster] + k)
    .filter((i) => !(KIND[i] & hidden));
  if (order === "farthest") return all.reverse();
  if (order === "suggested") {
    const rank = (i) => (isSuggested(i) ? 0 : 1);
    return all.filter((i) => KIND[i] & ~REFUSED).sort((a, b) => rank(a) - rank(b));
  }
  if (order === "random") {
    let seed = cluster + 1;
    for (let i = all.length - 1; i > 0; i--) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const j = Math.floor(seed / 4294967296 * (i + 1));
      [all[i], all[j]] = [all[j], all[i]];
    }
  }
  return all;
}

function sheetOrder() { return document.querySelector("input[name=order]:checked").value; }

function setOrder(order) {
  document.querySelector(`input[name=order][value=${order}]`).checked = true;
  showSheet();
}

function showSheet() {
  sheetCrops = cropsInOrder(chosen, sheetOrder());
  sheetShown = 0;
  $("sheet").replaceChildren();
  $("sheet").scrollTop = 0;
  if (!sheetCrops.length) {
    const text = document.createElement("p");
    const none = ACCEPTED[chosen] || $("refused").checked ? "suggested" : "accepted (A shows the others)";
    text.textContent = `No crop of this cluster is ${none}.`;
    $("sheet").append(text);
  }
  showMore();
}

function showMore() {
  const part = sheetCrops.slice(sheetShown, sheetShown + PORTION);
  $("sheet").append(...part.map(tile));
  sheetShown += part.length;
}

function tile(index) {
  const box = document.createElement("div");
  const [column, row] = tilePlace(index);
  box.setAttribute("role", "option");
  box.dataset.index = index;
  const picture = document.createElement("span");
  picture.style.backgroundImage = `url(${sheetUrl(index)})`;
  picture.style.backgroundSize = `${DATA.tiles_a_side * SHOWN}px auto`;
  picture.style.backgroundPosition = `${-column * SHOWN}px ${-row * SHOWN}px`;
  box.append(picture);
  markTile(box);
  return box;
}

function markTile(box) {
  const index = Number(box.dataset.index);
  const word = decisionOf(index);
  box.className = [word, ofCrop[index] ? "own" : "", isSuggested(index) ? "suggested" : "", KIND[index] & REFUSED ? "refused" : ""].join(" ");
  box.setAttribute("aria-selected", String(index === chosenCrop));
  box.setAttribute("aria-label", `${labelsOf(index).join(", ") || "no label"}: ${word}`);
}

function markSheet() { for (const box of $("sheet").querySelectorAll("[data-index]")) markTile(box); }

function chooseCrop(index, scroll = true) {
  chosenCrop = index;
  if (index >= 0 && CLUSTER[index] !== chosen) chooseCluster(CLUSTER[index], index);
  if (index >= 0 && scroll) {
    const place = sheetCrops.indexOf(index);
    while (place >= sheetShown && sheetShown < sheetCrops.length && place < 2000) showMore();
    $("sheet").querySelector(`[data-index="${index}"]`)?.scrollIntoView({ block: "nearest" });
  }
  markSheet();
  showCell();
  redraw();
}

function showCell() {
  $("cell").hidden = chosenCrop < 0;
  $("target").textContent = chosenCrop < 0 ? `cluster ${chosen}` : "the selected crop";
  if (chosenCrop < 0) return;
  drawTile($("big"), chosenCrop);
  $("cell-about").textContent = describe(chosenCrop, true);
  for (const button of document.querySelectorAll("[data-cell]")) {
    button.ariaPressed = String(button.dataset.cell === DECISIONS[ofCrop[chosenCrop]]);
  }
}

function stepCrop(key) {
  const columns = getComputedStyle($("sheet")).gridTemplateColumns.split(" ").length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  const place = sheetCrops.indexOf(chosenCrop);
  const next = place < 0 ? 0 : Math.max(0, Math.min(sheetCrops.length - 1, place + step));
  if (sheetCrops.length) chooseCrop(sheetCrops[next]);
}
