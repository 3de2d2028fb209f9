// SPDX-License-Identifier: PostgreSQL
// Figures as people read them. null and undefined are "–".
"use strict";

const NONE = "–";

function trimmed(value, digits) {
  return value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: 0 });
}

function scaled(value, units, base) {
  let unit = 0;
  while (value >= base * 0.9995 && unit < units.length - 1) {
    value /= base;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${trimmed(value, digits)} ${units[unit]}`;
}

const format = {
  text: (v) => String(v),
  plain: (v) => String(v),
  count: (v) => v.toLocaleString("en"),
  bytes: (v) => scaled(v, ["B", "kB", "MB", "GB", "TB", "PB"], 1024),
  rate: (v) => `${scaled(v, ["B", "kB", "MB", "GB", "TB"], 1024)}/s`,
  // A duration that people wait for: what is below a millisecond is nothing.
  seconds(v) {
    if (v < 0.0005) return "0 s";
    if (v < 1) return `${Math.round(v * 1000)} ms`;
    if (v < 10) return `${trimmed(v, 1)} s`;
    if (v < 120) return `${Math.round(v)} s`;
    if (v < 600) return `${trimmed(v / 60, 1)} min`;
    if (v < 7200) return `${Math.round(v / 60)} min`;
    if (v < 172800) return `${trimmed(v / 3600, 1)} h`;
    return `${trimmed(v / 86400, 1)} days`;
  },
  // A duration that is measured.
  latency(v) {
    if (v === 0) return "0";
    if (v < 0.001) return `${Math.max(1, Math.round(v * 1e6))} µs`;
    if (v < 1) return `${trimmed(v * 1e3, v < 0.01 ? 2 : v < 0.1 ? 1 : 0)} ms`;
    return `${trimmed(v, v < 10 ? 2 : 1)} s`;
  },
  time(v) {
    const when = new Date(v);
    if (Number.isNaN(when.getTime())) return NONE;
    const day = (d) => `${d.getFullYear()}-${String(d.getMonth() + 1).padStart(2, "0")}-${String(d.getDate()).padStart(2, "0")}`;
    const clock = when.toLocaleTimeString("en-GB");
    return day(when) === day(new Date()) ? clock : `${day(when)} ${clock}`;
  },
};

function show(value, as) {
  return value === null || value === undefined ? NONE : format[as](value);
}

function at(object, path) {
  let value = object;
  for (const name of path.split(".")) {
    if (value === null || value === undefined) return undefined;
    value = value[name];
  }
  return value;
}

function plural(count, one, many) {
  return `${format.count(count)} ${count === 1 ? one : many}`;
}
