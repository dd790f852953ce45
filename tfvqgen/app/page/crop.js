// The crop that people upload, and the rectangle of it that is drawn anew.
"use strict";

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
