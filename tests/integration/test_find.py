# SPDX-License-Identifier: PostgreSQL
"""`walrx find` against real servers: a server that recovers with exactly the settings it prints stops where it said,
having replayed what it said. And against pg_waldump, over many transactions of many clients."""

import datetime
import json
import re
import tempfile
from pathlib import Path

import pytest
from harness import archive as ar
from harness.postgres import BINDIR, Postgres, copy_cluster
from harness.util import clean_env, lsn, lsn_text, make_dir, run, wait_until, write_file
from harness.world import World

CODECS = {"raw": None, "zstd": "zstd:1"}


def find(walrx, directory, *options, home="/", status=0, json_too=True, **env):
    argv = [walrx.command[0], "find", "-D", directory, *options, *(["--json"] if json_too else [])]
    done = run(argv, env=clean_env(home, **env), check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert (done.stderr == "") == (status == 0), done.stderr
    return json.loads(done.stdout) if json_too else done.stdout


def when(text):
    """A time of the JSON, of SQL or of the server's log, all of them in UTC."""
    text = re.sub(r"Z$|\+00$| UTC$", "", text).replace("T", " ")
    return datetime.datetime.fromisoformat(text if "." not in text else text.ljust(26, "0"))


def recovering(world, primary, backup, found, **settings):
    """A server with exactly the settings that were found, started."""
    server = Postgres(world.base, f"new{len(world.servers)}", world.templates, segsize_mb=primary.segsize >> 20,
                      data_from=lambda data: copy_cluster(backup, data))
    world.servers.append(server)
    server.configure(hot_standby="on", wal_retrieve_retry_interval="100ms", max_prepared_transactions=5,
                     max_connections=60, **settings)
    assert found["settings"]["file"] == "postgresql.conf" and found["settings"]["recovery_signal"]
    with open(server.data / "postgresql.conf", "a") as conf:
        conf.write(found["settings"]["lines"])
    write_file(server.data / "recovery.signal", "")
    return server.start(wait=False)


def stopped(world, primary, backup, found):
    """Where it does so for a target it pauses, which is the default."""
    server = recovering(world, primary, backup, found)
    wait_until(server.ready, "the server answers", 60)
    wait_until(lambda: server.sql("select pg_get_wal_replay_pause_state()") == "paused", "it pauses", 60)
    return server


def check_log(found, log):
    """The server's own words about where it stops."""
    at, target = found["stop"], found["target"]["kind"]
    stops = f"recovery stopping {found['stops']}"
    if target == "lsn":
        assert f'{stops} WAL location (LSN) "{at["lsn"]}"' in log
        return
    if target == "restore_point":
        words = f'recovery stopping at restore point "{re.escape(at["name"])}", time (.*)$'
    else:
        words = f"{stops} {at['kind']} of transaction {at['xid']}, time (.*)$"
    match = re.search(words, log, re.M)
    assert match, f"{words}\n{log}"
    assert when(match[1]) == when(at["time"])


def rows(server):
    return server.number("select count(*) from load")


class Scene:
    """A primary, its backup without WAL, transactions of all kinds, and two archives of them."""

    def __init__(self, world, walrx):
        self.world = world
        self.primary = world.server(conf={"max_prepared_transactions": 5})
        self.archives, self.receivers = {}, {}
        for name, compress in CODECS.items():
            self.primary.create_slot(name)
            self.archives[name] = world.archive(name)
            self.receivers[name] = world.receive(walrx, self.archives[name], self.primary, "--synchronous", slot=name,
                                                 compress=compress)
        for run_ in self.receivers.values():
            run_.wait_streaming(self.primary)
        self.primary.insert()
        self.backup = world.base / "backup"
        self.primary.base_backup(self.backup, wal="none")
        self.backup_start = re.search(r"START WAL LOCATION: (\S+)", (self.backup / "backup_label").read_text())[1]
        self.xid, self.rows, self.lsn, self.time = {}, {}, {}, {}
        self.make_transactions()
        for name, run_ in self.receivers.items():
            wait_until(lambda n=name: self.primary.sql(
                f"select restart_lsn >= pg_current_wal_flush_lsn() from pg_replication_slots where slot_name = '{n}'")
                == "t", "everything is durable")
            if name != "raw":
                assert run_.stop() == 0

    def note(self, name):
        """What is there now, and a time behind it."""
        self.rows[name] = rows(self.primary)
        self.lsn[name] = self.primary.sql("select pg_current_wal_insert_lsn()")
        self.time[name] = self.primary.sql("select clock_timestamp() at time zone 'UTC' from pg_sleep(0.05)")

    def transaction(self, name, end="commit", count=1, extra=""):
        """Its XID."""
        self.xid[name] = int(self.primary.script(
            f"begin;\ninsert into load(filler) select 'x' from generate_series(1, {count});\n{extra}"
            f"select pg_current_xact_id();\n{end};\n").split()[0])

    def make_transactions(self):
        primary = self.primary
        self.transaction("one")
        self.note("one")
        primary.sql("select pg_create_restore_point('it''s \\ release')")
        self.transaction("aborted", "rollback", 5)
        self.note("aborted")
        # Its end is far longer than what is kept of a record: subtransactions and new tables.
        self.transaction("prepared", "prepare transaction 'a gid'", 3, "".join(
            f"savepoint s{i};\ninsert into load(filler) values ('s');\nrelease s{i};\ncreate table t{i}(a int);\n"
            for i in range(200)))
        self.transaction("two", count=2)
        self.note("two")
        primary.sql("commit prepared 'a gid'")
        self.note("prepared")
        self.transaction("gone", "prepare transaction 'other'")
        primary.sql("rollback prepared 'other'")
        primary.fill_segments(3)
        self.transaction("three", count=4)
        self.note("three")
        primary.sql("select pg_create_restore_point('it''s \\ release')")
        primary.fill_segments(2)
        self.transaction("four")
        self.note("four")
        primary.sql("select pg_create_restore_point('open')")
        self.transaction("five")
        self.note("five")
        self.transaction("six")
        self.note("six")

    def target(self, kind, name):
        if kind == "time":
            return f"--time={self.time[name]}Z"
        if kind == "xid":
            return f"--xid={self.xid[name]}"
        if kind == "lsn":
            return f"--lsn={self.lsn[name]}"
        return f"--restore-point={name}"


@pytest.fixture(scope="module")
def scene(temp_root, templates, programs):
    world = World(make_dir(Path(tempfile.mkdtemp(prefix="find-", dir=temp_root)) / "w", 0o755), templates)
    world.base.parent.chmod(0o755)
    try:
        yield Scene(world, programs("walrx"))
    finally:
        world.close()


# kind, name, exclusive, the rows that are there then: as noted
CASES = [
    ("time", "one", False, "one"),
    ("time", "two", False, "two"),
    ("time", "prepared", True, "prepared"),
    ("time", "three", False, "three"),
    ("time", "five", False, "five"),
    ("xid", "one", False, "one"),
    ("xid", "aborted", False, "aborted"),
    ("xid", "prepared", False, "prepared"),
    ("xid", "prepared", True, "two"),
    ("xid", "gone", False, "prepared"),
    ("xid", "six", True, "five"),
    ("lsn", "one", False, None),
    ("lsn", "three", True, "three"),
    ("lsn", "four", False, "four"),
    ("point", "it's \\ release", False, "one"),
    ("point", "open", False, "four"),
]


@pytest.mark.parametrize("kind,name,exclusive,want", CASES)
def test_a_server_with_the_printed_settings_stops_there(world, scene, walrx, kind, name, exclusive, want):
    """The archives take turns; the receiver of the raw one runs still."""
    codec = list(CODECS)[CASES.index((kind, name, exclusive, want)) % len(CODECS)]
    found = find(walrx, scene.archives[codec], scene.target(kind, name), *(["--exclusive"] if exclusive else []))
    assert found["outcome"] == "reached" and found["reason"] is None and found["server_major"] == 15
    new = stopped(world, scene.primary, scene.backup, found)
    assert new.sql("select pg_last_wal_replay_lsn()") == found["replayed_lsn"]
    check_log(found, new.log_path.read_text())
    if want is not None:
        assert rows(new) == scene.rows[want]
    last = found["last"]
    if last["kind"] != "restore_point":
        assert when(new.sql("select pg_last_xact_replay_timestamp() at time zone 'UTC'")) == when(last["time"])
    needed = found["wal_needed"]
    assert lsn(needed["end_lsn"]) >= lsn(found["replayed_lsn"])
    assert found["stop"]["open"] == (found["stop"]["segment"].endswith(".partial"))
    assert (scene.archives["raw"] / found["stop"]["segment"]).exists() or codec != "raw"
    assert found["stop"]["open"] == (name in ("five", "open", "four", "six"))


@pytest.mark.parametrize("codec", CODECS)
def test_latest_needs_no_target(world, scene, walrx, codec):
    found = find(walrx, scene.archives[codec], "--latest")
    assert found["last"]["xid"] == scene.xid["six"] and found["next"] is None
    assert "recovery_target_timeline = '1'\n" in found["settings"]["lines"]
    assert "recovery_target_time " not in found["settings"]["lines"]
    new = recovering(world, scene.primary, scene.backup, found)
    wait_until(lambda: new.ready() and new.sql("select pg_is_in_recovery()") == "f", "the end of recovery", 60)
    assert rows(new) == scene.rows["six"]
    # the first record of the new timeline begins there
    assert f"{found['replayed_lsn']}\t" in next(new.wal_dir.glob("00000002.history")).read_text()


@pytest.mark.parametrize("kind", ["time", "lsn", "xid", "point"])
def test_a_server_does_not_find_what_is_not_there_either(world, scene, walrx, kind):
    """It would go on to the end of the WAL and die."""
    beyond = kind in ("time", "lsn")
    option = {"time": f"--time={scene.time['six']}+00", "lsn": f"--lsn={scene.lsn['six']}",
              "xid": f"--xid={scene.xid['six'] + 1}", "point": "--restore-point=none"}[kind]
    found = find(walrx, scene.archives["zstd"], option, status=1)
    assert found["outcome"] == ("beyond" if beyond else "not_there")
    assert found["settings"] is None and found["stop"] is None
    assert found["last"]["xid"] == scene.xid["six"]
    assert found["reason"]["message"]
    if kind == "time":
        assert f"{when(found['last']['time']).isoformat()}Z" in found["reason"]["detail"]
        assert "--latest" in found["reason"]["hint"]
    name = {"time": "time", "lsn": "lsn", "xid": "xid", "point": "name"}[kind]
    value = option.split("=", 1)[1]
    latest = find(walrx, scene.archives["zstd"], "--latest")
    new = recovering(world, scene.primary, scene.backup, latest, **{f"recovery_target_{name}": value})
    wait_until(lambda: new.process.poll() is not None, "the server ends", 60)
    new.process = None
    assert "recovery ended before configured recovery target was reached" in new.log_path.read_text()


def test_the_beginning(scene, walrx):
    first = find(walrx, scene.archives["raw"], "--latest", "--before=1000")["before"][0]
    found = find(walrx, scene.archives["raw"], "--time=2020-01-01 00:00Z", status=1)
    assert found["outcome"] == "before" and found["next"] == first
    found = find(walrx, scene.archives["raw"], "--lsn=0/1", status=1)
    assert found["outcome"] == "before"
    # A target before the base backup
    found = find(walrx, scene.archives["raw"], f"--from={scene.backup_start}", f"--time={when(first['time'])}Z", status=1)
    assert found["outcome"] == "before"
    found = find(walrx, scene.archives["raw"], f"--from={scene.backup_start}", f"--xid={first['xid']}", status=1)
    assert found["outcome"] == "before"
    found = find(walrx, scene.archives["raw"], f"--from={scene.backup_start}", scene.target("xid", "one"))
    assert found["stop"]["xid"] == scene.xid["one"]


def test_the_second_point_of_a_name_is_told(scene, walrx):
    found = find(walrx, scene.archives["zstd"], "--restore-point=it's \\ release")
    assert found["same_name_further_on"] == 1
    text = find(walrx, scene.archives["zstd"], "--restore-point=it's \\ release", json_too=False)
    assert "the name occurs 1 more time further on" in text
    found = find(walrx, scene.archives["zstd"], "--restore-point=it's \\ release", f"--from={scene.lsn['two']}")
    assert lsn(found["stop"]["lsn"]) >= lsn(scene.lsn["three"]) and found["same_name_further_on"] == 0


def test_neighbours_for_someone_who_knows_the_time_roughly(scene, walrx):
    found = find(walrx, scene.archives["raw"], scene.target("time", "two"), "--before=4", "--after=2")
    assert [p["xid"] for p in found["before"]] == [scene.xid["one"], None, scene.xid["aborted"], scene.xid["two"]]
    assert [p["kind"] for p in found["before"]] == ["commit", "restore_point", "abort", "commit"]
    assert found["after"][0]["xid"] == scene.xid["prepared"] and found["after"][0]["prepared"]
    text = find(walrx, scene.archives["raw"], scene.target("time", "two"), "--before", "--after", json_too=False)
    assert f"commit of prepared transaction {scene.xid['prepared']}" in text
    assert text.index(f"transaction {scene.xid['two']}\n") < text.index("-- recovery ends here --")


def test_times_are_local_without_a_zone(scene, walrx):
    at = when(scene.time["two"])
    local = (at + datetime.timedelta(hours=9)).isoformat(sep=" ")
    found = find(walrx, scene.archives["raw"], f"--time={local}", TZ="Asia/Tokyo")
    assert when(found["target"]["value"]) == at
    assert found == find(walrx, scene.archives["raw"], f"--time={local}+09")


def test_the_archive_is_not_changed_where_it_may_not_be(world, scene, walrx):
    directory = world.base / "copy"
    run(["cp", "-a", scene.archives["zstd"], directory])
    run(["rm", "-rf", directory / ".walrx"])
    before = ar.tree(directory)
    found = find(walrx, directory, scene.target("xid", "prepared"))
    assert found["stop"]["xid"] == scene.xid["prepared"]
    assert {p: c for p, c in ar.tree(directory).items() if ".walrx" not in str(p)} == before


def test_a_gap_and_damage_are_told(world, scene, walrx):
    directory = world.base / "copy"
    run(["cp", "-a", scene.archives["zstd"], directory])
    names = list(ar.segments(directory))
    inside = find(walrx, directory, scene.target("xid", "three"))["stop"]["segment"]
    missing = ar.segments(directory)[inside]
    kept = missing.read_bytes()
    missing.unlink()
    found = find(walrx, directory, f"--lsn={scene.lsn['three']}", status=1)
    assert found["outcome"] == "in_gap" and inside in found["reason"]["detail"]
    assert names[names.index(inside) + 1] in found["reason"]["detail"]
    found = find(walrx, directory, scene.target("xid", "three"), status=1)
    assert found["outcome"] == "not_there" and "missing" in found["reason"]["detail"]
    found = find(walrx, directory, scene.target("xid", "six"))
    assert found["wal_needed"]["begin_segment"] == names[names.index(inside) + 1]
    found = find(walrx, directory, scene.target("xid", "six"), f"--from={scene.backup_start}", status=1)
    assert found["outcome"] == "in_gap"
    found = find(walrx, directory, scene.target("xid", "one"), f"--from={scene.backup_start}")
    assert found["outcome"] == "reached"
    run(["rm", "-rf", directory / ".walrx" / "index"])
    write_file(missing, "")
    missing.write_bytes(kept[:len(kept) // 2])
    done = run([walrx.command[0], "find", "-D", directory, scene.target("xid", "three")], env=clean_env("/"), check=False)
    assert done.returncode == 2 and missing.name in done.stderr


def test_over_a_timeline_switch(world, walrx):
    """The old primary goes on after the standby has been promoted: another branch, on which people may have worked."""
    a = world.server()
    directory = world.archive()
    b = world.standby(a)
    old = world.receive(walrx, directory, a, "--synchronous")
    old.wait_streaming(a)
    backup = world.base / "backup"
    a.base_backup(backup, wal="none")
    a.fill_segments(1)
    a.insert(rows=20)
    want = rows(a)
    before = int(a.sql("select pg_current_xact_id()"))
    wait_until(lambda: b.sql(f"select pg_last_wal_replay_lsn() >= '{a.sql('select pg_current_wal_flush_lsn()')}'") == "t",
               "the standby has everything")
    b.promote()
    for _ in range(20):  # an XID that the new branch does not reach
        a.sql("select pg_current_xact_id()")
    dead = int(a.script("begin;\ninsert into load(filler) values ('dead');\nselect pg_current_xact_id();\ncommit;\n"))
    dead_time = a.sql("select clock_timestamp() at time zone 'UTC' from pg_sleep(0.1)")
    a.fill_segments(1)
    old.wait_received(a, column="flush_lsn")
    assert old.stop() == 0
    a.stop("immediate")
    b.sql("select pg_create_restore_point('new')")
    live = int(b.script("begin;\ninsert into load(filler) values ('live');\nselect pg_current_xact_id();\ncommit;\n"))
    b.fill_segments(1)
    b.insert()
    new = world.receive(walrx, directory, b, "--synchronous")
    new.wait_streaming(b)
    new.wait_received(b, column="flush_lsn")
    assert new.stop() == 0

    found = find(walrx, directory, f"--xid={live}")
    assert found["timeline"] == 2 and found["stop"]["timeline"] == 2 and found["wal_needed"]["begin_segment"][:8] == "00000001"
    server = stopped(world, a, backup, found)
    assert rows(server) == want + 1
    assert server.sql("select pg_last_wal_replay_lsn()") == found["replayed_lsn"]

    # Only on the dead branch
    found = find(walrx, directory, f"--xid={before}")
    assert found["other_branch"] is None
    found = find(walrx, directory, f"--xid={dead}", status=1)
    assert found["outcome"] == "not_there" and found["other_branch"]["timeline"] == 1
    found = find(walrx, directory, f"--time={dead_time}Z")
    assert found["stop"]["timeline"] == 2 and found["other_branch"]["timeline"] == 1
    assert found["other_branch"]["place"]["xid"] == dead
    text = find(walrx, directory, f"--time={dead_time}Z", json_too=False)
    assert "--timeline=1" in text
    server = stopped(world, a, backup, found)
    assert rows(server) == want
    found = find(walrx, directory, f"--xid={dead}", "--timeline=1")
    assert found["timeline"] == 1
    server = stopped(world, a, backup, found)
    assert rows(server) == want + 1 and server.sql("select count(*) from load where filler = 'dead'") == "1"
    found = find(walrx, directory, "--restore-point=new", "--timeline=1", status=1)
    assert found["other_branch"]["timeline"] == 2
    done = run([walrx.command[0], "find", "-D", directory, "--latest", "--timeline=7"], env=clean_env("/"), check=False)
    assert done.returncode == 1 and "no WAL of timeline 7" in done.stderr


END = re.compile(r"rmgr: Transaction .* tx: +(\d+), lsn: (\S+), prev .* desc: "
                 r"(COMMIT|ABORT|COMMIT_PREPARED|ABORT_PREPARED) (?:(\d+): |\w+: )?(\S+ \S+) UTC")


def waldump(primary, first, last):
    """(lsn, xid, time) of each end of a transaction, in the order of the WAL."""
    done = run([BINDIR / "pg_waldump", "-p", primary.wal_dir, "-s", first, "-e", last, "-r", "Transaction"],
               env=clean_env("/"), check=False)
    found = [END.search(line) for line in done.stdout.splitlines()]
    return [(lsn_text(lsn(m[2])), int(m[4] or m[1]), when(m[5])) for m in found if m]


def test_many_clients_whose_times_are_out_of_order(world, walrx):
    """pg_waldump tells what there is; the rule is one line here."""
    primary = world.server(conf={"max_connections": 60})
    primary.create_slot("arch")
    directory = world.archive()
    receiver = world.receive(walrx, directory, primary, slot="arch", compress="lz4")
    receiver.wait_streaming(primary)
    backup = world.base / "backup"
    primary.base_backup(backup, wal="none")
    first = primary.sql("select pg_current_wal_insert_lsn()")
    run([BINDIR / "pgbench", "-i", "-s", "1", "-q"], env=primary.env)
    ends = []
    for _ in range(5):
        script = write_file(world.base / "script.sql", "select pg_logical_emit_message(true, 'p', 'x');\n", 0o644)
        run([BINDIR / "pgbench", "-n", "-c", "40", "-j", "4", "-T", "2", "-f", script], env=primary.env)
        primary.sql("select pg_current_xact_id()")
        ends = waldump(primary, first, primary.sql("select pg_current_wal_flush_lsn()"))
        backwards = [i for i in range(1, len(ends)) if ends[i][2] < ends[i - 1][2]]
        if backwards:
            break
    receiver.wait_received(primary, column="flush_lsn")
    assert receiver.stop() == 0
    assert len(ends) > 1000
    step = len(ends) // 12
    places = sorted({*range(step, len(ends) - 1, step), *backwards[:6], *(i - 1 for i in backwards[:6])})
    for i in places:
        xid, time = ends[i][1], ends[i][2]
        found = find(walrx, directory, f"--xid={xid}")
        assert (found["stop"]["lsn"], when(found["stop"]["time"])) == (ends[i][0], time)
        for exclusive in (False, True):
            want = next((e for e in ends if (e[2] >= time if exclusive else e[2] > time)), None)
            found = find(walrx, directory, f"--time={time}Z", *(["--exclusive"] if exclusive else []))
            assert found["stop"]["lsn"] == want[0], (i, exclusive)
            assert (found["next"]["lsn"], found["next"]["xid"]) == want[:2]
    if not backwards:
        pytest.skip("the commits came in the order of their times")
    # Recovery to this time stops in front of the record that has it: one beyond it comes first.
    found = find(walrx, directory, f"--time={ends[backwards[0]][2]}Z")
    assert lsn(found["stop"]["lsn"]) < lsn(ends[backwards[0]][0])
    server = stopped(world, primary, backup, found)
    assert server.sql("select pg_last_wal_replay_lsn()") == found["replayed_lsn"]
    check_log(found, server.log_path.read_text())


def test_by_hand(scene, walrx):
    """What a person sees, and what is refused."""
    def call(*args):
        return run([walrx.command[0], "find", "-D", scene.archives["raw"], *args], env=clean_env("/"), check=False)
    done = call(scene.target("xid", "two"))
    assert done.stderr == ""
    assert re.search(rf"^recovery stops +after the commit of transaction {scene.xid['two']} at ", done.stdout, re.M)
    block = done.stdout[done.stdout.index("\n# postgresql.conf"):].splitlines()
    settings = [line for line in block if line and not line.startswith("#")]
    assert [line.split(" = ")[0] for line in settings] == ["restore_command", "recovery_target_xid",
                                                           "recovery_target_inclusive", "recovery_target_timeline"]
    assert f"restore -D {scene.archives['raw']} %f %p'" in settings[0]
    for args, words in [
        ((), "no target specified"),
        (("--latest", "--xid=9"), "cannot use --xid together with --latest"),
        (("--latest", "--exclusive"), "cannot use --exclusive together with --latest"),
        (("--time=ten past three",), "invalid time"),
        (("--time=2026-03-01 25:00",), "out of range"),
        ((f"--xid={(1 << 32) + scene.xid['two']}",), f"in the WAL it is {scene.xid['two']}"),
        (("--xid=2",), "no transaction has the XID 2"),
        (("--restore-point=" + "x" * 64,), "at most 63 bytes"),
        (("--timeline=0", "--latest"), "invalid value"),
        (("--latest", "x"), "too many command-line arguments"),
    ]:
        done = call(*args)
        assert done.returncode == 1 and words in done.stderr, (args, done.stderr)
    done = run([walrx.command[0], "find", "-D", "/nonexistent", "--latest"], env=clean_env("/"), check=False)
    assert done.returncode == 1 and "nonexistent" in done.stderr
