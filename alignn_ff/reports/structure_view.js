"use strict";

// Structures drawn on a canvas: spheres and bonds in order of depth, seen without perspective.

const FACE = 0.3; // Å from a face of the cell within which an atom is also drawn at the opposite face
const BOND_SLACK = 0.45; // Å over the sum of covalent radii, as in Open Babel: O'Boyle et al., J. Cheminf. 3, 33 (2011)
const MOST_BONDED = 6000; // atoms beyond which no bonds are sought
const TURN = 0.01, KEY_TURN = 0.12; // radians for a pixel and for a key
const FOG_LEVELS = 8, FOG = 0.55;
const CROWDED = 4; // bonds an atom beyond which spheres say more
const START = product(turnX(-1.32), turnZ(-0.35));

class StructureView {
  constructor(root) {
    this.data = JSON.parse(root.querySelector("script").textContent);
    this.canvas = root.querySelector("canvas");
    this.pen = this.canvas.getContext("2d");
    this.ui = Object.fromEntries([...root.querySelectorAll("[name]")].map((part) => [part.name, part]));
    for (const name of ["tip", "note"]) this[name] = root.querySelector(`.${name}`);
    this.said = root.querySelector("output");
    this.fingers = new Map();
    this.camera = { turn: START, zoom: 1, x: 0, y: 0 };
    root.classList.add("ready");
    this.chooseSet(0);
    if (this.scene.bonds.length > CROWDED * this.scene.atom.length) {
      this.ui.bonds.checked = false;
      this.chooseFrame(this.set.shown);
    }
    this.listen();
    this.listenToPointer();
  }

  chooseSet(number) {
    const set = this.data.sets[number];
    for (const frame of set.frames) frame.x ??= decode(frame.positions);
    set.centre ??= centreOf(set);
    this.set = set;
    this.ui.frame.max = set.frames.length - 1;
    this.ui.frame.closest(".frames").hidden = set.frames.length < 2;
    this.note.textContent = set.note;
    this.chooseFrame(set.shown);
  }

  chooseFrame(number) {
    const { ui, set } = this, frame = set.frames[number];
    ui.frame.value = number;
    this.said.textContent = ui.frame.ariaValueText = frame.label;
    const choice = { wrap: ui.wrap.checked, faces: ui.faces.checked, bonds: ui.bonds.checked };
    this.scene = sceneOf(frame, set, this.data, choice);
    const { atom, bonds } = this.scene;
    Object.assign(this.canvas.dataset, { set: set.name, frame: number, atoms: atom.length, bonds: bonds.length });
    this.draw();
  }

  draw() {
    const { canvas, pen, camera, scene, set } = this, dense = window.devicePixelRatio || 1;
    const { width, height } = canvas.getBoundingClientRect();
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(height * dense);
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    this.sprites ??= spritesFor(getComputedStyle(canvas), dense);
    const scale = (0.52 * Math.min(width, height) * camera.zoom) / set.centre.reach;
    this.drawn = project(scene, set.centre, camera, scale, width, height);
    for (const item of inOrder(scene, this.drawn)) paint(pen, item, scene, this.drawn, this.sprites, this.data);
    triad(pen, scene, camera.turn, height, this.sprites.ink);
    canvas.dataset.toward = camera.turn.slice(6).map((part) => part.toFixed(3)).join(" ");
    canvas.dataset.zoom = camera.zoom.toFixed(3);
  }

  aim(change) {
    Object.assign(this.camera, change);
    this.draw();
  }

  turnBy(right, down) {
    this.aim({ turn: product(turnX(down), product(turnY(right), this.camera.turn)) });
  }

  zoomBy(factor) {
    this.aim({ zoom: Math.min(40, Math.max(0.2, this.camera.zoom * factor)) });
  }

  shiftBy(right, down) {
    this.aim({ x: this.camera.x + right, y: this.camera.y + down });
  }

  reset() {
    this.aim({ turn: START, zoom: 1, x: 0, y: 0 });
  }

  play(on) {
    clearInterval(this.timer);
    const next = () => this.chooseFrame((Number(this.ui.frame.value) + 1) % this.set.frames.length);
    this.timer = on ? setInterval(next, 90) : null;
    this.ui.play.textContent = on ? "❚❚" : "▶";
    this.ui.play.ariaLabel = on ? "Pause" : "Play";
  }

  listen() {
    const { ui, canvas } = this, again = () => this.chooseFrame(Number(ui.frame.value));
    for (const [axis, name] of ["a", "b", "c"].entries()) {
      ui[name].addEventListener("click", () => this.aim({ turn: seenAlong(this.scene.frame.cell, axis) }));
    }
    ui.reset.addEventListener("click", () => this.reset());
    ui.play.addEventListener("click", () => this.play(!this.timer));
    ui.set.addEventListener("change", () => { this.play(false); this.chooseSet(ui.set.value); });
    for (const part of [ui.frame, ui.bonds, ui.faces, ui.wrap]) part.addEventListener("input", again);
    canvas.addEventListener("keydown", (event) => this.press(event));
    const repaint = () => { this.sprites = null; this.draw(); };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
    new ResizeObserver(repaint).observe(canvas);
  }

  press(event) {
    const move = event.shiftKey
      ? (x, y) => this.shiftBy(15 * x, 15 * y) : (x, y) => this.turnBy(KEY_TURN * x, KEY_TURN * y);
    const keys = {
      ArrowLeft: () => move(-1, 0), ArrowRight: () => move(1, 0), ArrowUp: () => move(0, -1), ArrowDown: () => move(0, 1),
      "+": () => this.zoomBy(1.15), "=": () => this.zoomBy(1.15), "-": () => this.zoomBy(1 / 1.15),
      Home: () => this.reset(),
    };
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  }

  listenToPointer() {
    const { canvas, fingers } = this;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.isTrusted) canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    canvas.addEventListener("pointermove", (event) => (fingers.has(event.pointerId) ? this.drag(event) : this.point(event)));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
    }
    canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas && !event.ctrlKey) return; // a page that scrolls by should scroll by
      event.preventDefault();
      this.zoomBy(Math.exp(-0.0015 * event.deltaY));
    }, { passive: false });
  }

  drag(event) {
    const [x, y] = this.fingers.get(event.pointerId), spread = apart(this.fingers);
    const right = event.clientX - x, down = event.clientY - y;
    this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    this.tip.hidden = true;
    if (this.fingers.size > 1) this.zoomBy(apart(this.fingers) / spread);
    else if (event.shiftKey) this.shiftBy(right, down);
    else this.turnBy(TURN * right, TURN * down);
  }

  point(event) {
    const { scene, tip } = this, box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top, place = nearest(this.drawn, x, y);
    tip.hidden = place < 0;
    if (place < 0) return;
    const n = scene.atom[place], where = [0, 1, 2].map((k) => scene.frame.x[3 * n + k].toFixed(3)).join(", ");
    tip.textContent = `${scene.symbols[n]}, atom ${n} (${where}) Å`;
    tip.style.left = `${x}px`;
    tip.style.top = `${y}px`;
  }
}

// What is drawn of a frame: atoms with their images at faces of the cell, bonds, edges of the cell.

function sceneOf(frame, set, data, choice) {
  const inverse = inverted(frame.cell), x = Float32Array.from(frame.x);
  if (choice.wrap) wrap(x, frame, inverse);
  const first = set.frames[0], fixed = set.moving && !choice.wrap; // images that come and go would flicker
  const places = !choice.faces ? Array.from({ length: x.length / 3 }, (_, n) => [n, 0, 0, 0])
    : fixed ? (set.images ??= imagesOf(first, first.x, inverted(first.cell))) : imagesOf(frame, x, inverse);
  const at = new Float32Array(3 * places.length);
  places.forEach(([n, ...shift], m) => {
    for (let k = 0; k < 3; k++) {
      at[3 * m + k] = x[3 * n + k] + shift.reduce((sum, s, d) => sum + s * frame.cell[3 * d + k], 0);
    }
  });
  const symbols = data.species[frame.species], atom = places.map((place) => place[0]);
  const swell = choice.bonds ? 0.45 : 0.8;
  const radius = Float32Array.from(atom, (n) => swell * data.elements[symbols[n]].radius);
  const bonds = choice.bonds && atom.length <= MOST_BONDED ? bondsOf(at, atom, symbols, data.elements) : [];
  return { frame, symbols, atom, at, radius, bonds, edges: edgesOf(frame) };
}

function wrap(x, frame, inverse) {
  for (let n = 0; n < x.length; n += 3) {
    for (let d = 0; d < 3; d++) {
      const over = frame.pbc[d] ? Math.floor(fraction(x, n, inverse, d) + 1e-6) : 0;
      for (let k = 0; over && k < 3; k++) x[n + k] -= over * frame.cell[3 * d + k];
    }
  }
}

function imagesOf(frame, x, inverse) {
  const found = [];
  for (let n = 0; n < x.length / 3; n++) {
    let places = [[n, 0, 0, 0]];
    for (let d = 0; d < 3; d++) {
      const f = fraction(x, 3 * n, inverse, d), near = FACE * Math.hypot(inverse[d], inverse[3 + d], inverse[6 + d]);
      const step = !frame.pbc[d] ? 0 : Math.abs(f) < near ? 1 : Math.abs(f - 1) < near ? -1 : 0;
      if (step) places = places.concat(places.map((place) => place.map((part, k) => (k === d + 1 ? step : part))));
    }
    found.push(...places);
  }
  return found;
}

function bondsOf(at, atom, symbols, elements) {
  const radii = atom.map((n) => elements[symbols[n]].radius);
  const side = 2 * radii.reduce((a, b) => Math.max(a, b), 0) + BOND_SLACK, bins = new Map(), bonds = [];
  const bin = (m, i, j, k) =>
    [0, 1, 2].map((d) => Math.floor(at[3 * m + d] / side) + [i, j, k][d]).join();
  for (let m = 0; m < radii.length; m++) {
    for (let cell = 0; cell < 27; cell++) {
      for (const o of bins.get(bin(m, (cell % 3) - 1, (Math.floor(cell / 3) % 3) - 1, Math.floor(cell / 9) - 1)) ?? []) {
        const d = Math.hypot(at[3 * m] - at[3 * o], at[3 * m + 1] - at[3 * o + 1], at[3 * m + 2] - at[3 * o + 2]);
        if (d < radii[m] + radii[o] + BOND_SLACK && d > 0.1) bonds.push([o, m, d]);
      }
    }
    const own = bin(m, 0, 0, 0);
    bins.has(own) ? bins.get(own).push(m) : bins.set(own, [m]);
  }
  return withoutCations(bonds, atom.map((n) => elements[symbols[n]].metal));
}

// In salts and oxides metal atoms come near each other without a bond: those that each have one with a non-metal.
function withoutCations(bonds, metal) {
  const cations = new Set(bonds.flatMap(([i, j]) => (metal[i] === metal[j] ? [] : [metal[i] ? i : j])));
  return bonds.filter(([i, j]) => !(cations.has(i) && cations.has(j)));
}

function edgesOf(frame) {
  const axes = [0, 1, 2].filter((d) => frame.box[d]), pieces = [], parts = 10;
  const corner = (bits, axis, part) => [0, 1, 2].map((k) => axes.reduce((sum, d, i) =>
    sum + (d === axis ? part : (bits >> i) & 1) * frame.cell[3 * d + k], 0));
  axes.forEach((axis, i) => {
    for (let bits = 0; bits < 1 << axes.length; bits++) {
      for (let part = 0; !((bits >> i) & 1) && part < parts; part++) {
        pieces.push([corner(bits, axis, part / parts), corner(bits, axis, (part + 1) / parts)]);
      }
    }
  });
  return pieces;
}

function centreOf(set) {
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  const take = (x) => x.forEach((value, k) => {
    low[k % 3] = Math.min(low[k % 3], value);
    high[k % 3] = Math.max(high[k % 3], value);
  });
  for (const frame of set.frames) {
    take(frame.x);
    for (const edge of edgesOf(frame)) edge.forEach(take);
  }
  const half = low.map((value, k) => (high[k] - value) / 2);
  return { at: low.map((value, k) => value + half[k]), reach: Math.hypot(...half) + 1.2 };
}

// From space to the screen.

function project(scene, centre, camera, scale, width, height) {
  const turn = camera.turn, count = scene.atom.length;
  const px = new Float32Array(count), py = new Float32Array(count), depth = new Float32Array(count);
  const place = (x, y, z) => {
    const v = [x - centre.at[0], y - centre.at[1], z - centre.at[2]];
    return [
      width / 2 + camera.x + scale * (turn[0] * v[0] + turn[1] * v[1] + turn[2] * v[2]),
      height / 2 + camera.y - scale * (turn[3] * v[0] + turn[4] * v[1] + turn[5] * v[2]),
      turn[6] * v[0] + turn[7] * v[1] + turn[8] * v[2],
    ];
  };
  for (let m = 0; m < count; m++) {
    [px[m], py[m], depth[m]] = place(scene.at[3 * m], scene.at[3 * m + 1], scene.at[3 * m + 2]);
  }
  const radius = scene.radius.map((r) => r * scale);
  return { px, py, depth, radius, scale, reach: centre.reach, edges: scene.edges.map((e) => e.map((p) => place(...p))) };
}

function inOrder(scene, drawn) {
  const { px, py, depth } = drawn, items = [];
  for (let m = 0; m < depth.length; m++) items.push({ depth: depth[m], atom: m });
  for (const [a, b] of drawn.edges) items.push({ depth: (a[2] + b[2]) / 2, edge: [a, b] });
  for (const [i, j, d] of scene.bonds) {
    for (const [from, to] of [[i, j], [j, i]]) { // a half in the colour of each atom, from its surface to the middle
      const begin = Math.min(0.5, (0.85 * scene.radius[from]) / d);
      const on = (part) => [px[from] + part * (px[to] - px[from]), py[from] + part * (py[to] - py[from])];
      const part = (begin + 0.5) / 2;
      items.push({ depth: depth[from] + part * (depth[to] - depth[from]), bond: [on(begin), on(0.5)], from });
    }
  }
  return items.sort((one, other) => one.depth - other.depth);
}

function paint(pen, item, scene, drawn, sprites, data) {
  const fog = Math.min(FOG_LEVELS - 1, Math.max(0, Math.floor((0.5 - item.depth / (2 * drawn.reach)) * FOG_LEVELS)));
  if (item.edge) {
    line(pen, item.edge[0], item.edge[1], 1.2, sprites.fade(sprites.edge, fog));
    return;
  }
  const colour = data.elements[scene.symbols[scene.atom[item.atom ?? item.from]]].colour;
  if (item.bond) {
    const width = Math.min(0.24 * drawn.scale, 18);
    line(pen, ...item.bond, width, sprites.fade(mixed(colour, "#000000", 0.45), fog));
    line(pen, ...item.bond, 0.6 * width, sprites.fade(colour, fog));
    return;
  }
  const r = drawn.radius[item.atom];
  pen.drawImage(sprites.sphere(colour, fog), drawn.px[item.atom] - r, drawn.py[item.atom] - r, 2 * r, 2 * r);
}

function line(pen, from, to, width, colour) {
  pen.beginPath();
  pen.moveTo(from[0], from[1]);
  pen.lineTo(to[0], to[1]);
  pen.lineWidth = width;
  pen.lineCap = "round";
  pen.strokeStyle = colour;
  pen.stroke();
}

function triad(pen, scene, turn, height, ink) {
  const crystal = scene.frame.box.some(Boolean), names = crystal ? "abc" : "xyz";
  const cell = crystal ? scene.frame.cell : [1, 0, 0, 0, 1, 0, 0, 0, 1];
  pen.font = "600 12px system-ui, sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillStyle = ink;
  for (let d = 0; d < 3; d++) {
    const v = cell.slice(3 * d, 3 * d + 3), size = Math.hypot(...v);
    const [x, y] = [0, 3].map((row) => (turn[row] * v[0] + turn[row + 1] * v[1] + turn[row + 2] * v[2]) / size);
    line(pen, [38, height - 38], [38 + 20 * x, height - 38 - 20 * y], 2, ink);
    pen.fillText(names[d], 38 + 29 * x, height - 38 - 29 * y);
  }
}

function nearest(drawn, x, y) {
  let found = -1;
  for (let m = 0; m < drawn.depth.length; m++) {
    const inside = Math.hypot(drawn.px[m] - x, drawn.py[m] - y) < Math.max(drawn.radius[m], 4);
    if (inside && (found < 0 || drawn.depth[m] > drawn.depth[found])) found = m;
  }
  return found;
}

function spritesFor(style, dense) {
  const paper = style.getPropertyValue("--card").trim(), kept = new Map();
  const fade = (colour, fog) => mixed(colour, paper, (FOG * fog) / FOG_LEVELS);
  const sphere = (colour, fog) => {
    const key = colour + fog;
    if (!kept.has(key)) kept.set(key, sphereOf(fade(colour, fog), paper, fog, Math.ceil(64 * dense)));
    return kept.get(key);
  };
  const [ink, edge] = ["--text", "--muted"].map((name) => style.getPropertyValue(name).trim());
  return { sphere, fade, ink, edge };
}

function sphereOf(colour, paper, fog, size) {
  const canvas = Object.assign(document.createElement("canvas"), { width: size, height: size });
  const pen = canvas.getContext("2d"), r = size / 2, depth = 1 - (FOG * fog) / FOG_LEVELS;
  const light = pen.createRadialGradient(0.68 * r, 0.62 * r, 0.04 * r, r, r, r);
  light.addColorStop(0, mixed(colour, "#ffffff", 0.75 * depth));
  light.addColorStop(0.35, mixed(colour, "#ffffff", 0.12 * depth));
  light.addColorStop(0.75, mixed(colour, "#000000", 0.14 * depth));
  light.addColorStop(1, mixed(colour, "#000000", 0.55 * depth));
  pen.fillStyle = light;
  pen.beginPath();
  pen.arc(r, r, r - 1, 0, 2 * Math.PI);
  pen.fill();
  return canvas;
}

// Numbers.

function decode(text) {
  return new Float32Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
}

function fraction(x, n, inverse, d) {
  return x[n] * inverse[d] + x[n + 1] * inverse[3 + d] + x[n + 2] * inverse[6 + d];
}

function mixed(one, other, part) {
  const [a, b] = [one, other].map((colour) => [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16)));
  return "#" + a.map((value, k) => Math.round(value + part * (b[k] - value)).toString(16).padStart(2, "0")).join("");
}

function apart(fingers) {
  const [[x, y], [u, v]] = [...fingers.values(), [0, 0]];
  return Math.hypot(x - u, y - v) || 1;
}

function product(a, b) {
  return Array.from({ length: 9 }, (_, n) => {
    const row = 3 * Math.floor(n / 3), column = n % 3;
    return a[row] * b[column] + a[row + 1] * b[3 + column] + a[row + 2] * b[6 + column];
  });
}

function turnX(t) { return [1, 0, 0, 0, Math.cos(t), -Math.sin(t), 0, Math.sin(t), Math.cos(t)]; }
function turnY(t) { return [Math.cos(t), 0, Math.sin(t), 0, 1, 0, -Math.sin(t), 0, Math.cos(t)]; }
function turnZ(t) { return [Math.cos(t), -Math.sin(t), 0, Math.sin(t), Math.cos(t), 0, 0, 0, 1]; }

function cross(a, b) {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

function unit(v) {
  const size = Math.hypot(...v);
  return v.map((part) => part / size);
}

function seenAlong(cell, axis) { // the axis towards the viewer, the next but one upwards
  const toward = unit(cell.slice(3 * axis, 3 * axis + 3));
  const third = cell.slice(3 * ((axis + 2) % 3), 3 * ((axis + 2) % 3) + 3);
  const right = unit(cross(third, toward));
  return [...right, ...cross(toward, right), ...toward];
}

function inverted(cell) {
  const rows = [0, 3, 6].map((k) => cell.slice(k, k + 3));
  const columns = [cross(rows[1], rows[2]), cross(rows[2], rows[0]), cross(rows[0], rows[1])];
  const volume = rows[0].reduce((sum, part, k) => sum + part * columns[0][k], 0);
  return Array.from({ length: 9 }, (_, n) => columns[n % 3][Math.floor(n / 3)] / volume);
}

for (const root of document.querySelectorAll(".structure-view")) new StructureView(root);
