# SPDX-License-Identifier: PostgreSQL
"""docs/recovery.md from its first command to its last, against real servers: the primary is gone, and we are back."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from harness import archive as ar
from harness.postgres import BINDIR
from harness.runbook import DOCS, Runbook, blocks
from harness.util import make_dir, wait_until, write_file

DOCUMENT = "recovery.md"
ORDERS = "select id, item from orders order by id"

# What the unit of the receiver does, without systemd.
SYSTEMCTL = """#!/bin/sh
[ "$*" = "restart walrx@main" ] || {{ echo "systemctl $*: not known" >&2; exit 1; }}
setsid {receive} </dev/null >>{log} 2>&1 &
echo $! >{pid}
"""


def stop_server(data):
    """One that a block has started."""
    try:
        pid = int((data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
    except (OSError, ValueError, IndexError):
        return
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), f"the end of the server in {data}", 30)


class Story:
    """What happens between the blocks, and what must have come of each. Methods are named as blocks are."""

    def __init__(self, world, walrx):
        self.world, self.walrx = world, walrx
        self.primary = world.server("primary")
        self.primary.create_slot("archive")
        self.archive = world.archive()
        self.data, self.stage = self.primary.data, world.base / "stage"
        self.receiver = world.receive(walrx, self.archive, self.primary, "--synchronous", slot="archive", compress="zstd:1")
        self.receiver.wait_streaming(self.primary)
        self.primary.sql("create table orders(id bigserial primary key, item text)")
        self.order(100)
        tools = make_dir(world.base / "tools", 0o755)
        self.pid = tools / "receiver.pid"
        write_file(tools / "sudo", '#!/bin/sh\nexec "$@"\n', 0o755)
        write_file(tools / "systemctl", SYSTEMCTL.format(
            receive=" ".join(f"'{word}'" for word in self.receiver.argv), log=tools / "receiver.log", pid=self.pid), 0o755)
        self.values = {
            "ARCHIVE": self.archive, "BACKUP": world.base / "monday", "PGDATA": self.data, "STAGE": self.stage,
            "DSN": self.primary.conninfo(dbname="postgres"), "RECEIVER": self.primary.conninfo(),
            "NEW_BACKUP": world.base / "after", "ASIDE": world.base / "aside", "TARGET_TIME": None, "SEGMENT": None}
        self.book = Runbook(make_dir(world.base / "book"), self.values, [tools, walrx.command[0].parent, BINDIR],
                            self.data.with_name("data.log"))

    def close(self):
        if self.primary.process is None:
            stop_server(self.data)
        stop_server(self.stage)
        if self.pid.exists():
            pid = int(self.pid.read_text())
            if b"walrx" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)

    def order(self, count):
        self.primary.sql(f"insert into orders(item) select md5(random()::text) from generate_series(1, {count})")

    def orders(self):
        return self.primary.sql(ORDERS)

    def durable(self):
        self.receiver.wait_received(self.primary, column="flush_lsn")

    # -- before -----------------------------------------------------------------------------------

    def before_backup(self):
        self.order(50)

    def after_backup(self, _):
        assert (self.values["BACKUP"] / "backup_label").exists()
        self.order(100)
        self.primary.fill_segments(3)

    def after_point(self, shown):
        """Then the release goes wrong, somebody notices, and the primary is lost."""
        self.point = shown.split()[-1]
        self.order(5)
        self.want = self.orders()
        self.values["TARGET_TIME"] = self.primary.sql("select clock_timestamp()")
        self.primary.sql("select pg_sleep(0.002); delete from orders where id % 2 = 0")
        self.primary.fill_segments(1)
        self.order(5)
        self.durable()
        self.primary.kill9()

    # -- which moment -----------------------------------------------------------------------------

    def after_look(self, shown):
        assert "zstd" in shown or ".zst" in shown
        assert self.receiver.running()

    def after_find(self, shown):
        assert self.point in shown, shown

    def after_find_time(self, shown):
        assert "recovery_target_time" in shown, shown

    def after_backups(self, shown):
        assert "monday" in shown

    def after_stage(self, shown):
        assert str(self.want.count("\n") + 1) in shown.splitlines(), shown
        assert ar.segments(self.archive) and (self.data / "PG_VERSION").exists()

    # -- for real ---------------------------------------------------------------------------------

    def after_aside(self, _):
        assert not self.data.exists()

    def after_watch(self, shown):
        assert shown.startswith("t|"), shown

    def after_decide(self, shown):
        assert shown.split()[0] == str(self.want.count("\n") + 1)
        assert self.orders() == self.want
        assert self.primary.timeline() == 2

    def before_mend(self):
        """One bit of a complete segment that only the old server has besides."""
        name, path = [(n, p) for n, p in ar.segments(self.archive).items() if n.startswith("00000001")][-2]
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        self.values["SEGMENT"] = name

    def after_mend(self, shown):
        assert "renamed" in shown

    # -- after it ---------------------------------------------------------------------------------

    def before_slot(self):
        assert self.receiver.wait() == 1, "a receiver whose slot is missing"
        assert 'replication slot "archive" does not exist' in self.receiver.log()
        self.order(10)

    def after_slot(self, shown):
        assert "streaming" in shown and self.primary.slot("archive", "active") == "t"
        assert (self.archive / "00000002.history").exists()

    def after_new_backup(self, shown):
        assert "monday" in shown and "after-recovery" in shown

    def before_prune(self):
        self.before = set(ar.listing(self.archive))

    def after_prune(self, shown):
        assert "removed" in shown
        assert self.before <= set(ar.listing(self.archive)) | {p.name for p in ar.partials(self.archive)}


@pytest.fixture
def story(world, walrx):
    it = Story(world, walrx)
    yield it
    it.close()


@pytest.mark.slow
def test_every_command_of_the_runbook_does_what_it_says(story):
    found = blocks(DOCUMENT)
    hooks = {name.split("_", 1)[1].replace("_", "-") for name in vars(Story) if name.startswith(("before_", "after_"))}
    assert hooks <= {name for name, _ in found}, "no such block"
    for name, block in found:
        getattr(story, "before_" + name.replace("-", "_"), lambda: None)()
        shown = story.book.run(name, block)
        print(f"--- {name}\n{shown}")
        getattr(story, "after_" + name.replace("-", "_"), lambda _: None)(shown)
    assert story.book.given == set(story.values), "values that the document does not ask for"


def test_a_block_that_fails_or_has_no_name_is_noticed(world, tmp_path, monkeypatch):
    book = Runbook(make_dir(world.base / "book"), {"DIR": world.base}, [])
    assert book.run("first", "export DIR=/srv   # a comment\necho \"in $DIR\"\n") == f"in {world.base}\n"
    assert book.run("second", 'echo "still $DIR"\n') == f"still {world.base}\n"
    with pytest.raises(AssertionError, match="exit 1"):
        book.run("third", "false\ntrue\n")
    with pytest.raises(AssertionError, match="no value for OTHER"):
        book.run("fourth", "export OTHER=/srv\n")
    monkeypatch.setattr("harness.runbook.DOCS", tmp_path)
    (tmp_path / "doc.md").write_text("<!-- run: one -->\n```sh\ntrue\n```\n\n```sh\nfalse\n```\n")
    with pytest.raises(AssertionError, match="a block without a name"):
        blocks("doc.md")


def test_messages_of_the_runbook_are_those_of_the_program():
    """What walrx says, by the words that the table quotes; the server's own are seen in the tests of recovery."""
    text = (DOCS / DOCUMENT).read_text()
    tables = text[text.index("## What the messages mean"):text.index("## A segment is damaged")]
    quoted = [part for line in tables.splitlines() if line.startswith("| `")
              for part in re.findall(r"`([^`]+)`", line.split("|")[1])]
    server = ("walrx: not found", "Permission denied", "recovery ended before", "WAL ends before", "requested timeline",
              "invalid record length")
    ours = [part for part in quoted if not part.startswith(server)]
    assert len(ours) >= 7 and len(quoted) - len(ours) == len(server)
    sources = subprocess.run(["cat", *(DOCS.parent / "src").rglob("*.c")], stdout=subprocess.PIPE, text=True, check=True).stdout
    flat = re.sub(r'"\s*"', "", re.sub(r"%l?[usd]|%08X|%\.100s", "...", sources)).replace('\\"', '"')
    for part in ours:
        assert part in flat, part
