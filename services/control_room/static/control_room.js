// What every page has: times in the viewer's zone, the keyboard, the theme, and what changes while one looks.

const KEYS = { s: "/", o: "/orders", p: "/place", d: "/dead-letters", k: "/parked", u: "/pauses", i: "/incidents",
  c: "/consumers", w: "/stock", y: "/policies", a: "/audit", h: "/charts", r: "/runs" };
const STREAM = "/api/events?event=view&event=traffic&event=change";
const HEALTH = "/healthz";
const EVERYTHING = ["orders", "order", "failures", "audit", "stock", "traffic"];
const REFRESH_MS = 1000;
const RETRY_MS = 200;
const REOPEN_MS = 5000;

// -- times ------------------------------------------------------------------------------------------------------------

const TODAY = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const OTHER_DAY = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "medium" });

function showTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const isToday = at.toDateString() === new Date().toDateString();
    element.title = `${element.dateTime.replace("T", " ").replace("Z", "")} UTC`;
    element.textContent = (isToday ? TODAY : OTHER_DAY).format(at);
  }
}

// -- keyboard ---------------------------------------------------------------------------------------------------------

let isGoing = false;

function isTyping(target) {
  return target.matches("input, textarea, select, [contenteditable]");
}

function rows() {
  return [...document.querySelectorAll("main [data-row] a")];
}

function move(step) {
  const all = rows();
  const place = all.indexOf(document.activeElement);
  const next = all[Math.min(Math.max(place + step, 0), all.length - 1)];
  next?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const help = document.getElementById("help");
  if (isGoing) {
    isGoing = false;
    if (KEYS[event.key]) location.href = KEYS[event.key];
    return;
  }
  if (event.key === "?") help.open ? help.close() : help.showModal();
  else if (event.key === "g") isGoing = true;
  else if (event.key === "t") switchTheme();
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "/") document.querySelector("main input[type=search]")?.focus();
  else return;
  event.preventDefault();
});

// -- theme ------------------------------------------------------------------------------------------------------------

function switchTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
  document.dispatchEvent(new CustomEvent("theme"));
}

for (const button of document.querySelectorAll("[data-does]")) {
  button.addEventListener("click", () => {
    const help = document.getElementById("help");
    if (button.dataset.does === "theme") switchTheme();
    if (button.dataset.does === "help") help.showModal();
    if (button.dataset.does === "close") button.closest("dialog").close();
  });
}

// -- what changes -----------------------------------------------------------------------------------------------------

const waiting = new Set();
let timer = 0;
let replacing = 0;

/** Says on the document that rows of these projections changed: at most once a second, and never while nobody looks. */
export function announce(projections) {
  for (const name of projections) waiting.add(name);
  if (!timer) timer = setTimeout(tell, REFRESH_MS);
}

/** A part that is being replaced hears nothing: it is told when it is there. Parts settle at once (base.html), for one
    that is there and has not settled hears nothing either. */
function tell() {
  timer = 0;
  if (document.hidden || !waiting.size) return;
  if (replacing) {
    timer = setTimeout(tell, RETRY_MS);
    return;
  }
  const names = [...waiting];
  waiting.clear();
  for (const name of names) document.body.dispatchEvent(new CustomEvent(`changed-${name}`));
}

document.addEventListener("htmx:beforeRequest", () => { replacing += 1; });
document.addEventListener("htmx:afterRequest", () => { replacing -= 1; });

function showFreshness(isLive, words) {
  const dot = document.querySelector(".freshness .dot");
  dot?.classList.toggle("live", isLive);
  dot?.classList.toggle("off", !isLive);
  const text = document.querySelector(".freshness .words");
  if (text) text.textContent = words;
}

let source = null;
let reopening = 0;

/** Shows how far the control room itself is: a connection to it says nothing of Kafka. */
function showView(status) {
  const isShown = Boolean(document.querySelector("#view-banner .banner"));
  if (isShown !== Boolean(status.problem || status.reading)) announce(["view", ...EVERYTHING]);
  if (status.problem) showFreshness(false, `not up to date: ${status.problem}`);
  else if (status.as_of && !status.reading) showFreshness(true, "live");
  else showFreshness(false, "reading the topics");
}

async function askForView() {
  try {
    const response = await fetch(HEALTH);
    if (response.ok && source) showView((await response.json()).view);
  } catch {
    showFreshness(false, "not connected: shown is the last known");
  }
}

function unfollow() {
  clearTimeout(reopening);
  source?.close();
  source = null;
}

/** A browser opens a broken stream again by itself, but not one that was answered with another status than 200. */
function reopenWhenRefused() {
  showFreshness(false, "not connected: shown is the last known");
  if (source?.readyState !== EventSource.CLOSED) return;
  unfollow();
  reopening = setTimeout(follow, REOPEN_MS);
}

function follow() {
  if (source || document.hidden) return;
  const order = document.querySelector("[data-order]")?.dataset.order;
  source = new EventSource(order === undefined ? STREAM : `${STREAM}&event=order`); // whole rows only where one is shown
  source.addEventListener("open", () => {
    announce(EVERYTHING); // what changed between the page and the stream, or while it was broken, came in no event
    askForView();
  });
  source.addEventListener("error", reopenWhenRefused);
  source.addEventListener("view", (event) => showView(JSON.parse(event.data)));
  source.addEventListener("order", (event) => {
    if (JSON.parse(event.data).order_id === order) announce(["order"]);
  });
  source.addEventListener("change", (event) => announce([JSON.parse(event.data).projection]));
  source.addEventListener("reset", () => announce(EVERYTHING));
  source.addEventListener("traffic", (event) => {
    announce(["traffic"]);
    document.dispatchEvent(new CustomEvent("traffic", { detail: JSON.parse(event.data) }));
  });
}

document.addEventListener("visibilitychange", () => {
  if (document.body.dataset.live !== "yes") return;
  if (document.hidden) unfollow();
  else follow();
  announce([]);
});
document.addEventListener("htmx:afterSettle", (event) => showTimes(event.target));
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id !== "view-banner" || document.querySelector("#view-banner .banner")) return;
  announce(EVERYTHING); // the rest of the page is of the time before
  askForView();
});
showTimes(document);
if (matchMedia("(max-width: 760px)").matches) {
  document.querySelector("nav.side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
}
if (document.body.dataset.live === "yes") follow();
