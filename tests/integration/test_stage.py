# SPDX-License-Identifier: PostgreSQL
"""`walrx stage`: a copy of a base backup at each kind of target, that does no harm to anybody; and what it refuses
before anything is copied."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from harness import archive as ar
from harness.postgres import BINDIR
from harness.staged import Stages, alive, postmasters
from harness.util import SERVER_USER, clean_env, lsn, make_dir, run, wait_until, write_file
from harness.world import World

CODECS = {"raw": None, "gzip": "gzip:1", "lz4": "lz4", "zstd": "zstd:1"}


class Scene:
    """A primary, its backup without WAL, and what receivers with each codec have archived since: four marks, a
    restore point behind the second; the last mark lies in the open segment."""

    def __init__(self, world, walrx):
        self.world = world
        self.primary = primary = world.server()
        self.archives, receivers = {}, {}
        for name, compress in CODECS.items():
            primary.create_slot(name)
            self.archives[name] = world.archive(name)
            receivers[name] = world.receive(walrx, self.archives[name], primary, slot=name, compress=compress)
        for run_ in receivers.values():
            run_.wait_streaming(primary)
        primary.sql("create table marks(n int)")
        self.backup = world.base / "backup"
        primary.base_backup(self.backup, wal="none")
        self.marks = []
        for n in range(1, 5):
            self.marks.append(self._mark(n))
            if n == 2:
                primary.sql("select pg_create_restore_point('here')")
            if n < 4:
                primary.fill_segments(1)
        for name, run_ in receivers.items():
            wait_until(lambda n=name: primary.sql(
                f"select restart_lsn >= pg_current_wal_flush_lsn() from pg_replication_slots where slot_name = '{n}'")
                == "t", "everything is durable")
            assert run_.stop() == 0
        self.system_identifier = primary.system_identifier()

    def _mark(self, n):
        words = self.primary.script(f"begin; select txid_current(); insert into marks values ({n}); commit; "
                                    "select pg_current_wal_flush_lsn(); select clock_timestamp();").split("\n")
        return {"xid": words[0], "lsn": words[1], "time": words[2]}

    def copy(self, name, to):
        run(["cp", "-a", self.archives[name], to])
        return to

    def copy_backup(self, to):
        run(["cp", "-a", self.backup, to])
        return to


@pytest.fixture(scope="module")
def scene(temp_root, templates, programs):
    world = World(make_dir(Path(tempfile.mkdtemp(prefix="stage-", dir=temp_root)) / "w", 0o755), templates)
    world.base.parent.chmod(0o755)
    try:
        yield Scene(world, programs("walrx"))
    finally:
        world.close()


@pytest.fixture
def stages(world, walrx):
    it = Stages(world, walrx)
    make_dir(world.base / "s", 0o755)
    yield it
    it.close()


@pytest.fixture
def into(world):
    return world.base / "s" / "copy"


def marks(staged):
    return staged.sql("select string_agg(n::text, ',' order by n) from marks")


def refused(done, into, status, *words):
    assert done.returncode == status, f"{done.stdout}{done.stderr}"
    for word in words:
        assert word in done.stderr, done.stderr
    assert not into.exists() or not list(into.iterdir())


TARGETS = {
    "time": ("raw", lambda m: [f"--target-time={m[1]['time']}"], "1,2"),
    "lsn": ("gzip", lambda m: [f"--target-lsn={m[1]['lsn']}"], "1,2"),
    "lsn-exclusive": ("gzip", lambda m: [f"--target-lsn={m[1]['lsn']}", "--exclusive"], "1,2"),
    "xid": ("lz4", lambda m: [f"--target-xid={m[1]['xid']}"], "1,2"),
    "xid-exclusive": ("lz4", lambda m: [f"--target-xid={m[1]['xid']}", "--exclusive"], "1"),
    "restore-point": ("zstd", lambda m: ["--restore-point=here"], "1,2"),
    "xid-in-the-open-segment": ("zstd", lambda m: [f"--target-xid={m[3]['xid']}"], "1,2,3,4"),
}


@pytest.mark.parametrize("target", TARGETS)
def test_pauses_at_the_target(scene, stages, into, target):
    codec, args, want = TARGETS[target]
    before = ar.tree(scene.archives[codec]), ar.tree(scene.backup)
    staged = stages.start(scene.archives[codec], scene.backup, into, *args(scene.marks))
    assert staged.reached["state"] == "paused" and staged.reached["as_foreseen"]
    assert staged.reached["lsn"] == staged.told["target"]["replayed"]
    assert marks(staged) == want
    assert staged.sql("select pg_is_in_recovery()") == "t"
    assert staged.stderr == ""
    after = ar.tree(scene.archives[codec]), ar.tree(scene.backup)
    assert [{k: v for k, v in tree.items() if ".walrx" not in str(k)} for tree in before] == \
        [{k: v for k, v in tree.items() if ".walrx" not in str(k)} for tree in after]


@pytest.mark.parametrize("codec", CODECS)
def test_latest_is_promoted_with_the_open_segment(scene, stages, into, codec):
    staged = stages.start(scene.archives[codec], scene.backup, into, "--latest")
    assert marks(staged) == "1,2,3,4"
    assert staged.reached["state"] == "promoted" and staged.reached["timeline"] == 2
    assert staged.reached["as_foreseen"], staged.told
    assert staged.sql("insert into marks values (5) returning n") == "5"


def test_what_it_prints_can_be_pasted(scene, stages, into):
    """Not started: the commands start the server, ask it, end recovery, and stop it again."""
    done = stages.run(scene.archives["raw"], scene.backup, into, f"--target-xid={scene.marks[2]['xid']}")
    assert done.returncode == 0, done.stderr
    assert not postmasters(into)
    lines = {line.split()[-1]: line.strip() for line in done.stdout.splitlines() if line.startswith("  /")}
    psql = [line.strip() for line in done.stdout.splitlines() if line.startswith("  psql")]
    assert set(lines) == {"start", "stop"} and len(psql) == 2
    run(["sh", "-c", lines["start"]])
    there = re.search("^  (select .*)$", done.stdout, re.M)[1]
    wait_until(lambda: run(["sh", "-c", f"{psql[0]} -XAtc '{there}'"]).stdout == "t\n", "it is at the target")
    assert run(["sh", "-c", psql[0] + " -XAtc 'select max(n) from marks'"]).stdout == "3\n"
    run(["sh", "-c", psql[1]])
    wait_until(lambda: run(["sh", "-c", psql[0] + " -XAtc 'select pg_is_in_recovery()'"]).stdout == "f\n", "promotion")
    run(["sh", "-c", lines["stop"]])
    assert not postmasters(into)


def test_promotes_or_shuts_down_where_asked_to(scene, stages, world):
    target = f"--target-xid={scene.marks[1]['xid']}"
    staged = stages.start(scene.archives["raw"], scene.backup, world.base / "s" / "a", target, "--action=promote")
    assert staged.reached["state"] == "promoted" and marks(staged) == "1,2"
    staged = stages.start(scene.archives["raw"], scene.backup, world.base / "s" / "b", target, "--action=shutdown")
    assert staged.reached["state"] == "shut_down" and not postmasters(world.base / "s" / "b")
    assert "shut down" in run([BINDIR / "pg_controldata", world.base / "s" / "b"], env={"LC_ALL": "C"}).stdout


ODD = "a b'c\"d%p%%\\e$(x);f"


def test_names_that_shells_and_configurations_take_apart(scene, stages, world):
    archive = scene.copy("lz4", world.base / "s" / (ODD + " wal"))
    backup = scene.copy_backup(world.base / "s" / (ODD + " backup"))
    folder = make_dir(world.base / "s" / (ODD + " bin"), 0o755)
    program = folder / "wal'rx %f"
    shutil.copy(stages.program, program)
    program.chmod(0o755)
    run(["mkdir", world.base / "s" / "q"])
    into = Path("/tmp") / f"w{os.getpid()} '\"%\\"  # a socket's path is short
    try:
        staged = stages.start(archive, backup, into, "--restore-point=here", program=program)
        assert marks(staged) == "1,2"
    finally:
        stages.close()
        shutil.rmtree(into, ignore_errors=True)


def test_relative_names(scene, stages, world):
    done = stages.run(os.path.relpath(scene.archives["raw"], world.base / "s"),
                      os.path.relpath(scene.backup, world.base / "s"), "copy", "--latest", cwd=world.base / "s")
    assert done.returncode == 0, done.stderr
    conf = (world.base / "s" / "copy" / "postgresql.conf").read_text()
    assert re.search(r"restore_command = '/\S+ restore -D /", conf)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_makes_it_for_the_owner_of_the_backup(scene, stages, into):
    staged = stages.start(scene.archives["raw"], scene.backup, into, "--restore-point=here", root=True)
    assert marks(staged) == "1,2"
    uid = pwd.getpwnam(SERVER_USER).pw_uid
    archive = scene.archives["raw"]
    assert {path.stat().st_uid for path in [archive, *archive.rglob("*")]} == {uid}
    assert {path.stat().st_uid for path in [into, *into.rglob("*")]} == {uid}
    assert Path(f"/proc/{staged.reached['pid']}").stat().st_uid == uid
    assert into.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_can_paste_what_it_prints(scene, stages, into):
    done = stages.run(scene.archives["raw"], scene.backup, into, "--restore-point=here", "--start", root=True)
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines() if line.startswith("  runuser -u ")]
    assert len(lines) == 3, done.stdout

    def paste(line):  # root's home is closed to the server's user
        return subprocess.run(["sh", "-c", line], cwd="/root", env=clean_env(into.parent), capture_output=True, text=True,
                              timeout=60, check=True).stdout

    assert paste(lines[0] + " -XAtc 'select max(n) from marks'") == "2\n"
    paste(lines[1])
    paste(lines[2])
    assert not postmasters(into)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_and_a_backup_of_root(scene, stages, into, world):
    backup = scene.copy_backup(world.base / "s" / "backup")
    for path in [backup, *backup.rglob("*")]:
        os.chown(path, 0, 0)
    done = stages.run(scene.archives["raw"], backup, into, "--latest", root=True)
    refused(done, into, 1, "belongs to root", "install -d")
    make_dir(into)  # the user's
    assert marks(stages.start(scene.archives["raw"], backup, into, "--latest", root=True)) == "1,2,3,4"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_and_an_archive_that_the_server_may_not_read(scene, stages, into, world):
    archive = scene.copy("raw", world.base / "s" / "wal")
    os.chown(archive, 0, 0)
    refused(stages.run(archive, scene.backup, into, "--latest", root=True), into, 1, "cannot read archive", str(archive))
    os.chown(archive, pwd.getpwnam(SERVER_USER).pw_uid, 0)
    for path in ar.segments(archive).values():
        os.chown(path, 0, 0)
        path.chmod(0o600)
    refused(stages.run(archive, scene.backup, into, "--latest", root=True), into, 1, "cannot read",
            str(list(ar.segments(archive).values())[0].parent))


def test_production_is_left_alone(scene, stages, into, world):
    """The backup's configuration is that of a primary with everything that could reach out."""
    traces = make_dir(world.base / "traces")
    backup = scene.copy_backup(world.base / "s" / "backup")
    touch = f"touch {traces}/%s"
    production = {
        "archive_mode": "always", "archive_command": touch % "archived-%f", "synchronous_standby_names": "nobody",
        "primary_conninfo": scene.primary.conninfo(application_name="stray"), "primary_slot_name": "raw",
        "restore_command": touch % "restored" + "; exit 1", "recovery_end_command": touch % "ended",
        "archive_cleanup_command": touch % "cleaned", "recovery_target_xid": "3", "recovery_target_action": "shutdown",
        "data_directory": str(scene.primary.data), "hba_file": "/nonexistent", "listen_addresses": "*",
        "port": scene.primary.port, "unix_socket_directories": str(traces), "external_pid_file": f"{traces}/pid",
        "shared_buffers": "900GB", "ssl": "on", "ssl_cert_file": "/nonexistent", "log_directory": str(traces),
        "logging_collector": "on", "shared_preload_libraries": "auto_explain, pg_cron", "cluster_name": "production"}
    text = "".join("{} = '{}'\n".format(k, str(v).replace("'", "''")) for k, v in production.items())
    for name in ("postgresql.conf", "postgresql.auto.conf"):
        with open(backup / name, "a") as conf:
            conf.write(text + "include_dir '/nonexistent'\n")
    for name in ("standby.signal", "postmaster.pid"):
        write_file(backup / name, "")
    staged = stages.start(scene.archives["raw"], backup, into, f"--target-xid={scene.marks[1]['xid']}",
                          "--action=promote")
    assert marks(staged) == "1,2"
    assert "the copy does not load pg_cron" in staged.stderr
    staged.sql("insert into marks values (9); select pg_switch_wal(); checkpoint")
    settings = dict(line.split("|") for line in staged.sql(
        "select name, setting from pg_settings where name in ('archive_mode', 'primary_conninfo', 'listen_addresses', "
        "'synchronous_standby_names', 'shared_preload_libraries', 'max_logical_replication_workers', 'cluster_name', "
        "'recovery_end_command', 'data_directory')").splitlines())
    assert settings == {"archive_mode": "off", "primary_conninfo": "", "listen_addresses": "",
                        "synchronous_standby_names": "", "shared_preload_libraries": "auto_explain",
                        "max_logical_replication_workers": "0", "cluster_name": "walrx stage",
                        "recovery_end_command": "", "data_directory": str(into)}
    assert not list(traces.iterdir())
    assert (into / "postgresql.conf.backup").read_text() == (backup / "postgresql.conf").read_text()
    assert scene.primary.sender("pid", "stray") is None
    assert into.stat().st_mode & 0o777 == 0o700


def test_a_backup_without_its_configuration(scene, stages, into, world):
    """As Debian keeps it elsewhere."""
    backup = scene.copy_backup(world.base / "s" / "backup")
    for name in ("postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf"):
        (backup / name).unlink()
    assert marks(stages.start(scene.archives["raw"], backup, into, "--latest")) == "1,2,3,4"


def test_a_link_to_the_primarys_wal_is_not_followed(scene, stages, into, world):
    backup = scene.copy_backup(world.base / "s" / "backup")
    elsewhere = make_dir(world.base / "elsewhere")
    shutil.rmtree(backup / "pg_wal")
    (backup / "pg_wal").symlink_to(elsewhere)
    staged = stages.start(scene.archives["raw"], backup, into, "--latest")
    assert marks(staged) == "1,2,3,4"
    assert not (into / "pg_wal").is_symlink() and not list(elsewhere.iterdir())


def test_a_primary_that_raised_a_setting_after_the_backup(world, stages, walrx, into):
    """The backup does not know of it; the server stops for it, and the way out is named."""
    primary = world.server()
    primary.sql("create table marks(n int)")
    directory = world.archive()
    primary.create_slot("arch")
    run_ = world.receive(walrx, directory, primary, "--synchronous", slot="arch")
    run_.wait_streaming(primary)
    backup = world.base / "backup"
    primary.base_backup(backup, wal="none")
    primary.sql("insert into marks values (1)")
    primary.sql("alter system set max_connections = 60")
    primary.stop()
    primary.start()
    primary.sql("insert into marks values (2)")
    run_.wait_streaming(primary)
    run_.wait_received(primary, column="flush_lsn")
    assert run_.stop() == 0
    done = stages.run(directory, backup, into, "--latest", "--start")
    assert done.returncode == 1 and "max_connections = 30" in done.stderr, done.stderr
    assert "with --set=NAME=VALUE" in done.stderr and not postmasters(into)
    shutil.rmtree(into)
    assert marks(stages.start(directory, backup, into, "--latest", "--set=max_connections=60")) == "1,2"


def test_the_lock_of_a_transaction_that_is_open_at_the_target_is_told(world, stages, walrx):
    """Just before the commit of a DROP TABLE the table is there, and locked: a query would wait without a word."""
    primary = world.server()
    primary.sql("create table marks(n int)")
    directory = world.archive()
    primary.create_slot("arch")
    run_ = world.receive(walrx, directory, primary, "--synchronous", slot="arch")
    run_.wait_streaming(primary)
    backup = world.base / "backup"
    primary.base_backup(backup, wal="none")
    primary.sql("insert into marks values (1)")
    xid = primary.script("begin; select txid_current(); drop table marks; commit").split("\n")[0]
    primary.sql("create table other(n int)")
    run_.wait_received(primary, column="flush_lsn")
    assert run_.stop() == 0
    target = (f"--xid={xid}", "--exclusive")
    paused = stages.start(directory, backup, world.base / "s" / "a", *target)
    assert paused.reached["state"] == "paused" and paused.reached["locked_relations"] == 1
    assert paused.sql("set lock_timeout = '100ms'; select count(*) from pg_class where relname = 'marks'") == "1"
    promoted = stages.start(directory, backup, world.base / "s" / "b", *target, "--action=promote")
    assert promoted.reached["locked_relations"] is None and marks(promoted) == "1"
    done = stages.run(directory, backup, world.base / "s" / "c", *target, "--start")
    assert done.returncode == 0 and "locked: 1 relation, by transactions that are open" in done.stdout, done.stdout
    paused.sql("select pg_wal_replay_resume()")
    wait_until(lambda: paused.sql("select pg_is_in_recovery()") == "f", "promotion")
    assert marks(paused) == "1"


def test_the_environment_leads_to_no_other_server(scene, stages, into):
    """libpq would connect to PGHOSTADDR instead of the socket that it is told to use."""
    staged = stages.start(scene.archives["raw"], scene.backup, into, "--restore-point=here", PGHOSTADDR="127.0.0.1",
                          PGSERVICE="production", PGTARGETSESSIONATTRS="read-write", PGREQUIREPEER="nobody")
    assert marks(staged) == "1,2" and "locked" not in staged.stderr


@pytest.mark.receivers("walrx")
def test_timelines(world, stages, receiver):
    """The old primary goes on after the standby has been promoted: a backup taken there leads nowhere."""
    a = world.server()
    a.create_slot("arch")
    old, directory = world.archive(), world.archive()
    b = world.standby(a)
    run_ = world.receive(receiver, old, a, "--synchronous", slot="arch")
    run_.wait_streaming(a)
    a.sql("create table marks(n int)")
    backup, dead = world.base / "backup", world.base / "dead"
    a.base_backup(backup, wal="none")
    a.sql("insert into marks values (1)")
    a.fill_segments(1)
    wait_until(lambda: b.sql(f"select pg_last_wal_replay_lsn() >= '{a.sql('select pg_current_wal_flush_lsn()')}'") == "t",
               "the standby has everything")
    b.promote()
    a.base_backup(dead, wal="none")
    a.sql("insert into marks values (-1)")
    run_.wait_received(a, column="flush_lsn")
    assert run_.stop() == 0
    a.stop("immediate")
    run(["cp", "-a", f"{old}/.", directory])
    run_ = world.receive(receiver, directory, b, "--synchronous")
    run_.wait_streaming(b)
    standby = world.base / "of a standby"
    b.sql("insert into marks values (2)")
    run_.wait_received(b, column="flush_lsn")
    assert run_.stop() == 0
    refused(stages.run(directory, dead, world.base / "s" / "a", "--latest"), world.base / "s" / "a", 2,
            "timeline 1 does not lead to timeline 2", "--target-timeline=1")
    staged = stages.start(directory, backup, world.base / "s" / "b", "--latest")
    assert marks(staged) == "1,2" and staged.reached["timeline"] == 3
    # The dead branch, for who wants it, as far as its segments are complete.
    # The dead branch to its last commit, in an open segment that restore does not hand out by itself.
    staged = stages.start(directory, dead, world.base / "s" / "c", "--latest", "--target-timeline=1")
    assert marks(staged) == "-1,1"
    assert not standby.exists()


def test_a_backup_of_a_standby(world, stages, walrx, into):
    primary = world.server()
    primary.sql("create table marks(n int)")
    directory = world.archive()
    run_ = world.receive(walrx, directory, primary, "--synchronous")
    run_.wait_streaming(primary)
    standby = world.standby(primary)
    backup = world.base / "backup"
    standby.base_backup(backup, wal="none")
    primary.sql("insert into marks values (1)")
    run_.wait_received(primary, column="flush_lsn")
    assert run_.stop() == 0
    assert marks(stages.start(directory, backup, into, "--latest")) == "1"
    (backup / "backup_manifest").unlink()
    staged = stages.start(directory, backup, world.base / "s" / "other", "--latest")
    assert marks(staged) == "1" and "not known where the backup" in staged.stderr


# -- refusals: nothing is made ---------------------------------------------------------------------------------


def test_a_missing_segment_is_named(scene, stages, into, world):
    archive = scene.copy("zstd", world.base / "s" / "wal")
    names = list(ar.segments(archive))
    first = next(i for i, name in enumerate(names) if name >= re.search(r"\(file (\w+)\)",
                 (scene.backup / "backup_label").read_text())[1])
    ar.segments(archive)[names[first + 1]].unlink()
    for target in ("--latest", f"--target-xid={scene.marks[3]['xid']}"):
        refused(stages.run(archive, scene.backup, into, target), into, 2, names[first + 1], "hint: ")
    archive = scene.copy("zstd", world.base / "s" / "wal2")
    ar.segments(archive)[names[first]].unlink()
    refused(stages.run(archive, scene.backup, into, "--latest"), into, 2, names[first])
    # The hint for --latest leads to the hole.
    archive = scene.copy("zstd", world.base / "s" / "wal4")
    ar.segments(archive)[names[first + 1]].unlink()
    hint = re.search(r"--target-lsn=\S+", stages.run(archive, scene.backup, into, "--latest").stderr)[0]
    staged = stages.start(archive, scene.backup, world.base / "s" / "other", hint)
    assert staged.reached["state"] == "paused" and staged.reached["as_foreseen"]
    # One that is not needed for the target may be missing.
    archive = scene.copy("raw", world.base / "s" / "wal3")
    ar.segments(archive)[names[-1]].unlink()
    assert marks(stages.start(archive, scene.backup, into, f"--target-xid={scene.marks[0]['xid']}")) == "1"


def test_targets_that_cannot_be_reached(scene, stages, into):
    for args, words in ((["--target-time=2099-01-01"], []), (["--restore-point=nowhere"], ["nowhere"]),
                        (["--target-xid=4000000000"], ["4000000000"]), (["--target-lsn=FF/0"], ["FF/0"])):
        refused(stages.run(scene.archives["raw"], scene.backup, into, *args), into, 2, "hint: ", *words)


@pytest.mark.parametrize("manifest", [True, False])
def test_a_target_before_the_backup_is_consistent(scene, stages, into, world, manifest):
    """Without a manifest the end of the backup is looked for in the WAL."""
    backup = scene.copy_backup(world.base / "s" / "backup")
    if not manifest:
        (backup / "backup_manifest").unlink()
    label = (backup / "backup_label").read_text()
    start = lsn(re.search(r"START WAL LOCATION: (\S+)", label)[1])
    done = stages.run(scene.archives["raw"], backup, into, f"--target-lsn={start >> 32:X}/{start & 0xFFFFFFFF:X}")
    refused(done, into, 2, "before the backup", "is consistent", "Use an older backup")
    staged = stages.start(scene.archives["raw"], backup, into, f"--target-xid={scene.marks[0]['xid']}")
    assert marks(staged) == "1" and staged.told["backup"]["consistent"]


def test_an_archive_of_another_cluster(scene, stages, into, world, walrx):
    other = world.server(name="other", fresh=True)
    archive = world.archive()
    run_ = world.receive(walrx, archive, other, "--synchronous")
    run_.wait_streaming(other)
    other.insert(rows=10)
    run_.wait_received(other, column="flush_lsn")
    assert run_.stop() == 0
    refused(stages.run(archive, scene.backup, into, "--latest"), into, 2, "another cluster", scene.system_identifier,
            other.system_identifier())
    empty = world.archive()
    refused(stages.run(empty, scene.backup, into, "--latest"), into, 2, "no WAL")


def test_a_place_that_is_not_empty(scene, stages, into, world):
    make_dir(into)
    write_file(into / "precious", "x")
    done = stages.run(scene.archives["raw"], scene.backup, into, "--latest")
    assert done.returncode == 1 and "is not empty" in done.stderr and "precious" in done.stderr
    assert [p.name for p in into.iterdir()] == ["precious"]
    (into / "precious").unlink()
    write_file(into / "walrx_stage_unfinished", "")
    done = stages.run(scene.archives["raw"], scene.backup, into, "--latest")
    assert done.returncode == 1 and "unfinished copy" in done.stderr
    inside = scene.copy_backup(world.base / "s" / "backup") / "inside"
    for place, words in ((world.base / "s" / "no" / "where", "must exist"), (inside, "in each other"),
                         (world.base / "s" / "a,b", "comma"), (world.base / "s" / ("x" * 100), "too long")):
        refused(stages.run(scene.archives["raw"], world.base / "s" / "backup", place, "--latest"), place, 1, words)


def test_what_is_no_base_backup(scene, stages, into, world):
    started = scene.copy_backup(world.base / "s" / "backup")
    (started / "backup_label").rename(started / "backup_label.old")
    refused(stages.run(scene.archives["raw"], started, into, "--latest"), into, 1, "backup", "hint: ")
    refused(stages.run(scene.archives["raw"], world.base, into, "--latest"), into, 1, "backup")
    tar = world.base / "s" / "tar"
    scene.primary.sql("checkpoint")
    run([BINDIR / "pg_basebackup", "-D", tar, "-Ft", "-X", "none", "-c", "fast", "--no-sync", "-d",
         scene.primary.conninfo()], env=scene.primary.env)
    refused(stages.run(scene.archives["raw"], tar, into, "--latest"), into, 1, "tar", "hint: ")


def test_programs_of_another_version(scene, stages, into, world):
    fake = make_dir(world.base / "fake", 0o755)
    write_file(fake / "postgres", "#!/bin/sh\necho 'postgres (PostgreSQL) 9.6.24'\n", 0o755)
    done = stages.run(scene.archives["raw"], scene.backup, into, "--latest", "--bindir", fake)
    refused(done, into, 1, "no programs of PostgreSQL 15", f'"{fake}" has 9.6.24')


# -- tablespaces -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spaces(temp_root, templates, programs):
    """A primary with a tablespace before the backup and another one behind it."""
    world = World(make_dir(Path(tempfile.mkdtemp(prefix="stage-ts-", dir=temp_root)) / "w", 0o755), templates)
    world.base.parent.chmod(0o755)
    try:
        primary = world.server()
        world.old, world.new = make_dir(world.base / "ts old"), make_dir(world.base / "ts new")
        primary.sql(f"create tablespace old location '{world.old}'")
        primary.sql("create table marks(n int) tablespace old")
        world.wal = world.archive()
        run_ = world.receive(programs("walrx"), world.wal, primary, "--synchronous")
        run_.wait_streaming(primary)
        world.backup = world.base / "backup"
        world.space = world.base / "backup ts"
        run([BINDIR / "pg_basebackup", "-D", world.backup, "-X", "none", "-c", "fast", "--no-sync", "-T",
             f"{world.old}={world.space}", "-d", primary.conninfo()], env=primary.env)
        primary.sql("insert into marks values (1)")
        world.before = primary.sql("select pg_create_restore_point('before')")
        primary.sql(f"create tablespace new location '{world.new}'")
        primary.sql("create table more(n int) tablespace new")
        primary.sql("insert into marks values (2)")
        run_.wait_received(primary, column="flush_lsn")
        assert run_.stop() == 0
        yield world
    finally:
        world.close()


def test_each_tablespace_needs_a_place(spaces, stages, into, world):
    place = world.base / "s" / "ts=1"
    target = ("--restore-point=before",)
    done = stages.run(spaces.wal, spaces.backup, into, *target)
    refused(done, into, 1, f'tablespace "{spaces.space}"', f"--tablespace-mapping={spaces.space}=NEW")
    refused(stages.run(spaces.wal, spaces.backup, into, *target, f"-T{spaces.space}={place}", "-T/no=/where"), into, 1,
            'no tablespace at "/no"')
    refused(stages.run(spaces.wal, spaces.backup, into, *target, f"-T{spaces.space}=here"), into, 1, "invalid")
    before = ar.tree(spaces.space), ar.tree(spaces.old)
    staged = stages.start(spaces.wal, spaces.backup, into, *target, f"-T{spaces.space}={place}", "--action=promote")
    assert marks(staged) == "1"
    staged.sql("insert into marks select generate_series(1, 1000); checkpoint")
    assert (ar.tree(spaces.space), ar.tree(spaces.old)) == before
    assert [os.readlink(p) for p in (into / "pg_tblspc").iterdir()] == [str(place)]


def test_the_place_of_a_tablespace_must_be_empty(spaces, stages, into, world):
    place = make_dir(world.base / "s" / "ts")
    write_file(place / "precious", "x")
    done = stages.run(spaces.wal, spaces.backup, into, "--restore-point=before", f"-T{spaces.space}={place}")
    refused(done, into, 1, "is not empty")
    assert not into.exists() and [p.name for p in place.iterdir()] == ["precious"]


@pytest.mark.parametrize("where", ["backup", "archive", "copy", "space", "link"])
def test_the_place_of_a_tablespace_is_no_place_of_another(spaces, stages, into, world, where):
    """The backup, the archive and the tablespace that is copied stay as they are."""
    (world.base / "s" / "link").symlink_to(spaces.backup)
    place = {"backup": spaces.backup, "archive": spaces.wal, "copy": into, "space": spaces.space,
             "link": world.base / "s" / "link"}[where] / "inside"
    before = [ar.tree(path) for path in (spaces.backup, spaces.wal, spaces.space)]
    done = stages.run(spaces.wal, spaces.backup, into, "--restore-point=before", f"-T{spaces.space}={place}")
    refused(done, into, 1, "lie in each other", str(place))
    assert [ar.tree(path) for path in (spaces.backup, spaces.wal, spaces.space)] == before


def test_wal_that_makes_a_tablespace_where_the_primary_has_one(spaces, stages, into, world):
    """Replaying it would put the copy's files among the primary's."""
    args = ("--latest", f"-T{spaces.space}={world.base / 's' / 'ts'}")
    refused(stages.run(spaces.wal, spaces.backup, into, *args), into, 1, str(spaces.new), "in use")
    aside = spaces.new.rename(spaces.base / "aside")
    try:
        refused(stages.run(spaces.wal, spaces.backup, into, *args), into, 1, "recovery would need", str(spaces.new))
        make_dir(spaces.new)
        assert marks(stages.start(spaces.wal, spaces.backup, into, *args)) == "1,2"
    finally:
        stages.close()
        shutil.rmtree(spaces.new, ignore_errors=True)
        aside.rename(spaces.new)


# -- ends ------------------------------------------------------------------------------------------------------


def test_a_stop_while_it_recovers(scene, stages, into, world):
    """Of a server that waits for a restore_command that does not end."""
    program = world.base / "slow" / "walrx"
    make_dir(program.parent, 0o755)
    shutil.copy(stages.program, program)
    program.chmod(0o755)
    done = stages.run(scene.archives["raw"], scene.backup, into, "--latest", program=program)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(into)
    stages.program = program
    process = stages.begin(scene.archives["raw"], scene.backup, into, "--latest", "--start",
                           "--set=restore_command=sleep 100")
    wait_until(lambda: postmasters(into), "the server starts")
    wait_until(lambda: "starting archive recovery" in (into / "walrx_stage.log").read_text(), "it recovers")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1 and "stopped while the server recovered" in told and "stays" in told
    assert not postmasters(into)
    assert (into / "PG_VERSION").exists()


def test_a_server_that_does_not_get_there_in_time(scene, stages, into):
    done = stages.run(scene.archives["raw"], scene.backup, into, "--latest", "--start", "--timeout=2s",
                      "--set=restore_command=sleep 100")
    assert done.returncode == 1 and "did not reach the target in time" in done.stderr
    assert not postmasters(into)


def test_a_server_that_dies_is_told_with_its_log(scene, stages, world):
    done = stages.run(scene.archives["raw"], scene.backup, world.base / "s" / "a", "--latest", "--start",
                      "--set=shared_preload_libraries=no_such_library")
    assert done.returncode == 1
    assert 'FATAL:  could not access file "no_such_library"' in done.stderr and "A library that the primary" in done.stderr
    archive = scene.copy("raw", world.base / "s" / "wal")
    done = stages.run(archive, scene.backup, world.base / "s" / "b", "--latest", "--start",
                      f"--set=restore_command={stages.program} restore -D {archive} --bogus %f %p")
    assert done.returncode == 1 and "could not restore file" in done.stderr and "restore_command met" in done.stderr
    assert not postmasters(world.base / "s" / "a") and not postmasters(world.base / "s" / "b")


def test_a_role_that_does_not_exist(scene, stages, into):
    done = stages.run(scene.archives["raw"], scene.backup, into, "--latest", "--start", "-U", "nobody_like_this")
    assert done.returncode == 1 and "--username" in done.stderr and "nobody_like_this" in done.stderr
    assert not postmasters(into)


def test_half_a_copy_goes_again(scene, stages, into, world):
    """A file in the backup that cannot be read."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    backup = scene.copy_backup(world.base / "s" / "backup")
    victim = max((backup / "base").rglob("*"), key=lambda p: p.name)
    os.chown(victim, 0, 0)
    victim.chmod(0)
    done = stages.run(scene.archives["raw"], backup, into, "--latest")
    assert done.returncode == 3 and victim.name in done.stderr
    assert not into.exists()
    make_dir(into)
    assert stages.run(scene.archives["raw"], backup, into, "--latest").returncode == 3
    assert into.exists() and not list(into.iterdir())


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGINT])
def test_ended_while_it_copies(scene, stages, into, world, sig):
    """A killed run leaves nothing that starts, and tells the next one; an interrupted one leaves nothing."""
    backup = scene.copy_backup(world.base / "s" / "backup")
    with open(backup / "base" / "large", "wb") as file:
        for _ in range(600):
            file.write(os.urandom(1 << 20))
    if os.geteuid() == 0:
        shutil.chown(backup / "base" / "large", SERVER_USER)
    process = stages.begin(scene.archives["raw"], backup, into, "--latest")
    wait_until(lambda: (into / "base" / "large").exists(), "it copies", interval=0.0005)
    process.send_signal(sig)
    _, told = process.communicate()
    assert process.returncode != 0, "it was quicker than this test"
    if sig == signal.SIGINT:
        assert process.returncode == 1 and "stopped while copying" in told
        assert not into.exists()
        return
    assert not (into / "global" / "pg_control").exists()
    done = stages.run(scene.archives["raw"], scene.backup, into, "--latest")
    assert done.returncode == 1 and "unfinished copy" in done.stderr


def test_the_server_outlives_the_command(scene, stages, into):
    staged = stages.start(scene.archives["raw"], scene.backup, into, "--restore-point=here")
    assert alive(staged.reached["pid"]) and postmasters(into) == [staged.reached["pid"]]
    assert os.getsid(staged.reached["pid"]) == staged.reached["pid"]
