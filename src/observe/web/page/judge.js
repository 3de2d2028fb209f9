// SPDX-License-Identifier: PostgreSQL
// From the status (docs/status.md) to what a person must know first.
"use strict";

const LAG_WARN_SECONDS = 60;
const LAG_BAD_SECONDS = 300;
const SILENT_SECONDS = 90;
const CLOCK_WARN_SECONDS = 5;
const GIGABYTE = 1024 ** 3;

function lagLevel(status) {
  const seconds = at(status, "lag.flushed.seconds") ?? 0;
  return seconds >= LAG_BAD_SECONDS ? "bad" : seconds >= LAG_WARN_SECONDS ? "warn" : "ok";
}

// What an idle server never reaches: walrx asks for a sign of life before.
function silentLevel(status) {
  return (at(status, "server.last_message_age_seconds") ?? 0) > SILENT_SECONDS ? "warn" : "ok";
}

function diskLevel(status) {
  const free = at(status, "disk.free_bytes");
  const least = at(status, "disk.min_free_bytes") ?? 0;
  const segment = at(status, "server.segment_size_bytes") ?? 16 * 1024 ** 2;
  if (free === null || free === undefined) return "ok";
  if (free < 4 * segment || free < least) return "bad";
  return free < GIGABYTE || free < 2 * least ? "warn" : "ok";
}

// Of the state, in seconds.
function age(status) {
  return Math.max(0, (new Date(status.at) - new Date(status.process.state_since)) / 1000);
}

// { level, sign, word, more } of the whole.
function headline(status) {
  const state = status.process.state;
  const since = `since ${show(status.process.state_since, "time")}`;
  if (state === "streaming") {
    const lag = at(status, "lag.flushed.seconds");
    const bytes = at(status, "lag.received.bytes") ?? 0;
    const left = at(status, "rates.catch_up_seconds");
    const level = lagLevel(status);
    if (level === "ok" && (lag === null || lag < 10))
      return { level, sign: "✓", word: "Streaming", more: `WAL arrives and becomes durable, ${since}.` };
    const rest = left > 0 ? `; caught up in about ${format.seconds(left)}` : left === null ? "; the distance does not shrink" : "";
    return { level, sign: level === "ok" ? "✓" : "!", word: "Streaming, and behind",
      more: `${show(bytes, "bytes")} are still to come; durable WAL is ${show(lag, "seconds")} behind${rest}.` };
  }
  if (state === "starting")
    return { level: "warn", sign: "…", word: "Starting", more: `Opening the archive, connecting, ${since}.` };
  if (state === "restarting")
    return { level: "bad", sign: "✕", word: "Not receiving", more: `The connection has been gone for ${format.seconds(age(status))} (${since}). walrx goes on trying by itself.` };
  if (state === "stopping")
    return { level: "warn", sign: "…", word: "Stopping", more: `Finishing what was received, ${since}.` };
  return { level: "bad", sign: "✕", word: "Stopped", more: `No WAL is received ${since}.` };
}

function streamProblems(status, add) {
  const held = status.process.held_by;
  const error = status.last_error;
  if (status.process.state !== "streaming" && error)
    add("bad", error.message, { detail: error.detail, hint: error.hint, when: error.at });
  if (held === "disk") add("warn", "The disk is slower than the WAL that comes", { hint: "Receiving waits for it. See the times of disk sync and write." });
  if (held === "room") add("bad", "No room: receiving is paused", { hint: "Make room on the archive's disk; it goes on by itself. A slot keeps the WAL on the server meanwhile." });
  if (held === "compression") add("warn", "Compression is slower than the WAL that comes", { hint: "Receiving waits for it: more compress-workers, or a lower level." });
  if (status.process.state === "streaming" && silentLevel(status) !== "ok")
    add("warn", `The server has been silent for ${show(status.server.last_message_age_seconds, "seconds")}`, {});
  if (status.process.state === "streaming" && lagLevel(status) !== "ok")
    add(lagLevel(status), `Durable WAL is ${show(status.lag.flushed.seconds, "seconds")} behind the server`, {
      detail: "What it has committed since then would be missing here after a loss of the server." });
}

function archiveProblems(status, add) {
  const { verification, gaps, disk } = status;
  if (verification.faults > 0)
    add("bad", `Damaged WAL: ${plural(verification.faults, "place", "places")}, the latest at ${verification.latest_fault_lsn}`, {
      hint: "Look at the server's disk and memory, take a new base backup, and run walrx verify." });
  if (gaps.recorded > 0)
    add("warn", `The archive has ${plural(gaps.recorded, "gap", "gaps")}, the newest from ${gaps.newest_begin_lsn} to ${gaps.newest_end_lsn}`, {
      hint: "Base backups older than that cannot be restored past it." });
  if (gaps.quarantined_files > 0)
    add("warn", `${plural(gaps.quarantined_files, "file lies", "files lie")} in quarantine`, { hint: "See .walrx/quarantine in the archive." });
  if (diskLevel(status) !== "ok")
    add(diskLevel(status), `Only ${show(disk.free_bytes, "bytes")} free on the archive's disk`, {
      hint: "When it is full walrx ends; with a slot the server then keeps WAL until its disk is full, too." });
  if (verification.mode === "off") add("note", "Arriving WAL is not checked (verify = off)", {});
}

function serverProblems(status, add) {
  const { monitor, clock } = status;
  const wal = at(monitor, "slot_wal_status");
  if (wal === "lost") add("bad", "The server has dropped WAL that the slot needs", { hint: "A new base backup is needed; see the runbook." });
  if (wal === "unreserved") add("bad", "The slot is about to lose WAL", { hint: "It ends at the server's next checkpoint: let the receiver catch up, or raise max_slot_wal_keep_size." });
  if (monitor && !monitor.reachable) add("warn", "The monitoring connection does not answer", { detail: monitor.problem });
  if (Math.abs(clock.offset_seconds ?? 0) - (clock.error_seconds ?? 0) > CLOCK_WARN_SECONDS)
    add("note", `The server's clock is ${show(Math.abs(clock.offset_seconds), "seconds")} ${clock.offset_seconds > 0 ? "ahead of" : "behind"} ours`, {});
  if (status.process.state === "streaming" && !at(status, "pg_stat_wal_receiver.slot_name"))
    add("note", "No slot: what the server removes while walrx is away is lost", {});
}

// [{ level, text, detail, hint, when }], the worst first.
function problemsOf(status) {
  const order = ["bad", "warn", "note"];
  const found = [];
  const add = (level, text, more) => found.push({ level, text, ...more });
  streamProblems(status, add);
  archiveProblems(status, add);
  serverProblems(status, add);
  return found.sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
}
