# SPDX-License-Identifier: PostgreSQL
"""A throw-away primary: on a socket in its own folder, and on loopback with TLS."""
import os
import pwd
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager

from lib.process import clean_environment, free_port

SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{run}'
ssl = on
fsync = {fsync}
full_page_writes = on
wal_level = replica
max_wal_size = 64GB
checkpoint_timeout = 1d
autovacuum = off
shared_buffers = 256MB
max_connections = 120
"""

# The transaction of pgbench -N without a client to wait for: ten times as much WAL in the same time.
LOAD = """
create procedure load(transactions int, scale int) language plpgsql as $$
declare
    account int;
    delta int;
begin
    for i in 1..transactions loop
        account := 1 + floor(random() * 100000 * scale);
        delta := floor(random() * 10001) - 5000;
        update pgbench_accounts set abalance = abalance + delta where aid = account;
        perform abalance from pgbench_accounts where aid = account;
        insert into pgbench_history (tid, bid, aid, delta, mtime)
            values (1 + floor(random() * 10 * scale), 1 + floor(random() * scale), account, delta, current_timestamp);
        commit;
    end loop;
end
$$
"""


class Primary:
    """fsync is off where the primary's own disk is not what is measured."""

    def __init__(self, work, bindir, name="primary", fsync=False, scale=20):
        self.bindir, self.scale, self.data, self.run = bindir, scale, work / name, work / f"{name}-run"
        self.log, self.port = work / f"{name}.log", free_port()
        self.user = []
        self.owner = None
        if os.geteuid() == 0:
            self.owner = pwd.getpwnam("postgres")
            self.user = ["setpriv", f"--reuid={self.owner.pw_uid}", f"--regid={self.owner.pw_gid}", "--clear-groups", "--"]
        self.make_folder(self.data)
        self.make_folder(self.run)
        self.call("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--locale=C", "--no-sync")
        self.certificate()
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(SETTINGS.format(run=self.run, port=self.port, fsync="on" if fsync else "off"))

    @property
    def conninfo(self):
        return f"host={self.run} port={self.port} user=postgres sslmode=disable"

    @property
    def conninfo_tls(self):
        return f"host=127.0.0.1 port={self.port} user=postgres sslmode=require"

    def make_folder(self, path):
        """Of the server's user."""
        path.mkdir(mode=0o700)
        if self.owner is not None:
            os.chown(path, self.owner.pw_uid, self.owner.pw_gid)

    def remove(self):
        """Once it is stopped: its room is needed."""
        shutil.rmtree(self.data)

    def certificate(self):
        """Self-signed: sslmode=require encrypts and does not ask who signed."""
        self.spawn(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-keyout", self.data / "server.key", "-out", self.data / "server.crt"])

    def call(self, program, *args):
        return self.spawn([self.bindir / program, *args])

    def spawn(self, command):
        # To a file, not a pipe: the server that pg_ctl starts would hold a pipe open.
        with open(self.run / "output", "w+", encoding="utf-8") as output:
            done = subprocess.run([*self.user, *map(str, command)], cwd="/", env=clean_environment(), stdout=output,
                                  stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, check=False, start_new_session=True)
            output.seek(0)
            text = output.read()
        if done.returncode != 0:
            sys.exit(f"{command[0]}: {text}")
        return text

    @contextmanager
    def started(self):
        """Stopped in any case: a signal that comes while the server starts waits until it has."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
        try:
            self.log.touch()
            self.log.chmod(0o666)
            self.call("pg_ctl", "-D", self.data, "-l", self.log, "-w", "start")
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            yield self
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            if (self.data / "postmaster.pid").exists():
                self.call("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def sql(self, *texts):
        command = [self.bindir / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", f"{self.conninfo} dbname=postgres"]
        for text in texts:
            command += ["-c", text]
        return subprocess.run(command, env=clean_environment(), stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

    def pgbench(self, *args):
        return self.call("pgbench", *args, f"{self.conninfo} dbname=postgres")

    def fill(self):
        self.pgbench("-i", "-q", "-s", self.scale)

    def begin_load(self, *texts):
        """From here on the slot keeps all WAL."""
        self.sql(LOAD, *texts, "checkpoint", "select pg_create_physical_replication_slot('origin', true)")

    def generate(self, megabytes):
        """WAL of pgbench -N: full pages at first, small records later. The slot keeps it; the end of what is
        received lies a little before the end of the WAL, so that it is there at once."""
        self.fill()
        self.begin_load()
        self.begin = self.sql("select restart_lsn from pg_replication_slots")
        whole = megabytes << 20
        while self.behind() < whole:
            self.transactions(min(megabytes * 50, 50000))
            if self.behind() < whole // 2:
                self.sql("checkpoint")  # full pages again, as a busy server writes them
        self.end = self.close_segment()
        self.bytes = int(self.sql(f"select '{self.end}'::pg_lsn - '{self.begin}'::pg_lsn"))

    def transactions(self, count):
        """So many, twice at a time."""
        script = self.run / "load.sql"
        script.write_text(f"set synchronous_commit = off;\ncall load({count}, {self.scale});\n")
        self.pgbench("-n", "-f", script, "-c", "2", "-t", "1")

    def close_segment(self):
        """The end of the WAL so far; some more lies behind it, up to `behind_the_end` and further."""
        end = self.sql("select pg_switch_wal()")
        self.behind_the_end = self.sql("create table behind_the_end()", "select pg_switch_wal()")
        self.sql("create table further_behind()")
        return end

    def behind(self):
        return int(self.sql(f"select pg_current_wal_insert_lsn() - '{self.begin}'::pg_lsn"))

    def wal_files(self):
        return sorted((self.data / "pg_wal").glob("0*"))

    @contextmanager
    def slot(self, name):
        """A copy of the slot that keeps the WAL: every run starts at the same place."""
        self.sql(f"select pg_copy_physical_replication_slot('origin', '{name}')")
        try:
            yield name
        finally:
            self.drop_slot(name)

    def drop_slot(self, name):
        # it is released a moment after the receiver has left
        self.sql(f"select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where slot_name = '{name}' and active",
                 f"select pg_drop_replication_slot('{name}')")
