// SPDX-License-Identifier: PostgreSQL
// Asks for /status each second, for /history and /events each ten, and shows them.
"use strict";

const ASK_MS = 1000;
const SLOW_MS = 10000;
const PATIENCE_MS = 4000;
const WAYS = [["write", "Write"], ["sync", "Disk sync"], ["receive_to_flush", "Until durable"], ["flush_to_report", "Until told"], ["compress", "Compress"]];
const FIGURES = ["p50_seconds", "p90_seconds", "p99_seconds", "p999_seconds", "max_seconds"];

const view = { token: sessionStorage.getItem("walrx-token"), contact: null, events: "", asking: false, slowAt: 0 };
const byId = (id) => document.getElementById(id);

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// ---- the parts of the page ----

function showHeadline({ level, sign, word, more }) {
  byId("state").dataset.level = level;
  setText(byId("mark"), sign);
  setText(byId("word"), word);
  setText(byId("more"), more);
}

function problemItem({ level, text, detail, hint, when }) {
  const item = document.createElement("li");
  item.className = level;
  item.append(Object.assign(document.createElement("b"), { textContent: when ? `${text} (${show(when, "time")})` : text }));
  for (const [line, kind] of [[detail, "extra"], [hint, "extra hint"]])
    if (line) item.append(Object.assign(document.createElement("span"), { className: kind, textContent: line }));
  return item;
}

function showProblems(problems) {
  const text = JSON.stringify(problems);
  const list = byId("problems");
  if (list.dataset.shown === text) return; // a screen reader hears news only
  list.dataset.shown = text;
  list.replaceChildren(...problems.map(problemItem));
  byId("problems-section").hidden = problems.length === 0;
}

function fact(id, text, kind) {
  const element = byId(id);
  setText(element, text);
  element.className = kind ?? "";
}

function showFacts(status) {
  const { server, compression: packed, gaps, verification, clock, monitor, positions } = status;
  const receiver = status.pg_stat_wal_receiver;
  const version = server.version_number;
  fact("slot", receiver.slot_name ?? "none", receiver.slot_name ? "" : "odd");
  if (monitor) fact("slot-wal", monitor.slot_wal_status ?? NONE, { reserved: "good", extended: "", unreserved: "alarm", lost: "alarm" }[monitor.slot_wal_status]);
  for (const row of document.querySelectorAll(".monitor")) row.hidden = monitor === null;
  fact("server", version ? `PostgreSQL ${Math.floor(version / 10000)}.${version % 10000} at ${receiver.sender_host}:${receiver.sender_port}` : NONE);
  fact("clock", clock.offset_seconds === null ? NONE
    : `${format.latency(Math.abs(clock.offset_seconds))} ${clock.offset_seconds >= 0 ? "ahead" : "behind"}${clock.error_seconds === null ? "" : `, ± ${format.latency(clock.error_seconds)}`}`);
  fact("compression", packed.segments > 0 ? `${plural(packed.segments, "segment", "segments")}, ${trimmed(packed.ratio, 1)} to 1${packed.waiting_segments > 0 ? `, ${packed.waiting_segments} waiting` : ""}` : "none");
  fact("gaps", gaps.recorded === 0 ? "none" : format.count(gaps.recorded), gaps.recorded === 0 ? "good" : "odd");
  fact("faults", verification.mode === "off" ? "not checked" : verification.faults > 0 ? plural(verification.faults, "place", "places")
    : `none in ${plural(verification.records, "record", "records")}`, verification.mode === "off" ? "odd" : verification.faults > 0 ? "alarm" : "good");
  fact("quarantine", gaps.quarantined_files === 0 ? "nothing" : plural(gaps.quarantined_files, "file", "files"), gaps.quarantined_files === 0 ? "good" : "odd");
  fact("told", positions.flush_is_reported ? positions.synchronous ? "at once, synchronous" : "yes, the server may forget it" : "no (neither slot nor synchronous)", positions.flush_is_reported ? "" : "odd");
  const streams = status.process.state === "streaming";
  byId("tile-lag").dataset.level = streams ? lagLevel(status) : "bad";
  setText(byId("lag-more"), streams ? show(at(status, "lag.flushed.bytes"), "bytes") : "as far as is known");
  history_.streaming = streams;
  byId("tile-sign").dataset.level = silentLevel(status);
  byId("tile-disk").dataset.level = diskLevel(status);
  setText(byId("disk-more"), status.disk.min_free_bytes > 0 ? `warns below ${format.bytes(status.disk.min_free_bytes)}` : "");
  const name = receiver.slot_name ?? receiver.sender_host ?? "not connected yet";
  setText(byId("source"), name);
  setText(byId("archive"), `→ ${status.process.directory}${positions.synchronous ? ", synchronous" : ""}`);
}

function showStatus(status) {
  const head = headline(status);
  showHeadline(head);
  showProblems(problemsOf(status));
  for (const element of document.querySelectorAll("[data-path]"))
    setText(element, show(at(status, element.dataset.path), element.dataset.as));
  for (const [way] of WAYS)
    for (const figure of FIGURES)
      setText(byId(`${way}-${figure}`), status.latency[way].count > 0 ? format.latency(status.latency[way][figure]) : NONE);
  showFacts(status);
  const marks = { ok: "", warn: "⚠ ", bad: "✕ ", none: "" };
  document.title = `${marks[head.level]}${head.word} – walrx ${at(status, "pg_stat_wal_receiver.slot_name") ?? ""}`.trim();
}

function showEvents(answer) {
  const text = JSON.stringify(answer);
  if (view.events === text) return;
  view.events = text;
  byId("no-events").hidden = answer.events.length > 0;
  byId("events").replaceChildren(...[...answer.events].reverse().map((event) => {
    const item = document.createElement("li");
    item.append(Object.assign(document.createElement("time"), { dateTime: event.at, textContent: show(event.at, "time") }),
      Object.assign(document.createElement("span"), { className: event.level, textContent: event.text }));
    return item;
  }));
}

function showNoContact(error) {
  document.body.classList.add("stale");
  const since = view.contact === null ? "" : ` The figures below are of ${show(view.contact, "time")}.`;
  showHeadline({ level: "bad", sign: "✕", word: "No contact with the receiver", more: `It does not answer (${error}).${since}` });
  showProblems([{ level: "bad", text: "Is the process running?", hint: "Look at walrx status, at systemctl status, and at its log. This page tries again each second." }]);
  document.title = "✕ No contact – walrx";
}

// ---- asking ----

async function ask(path) {
  const headers = view.token ? { Authorization: `Bearer ${view.token}` } : {};
  const answer = await fetch(path, { headers, cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (answer.status === 401) {
    if (!byId("login").open) {
      byId("login-wrong").hidden = view.token === null;
      byId("login").showModal();
    }
    throw new Error("it asks for a token");
  }
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
}

async function askAll() {
  if (view.asking || byId("login").open || document.hidden) return;
  view.asking = true;
  try {
    const status = await ask("status");
    view.contact = Date.now();
    document.body.classList.remove("stale");
    showStatus(status);
    if (Date.now() - view.slowAt >= SLOW_MS || view.state !== status.process.state) {
      view.slowAt = Date.now();
      view.state = status.process.state;
      setHistory(await ask("history"));
      showEvents(await ask("events"));
    }
  } catch (error) {
    if (!byId("login").open)
      showNoContact(error.name === "TimeoutError" ? "no answer in time" : error instanceof TypeError ? "connection refused" : error.message);
  } finally {
    view.asking = false;
  }
}

// ---- theme, keys, begin ----

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  setText(byId("theme"), dark ? "Light" : "Dark");
  if (history_.chart !== null) drawChart();
}

function begin() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = localStorage.getItem("walrx-theme");
  setTheme(chosen === null ? system.matches : chosen === "dark");
  system.addEventListener("change", (e) => localStorage.getItem("walrx-theme") === null && setTheme(e.matches));
  byId("theme").addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme !== "dark";
    localStorage.setItem("walrx-theme", dark ? "dark" : "light");
    setTheme(dark);
  });
  for (const button of document.querySelectorAll("[data-chart]")) button.addEventListener("click", () => chooseView(button.dataset.chart));
  byId("login").addEventListener("cancel", (e) => e.preventDefault());
  byId("login-form").addEventListener("submit", () => {
    view.token = byId("token").value;
    sessionStorage.setItem("walrx-token", view.token);
    byId("token").value = "";
    setTimeout(askAll);
  });
  for (const [way, label] of WAYS) {
    const row = document.createElement("tr");
    row.append(Object.assign(document.createElement("th"), { scope: "row", textContent: label }),
      ...FIGURES.map((figure) => Object.assign(document.createElement("td"), { id: `${way}-${figure}`, textContent: NONE })));
    byId("latencies").append(row);
  }
  document.addEventListener("visibilitychange", askAll);
  setInterval(askAll, ASK_MS);
  askAll();
}

begin();
