// The stage: messages travel along the lines that the server has drawn, and its numbers are kept current.

const WINDOW_S = 60;
const TRAVEL_MS = 1100;
const MOST_AT_ONCE = 5;
const EVERY_MS = 1000;
const SVG = "http://www.w3.org/2000/svg";

const stage = document.getElementById("stage");
const slider = document.getElementById("ago");
const words = document.getElementById("ago-words");
const toNow = document.getElementById("to-now");
const isStill = matchMedia("(prefers-reduced-motion: reduce)");
const edges = new Map([...stage.querySelectorAll("[data-edge]")].map((group) => [group.dataset.edge, group]));
const labels = new Map([...stage.querySelectorAll("[data-label]")].map((group) => [group.dataset.label, group]));
const nodes = new Map([...stage.querySelectorAll("[data-node]")].map((group) => [group.dataset.node, group]));
const rows = new Map([...document.querySelectorAll("[data-flow]")].map((row) => [row.dataset.flow, row]));
const isNarrow = matchMedia("(max-width: 760px)");

// -- numbers ----------------------------------------------------------------------------------------------------------

async function ask(seconds, ago) {
  const response = await fetch(`/stage.json?seconds=${seconds}&ago=${ago}`);
  return response.ok ? response.json() : null;
}

const shown = new Map();

/** Returns whether this is not what stands there already: the page is written to only where something has changed. */
function isNews(place, now) {
  const text = JSON.stringify(now);
  if (shown.get(place) === text) return false;
  shown.set(place, text);
  return true;
}

function show(status) {
  let total = 0;
  for (const [id, now] of Object.entries(status.edges)) {
    const group = edges.get(id);
    if (!group) continue;
    total += now.messages;
    if (!isNews(`edge ${id}`, now)) continue;
    group.classList.toggle("quiet", !now.messages);
    group.classList.toggle("failing", Boolean(now.failure));
    for (const label of [labels.get(id), rows.get(id)]) showEdge(label, now);
  }
  for (const [name, badges] of Object.entries(status.nodes)) {
    if (isNews(`node ${name}`, badges)) showBadges(name, badges);
  }
  document.getElementById("rate").textContent = `${total.toLocaleString()} in a minute`;
}

function showEdge(label, now) {
  label.classList.toggle("failing", Boolean(now.failure));
  label.querySelector("[data-rate]").textContent = now.text;
  const cause = label.querySelector(".cause");
  cause.classList.toggle("off", !now.failure);
  cause.setAttribute("href", now.url || "#");
  cause.setAttribute("tabindex", now.failure ? "0" : "-1");
  cause.setAttribute("aria-hidden", String(!now.failure));
}

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function showBadges(name, badges) {
  const isAlarm = badges.some((badge) => badge.tone === "alarm");
  nodes.get(name)?.classList.toggle("alarm", isAlarm);
  document.querySelector(`[data-player="${name}"]`)?.classList.toggle("alarm", isAlarm);
  stage.querySelector(`[data-badges="${name}"]`)?.replaceChildren(...badges.map(pillOf));
  document.querySelector(`[data-flow-badges="${name}"]`)?.replaceChildren(...badges.map(linkOf));
}

function pillOf({ text, tone, url, x, y, width }) {
  const link = element("a", { href: url });
  const pill = element("g", { class: tone === "calm" ? "pill calm" : "pill" });
  pill.append(
    element("rect", { x, y, width, height: 19, rx: 9.5 }),
    element("text", { x: x + width / 2, y: y + 13.5, "text-anchor": "middle" }, text),
  );
  link.append(pill);
  return link;
}

function linkOf({ text, tone, url }) {
  const link = document.createElement("a");
  link.className = tone === "alarm" ? "badge bad" : "badge";
  link.href = url;
  link.textContent = text;
  return link;
}

// -- messages that travel ---------------------------------------------------------------------------------------------

const POINTS = 80;
const moving = [];
const overlay = element("svg", { class: "stage dots", viewBox: stage.getAttribute("viewBox"), "aria-hidden": "true" });
const layers = new Map();
stage.after(overlay); // a picture of its own: the one below need not be painted anew with each frame
const shapes = new WeakMap();

/** Returns points along a line, as far from each other, so that no frame has to measure it. */
function pointsOf(line) {
  if (!shapes.has(line)) {
    const length = line.getTotalLength();
    shapes.set(line, Array.from({ length: POINTS + 1 }, (_, place) => line.getPointAtLength((length * place) / POINTS)));
  }
  return shapes.get(line);
}

/** Returns where the dots of a line are: below its row on a phone, else above the whole picture, in its colour. */
function layerOf(id, group, line) {
  if (isNarrow.matches) return line.parentNode;
  if (!layers.has(id)) layers.set(id, overlay.appendChild(element("g", {})));
  const layer = layers.get(id);
  layer.setAttribute("class", group.getAttribute("class"));
  layer.classList.remove("quiet");
  return layer;
}

/** Lets so many messages travel along a line within the next second: a few dots, larger where they stand for more. */
function send(id, count) {
  const group = isNarrow.matches ? rows.get(id) : edges.get(id);
  if (!group || !count || isStill.matches || document.hidden) return;
  const line = group.querySelector(".line");
  const dots = Math.min(count, isNarrow.matches ? 1 : MOST_AT_ONCE);
  const radius = isNarrow.matches ? 4 : 3.5 + Math.min(Math.log10(count / dots + 1) * 5, 7);
  const layer = layerOf(id, group, line);
  const began = performance.now();
  for (let place = 0; place < dots; place += 1) {
    const dot = element("circle", { class: "traveller", r: radius });
    moving.push({ dot, group: layer, points: pointsOf(line), start: began + (place * EVERY_MS) / dots });
  }
  if (moving.length === dots) requestAnimationFrame(travel);
}

function travel(at) {
  let kept = 0;
  for (const each of moving) {
    const done = (at - each.start) / TRAVEL_MS;
    if (done >= 1) {
      each.dot.remove();
      continue;
    }
    moving[kept] = each;
    kept += 1;
    if (done < 0) continue;
    const { x, y } = each.points[Math.round(done * POINTS)];
    each.dot.setAttribute("transform", `translate(${x} ${y})`);
    if (!each.dot.parentNode) each.group.append(each.dot);
  }
  moving.length = kept;
  if (kept) requestAnimationFrame(travel);
}

// -- now, and back ----------------------------------------------------------------------------------------------------

const messages = new Map();
for (const [id, group] of edges) {
  for (const message of group.dataset.messages.split(",")) {
    const key = `${group.dataset.source} ${message}`;
    messages.set(key, [...(messages.get(key) ?? []), id]);
  }
}
let isBusy = false;

/** Sends what was written since over every line that it goes along; who is no service here is outside. */
document.addEventListener("traffic", (event) => {
  if (slider.value !== "0") return;
  const counts = new Map();
  for (const { sender, type, topic, messages: count } of event.detail) {
    const source = nodes.has(sender) ? sender : "outside";
    for (const id of messages.get(`${source} ${type} ${topic}`) ?? []) counts.set(id, (counts.get(id) ?? 0) + count);
  }
  for (const [id, count] of counts) send(id, count);
});

async function refresh() {
  if (isBusy || document.hidden || slider.value !== "0") return;
  isBusy = true;
  try {
    const status = await ask(WINDOW_S, 0);
    if (status) show(status);
  } finally {
    isBusy = false;
  }
}

slider.addEventListener("input", async () => {
  const ago = -Number(slider.value);
  toNow.disabled = ago === 0;
  const at = new Date(Date.now() - 1000 * ago);
  words.value = ago ? `minute to ${at.toLocaleTimeString()}` : "now";
  const status = await ask(WINDOW_S, ago);
  if (status && ago === -Number(slider.value)) show(status);
});
toNow.addEventListener("click", () => {
  slider.value = "0";
  slider.dispatchEvent(new Event("input"));
});
document.body.addEventListener("changed-traffic", refresh);
document.body.addEventListener("changed-failures", refresh);
document.body.addEventListener("changed-audit", refresh);
setInterval(refresh, 2 * EVERY_MS); // rates fall also while nothing comes
