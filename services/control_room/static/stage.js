// The stage: messages travel along the lines that the server has drawn, and its numbers are kept current.

const WINDOW_S = 60;
const TRAVEL_MS = 1100;
const MOST_AT_ONCE = 5;
const EVERY_MS = 1000;
const SVG = "http://www.w3.org/2000/svg";

const stage = document.getElementById("stage");
const travellers = document.getElementById("travellers");
const slider = document.getElementById("ago");
const words = document.getElementById("ago-words");
const toNow = document.getElementById("to-now");
const isStill = matchMedia("(prefers-reduced-motion: reduce)");
const edges = new Map([...stage.querySelectorAll("[data-edge]")].map((group) => [group.dataset.edge, group]));
const labels = new Map([...stage.querySelectorAll("[data-label]")].map((group) => [group.dataset.label, group]));
const nodes = new Map([...stage.querySelectorAll("[data-node]")].map((group) => [group.dataset.node, group]));

// -- numbers ----------------------------------------------------------------------------------------------------------

async function ask(seconds, ago) {
  const response = await fetch(`/stage.json?seconds=${seconds}&ago=${ago}`);
  return response.ok ? response.json() : null;
}

function show(status) {
  let total = 0;
  for (const [id, now] of Object.entries(status.edges)) {
    const group = edges.get(id);
    if (!group) continue;
    total += now.messages;
    group.classList.toggle("quiet", !now.messages);
    group.classList.toggle("failing", Boolean(now.failure));
    const label = labels.get(id);
    label.classList.toggle("failing", Boolean(now.failure));
    label.querySelector("text.rate").textContent = now.messages ? `${now.per_second}/s` : "";
    const cause = label.querySelector(".cause");
    cause.classList.toggle("off", !now.failure);
    cause.setAttribute("href", now.url || "#");
    cause.setAttribute("tabindex", now.failure ? "0" : "-1");
    cause.setAttribute("aria-hidden", String(!now.failure));
  }
  for (const [name, badges] of Object.entries(status.nodes)) showBadges(nodes.get(name), badges);
  document.getElementById("rate").textContent = `${total.toLocaleString()} in a minute`;
}

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function showBadges(group, badges) {
  if (!group) return;
  const isConductor = group.classList.contains("conductor");
  const left = Number(group.dataset.x) + 12;
  const top = Number(group.dataset.y) + (isConductor ? 50 : 48);
  group.classList.toggle("alarm", badges.some((badge) => badge.tone === "alarm"));
  const pills = badges.slice(0, 3).map((badge, place) => {
    const x = left + (isConductor ? place * 112 : (place % 2) * 74);
    const y = top + (isConductor ? 0 : Math.floor(place / 2) * 22);
    const width = badge.text.length * 6.6 + 14;
    const link = element("a", { href: badge.url });
    const pill = element("g", { class: badge.tone === "calm" ? "pill calm" : "pill" });
    pill.append(
      element("rect", { x, y, width, height: 19, rx: 9.5 }),
      element("text", { x: x + width / 2, y: y + 13.5, "text-anchor": "middle" }, badge.text),
    );
    link.append(pill);
    return link;
  });
  group.querySelector(".pills").replaceChildren(...pills);
}

// -- messages that travel ---------------------------------------------------------------------------------------------

const moving = [];

/** Lets so many messages travel along a line within the next second: a few dots, larger where they stand for more. */
function send(id, count) {
  const line = edges.get(id)?.querySelector(".line");
  if (!line || !count || isStill.matches || document.hidden) return;
  const dots = Math.min(count, MOST_AT_ONCE);
  const radius = 3.5 + Math.min(Math.log10(count / dots + 1) * 5, 7);
  const style = getComputedStyle(line);
  const began = performance.now();
  for (let place = 0; place < dots; place += 1) {
    const dot = element("circle", { class: "traveller", r: radius, fill: style.stroke });
    dot.style.setProperty("--by", style.stroke);
    moving.push({ dot, line, length: line.getTotalLength(), start: began + (place * EVERY_MS) / dots });
  }
  if (moving.length === dots) requestAnimationFrame(travel);
}

function travel(at) {
  for (let place = moving.length - 1; place >= 0; place -= 1) {
    const each = moving[place];
    const done = (at - each.start) / TRAVEL_MS;
    if (done >= 1) {
      each.dot.remove();
      moving.splice(place, 1);
    } else if (done >= 0) {
      if (!each.dot.isConnected) travellers.append(each.dot);
      const { x, y } = each.line.getPointAtLength(each.length * done);
      each.dot.setAttribute("transform", `translate(${x} ${y})`);
    }
  }
  if (moving.length) requestAnimationFrame(travel);
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
  words.value = ago ? `the minute to ${at.toLocaleTimeString()}` : "now";
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
