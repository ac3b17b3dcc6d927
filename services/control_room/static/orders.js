// Keeps a list of any length light: rows that are far out of sight are taken out, and a space as high stands for them.

const AROUND = "2500px";
const away = new WeakMap();
const observed = new WeakSet();
const observer = new IntersectionObserver(follow, { rootMargin: `${AROUND} 0px` });

function follow(entries) {
  for (const { target, isIntersecting, boundingClientRect } of entries) {
    if (isIntersecting) bringBack(target);
    else if (!target.contains(document.activeElement)) takeOut(target, boundingClientRect.height);
  }
}

function takeOut(chunk, height) {
  if (away.has(chunk) || !chunk.isConnected || !height) return;
  fixColumns(chunk.closest("table"));
  const rows = document.createDocumentFragment();
  rows.append(...chunk.childNodes);
  away.set(chunk, rows);
  const space = chunk.insertRow();
  space.className = "space";
  space.insertCell().style.height = `${height}px`;
}

function bringBack(chunk) {
  if (!away.has(chunk)) return;
  chunk.replaceChildren(away.get(chunk));
  away.delete(chunk);
}

/** Keeps the columns as wide as they are, whichever rows are there. */
function fixColumns(table) {
  if (table.style.tableLayout) return;
  const cells = [...table.tHead.rows[0].cells];
  const widths = cells.map((cell) => cell.offsetWidth);
  cells.forEach((cell, place) => { cell.style.width = `${widths[place]}px`; });
  table.style.tableLayout = "fixed";
}

function observe() {
  for (const chunk of document.querySelectorAll("#rows > .chunk")) {
    if (observed.has(chunk)) continue;
    observed.add(chunk);
    observer.observe(chunk);
  }
}

addEventListener("resize", () => {
  const table = document.getElementById("rows");
  table?.style.removeProperty("table-layout");
  for (const cell of table?.tHead.rows[0].cells ?? []) cell.style.removeProperty("width");
});
document.addEventListener("htmx:afterSettle", observe);
observe();
