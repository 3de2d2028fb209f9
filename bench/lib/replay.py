# SPDX-License-Identifier: PostgreSQL
"""A server recovers from a copy of a base backup and one way of getting WAL; what that takes.

The time is that between "redo starts" and "redo done" in its log: neither the copying of the backup nor the
checkpoint at the end counts. Helpers that a restore command leaves behind become children of this process
(PR_SET_CHILD_SUBREAPER), so their processor time is known when they end.
"""
import ctypes
import datetime
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from lib.process import clean_environment

PR_SET_CHILD_SUBREAPER = 36
TICK = os.sysconf("SC_CLK_TCK")
LINGER_S = 5  # a helper may take so long to notice that its server is gone
TIMEOUT_S = 900

SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{run}'
ssl = off
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
log_min_messages = 'debug3'  # tells when each restore command begins
hot_standby = on
max_wal_size = 256GB
checkpoint_timeout = 1d
shared_buffers = '{shared_buffers}'
fsync = {fsync}
"""


def adopt_orphans():
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def stamp(line):
    """2026-11-20 15:00:00.123 UTC ..."""
    return datetime.datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S.%f").timestamp()


def line_with(log, text):
    return next((line for line in log.splitlines() if text in line), None)


def lsn_value(text):
    high, low = text.split("/")
    return (int(high, 16) << 32) | int(low, 16)


def children(pid):
    try:
        return [int(it) for it in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def child_cpu(pid):
    """Seconds of the children that it has waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return (int(fields[13]) + int(fields[14])) / TICK


def call_times_ms(log):
    """Of each restore command that gave a segment."""
    began, found = None, []
    for line in log.splitlines():
        if "executing restore command" in line:
            began = stamp(line)
        elif began and re.search(r'restored log file "[0-9A-F]{24}" from archive', line):
            found.append((stamp(line) - began) * 1000)
            began = None
    return sorted(found)


def middle(values):
    """The mean without the tenth at either end: the log knows milliseconds only."""
    cut = len(values) // 10
    kept = values[cut:len(values) - cut]
    return statistics.mean(kept) if kept else 0.0


def reap(patience_s):
    """(processor seconds, number) of the helpers, once they have ended; a server's processes are none."""
    seconds, count, end = 0.0, 0, time.monotonic() + patience_s
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return seconds, count
        if ended:
            name = Path(f"/proc/{ended.si_pid}/comm").read_text(encoding="utf-8").strip()
            _, _, usage = os.wait4(ended.si_pid, 0)
            if name != "postgres":
                seconds, count = seconds + usage.ru_utime + usage.ru_stime, count + 1
        elif time.monotonic() < end:
            time.sleep(0.02)
        else:
            for child in children(os.getpid()):
                os.kill(child, signal.SIGTERM)
            end += patience_s


class Replay:
    """`wal`: see replay_wal.Wal."""

    def __init__(self, work, programs, primary, wal):
        self.work, self.bindir, self.primary, self.wal = work, programs.bindir, primary, wal
        self.data, self.run_folder, self.log = wal.data, work / "replay-run", work / "replay.log"

    def prepare(self, way):
        user = self.primary
        user.spawn(["cp", "-a", self.wal.backup, self.data])
        archives = self.wal.archives
        if way.command is None:
            user.spawn(["sh", "-c", f"cp '{archives.folder(way)}'/0* '{self.data}/pg_wal/'"])
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(SETTINGS.format(run=self.run_folder, **self.wal.settings))
            if way.command is not None:
                conf.write(f"restore_command = '{archives.command(way)}'\nrecovery_target_timeline = 'latest'\n")
        if way.command is not None:
            user.spawn(["touch", self.data / "recovery.signal"])
        archives.forget_what_was_fetched(way)
        user.make_folder(self.run_folder)
        self.log.unlink(missing_ok=True)
        os.sync()  # what was copied must not be flushed during the run

    def text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def fail(self, way, what):
        sys.exit(f"{way.name}: {what}\n{self.wal.archives.command(way)}\n" + "\n".join(
            line for line in self.text().splitlines() if "DEBUG" not in line)[-4000:])

    def follow(self, process, way):
        """Until the server takes connections: (processor seconds of the restore commands)."""
        spent, startup, position, seen = 0.0, None, 0, ""
        end = time.monotonic() + TIMEOUT_S
        while "ready to accept connections" not in seen:
            if process.poll() is not None or time.monotonic() > end:
                self.fail(way, "the server did not recover")
            if startup is None:
                startup = next((pid for pid in children(process.pid) if "startup" in self.title(pid)), None)
            now = child_cpu(startup) if startup else None
            spent = spent if now is None else now
            with open(self.log, encoding="utf-8", errors="replace") as log:
                log.seek(position)
                seen = seen[-100:] + log.read()
                position = log.tell()
            time.sleep(0.02)
        return spent

    @staticmethod
    def title(pid):
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        except OSError:
            return ""

    def check(self, way):
        command = [*self.primary.user, self.bindir / "psql", "-XAtq", "-h", self.run_folder, "-p", self.primary.port, "-U",
                   "postgres", "-d", "postgres", "-c", self.wal.question]
        done = subprocess.run([str(it) for it in command], env=clean_environment(), stdout=subprocess.PIPE, text=True,
                              check=False, cwd="/")
        if done.stdout.strip() != self.wal.answer:
            self.fail(way, f"has {done.stdout.strip()} instead of {self.wal.answer}")

    def one(self, way):
        self.prepare(way)
        try:
            return self.measured(way)
        finally:
            shutil.rmtree(self.data, ignore_errors=True)
            shutil.rmtree(self.run_folder, ignore_errors=True)

    def measured(self, way):
        command = [*self.primary.user, self.bindir / "postgres", "-D", self.data]
        with open(self.log, "w", encoding="utf-8") as log:
            process = subprocess.Popen([str(it) for it in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env=clean_environment(), cwd="/", start_new_session=True)
        try:
            restore_s = self.follow(process, way)
            self.check(way)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGQUIT)
                process.wait(60)
        helper_s, helpers = reap(LINGER_S)
        return self.figures(way, restore_s, helper_s, helpers)

    def figures(self, way, restore_s, helper_s, helpers):
        log = self.text()
        begin, end = line_with(log, "redo starts at"), line_with(log, "redo done at")
        if begin is None or end is None:
            self.fail(way, "nothing was replayed")
        last = re.search(r"redo done at (\S+)", end)[1]
        if lsn_value(last) < lsn_value(self.wal.last_commit):
            self.fail(way, f"ended at {last}, before {self.wal.last_commit}")
        wall = stamp(end) - stamp(begin)
        own = re.search(r"user: ([0-9.]+) s, system: ([0-9.]+) s", end)
        return {"wall_s": wall, "mb_per_s": self.wal.bytes / 1e6 / wall, "restore_cpu_s": restore_s + helper_s,
                "server_cpu_s": float(own[1]) + float(own[2]), "call_ms": middle(call_times_ms(log)),
                "calls": len(call_times_ms(log)), "helpers": helpers}
