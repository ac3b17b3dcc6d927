// The last hour, drawn by uPlot; drawn anew while one looks, and when the theme changes.

const EVERY_MS = 10_000;
const DASHES = [[], [8, 5], [2, 4], [12, 4, 2, 4], [5, 2]];
const COLOURS = ["--conducted", "--played", "--good", "--bad", "--warn"];
const MARKERS = ["solid", "dashed", "dotted", "dashed", "dotted"];
const SLOWEST = " p99";
const UNITS = {
  "per second": (value) => `${value.toFixed(2)}/s`,
  "per minute": (value) => `${value.toFixed(1)}/min`,
  milliseconds: (value) => (value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`),
  offsets: (value) => value.toLocaleString(),
};
const TIME = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
const MOMENT = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "medium" });
const plots = new Map();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Returns how lines look: each its own, but the slowest of a step like its median, with dots. */
function lines(names, show) {
  const own = names.filter((name) => !name.endsWith(SLOWEST));
  return names.map((name) => {
    const place = own.indexOf(name.replace(SLOWEST, ""));
    const isSlowest = name.endsWith(SLOWEST);
    return {
      marker: isSlowest ? "dotted" : MARKERS[place % MARKERS.length],
      label: name, stroke: colour(COLOURS[place % COLOURS.length]), width: isSlowest ? 1.5 : 2,
      dash: isSlowest ? [1, 3] : DASHES[place % DASHES.length], points: { size: 4 }, spanGaps: false,
      value: (_, value) => (value === null || value === undefined ? "–" : show(value)),
    };
  });
}

/** Shows the latest values in words, until one points at others. */
function showLatest(plot) {
  if (plot.cursor.idx === null || plot.cursor.idx === undefined) plot.setLegend({ idx: plot.data[0].length - 1 });
}

function options(element, unit, names) {
  const show = UNITS[unit];
  const least = unit === "offsets" ? 4 : 0.1;
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
  return {
    width: element.clientWidth,
    height: 220,
    scales: { x: { time: true }, y: { range: (_, low, high) => [0, Math.max(high ?? 0, least) * 1.1] } },
    axes: [{ ...axis, space: 80, values: (_, ticks) => ticks.map((at) => TIME.format(1000 * at)) }, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => (unit === "milliseconds" ? show(tick) : tick.toLocaleString())) }],
    legend: { markers: { width: 2, dash: (plot, place) => plot.series[place].marker } },
    hooks: { ready: [showLatest], setData: [showLatest] },
    series: [{ label: "at", value: (_, at) => (at ? MOMENT.format(1000 * at) : "–") }, ...lines(names, show)],
  };
}

async function draw({ anew = false } = {}) {
  if (document.hidden) return;
  const response = await fetch("/charts.json");
  if (!response.ok) return;
  const { at, charts } = await response.json();
  for (const element of document.querySelectorAll("[data-chart]")) {
    const { unit, lines: columns } = charts[element.dataset.chart];
    const names = Object.keys(columns);
    const data = [at, ...names.map((name) => columns[name])];
    if (anew) {
      plots.get(element)?.destroy();
      plots.delete(element);
    }
    if (plots.has(element)) plots.get(element).setData(data);
    else plots.set(element, new uPlot(options(element, unit, names), data, element));
  }
}

addEventListener("resize", () => draw({ anew: true }));
document.addEventListener("theme", () => draw({ anew: true }));
setInterval(draw, EVERY_MS);
draw();
