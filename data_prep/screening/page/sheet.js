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
    const some = all.filter((i) => KIND[i] & ~REFUSED);
    return [...some.filter(isSuggested), ...some.filter((i) => !isSuggested(i))];
  }
  return order === "random" ? shuffle(all, cluster + 1) : all;
}

function setOrder(order) {
  document.querySelector(`input[name=order][value=${order}]`).checked = true;
  showSheet();
}

function showSheet() {
  sheetCrops = cropsInOrder(chosen, document.querySelector("[name=order]:checked").value);
  sheetShown = 0;
  $("sheet").replaceChildren();
  $("sheet").scrollTop = 0;
  if (!sheetCrops.length) {
    const none = ACCEPTED[chosen] || $("refused").checked ? "suggested" : "accepted (A shows the others)";
    $("sheet").append(make("p", {}, `No crop of this cluster is ${none}.`));
  }
  showMore();
}

function showMore() {
  const part = sheetCrops.slice(sheetShown, sheetShown + PORTION);
  $("sheet").append(...part.map(tile));
  sheetShown += part.length;
}

function tile(index) {
  const image = make("span");
  const box = make("div", { role: "option" }, image);
  box.dataset.index = index;
  const [column, row] = tilePlace(index);
  image.style.backgroundImage = `url(${sheetUrl(index)})`;
  image.style.backgroundSize = `${DATA.tiles_a_side * SHOWN}px auto`;
  image.style.backgroundPosition = `${-column * SHOWN}px ${-row * SHOWN}px`;
  markTile(box);
  return box;
}

function markTile(box) {
  const index = Number(box.dataset.index);
  const word = decisionOf(index);
  box.className = [word, ofCrop[index] ? "own" : "", isSuggested(index) ? "suggested" : "", KIND[index] & REFUSED ? "refused" : ""].join(" ");
  box.ariaSelected = String(index === chosenCrop);
  box.ariaLabel = `${labelsOf(index).join(", ") || "no label"}: ${word}`;
}

function markSheet() { $$("#sheet [data-index]").forEach(markTile); }

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
  press("cell", DECISIONS[ofCrop[chosenCrop]]);
}

function stepCrop(key) {
  const columns = getComputedStyle($("sheet")).gridTemplateColumns.split(" ").length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  const place = sheetCrops.indexOf(chosenCrop);
  const next = place < 0 ? 0 : Math.max(0, Math.min(sheetCrops.length - 1, place + step));
  if (sheetCrops.length) chooseCrop(sheetCrops[next]);
}
