# SPDX-License-Identifier: PostgreSQL
"""Barman with walrx in the place of pg_receivewal: receive, switch, archive, back up, recover."""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from harness.packages import unpacked
from harness.postgres import BINDIR, Postgres, move_cluster
from harness.util import as_server, clean_env, make_dir, run, server_uid_gid, wait_until, write_file

USER = """
import os, pwd
print(pwd.getpwuid(os.getuid()).pw_name)
"""


class Barman:
    """A barman of its own: configuration, home and lock files in one folder."""

    def __init__(self, base, server, receiver, root):
        self.home = make_dir(base / "barman")
        self.conf = base / "barman.conf"
        self.processes = []
        self.log_path = base / "barman.log"
        tools = make_dir(base / "tools", 0o755)
        for name in ("pg_basebackup", "psql", "pg_verifybackup"):
            (tools / name).symlink_to(BINDIR / name)
        (tools / "pg_receivewal").symlink_to(Path(receiver.command[0]).resolve())
        path = "/usr/bin:/bin"
        libraries, modules = "", ""
        if root is not None:
            path = f"{root}/usr/bin:{path}"
            modules = f"{root}/usr/lib/python3/dist-packages"
            libraries = ":".join(str(p) for p in (root / "usr/lib").glob("*-linux-*"))
        self.command = ["/usr/bin/python3", shutil.which("barman", path=path), "-c", self.conf]
        self.env = clean_env(base, PATH=path, PYTHONPATH=modules, LD_LIBRARY_PATH=libraries)
        self.env.pop("PGAPPNAME")
        user = run(["/usr/bin/python3", "-c", USER], env=self.env).stdout.strip()
        write_file(self.conf, f"""
[barman]
barman_user = {user}
barman_home = {self.home}
barman_lock_directory = {self.home}
log_file = {self.log_path}
log_level = INFO
path_prefix = {tools}

[main]
description = walrx test
conninfo = {server.conninfo(dbname='postgres')}
streaming_conninfo = {server.conninfo(dbname='postgres')}
backup_method = postgres
streaming_archiver = on
slot_name = barman
""")

    def __call__(self, *args, check=True, timeout=90):
        return run([*self.command, *args], env=self.env, check=check, timeout=timeout)

    def background(self, *args):
        with open(self.log_path.with_suffix(".out"), "a") as out:
            process = subprocess.Popen(as_server([*self.command, *args]), env=self.env, cwd="/",
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       start_new_session=True)
        self.processes.append(process)
        return process

    def log(self):
        return "\n".join(p.read_text() for p in (self.log_path, self.log_path.with_suffix(".out"))
                         if p.exists())

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
                process.wait(20)


@pytest.fixture
def barman(world, receiver, fetched):
    root = None if shutil.which("barman") else fetched(unpacked, "barman")
    server = world.server(segsize_mb=16)
    it = Barman(world.base, server, receiver, root)
    it.server = server
    yield it
    it.close()


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.receivers("front", "pg_receivewal")
def test_barman_backs_up_and_recovers(world, barman, receiver):
    server = barman.server
    barman("receive-wal", "--create-slot", "main")
    assert server.slot("barman", "slot_type") == "physical"
    streaming = barman.background("receive-wal", "main")
    wait_until(lambda: server.sender("state", "barman_receive_wal") == ["streaming"],
               "barman's receiver streams", 30)

    def archived():
        """What `barman cron` does each minute for one server."""
        barman("archive-wal", "main")
        return [p for p in (barman.home / "main/wals").rglob("0000*") if p.is_file()]

    barman("switch-wal", "--force", "main")
    wait_until(archived, f"barman archives a segment\n{barman.log()}", 30, 0.5)
    check = barman("check", "main", check=False).stdout
    for item in ("PostgreSQL streaming", "replication slot", "pg_receivexlog", "pg_receivexlog compatible",
                 "receive-wal running", "wal_level"):
        assert f"{item}: OK" in check, check
    server.insert(rows=200)
    backup = barman.background("backup", "--wait", "main")
    # --wait ends when the WAL of the backup is archived; nothing else would archive it here
    wait_until(lambda: archived() and backup.poll() is not None, f"the backup ends\n{barman.log()}", 60, 0.5)
    assert backup.returncode == 0, barman.log()
    server.insert(rows=300)
    want = server.number("select count(*) from load")
    done = barman("switch-wal", "--force", "main").stdout
    server.insert()
    wal = done.split("WAL file ")[1].split()[0]
    wait_until(lambda: any(p.name == wal for p in archived()), f"{wal} is archived\n{barman.log()}", 30, 0.5)
    assert "warning" not in barman("list-backup", "main").stdout.lower()
    assert barman("check-backup", "main", "latest", check=False).returncode == 0

    target = world.base / "recovered"
    make_dir(target)
    barman("recover", "main", "latest", target / "data")
    recovered = Postgres(world.base, "restored", world.templates, segsize_mb=16,
                         data_from=lambda data: move_cluster(target / "data", data))
    world.servers.append(recovered)
    recovered.start()
    wait_until(lambda: recovered.sql("select pg_is_in_recovery()") == "f", "the end of recovery")
    assert recovered.number("select count(*) from load") == want

    streaming.send_signal(signal.SIGINT)
    assert streaming.wait(20) is not None
    assert "Traceback" not in barman.log(), barman.log()
    if server_uid_gid() is not None:
        owners = {p.stat().st_uid for p in barman.home.rglob("*")}
        assert owners == {server_uid_gid()[0]}


@pytest.mark.network
@pytest.mark.receivers("front", "pg_receivewal")
def test_barman_cron_keeps_the_receiver_running(world, barman, receiver):
    server = barman.server
    barman("receive-wal", "--create-slot", "main")
    barman("cron")
    wait_until(lambda: server.sender("state", "barman_receive_wal") == ["streaming"],
               "cron starts the receiver", 30)
    last = server.switch()
    server.insert()
    streaming = barman.home / "main/streaming"
    wait_until((streaming / last).exists, f"{last} arrives", 30)

    def archived():
        # Barman leaves the newest file where it is: the open segment has to be there first
        barman("archive-wal", "main")
        return any(p.name == last for p in (barman.home / "main/wals").rglob("0000*"))
    wait_until(archived, f"{last} is archived\n{barman.log()}", 20, 0.3)
    barman("receive-wal", "--stop", "main")
    wait_until(lambda: server.sender("state", "barman_receive_wal") is None, "the receiver leaves", 30)
