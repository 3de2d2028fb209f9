// SPDX-License-Identifier: PostgreSQL
// The last hour, by Chart.js where the page was built with it, and as a table always.
"use strict";

const HOUR_MS = 3600 * 1000;
const SHORT_MS = 300 * 1000; // shown at least, so that a young receiver's chart is no line at the edge
const VIEWS = {
  seconds: { title: "Lag over the last hour", as: "seconds", lines: [["lag_flushed_seconds", "Durable"], ["lag_received_seconds", "Received"], ["lag_archived_seconds", "Compressed"]] },
  bytes: { title: "Lag over the last hour", as: "bytes", lines: [["lag_flushed_bytes", "Durable"], ["lag_received_bytes", "Received"], ["lag_archived_bytes", "Compressed"]] },
  rate: { title: "Throughput over the last hour", as: "rate", lines: [["received_bytes_per_second", "Received"], ["generated_bytes_per_second", "Written by the server"]] },
};

const history_ = { points: [], view: "seconds", chart: null, streaming: true };

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Stretches without a stream behind the lines: [[from, to], ...]. A point tells of the time before it.
function outages(points) {
  const found = [];
  points.forEach((point, i) => {
    if (!point.streaming && i > 0) found.push([points[i - 1].at, point.at]);
  });
  if (!history_.streaming && points.length > 0) found.push([points[points.length - 1].at, Date.now()]);
  return found;
}

const shade = {
  id: "outages",
  beforeDatasetsDraw(chart) {
    const { ctx, chartArea: area, scales: { x } } = chart;
    ctx.save();
    ctx.fillStyle = colour("--outage");
    for (const [from, to] of outages(history_.points)) {
      const left = Math.max(area.left, x.getPixelForValue(from));
      const right = Math.min(area.right, x.getPixelForValue(to));
      if (right > left) ctx.fillRect(left, area.top, right - left, area.bottom - area.top);
    }
    ctx.restore();
  },
};

const TIME_STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400];

// At most five steps of a size that reads well.
function stepFor(view, most) {
  if (view.as === "seconds") return TIME_STEPS.find((step) => most / step <= 5) ?? 86400 * Math.ceil(most / 432000);
  let step = 256;
  while (most / step > 5) step *= 2;
  return step;
}

function niceScale(view) {
  return (axis) => {
    const step = stepFor(view, axis.max);
    axis.max = Math.max(1, Math.ceil(axis.max / step)) * step;
    axis.ticks = Array.from({ length: Math.round(axis.max / step) + 1 }, (_, i) => ({ value: i * step }));
  };
}

function chartOptions(view) {
  const soft = colour("--soft");
  const now = Date.now();
  const began = Math.max(now - HOUR_MS, Math.min(now - SHORT_MS, history_.points[0]?.at ?? now));
  const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  return {
    animation: false, parsing: false, normalized: true, maintainAspectRatio: false, responsive: true,
    interaction: { mode: "index", axis: "x", intersect: false },
    scales: {
      x: { type: "linear", min: began, max: now, grid: { color: colour("--grid") },
        afterBuildTicks(axis) {
          const step = [60000, 120000, 300000, 600000].find((size) => (now - began) / size <= 7);
          axis.ticks = [];
          for (let t = Math.ceil(axis.min / step) * step; t <= axis.max; t += step) axis.ticks.push({ value: t });
        },
        ticks: { color: soft, maxRotation: 0, autoSkipPadding: 16, callback: clock } },
      y: { beginAtZero: true, suggestedMax: view.as === "seconds" ? 0.1 : 1024, grid: { color: colour("--grid") }, afterBuildTicks: niceScale(view),
        ticks: { color: soft, autoSkip: false, callback: (v) => format[view.as](v) } },
    },
    plugins: {
      legend: { align: "start", labels: { color: colour("--text"), usePointStyle: true, pointStyle: "line" } },
      tooltip: { callbacks: {
        title: (items) => new Date(items[0].parsed.x).toLocaleTimeString("en-GB"),
        label: (item) => `${item.dataset.label}: ${format[view.as](item.parsed.y)}`,
      } },
    },
  };
}

// Nothing is compressed while the archive is no further behind than what is durable.
function linesOf(view) {
  const packed = history_.points.some((p) => p.lag_archived_bytes > p.lag_flushed_bytes);
  return view.lines.filter(([name]) => packed || !name.startsWith("lag_archived"));
}

function datasets(view) {
  return linesOf(view).map(([name, label], i) => ({
    label, borderColor: colour(`--line-${i + 1}`), backgroundColor: colour(`--line-${i + 1}`),
    borderWidth: 2, borderDash: i === 1 ? [6, 3] : i === 2 ? [2, 2] : [], pointRadius: 0, pointHitRadius: 8, spanGaps: false, tension: 0,
    data: history_.points.map((p) => ({ x: p.at, y: p[name] ?? NaN })),
  }));
}

function drawChart() {
  const view = VIEWS[history_.view];
  const box = document.getElementById("chart-box");
  const note = document.getElementById("chart-note");
  document.getElementById("chart-title").textContent = view.title;
  note.hidden = history_.points.length > 1 && typeof Chart !== "undefined";
  if (typeof Chart === "undefined") {
    box.hidden = true;
    note.textContent = "This walrx was built without the charting library; the table has the figures.";
    return;
  }
  note.textContent = "There is a point every ten seconds; the first ones are on their way.";
  const data = { datasets: datasets(view) };
  const options = chartOptions(view);
  if (history_.chart === null) {
    history_.chart = new Chart(document.getElementById("chart"), { type: "line", data, options, plugins: [shade] });
    return;
  }
  Object.assign(history_.chart, { data, options });
  history_.chart.update("none");
}

// One row per five minutes, the worst of each.
function drawTable() {
  const view = VIEWS[history_.view];
  const head = document.getElementById("chart-head");
  const rows = document.getElementById("chart-rows");
  const slots = new Map();
  for (const point of history_.points) {
    const slot = Math.floor(point.at / 300000) * 300000;
    const worst = slots.get(slot) ?? {};
    for (const [name] of view.lines)
      if (point[name] !== null && point[name] !== undefined) worst[name] = Math.max(worst[name] ?? 0, point[name]);
    slots.set(slot, worst);
  }
  const cell = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
  head.replaceChildren(cell("th", "From"), ...view.lines.map(([, label]) => cell("th", `${label}, most`)));
  rows.replaceChildren(...[...slots].reverse().map(([slot, worst]) => {
    const row = document.createElement("tr");
    row.append(cell("th", new Date(slot).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })),
      ...view.lines.map(([name]) => cell("td", show(worst[name], view.as))));
    return row;
  }));
}

function describeChart() {
  const view = VIEWS[history_.view];
  const parts = linesOf(view).map(([name, label]) => {
    const values = history_.points.map((p) => p[name]).filter((v) => v !== null && v !== undefined);
    return `${label}: now ${show(values[values.length - 1], view.as)}, at most ${show(values.length ? Math.max(...values) : null, view.as)}`;
  });
  document.getElementById("chart").setAttribute("aria-label", `${view.title}. ${parts.join(". ")}.`);
}

// { columns: [name...], rows: [[value...]...] }, the column "at" in milliseconds of Unix time.
function setHistory(answer) {
  history_.points = answer.rows.map((row) => Object.fromEntries(answer.columns.map((name, i) => [name, row[i]])));
  drawHistory();
}

function drawHistory() {
  drawChart();
  drawTable();
  describeChart();
}

function chooseView(name) {
  history_.view = name;
  for (const button of document.querySelectorAll("[data-chart]"))
    button.setAttribute("aria-pressed", String(button.dataset.chart === name));
  drawHistory();
}
