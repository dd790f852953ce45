// Decisions about clusters and crops, with undo, stored in this browser.
"use strict";

const DECISIONS = ["", "keep", "drop", "undecided"]; // "": the crop follows its cluster.
const STAMP = ["features", "model", "config"];
const STORE = `tfvqgen-review-${DATA.review}`;
const MOST_UNDO = 500;

const ofCluster = new Uint8Array(K); // Indices into DECISIONS; 3 is not used here.
const ofCrop = new Uint8Array(N);
let done = [];
let undone = [];

// Keeping a cluster does not take in crops that crops.csv does not accept.
function codeFor(index) {
  const whole = ofCluster[CLUSTER[index]];
  return ofCrop[index] || (whole === 1 && KIND[index] & REFUSED ? 0 : whole);
}

function decisionOf(index) { return DECISIONS[codeFor(index)] || "undecided"; }

function tableOf(what) { return what === "cluster" ? ofCluster : ofCrop; }

// Makes changes [[what, number, code], ...] as one step that can be undone.
function decide(changes) {
  const step = changes
    .map(([what, number, code]) => [what, number, tableOf(what)[number], code])
    .filter(([, , before, code]) => before !== code);
  if (!step.length) return;
  done.push(step);
  if (done.length > MOST_UNDO) done.shift();
  undone = [];
  play(step, 3);
}

// Sets every decision of a step to its old (2) or new (3) value.
function play(step, side) {
  for (const change of step) tableOf(change[0])[change[1]] = change[side];
  save();
  refresh(step);
}

function replay(from, to, side) {
  if (!from.length) return;
  to.push(from.pop());
  play(to.at(-1), side);
}

// Undecided is 0 for clusters.
function decideCluster(cluster, word) { decide([["cluster", cluster, DECISIONS.indexOf(word) % 3]]); }

function decideCrop(index, word) { decide([["crop", index, DECISIONS.indexOf(word)]]); }

// Returns changes that drop the suggested crops of clusters, except decided ones.
function dropSuggestedCrops(clusters) {
  const changes = [];
  for (const c of clusters) {
    for (let i = STARTS[c]; i < STARTS[c + 1]; i++) {
      if (isSuggested(i) && !ofCrop[i]) changes.push(["crop", i, 2]);
    }
  }
  return changes;
}

function dropAllSuggested() {
  const open = listed.filter((c) => !ofCluster[c]);
  const whole = open.filter((c) => SUGGESTED_CLUSTER[c]).map((c) => ["cluster", c, 2]);
  decide([...whole, ...dropSuggestedCrops(open.filter((c) => !SUGGESTED_CLUSTER[c]))]);
}

function save() {
  const cells = {};
  for (let i = 0; i < N; i++) if (ofCrop[i]) cells[i] = ofCrop[i];
  try {
    localStorage.setItem(STORE, JSON.stringify({ clusters: [...ofCluster], cells }));
  } catch {
    complain("This browser cannot store the decisions: download decisions.csv before you leave.");
  }
}

function restore() {
  try {
    const kept = JSON.parse(localStorage.getItem(STORE) || "null");
    if (!kept) return;
    ofCluster.set(kept.clusters.slice(0, K));
    for (const [index, code] of Object.entries(kept.cells)) ofCrop[index] = code;
  } catch {
    complain("The decisions stored in this browser cannot be read: the review starts anew.");
  }
}

// Writes the file that `python -m data_prep screen --apply` reads.
function cell(text) { return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text; }

function decisionsCsv() {
  const tail = `${STAMP.map((name) => cell(DATA.stamp[name])).join(",")}\n`;
  const lines = ["cluster,crop_id,sha256,decision,features,model,config\n"];
  for (let c = 0; c < K; c++) {
    if (ofCluster[c]) lines.push(`${c},,,${DECISIONS[ofCluster[c]]},${tail}`);
  }
  for (let i = 0; i < N; i++) {
    if (ofCrop[i]) lines.push(`${CLUSTER[i]},${cell(names.ids[i])},${hashOf(i)},${DECISIONS[ofCrop[i]]},${tail}`);
  }
  return lines.join("");
}

async function download() {
  await whenNamed;
  const href = URL.createObjectURL(new Blob([decisionsCsv()], { type: "text/csv" }));
  const link = make("a", { href, download: "decisions.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// Reads a file of decisions, to continue in another browser.
function parseCsv(text) {
  const rows = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    rows.at(-1).push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === "") break;
    if (end !== ",") rows.push([]);
  }
  return rows.filter((row) => row.length > 1);
}

async function openDecisions(file) {
  await whenNamed;
  const [header, ...rows] = parseCsv((await file.text()).replace(/^\ufeff/, ""));
  const place = Object.fromEntries((header || []).map((name, i) => [name.trim(), i]));
  if (!["cluster", "decision", ...STAMP].every((name) => name in place)) {
    return complain("Not a file of decisions: expected the columns of decisions.csv.");
  }
  const byId = new Map(names.ids.map((id, i) => [id, i]));
  const changes = [];
  for (const row of rows) {
    const get = (name) => (row[place[name]] || "").trim();
    const stale = STAMP.find((name) => get(name) !== DATA.stamp[name]);
    if (stale) {
      return complain(`Stale decisions: expected those made with ${stale} ${DATA.stamp[stale]}. Received: ${get(stale)}`);
    }
    // An applied file has a row for every crop; its column `by` says whether the crop or
    // its cluster was decided.
    const by = "by" in place ? get("by") : "crop";
    const code = DECISIONS.indexOf(get("decision").toLowerCase());
    if (!code || !by) continue;
    const index = byId.get(get("crop_id"));
    const cluster = index !== undefined ? CLUSTER[index] : /^\d+(\.0*)?$/.test(get("cluster")) ? Number(get("cluster")) : K;
    if (code < 0 || (get("crop_id") ? index === undefined : cluster >= K)) {
      return complain(`Not a decision of this page: ${row.join(",")}`);
    }
    changes.push(get("crop_id") && by === "crop" ? ["crop", index, code] : ["cluster", cluster, code % 3]);
  }
  complain("");
  decide(changes);
}
