# SPDX-License-Identifier: PostgreSQL
"""SIGHUP and the file of options, with a receiver that finds no server: it reloads between two tries."""

import os
import signal
import subprocess
import time

import pytest


class Run:
    def __init__(self, program, folder, text, *args):
        self.config = folder / "walrx.conf"
        self.log = folder / "log"
        self.write(text)
        (folder / "archive").mkdir()
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [program, "receive", "-D", folder / "archive", "-h", folder, f"--config={self.config}", *args],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})

    def write(self, text, mode=0o600):
        self.config.write_text(text)
        self.config.chmod(mode)

    def wait_log(self, text, count=1):
        end = time.monotonic() + 20
        while self.log.read_text().count(text) < count:
            assert time.monotonic() < end and self.process.poll() is None, (text, self.log.read_text())
            time.sleep(0.02)
        return self.log.read_text()

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


@pytest.fixture
def start(program, tmp_path):
    runs = []

    def call(text, *args):
        runs.append(Run(program, tmp_path, text, *args))
        runs[-1].wait_log("connection to server")
        return runs[-1]
    yield call
    for run in runs:
        run.process.kill()
        run.process.wait(20)


def test_other_options_need_a_restart(start):
    run = start("slot = one\ncompress = lz4\nflush-interval = 1s\n", "--port=5")
    run.write("slot = two\ncompress = lz4:1\nflush-interval = 2s\nport = 6\n")
    run.hang_up()
    log = run.wait_log("options reloaded from file")
    assert log.count("must be restarted") == 1  # compress is the same, the port is on the command line
    assert 'option "slot" has changed; walrx must be restarted' in log
    assert run.stop() == 0


def test_a_wrong_file_is_told_and_changes_nothing(start):
    run = start("slot = one\n")
    run.write("slot = one\nverbose = maybe\n")
    run.hang_up()
    log = run.wait_log("options were not reloaded")
    assert f'file "{run.config}", line 2: invalid value for option --verbose' in log
    run.write("slot = one\nverbose = on\n")
    run.hang_up()
    run.wait_log("options reloaded from file")
    assert run.stop() == 0


def test_without_changes_nothing_is_warned_of(start):
    run = start("slot = one\nmemory = 64MB\nstatus-interval = 10\n")
    run.hang_up()
    assert "must be restarted" not in run.wait_log("options reloaded from file")
    assert run.stop() == 0


def test_a_password_that_others_can_read_is_warned_of(walrx, tmp_path):
    config = tmp_path / "walrx.conf"
    config.write_text("dbname = host=x password=sekret\n")
    for mode, warned in ((0o600, False), (0o604, True)):
        config.chmod(mode)
        done = walrx("receive", "-D", tmp_path / "nosuch", f"--config={config}")
        assert done.returncode == 1
        assert ("can be read by others" in done.stderr) == warned, done.stderr
        assert "sekret" not in done.stderr
