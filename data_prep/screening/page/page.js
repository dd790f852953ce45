// The page: the list of clusters, the selection, mouse and keyboard.
"use strict";

let chosen = 0; // The selected cluster.
let chosenCrop = -1; // The selected crop, which K, D and U decide; -1: they decide the cluster.
let listed = []; // Clusters in the list's order.
const rowOf = [];

function listClusters() {
  const by = {
    suspicion: (a, b) => SUGGESTED_CLUSTER[b] - SUGGESTED_CLUSTER[a] || suspicion(b) - suspicion(a) || a - b,
    size: (a, b) => ACCEPTED[b] - ACCEPTED[a] || a - b,
    number: (a, b) => a - b,
  }[$("sort").value];
  listed = [...rowOf.keys()].sort(by);
  $("clusters").replaceChildren(...listed.map((c) => rowOf[c]));
}

function suspicion(c) { return ACCEPTED[c] ? SUGGESTED[c] / ACCEPTED[c] : 0; }

function makeRow(c) {
  const whole = SUGGESTED_CLUSTER[c] ? ": drop the whole cluster" : "";
  const title = `${SUGGESTED[c]} of ${ACCEPTED[c]} accepted crops suggested${whole}`;
  const cells = [make("span", {}, c), make("span", {}, comma(ACCEPTED[c])), make("meter", { value: suspicion(c) })];
  return make("div", { title, role: "option", onclick: () => chooseCluster(c) }, make("i"), ...cells);
}

function comma(number) { return number.toLocaleString("en"); }

function wordOf(cluster) { return DECISIONS[ofCluster[cluster]] || "undecided"; }

function markRow(c) {
  const row = rowOf[c];
  row.className = `${wordOf(c)} ${SUGGESTED_CLUSTER[c] ? "suggested" : ""}`;
  row.ariaSelected = String(c === chosen);
  row.ariaLabel = `Cluster ${c}, ${ACCEPTED[c]} crops, ${wordOf(c)}`;
}

// Shows which of the buttons for a decision is the current one.
function press(what, word) {
  for (const button of $$(`[data-${what}]`)) button.ariaPressed = String(button.dataset[what] === word);
}

function chooseCluster(c, crop = -1) {
  const before = chosen;
  chosen = c;
  chosenCrop = crop;
  markRow(before);
  markRow(c);
  rowOf[c].scrollIntoView({ block: "nearest" });
  showSheet();
  showCluster();
  showCell();
  redraw();
}

function showCluster() {
  const [size, out] = [ACCEPTED[chosen], sizeOf(chosen) - ACCEPTED[chosen]];
  const counts = new Map();
  const crops = cropsInOrder(chosen, "nearest");
  for (const i of crops) {
    const name = labelsOf(i).join(" + ") || "no label";
    counts.set(name, (counts.get(name) || 0) + 1);
  }
  const most = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 3);
  const word = wordOf(chosen);
  $("title").textContent = `Cluster ${chosen}: ${comma(size)} crop${size === 1 ? "" : "s"}${out ? `, ${comma(out)} not accepted` : ""}`;
  $("verdict").textContent = word;
  $("verdict").className = `verdict ${word}`;
  $("about").textContent = `${most.map(([name, n]) => `${name} ${Math.round(100 * n / crops.length)} %`).join(", ") || "Nothing is shown"}. `
    + `${SUGGESTED[chosen]} suggested to drop${SUGGESTED_CLUSTER[chosen] ? ", so many that the whole cluster is" : ""}.`;
  press("cluster", word);
}

function showProgress() {
  const clusters = ofCluster.filter(Boolean).length;
  let [dropped, taken] = [0, 0];
  for (let i = 0; i < N; i++) {
    const code = codeFor(i);
    if (!(KIND[i] & REFUSED)) dropped += code === 2;
    else taken += code === 1;
  }
  const share = (100 * dropped / Math.max(NUM_ACCEPTED, 1)).toFixed(1);
  $("progress").textContent = `${clusters} of ${K} clusters decided; ${comma(dropped)} of ${comma(NUM_ACCEPTED)} crops to drop (${share} %)${taken ? `, ${comma(taken)} taken in` : ""}`;
  $("bar").value = clusters / K;
  $("undo").disabled = !done.length;
  $("redo").disabled = !undone.length;
}

// Updates everything that shows the decisions of a step.
function refresh(step) {
  for (const [what, number] of step) if (what === "cluster") markRow(number);
  markSheet();
  showCluster();
  showCell();
  showProgress();
  if ($("colour").value === "decision") paint();
  else redraw();
}

function decideChosen(word) {
  if (chosenCrop >= 0) decideCrop(chosenCrop, word);
  else decideCluster(chosen, word);
}

function stepCluster(step) {
  const place = listed.indexOf(chosen);
  for (let n = 1; n <= K; n++) {
    const c = listed[(place + n * step + n * K) % K];
    // Forward to the next undecided cluster; backward to the previous cluster.
    if (step < 0 || (!ofCluster[c] && (ACCEPTED[c] || !hiddenKinds()))) return chooseCluster(c);
  }
}

const KEYS = {
  k: () => decideChosen("keep"),
  d: () => decideChosen("drop"),
  u: () => decideChosen("undecided"),
  c: () => { if (chosenCrop >= 0) decideCrop(chosenCrop, ""); },
  x: () => decide(dropSuggestedCrops([chosen])),
  n: () => stepCluster(1),
  p: () => stepCluster(-1),
  b: () => $("bright").click(),
  a: () => $("refused").click(),
  z: () => replay(done, undone, 2),
  y: () => replay(undone, done, 3),
  1: () => setOrder("nearest"),
  2: () => setOrder("random"),
  3: () => setOrder("farthest"),
  4: () => setOrder("suggested"),
  0: wholeMap,
  "+": () => zoomAt(1.4),
  "=": () => zoomAt(1.4),
  "-": () => zoomAt(1 / 1.4),
  Escape: () => chooseCrop(-1),
};

function key(event) {
  const inList = event.target.matches("select, input:not([type=checkbox], [name=order])");
  if (inList || event.altKey || event.metaKey) return;
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey && name !== "z" && name !== "y") return;
  if (name.startsWith("Arrow")) {
    if (event.target === canvas) {
      moveBy(...{ ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[name]);
    } else if (event.target === $("clusters") && name !== "ArrowLeft" && name !== "ArrowRight") {
      const place = listed.indexOf(chosen) + (name === "ArrowDown" ? 1 : -1);
      if (listed[place] !== undefined) chooseCluster(listed[place]);
    } else if (event.target.name === "order") {
      return;
    } else {
      stepCrop(name);
    }
  } else if (event.ctrlKey && event.shiftKey && name === "z") {
    KEYS.y();
  } else if (KEYS[name]) {
    KEYS[name]();
  } else {
    return;
  }
  event.preventDefault();
}

function place(event) {
  const ratio = canvas.width / canvas.clientWidth;
  return [event.offsetX * ratio, event.offsetY * ratio];
}

let pause = 0;

function hover(index, x, y) {
  clearTimeout(pause);
  $("tip").hidden = true;
  if (index < 0) return;
  // Only where the mouse rests: a moving mouse loads no sheets.
  pause = setTimeout(() => {
    drawTile($("tip").firstChild, index);
    $("tip").lastChild.textContent = describe(index, false);
    $("tip").hidden = false;
    const { offsetWidth, offsetHeight, style } = $("tip");
    style.left = `${Math.min(x + 14, innerWidth - offsetWidth - 4)}px`;
    style.top = `${Math.max(4, Math.min(y + 14, innerHeight - offsetHeight - 4))}px`;
  }, 60);
}

function listenToMap() {
  let from, moved;
  canvas.onpointerdown = (event) => {
    from = place(event);
    moved = false;
    canvas.setPointerCapture(event.pointerId);
  };
  canvas.onpointermove = (event) => {
    const at = place(event);
    if (!from) return hover(cropAt(...at), event.clientX, event.clientY);
    const [dx, dy] = [at[0] - from[0], at[1] - from[1]];
    if (!moved && Math.hypot(dx, dy) < 4) return;
    moved = true;
    hover(-1);
    moveBy(dx, dy);
    from = at;
  };
  canvas.onpointerup = (event) => {
    if (from && !moved) {
      const index = cropAt(...place(event));
      if (index >= 0) chooseCrop(index);
    }
    from = null;
  };
  canvas.onpointerleave = () => hover(-1);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomAt(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...place(event));
  }, { passive: false });
}

function listen() {
  document.addEventListener("keydown", key);
  listenToMap();
  $("sheet").onclick = (event) => {
    const box = event.target.closest("[data-index]");
    if (box) chooseCrop(Number(box.dataset.index) === chosenCrop ? -1 : Number(box.dataset.index), false);
  };
  $("sheet").onpointermove = (event) => {
    const box = event.target.closest("[data-index]");
    hover(box ? Number(box.dataset.index) : -1, event.clientX, event.clientY);
  };
  $("sheet").onpointerleave = () => hover(-1);
  $("sheet").onscroll = () => {
    const { scrollTop, clientHeight, scrollHeight } = $("sheet");
    if (scrollTop + clientHeight > scrollHeight - 200) showMore();
  };
  for (const button of $$("[data-cluster]")) button.onclick = () => decideCluster(chosen, button.dataset.cluster);
  for (const button of $$("[data-cell]")) button.onclick = () => decideCrop(chosenCrop, button.dataset.cell);
  for (const input of $$("[name=order]")) input.onchange = showSheet;
  for (const button of $$("[data-key]")) button.onclick = () => KEYS[button.dataset.key]();
  $("download").onclick = download;
  $("open").onchange = () => { if ($("open").files.length) openDecisions($("open").files[0]); $("open").value = ""; };
  $("drop-suggested").onclick = dropAllSuggested;
  $("sort").onchange = listClusters;
  $("colour").onchange = () => { showLegend(); paint(); };
  $("only-undecided").onchange = redraw;
  $("refused").onchange = () => chooseCluster(chosen, KIND[chosenCrop] & hiddenKinds() ? -1 : chosenCrop);
}

function start() {
  const ways = ["label", "cluster", "suggestion", "decision", ...COLUMNS.map((c) => c.name)];
  $("colour").replaceChildren(...ways.map((name) => new Option(name)));
  $("facts").textContent = `${comma(N)} crops, ${comma(DATA.num_groups)} groups; features ${DATA.stamp.features.slice(0, 8)}`;
  $("credit").textContent = DATA.credit;
  $("refused-count").textContent = `${comma(N - NUM_ACCEPTED)} not accepted`;
  $("refused").parentNode.hidden = NUM_ACCEPTED === N;
  restore();
  for (let c = 0; c < K; c++) {
    rowOf.push(makeRow(c));
    markRow(c);
  }
  listClusters();
  listen();
  showLegend();
  prepareScatter();
  chooseCluster(listed.find((c) => !ofCluster[c]) ?? listed[0]);
  showProgress();
  paint();
}

start();
