# SPDX-License-Identifier: PostgreSQL
"""A throw-away PostgreSQL server: its own folder, port and socket, stopped by its pid.

Clusters are copied from one template per kind; a copy has its template's system identifier, so
`fresh=True` runs initdb for another one. They lie in memory where there is enough of it: what the tests
prove is what the receiver does to its disk, and no test takes the power from a server.
"""

import functools
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

from .util import (as_server, clean_env, free_port, lsn, lsn_text, make_dir, run, wait_until,
                   write_file)

ENOUGH_MEMORY = 6 << 30
BINDIR = Path(os.environ.get("PG_BINDIR", "/usr/lib/postgresql/15/bin"))

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "16MB",
    "max_connections": "30",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "wal_level": "replica",
    "hot_standby": "on",
    "wal_keep_size": "2GB",      # what the archive is compared with stays there
    "max_wal_size": "4GB",
    "autovacuum": "off",
    "jit": "off",
    "fsync": "on",
    "wal_sender_timeout": "20s",
    "wal_retrieve_retry_interval": "200ms",
    "log_replication_commands": "on",
    "log_line_prefix": "%m [%p] %q%a ",
    "restart_after_crash": "on",
}


@functools.cache
def major_of(bindir):
    """The major version of the programs in a folder."""
    return int(re.search(r"PostgreSQL\) (\d+)", run([Path(bindir) / "postgres", "-V"]).stdout)[1])


def settings_for(major, segsize):
    """SETTINGS in the names that the major version knows."""
    settings = dict(SETTINGS)
    if major < 11:
        del settings["jit"]
    if major < 13:
        del settings["wal_keep_size"]
        settings["wal_keep_segments"] = (2 << 30) // segsize
    return settings


def place_of_servers(otherwise):
    """Where clusters go: WALRX_TEST_SERVERS, or a file system in memory with room for several workers."""
    named = os.environ.get("WALRX_TEST_SERVERS")
    if named:
        return Path(named)
    memory = Path("/dev/shm")
    free = int(re.search(r"MemAvailable: *(\d+) kB", Path("/proc/meminfo").read_text())[1]) << 10
    if os.access(memory, os.W_OK) and min(shutil.disk_usage(memory).free, free) >= ENOUGH_MEMORY:
        return memory
    return Path(otherwise)


class Templates:
    """Clusters made once per kind (programs, segment size, group access) and then copied; and the
    place of all servers."""

    def __init__(self, root):
        self.root = Path(root)
        self.made = {}

    def room(self, name):
        """A new folder for a server."""
        return make_dir(self.root / name, 0o755)

    def copy_to(self, target, bindir, segsize_mb, group_access, fresh):
        if fresh:
            self._initdb(target, bindir, segsize_mb, group_access)
            return
        key = (str(bindir), segsize_mb, group_access)
        if key not in self.made:
            path = self.root / f"t{len(self.made)}"
            self._initdb(path, bindir, segsize_mb, group_access)
            self.made[key] = path
        run(["cp", "-a", self.made[key], target])

    @staticmethod
    def _initdb(target, bindir, segsize_mb, group_access):
        make_dir(target, 0o750 if group_access else 0o700)
        argv = [bindir / "initdb", "-D", target, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                "--locale=C", "--no-sync"]
        if major_of(bindir) >= 11:
            argv.append(f"--wal-segsize={segsize_mb}")
        else:
            assert segsize_mb == 16, "the segment size of PostgreSQL 10 is fixed"
        run(argv + (["-g"] if group_access else []), env=clean_env(target))


class Postgres:
    def __init__(self, base, name, templates, segsize_mb=1, bindir=BINDIR, conf=None,
                 group_access=False, fresh=False, data_from=None, tools=None, port=None):
        """tools: the folder of a pg_basebackup that knows this major (default: bindir)."""
        self.base = templates.room(f"{Path(base).parent.name}-{name}")
        self.name = name
        self.bindir = Path(bindir)
        self.tools = Path(tools or bindir)
        self.major = major_of(self.bindir)
        self.data = self.base / "data"
        self.log_path = self.base / "server.log"
        self.port = port or free_port()
        self.segsize = segsize_mb << 20
        self.env = clean_env(self.base, PGUSER="postgres", PGDATABASE="postgres",
                             PGHOST="127.0.0.1", PGPORT=self.port, PGAPPNAME="test")
        self.process = None
        if data_from is None:
            templates.copy_to(self.data, self.bindir, segsize_mb, group_access, fresh)
        else:
            data_from(self.data)
        self.configure(port=self.port, unix_socket_directories=str(self.base),
                       **settings_for(self.major, self.segsize))
        self.configure(**(conf or {}))

    # -- set up ------------------------------------------------------------------------------

    def configure(self, **settings):
        """Append settings to postgresql.conf; the last value counts."""
        with open(self.data / "postgresql.conf", "a") as conf:
            for name, value in settings.items():
                conf.write("{} = '{}'\n".format(name, str(value).replace("'", "''")))

    def recover(self, signal_file="recovery.signal", **settings):
        """Recovery at the next start; up to 11 its settings have a file of their own."""
        if self.major >= 12:
            self.configure(**settings)
            write_file(self.data / signal_file, "")
        else:
            write_file(self.data / "recovery.conf", "".join(
                "{} = '{}'\n".format(name, value.replace("'", "''")) for name, value in settings.items()))

    def hba(self, *lines):
        """pg_hba.conf: the superuser without a password, then the given lines."""
        local = "".join(f"{kind} {db} postgres {where} trust\n" for db in ("all", "replication")
                        for kind, where in (("local", ""), ("host", "127.0.0.1/32")))
        write_file(self.data / "pg_hba.conf", local + "\n".join(lines) + "\n")

    def start(self, wait=True):
        """postgres is our child, not pg_ctl's: its pid is known, and it is reaped here."""
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen(
                as_server([self.bindir / "postgres", "-D", self.data]), env=clean_env(self.base),
                cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        if wait:
            wait_until(self.ready, f"server {self.name} accepts connections", 60)
        return self

    def ready(self):
        assert self.process.poll() is None, f"server {self.name} ended\n{self.log_tail()}"
        # psql needs nothing of this major's own programs
        return run([BINDIR / "psql", "-XAtc", "select 1"], env=self.env, check=False).stdout == "1\n"

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    # -- the end -----------------------------------------------------------------------------

    def stop(self, mode="fast", timeout=60):
        """Stop by pid (smart, fast or immediate) and return the seconds that it took."""
        if self.process is None or self.process.poll() is not None:
            self.process = None
            return 0.0
        began = time.monotonic()
        self.process.send_signal(
            {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
        self.process.wait(timeout)
        self.process = None
        return time.monotonic() - began

    def kill9(self):
        """The postmaster dies; its children notice and leave, and only then the folder is free."""
        children = self._children()
        self.process.kill()
        self.process.wait(30)
        self.process = None
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children),
                   f"the children of server {self.name} are gone", 30)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _children(self):
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return path.read_text().split()

    def cleanup(self):
        if self.process is None or self.process.poll() is not None:
            return
        for pid in self._children():  # one that a test has stopped would hold the shutdown up
            try:
                os.kill(int(pid), signal.SIGCONT)
            except ProcessLookupError:
                pass
        try:
            self.stop("immediate", 20)
        except subprocess.TimeoutExpired:
            self.kill9()

    def log_tail(self, lines=60):
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    # -- questions ---------------------------------------------------------------------------

    def sql(self, text, check=True, timeout=120, **env):
        done = run([BINDIR / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", text],
                   env={**self.env, **{k: str(v) for k, v in env.items()}},
                   check=check, timeout=timeout)
        return done.stdout.strip()

    def script(self, text):
        """Statements one by one, as psql reads them from a file; what is printed."""
        return run([BINDIR / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "-"], env=self.env,
                   input=text).stdout

    def number(self, text):
        return int(self.sql(text))

    def conninfo(self, **more):
        parts = {"host": "127.0.0.1", "port": self.port, "user": "postgres", **more}
        return " ".join(f"{k}={v}" for k, v in parts.items())

    def system_identifier(self):
        return self.sql("select system_identifier from pg_control_system()")

    def flush_lsn(self):
        return lsn(self.sql("select pg_current_wal_flush_lsn()"))

    def segment(self, position=None):
        """The name of the segment that holds the byte at a position (default: the end of WAL).

        Not by pg_walfile_name: at a boundary it names the segment before, since 17 the one behind.
        """
        at = self.flush_lsn() if position is None else lsn(position)
        timeline = self.sql("select substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8)")
        per_4gb = 0x100000000 // self.segsize
        number = at // self.segsize
        return f"{timeline}{number // per_4gb:08X}{number % per_4gb:08X}"

    def switch(self):
        """End the open segment, if anything is in it; the name of the newest complete one."""
        return self.segment(lsn_text(lsn(self.sql("select pg_switch_wal()")) - 1))

    def sender(self, columns, application="recv"):
        """Columns of the receiver's row in pg_stat_replication as a list of texts, or None."""
        row = self.sql(f"select concat_ws('|', {', '.join(f'coalesce({c}::text, $$NULL$$)' for c in columns.split())}) "
                       f"from pg_stat_replication where application_name = '{application}' "
                       "order by backend_start desc limit 1")
        return row.split("|") if row else None

    def slot(self, name, column="restart_lsn"):
        return self.sql(f"select {column} from pg_replication_slots where slot_name = '{name}'")

    def create_slot(self, name, reserve=True):
        self.sql(f"select pg_create_physical_replication_slot('{name}', {str(reserve).lower()})")

    @property
    def wal_dir(self):
        return self.data / "pg_wal"

    # -- WAL ---------------------------------------------------------------------------------

    def create_table(self):
        self.sql("create table if not exists load(id bigserial primary key, filler text)")

    def insert(self, rows=1, width=200):
        """Incompressible rows; one commit."""
        md5s = max(1, width // 32)
        self.sql("insert into load(filler) select (select string_agg(md5(random()::text || s || g), '') "
                 f"from generate_series(1, {md5s}) s) from generate_series(1, {rows}) g")

    def fill_segments(self, count):
        """Finish count segments, most of their bytes being WAL that holds something."""
        for _ in range(count):
            self.insert(rows=max(20, self.segsize // 3000), width=1024)
            self.switch()

    # -- standbys and backups ----------------------------------------------------------------

    def base_backup(self, target, wal="stream"):
        argv = [self.tools / "pg_basebackup", "-D", target, "-X", wal, "-c", "fast", "--no-sync",
                "-d", self.conninfo(application_name="backup")]
        run(argv, env=self.env)

    def follow(self, primary):
        """From the next start on, be its standby. Not by -R: that writes all that the libpq of
        pg_basebackup knows, which a server with an older one refuses."""
        settings = {"primary_conninfo": primary.conninfo(application_name=f"standby_{self.name}")}
        if self.major < 12:
            settings["standby_mode"] = "on"
        self.recover("standby.signal", **settings)

    def promote(self):
        if self.major >= 12:
            self.sql("select pg_promote(true, 60)")
        else:
            run([self.bindir / "pg_ctl", "promote", "-D", self.data], env=clean_env(self.base))
        wait_until(lambda: self.sql("select pg_is_in_recovery()") == "f", "promotion")

    def timeline(self):
        """From the name of the segment in use: the control file may still show the old one."""
        return int(self.segment()[:8], 16)


class Load:
    """Commits in the background, with segment switches and checkpoints in between.

    Errors are expected (tests kill the server); committed is the highest id whose commit was
    acknowledged.
    """

    def __init__(self, server, rows=60, checkpoint_every=15, switch_every=6):
        self.server = server
        self.rows, self.checkpoint_every, self.switch_every = rows, checkpoint_every, switch_every
        self.committed = 0
        self.rounds = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        server.create_table()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "the load does not end"

    def _work(self):
        insert = ("insert into load(filler) select md5(random()::text) || repeat(md5(g::text), 20) "
                  f"from generate_series(1, {self.rows}) g returning id")
        while not self._stop.is_set():
            text = insert
            if self.rounds % self.switch_every == self.switch_every - 1:
                text = "select pg_switch_wal()"
            if self.rounds % self.checkpoint_every == self.checkpoint_every - 1:
                text = "checkpoint"
            try:
                answer = self.server.sql(text, timeout=60)
            except (AssertionError, subprocess.TimeoutExpired):
                self._stop.wait(0.1)
                continue
            self.rounds += 1
            if text is insert:
                self.committed = int(answer.splitlines()[-1])

    def run_rounds(self, count, timeout=60):
        """Let the load go on until count more rounds were acknowledged."""
        goal = self.rounds + count
        wait_until(lambda: self.rounds >= goal, f"{count} rounds of load", timeout)


def copy_cluster(source, target):
    """A copy of a stopped cluster, with its owner and modes."""
    run(["cp", "-a", source, target])


def move_cluster(source, target):
    """The same, without leaving the source; it may lie on another disk."""
    run(["mv", source, target])


def history_files(server):
    return sorted(p.name for p in server.wal_dir.iterdir()
                  if re.fullmatch(r"[0-9A-F]{8}\.history", p.name))
