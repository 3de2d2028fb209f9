# SPDX-License-Identifier: PostgreSQL
"""Runs a WAL receiver: walrx, walrx under the name pg_receivewal, or PostgreSQL's pg_receivewal."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

from .postgres import BINDIR
from .util import as_server, clean_env, run, wait_until

KINDS = ("walrx", "front", "pg_receivewal")


class Program:
    """How one kind is called. front: walrx through a symbolic link named pg_receivewal."""

    def __init__(self, kind, bin_dir):
        assert kind in KINDS
        self.kind = kind
        self.is_walrx = kind == "walrx"
        self.ours = kind != "pg_receivewal"
        self.command = {
            "walrx": [bin_dir / "walrx", "receive"],
            "front": [bin_dir / "front" / "pg_receivewal"],
            "pg_receivewal": [BINDIR / "pg_receivewal"],
        }[kind]

    def __repr__(self):
        return self.kind


class Receiver:
    """One run of a receiver; start() may be called again after it ended."""

    def __init__(self, program, archive, conninfo, log_path, home, args=(), slot=None,
                 compress=None, status=1, segsize=None, **env):
        """status: -s, short so that tests see positions soon; None leaves the default."""
        self.program = program
        self.archive = Path(archive)
        self.segsize = segsize
        self.log_path = Path(log_path)
        self.env = clean_env(home, **env)
        self.argv = [*program.command, "-D", self.archive]
        if conninfo:
            self.argv += ["-d", conninfo]
        if slot:
            self.argv += ["-S", slot]
        if compress:
            self.argv += ["-Z", compress]
        if status is not None:
            self.argv += ["-s", str(status)]
        self.argv += list(args)
        self.process = None

    def start(self):
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen(
                as_server(self.argv), env=self.env, cwd="/", stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True)
        return self

    def running(self):
        return self.process is not None and self.process.poll() is None

    def wait(self, timeout=30):
        """The exit code, once it ended by itself."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the receiver does not end within {timeout} s\n{self.log()}") from None

    def stop(self, sig=signal.SIGINT, timeout=15):
        assert self.running(), f"the receiver ended before\n{self.log()}"
        self.process.send_signal(sig)
        return self.wait(timeout)

    def kill9(self):
        assert self.running(), f"the receiver ended before\n{self.log()}"
        self.process.kill()
        self.process.wait(10)
        if not self.program.ours:
            self._heal()

    def _heal(self):
        """pg_receivewal killed while it pads never starts again; Barman and others cut the file."""
        for path in self.archive.glob("*.partial"):
            if path.stat().st_size not in (0, self.segsize):
                os.truncate(path, 0)

    def restart_if_ended(self):
        """pg_receivewal gives up when the server dies at certain points; its users restart it."""
        if not self.program.ours and not self.running():
            self.start()

    def cleanup(self):
        if self.running():
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)

    # -- its messages ------------------------------------------------------------------------

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def json_lines(self):
        return [json.loads(line) for line in self.log().splitlines()]

    def wait_log(self, pattern, timeout=20):
        return wait_until(lambda: re.search(pattern, self.log()), f"{pattern!r} in the log:\n{self.log()}", timeout)

    # -- its position ------------------------------------------------------------------------

    def wait_streaming(self, server, timeout=30):
        def streaming():
            assert self.running() or not self.program.ours, f"the receiver ended\n{self.log()}"
            self.restart_if_ended()
            row = server.sender("state pid")
            return row and row[0] == "streaming" and row[1]
        return wait_until(streaming, "the receiver streams", timeout)

    def wait_received(self, server, position=None, column="write_lsn", timeout=40):
        """Until the server knows that the receiver has everything up to position."""
        goal = position or server.sql("select pg_current_wal_flush_lsn()")

        def there():
            self.restart_if_ended()
            assert self.running(), f"the receiver ended\n{self.log()}"
            return server.sql(f"select 1 from pg_stat_replication where application_name = 'recv' "
                              f"and {column} >= '{goal}'") == "1"
        wait_until(there, f"{column} reaches {goal}", timeout, 0.1)
        return goal


def run_receiver(program, args, home, timeout=60, **env):
    """Run the program to its end; exit code and both streams are in what comes back."""
    return run([*program.command, *args], env=clean_env(home, **env), check=False, timeout=timeout)
