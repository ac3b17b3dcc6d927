// The last hour, drawn by uPlot; drawn anew while one looks, and when the theme changes.

const EVERY_MS = 10_000;
const DASHES = [[], [8, 5], [2, 4]];
const COLOURS = ["--conducted", "--played", "--good"];
const plots = new Map();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function options(element, names) {
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
  return {
    width: element.clientWidth,
    height: element.clientHeight - 40,
    scales: { x: { time: true }, y: { range: (_, low, high) => [0, Math.max(high, 0.1) * 1.1] } },
    axes: [axis, { ...axis, size: 56 }],
    series: [{}, ...names.map((name, place) => ({
      label: name, stroke: colour(COLOURS[place % COLOURS.length]), dash: DASHES[place % DASHES.length], width: 2,
      points: { show: false }, value: (_, value) => (value === null ? "" : `${value.toFixed(2)}/s`),
    }))],
  };
}

async function draw({ anew = false } = {}) {
  if (document.hidden) return;
  const response = await fetch("/charts.json");
  if (!response.ok) return;
  const { at, columns } = await response.json();
  for (const element of document.querySelectorAll(".chart")) {
    const names = element.dataset.columns.split(" ");
    const data = [at, ...names.map((name) => columns[name])];
    if (anew) {
      plots.get(element)?.destroy();
      plots.delete(element);
    }
    if (plots.has(element)) plots.get(element).setData(data);
    else plots.set(element, new uPlot(options(element, names), data, element));
  }
}

addEventListener("resize", () => draw({ anew: true }));
document.addEventListener("theme", () => draw({ anew: true }));
setInterval(draw, EVERY_MS);
draw();
