// Asking the server, one thing at a time, with errors in words.
"use strict";

const $ = (id) => document.getElementById(id);

// What the page knows.
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
