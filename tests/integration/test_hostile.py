# SPDX-License-Identifier: PostgreSQL
"""A server that is broken or hostile, or stops answering: walrx ends with a clear error within its
time-outs, keeps its memory, and gives a final name only to what was received."""

import os
import re
import signal
import struct
import subprocess
import threading
import time

import pytest
from harness import fake_server as fs
from harness.fake_server import BEGIN, PAGE, SEGMENT, FakeServer, wal_segment
from harness.util import as_server, clean_env, lsn_text, wait_until

TIMEOUT = 2.0   # --receive-timeout of these tests
GRACE = 3.0     # what a busy machine may add
MEMORY_KB = 160 * 1024
GB = 1 << 30


class Run:
    """One run of walrx with its peak of memory."""

    def __init__(self, world, walrx, conninfo, *args, timeout=TIMEOUT, loop=False):
        self.directory = world.archive()
        self.log_path = world.base / f"hostile{world.archives}.log"
        argv = [*walrx.command, "-D", self.directory, "-d", conninfo, f"--receive-timeout={timeout}s",
                "--monitor=off", *args]
        if not loop:
            argv.append("-n")
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(
                as_server(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                env=clean_env(world.base, PGCONNECT_TIMEOUT="0"), start_new_session=True)
        self.began = time.monotonic()

    def finish(self, within=30):
        """Exit status, seconds; the peak of memory is in self.memory_kb."""
        end = time.monotonic() + within
        while True:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > end:
                self.process.kill()
                os.wait4(self.process.pid, 0)
                self.process.returncode = -9
                raise AssertionError(f"still there after {within} s\n{self.log()}")
            time.sleep(0.02)
        self.seconds = time.monotonic() - self.began
        self.memory_kb = usage.ru_maxrss
        self.process.returncode = self.status = os.waitstatus_to_exitcode(status)
        return self

    def log(self):
        return self.log_path.read_text(errors="replace")

    def check(self, status=1, words=None):
        assert self.status == status, f"exit {self.status}\n{self.log()}"
        assert "Sanitizer" not in self.log() and "runtime error" not in self.log(), self.log()
        if not os.environ.get("WALRX_TEST_ASAN"):
            assert self.memory_kb < MEMORY_KB, f"{self.memory_kb} kB of memory"
        if words:
            assert re.search(words, self.log()), self.log()
        return self

    def check_files(self, server_wal=wal_segment, allowed=()):
        """Nothing has a final name but WAL as it was sent."""
        for path in self.directory.iterdir():
            if path.name == ".walrx" or path.name.endswith(".partial") or path.name in allowed:
                continue
            match = re.fullmatch("([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})", path.name)
            assert match, path.name
            timeline, high, low = (int(part, 16) for part in match.groups())
            assert path.read_bytes() == server_wal(high * ((1 << 32) // SEGMENT) + low, timeline), path.name
        return self


@pytest.fixture
def play(world, walrx):
    """play(server class, args) runs walrx against it to its end."""
    servers = []
    before = set(os.listdir(world.base))

    def run(kind, *args, start_only=False, within=30, **more):
        server = kind() if isinstance(kind, type) else kind
        servers.append(server)
        it = Run(world, walrx, server.conninfo(), *args, **more)
        it.server = server
        return it if start_only else it.finish(within)
    yield run
    for server in servers:
        server.close()
    made = {n for n in set(os.listdir(world.base)) - before if not n.startswith(("archive", "hostile"))}
    assert not made, f"outside of the archive: {made}"


def test_the_good_session_is_good(play):
    """What the others are variations of."""
    run = play(FakeServer, "-S", "s", "-E", lsn_text(FakeServer.end)).check(0).check_files()
    assert len([p for p in run.directory.iterdir() if len(p.name) == 24]) == 2


# -- silence, in each phase ------------------------------------------------------------------------

class SilentAtOnce(FakeServer):
    def session(self, peer):
        self.stand_still(peer)


class SilentInTls(FakeServer):
    def session(self, peer):
        peer.exactly(8)
        peer.raw(b"S")
        self.stand_still(peer)


class SilentInAuthentication(FakeServer):
    def authenticate(self, peer):
        self.stand_still(peer)


class ScramWithoutEnd(FakeServer):
    """As many rounds as a number can say: libpq computes for half an hour, and looks at nothing else."""

    def authenticate(self, peer):
        peer.send(b"R", struct.pack(">i", 10) + b"SCRAM-SHA-256\0\0")
        nonce = peer.message()[1].split(b",r=")[1]
        peer.send(b"R", struct.pack(">i", 11) + b"r=" + nonce + b"x,s=QUFBQQ==,i=2147483647")
        self.stand_still(peer)


class SilentBeforeReady(FakeServer):
    def welcome(self, peer):
        self.stand_still(peer)


class SilentOnShow(FakeServer):
    def show(self, peer, text):
        self.stand_still(peer)


class SilentOnIdentify(FakeServer):
    def identify_system(self, peer, text):
        self.stand_still(peer)


class SilentOnHistory(FakeServer):
    timeline = 2

    def timeline_history(self, peer, text):
        self.stand_still(peer)


class SilentOnSlot(FakeServer):
    def read_replication_slot(self, peer, text):
        self.stand_still(peer)


class SilentOnStart(FakeServer):
    def start_replication(self, peer, text):
        self.stand_still(peer)


class SilentInHalfARow(FakeServer):
    def identify_system(self, peer, text):
        peer.send(b"T", fs.row_description(["systemid"]))
        peer.raw(b"D\0\0")
        self.stand_still(peer)


class SilentAfterWal(FakeServer):
    def listen(self, peer):
        self.stand_still(peer)


class SilentInAMessage(FakeServer):
    def stream(self, peer, start, timeline):
        peer.raw(b"d" + struct.pack(">i", 4 + 25 + 1000) + b"w" * 100)
        self.stand_still(peer)


class SilentAfterTheEnd(FakeServer):
    """CopyDone comes, but not what follows."""

    def stream(self, peer, start, timeline):
        peer.send(b"c")
        self.stand_still(peer)


class DripsIntoAuthentication(FakeServer):
    def authenticate(self, peer):
        self.drip(peer, b"R" + struct.pack(">ii", 8, 0) + b"S\0\0\0\x10" + b"abcdef\0" * 100)


class DripsAnAnswer(FakeServer):
    def show(self, peer, text):
        self.drip(peer, b"T" + struct.pack(">i", 30) + bytes(100))


class DripsIntoTheStream(FakeServer):
    def stream(self, peer, start, timeline):
        self.drip(peer, b"d" + struct.pack(">i", 4 + 25 + 1000) + fs.wal_message(start, bytes(1000)))


class NoticesWithoutEnd(FakeServer):
    """Answers to nothing, but keeps talking."""

    def identify_system(self, peer, text):
        self.reached.set()
        while True:
            peer.send(b"N", fs.error_fields("00000", "hello", "NOTICE"))
            time.sleep(0.01)


class NoticesInTheStream(FakeServer):
    def stream(self, peer, start, timeline):
        NoticesWithoutEnd.identify_system(self, peer, "")


SILENT = [SilentAtOnce, SilentInTls, SilentInAuthentication, ScramWithoutEnd, SilentBeforeReady, SilentOnShow, SilentOnIdentify,
          SilentOnHistory, SilentOnSlot, SilentOnStart, SilentInHalfARow, SilentAfterWal, SilentInAMessage,
          SilentAfterTheEnd, DripsIntoAuthentication, DripsAnAnswer, DripsIntoTheStream, NoticesWithoutEnd,
          NoticesInTheStream]


def test_silence_is_noticed_in_every_phase(play):
    """All at once: each waits for its own."""
    runs = [play(kind, "-S", "s", start_only=True) for kind in SILENT]
    for kind, run in zip(SILENT, runs):
        run.finish(TIMEOUT + 20).check(1, "no answer|no message").check_files()
        assert run.server.reached.is_set(), kind
    for kind, run in zip(SILENT, runs):
        assert TIMEOUT * 0.9 < run.seconds < TIMEOUT + GRACE + len(runs) * 0.15, f"{kind.__name__}: {run.seconds}"


def test_a_stop_is_obeyed_in_every_phase(play):
    runs = [play(kind, "-S", "s", start_only=True, timeout=60) for kind in SILENT]
    for kind, run in zip(SILENT, runs):
        assert run.server.reached.wait(10), f"{kind}\n{run.log()}"
    time.sleep(0.2)
    for run in runs:
        run.process.send_signal(signal.SIGTERM)
    told = time.monotonic()
    waits = (SilentAfterWal, SilentInAMessage, DripsIntoTheStream, NoticesInTheStream)  # for the server's CopyDone
    for kind, run in zip(SILENT, runs):
        if kind not in waits:
            run.finish(10).check(0)
            assert time.monotonic() - told < 3, kind
    for kind, run in zip(SILENT, runs):
        if kind in waits:
            wait_until(lambda: "received interrupt signal" in run.log(), "the stop is told")
            run.process.send_signal(signal.SIGTERM)  # not even for that
    for kind, run in zip(SILENT, runs):
        if kind in waits:
            run.finish(5).check(0)


def test_the_end_of_copy_is_not_waited_for_beyond_the_receive_timeout(play):
    class NeverEnds(FakeServer):
        def copy_done(self, peer):
            self.stand_still(peer)
    run = play(NeverEnds, "-E", lsn_text(FakeServer.end)).check(0).check_files()
    assert run.seconds < TIMEOUT + GRACE + 1


# -- what grows ------------------------------------------------------------------------------------

ZEROS = bytes(1 << 20)


def flood(peer, megabytes=1024):
    for _ in range(megabytes):
        peer.raw(ZEROS)


class HugeMessage(FakeServer):
    def stream(self, peer, start, timeline):
        peer.raw(b"d" + struct.pack(">i", GB))
        flood(peer)


class HugeNoticeInTheStream(FakeServer):
    def stream(self, peer, start, timeline):
        peer.raw(b"N" + struct.pack(">i", GB))
        flood(peer)


class NoticeOfNothing(FakeServer):
    """libpq waits for more of a message that is there in full, and keeps all that comes."""

    def stream(self, peer, start, timeline):
        peer.raw(b"N" + struct.pack(">i", 4))
        flood(peer)


class HugeValue(FakeServer):
    def identify_system(self, peer, text):
        peer.send(b"T", fs.row_description(["systemid"]))
        peer.raw(b"D" + struct.pack(">ihi", GB + 10, 1, GB))
        flood(peer)


class HugeHistory(FakeServer):
    timeline = 2

    def timeline_history(self, peer, text):
        size = 0x70000000
        peer.send(b"T", fs.row_description(["filename", "content"]))
        peer.raw(b"D" + struct.pack(">ihi", size, 2, 16) + b"00000002.history" + struct.pack(">i", size - 30))
        flood(peer, 2048)


class RowsWithoutEnd(FakeServer):
    def show(self, peer, text):
        peer.send(b"T", fs.row_description(["x"]))
        rows = (b"D" + struct.pack(">ihi", 10, 1, -1)) * 20000
        while True:
            peer.raw(rows)


class SettingsBeforeReady(FakeServer):
    def welcome(self, peer):
        for block in range(20000):
            peer.raw(b"".join(b"S" + struct.pack(">i", 4 + 17) + b"p%014d\0" % (block * 100 + i) + b"\0"
                              for i in range(100)))


class SettingsInTheStream(FakeServer):
    def stream(self, peer, start, timeline):
        for block in range(100000):
            peer.raw(b"".join(b"S" + struct.pack(">i", 4 + 17) + b"p%014d\0" % (block * 100 + i) + b"\0"
                              for i in range(100)))
            peer.keepalive(self.end)


class NotificationsInTheStream(FakeServer):
    def stream(self, peer, start, timeline):
        block = (b"A" + struct.pack(">ii", 4 + 4 + 10, 1) + b"channel\0p\0") * 100
        for _ in range(100000):
            peer.raw(block)
            peer.keepalive(self.end)


class NoticesInAFlood(FakeServer):
    def stream(self, peer, start, timeline):
        fields = fs.error_fields("00000", "hello", "NOTICE")
        block = (b"N" + struct.pack(">i", 4 + len(fields)) + fields) * 1000
        while True:
            peer.raw(block)
            peer.keepalive(self.end)


@pytest.mark.parametrize("kind, words", [
    (HugeMessage, "no whole streaming message"),
    (HugeNoticeInTheStream, "no whole streaming message"),
    (NoticeOfNothing, "no whole streaming message|lost synchronization"),
    (HugeValue, "longer than 2048 kB"),
    (HugeHistory, "longer than 2048 kB"),
    (RowsWithoutEnd, "longer than 2048 kB"),
    (SettingsBeforeReady, "more than 256 kB before it is ready|no answer"),
    (SettingsInTheStream, "besides streaming messages"),
    (NotificationsInTheStream, "besides streaming messages"),
    (NoticesInAFlood, "besides streaming messages"),
])
def test_memory_is_bounded(play, kind, words):
    play(kind, "-S", "s").check(1, words).check_files()


def test_requests_for_replies_do_not_starve_a_stop(play):
    class Asks(FakeServer):
        def stream(self, peer, start, timeline):
            block = (b"d" + struct.pack(">i", 4 + 18) + fs.keepalive_message(self.end, True)) * 1000
            self.reached.set()
            while True:
                peer.raw(block)
    run = play(Asks, start_only=True)
    assert run.server.reached.wait(10)
    time.sleep(0.5)
    told = time.monotonic()
    run.process.send_signal(signal.SIGTERM)
    run.finish().check(0)
    assert time.monotonic() - told < TIMEOUT + GRACE + 1


# -- wrong answers ---------------------------------------------------------------------------------

def answers(command, *rows, names=("a", "b", "c", "d"), tag="X"):
    class Answers(FakeServer):
        timeline = 2 if command == "timeline_history" else 1
        history = f"1\t{lsn_text(BEGIN + SEGMENT)}\tx\n"

        def reply(self, peer, text):
            peer.result(names, *rows, tag=tag)
            peer.ready()
    setattr(Answers, command, Answers.reply)
    return Answers


SYS = str(fs.SYSTEM)
HISTORY_NAME = "00000002.history"


@pytest.mark.parametrize("command, rows, words", [
    ("identify_system", [[]], "columns"),
    ("identify_system", [], "columns"),
    ("identify_system", [[None, None, None, None]], "null"),
    ("identify_system", [["0", "1", "0/1", None]], "systemid"),
    ("identify_system", [[SYS, "0", "0/1", None]], "timeline"),
    ("identify_system", [[SYS, "4294967296", "0/1", None]], "timeline"),
    ("identify_system", [[SYS, "-1", "0/1", None]], "timeline"),
    ("identify_system", [[SYS, "1", "1/100000000", None]], "xlogpos"),
    ("identify_system", [[SYS, "1", "0", None]], "xlogpos"),
    ("identify_system", [[SYS, "1", b"0/1\0", None]], "xlogpos"),
    ("identify_system", [[SYS, "1", "0/5000000", "postgres"]], "database specific"),
    ("show", [["banana"]], "data_directory_mode"),
    ("show", [[None]], "null"),
    ("show", [["0" * 100000]], "too long"),
    ("read_replication_slot", [["physical", None, "1"]], "null"),
    ("read_replication_slot", [["physical", "0/0", "1"]], "0/0"),
    ("read_replication_slot", [["virtual", "0/1", "1"]], "neither"),
    ("read_replication_slot", [[None, None, None]], "does not exist"),
    ("timeline_history", [["../../etc/passwd", "x"]], "name of that history file"),
    ("timeline_history", [["00000003.history", "x"]], "name of that history file"),
    ("timeline_history", [[HISTORY_NAME, None]], "null"),
    ("timeline_history", [[HISTORY_NAME, b"1\t0/5600000\0x\n"]], "zero byte"),
    ("timeline_history", [[HISTORY_NAME, "2\t0/5600000\tx\n"]], "invalid line 1"),
    ("timeline_history", [[HISTORY_NAME, "x" * (1 << 20) + "y"]], "too long"),
    ("timeline_history", [[HISTORY_NAME, "1\t0/1\n" * 5]], "invalid line 2"),
    ("start_replication", [["1", "0/1", "", ""]], "next timeline"),
    ("start_replication", [["2", "FFFFFFFF/FFFFFFFF", "", ""]], "next timeline"),
    ("start_replication", [], "terminated before stop point|unexpected"),
])
def test_wrong_answers_end_in_a_clear_error(play, command, rows, words):
    kind = answers(command, *rows, names="abcd"[:len(rows[0]) if rows else 4])
    play(kind, "-S", "s").check(1, words).check_files(allowed=[HISTORY_NAME])


def chooses(step):
    """A server whose stream is step(self, peer, start)."""
    class Chooses(FakeServer):
        def stream(self, peer, start, timeline):
            step(self, peer, start)
    return Chooses


BLOCK = wal_segment(BEGIN // SEGMENT)
STREAMS = {
    "before": (lambda s, p, at: p.wal(at - PAGE, BLOCK[:PAGE]), "expected"),
    "behind": (lambda s, p, at: p.wal(at + PAGE, BLOCK[:PAGE]), "expected"),
    "overlapping": (lambda s, p, at: (p.wal(at, BLOCK[:PAGE]), p.wal(at + 100, BLOCK[100:PAGE])), "expected"),
    "wrapping": (lambda s, p, at: p.wal((1 << 64) - 10, bytes(100)), "do not fit"),
    "unknown type": (lambda s, p, at: p.send(b"d", b"?" * 30), "unknown type"),
    "a standby's message": (lambda s, p, at: p.send(b"d", b"r" + bytes(33)), "only a standby sends"),
    "short header": (lambda s, p, at: p.send(b"d", b"w" + bytes(23)), "invalid length"),
    "short keepalive": (lambda s, p, at: p.send(b"d", b"k" + bytes(16)), "invalid length"),
    "negative length": (lambda s, p, at: p.raw(b"d\xff\xff\xff\xff"), "sync|invalid|could not"),
    "not a message": (lambda s, p, at: p.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 50), "."),
    "an error": (lambda s, p, at: (p.error("XX000", "a\nb\x1b[31mc"), p.ready()), "unexpected termination"),
    "an answer": (lambda s, p, at: (p.result(["a"], ["b"]), p.ready()), "columns"),
    "the end of the command": (lambda s, p, at: (p.send(b"C", b"X\0"), p.ready()), "."),
    "COPY again": (lambda s, p, at: (p.send(b"c"), p.copy_both()), "COPY"),
    "COPY out": (lambda s, p, at: p.send(b"H", struct.pack(">bh", 0, 0)), "."),
    "ends twice": (lambda s, p, at: (p.send(b"c"), p.send(b"c"), p.send(b"C", b"X\0"), p.ready()), "."),
    "a close": (lambda s, p, at: p.sock.shutdown(2), "could not receive|terminated"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_wrong_streams_end_in_a_clear_error(play, name):
    step, words = STREAMS[name]
    run = play(chooses(step)).check(1, words).check_files()
    assert "\x1b" not in run.log()
    assert run.seconds < TIMEOUT + GRACE


def test_harmless_nonsense_is_passed_over(play):
    """Messages without content, clocks and ends of WAL beyond reason: only positions count."""
    class Nonsense(FakeServer):
        def stream(self, peer, start, timeline):
            for clock in (0, -1, (1 << 63) - 1, -(1 << 63)):
                peer.keepalive((1 << 64) - 1, clock=clock)
                peer.keepalive(0, clock=clock)
                peer.wal(start, b"", end=0, clock=clock)
                peer.send(b"d")
            super().stream(peer, start, timeline)
    play(Nonsense, "-E", lsn_text(FakeServer.end)).check(0).check_files()


@pytest.mark.parametrize("change, status, words", [
    (dict(system=fs.SYSTEM + 1), 2, "system identifier"),
    (dict(segment_size="2MB"), 2, "segment size"),
])
def test_another_cluster_on_reconnect_is_refused(play, change, status, words):
    class Changes(FakeServer):
        def session(self, peer):
            if self.connections > 1:
                for name, value in change.items():
                    setattr(self, name, value)
            super().session(peer)

        def listen(self, peer):
            while not self.statuses:
                kind, payload = peer.message()
                if kind == b"d":
                    self.statuses.append(payload)
            peer.sock.shutdown(2)
    run = play(Changes, "-s", "1", loop=True).check(status, words).check_files()
    assert run.server.connections == 2


def test_timelines_without_end_are_not_followed_for_ever(play):
    class Switches(FakeServer):
        def timeline_history(self, peer, text):
            number = int(text.split()[1])
            self.history = f"{number - 1}\t{lsn_text(BEGIN)}\tx\n"
            super().timeline_history(peer, text)

        def start_replication(self, peer, text):
            peer.result(["next_tli", "next_tli_startpos"], [str(int(text.split()[-1]) + 1), lsn_text(BEGIN)])
            peer.ready()
    run = play(Switches, "-S", "s", "--no-sync").check(1, "64 timelines")
    assert len(list(run.directory.glob("*.history"))) == 64


def test_one_line_is_logged_for_a_server_that_fails_alike_again_and_again(play):
    class Fails(FakeServer):
        def start_replication(self, peer, text):
            peer.error("57P03", f"not now {self.connections}")
            peer.ready()
    run = play(Fails, loop=True, start_only=True)
    wait_until(lambda: run.server.connections >= 4, "tries again")
    run.process.send_signal(signal.SIGTERM)
    run.finish().check(0)
    assert run.log().count("not now") == 1, run.log()


@pytest.mark.parametrize("restart, end", [
    ((1 << 64) - (2 << 30) - SEGMENT, (1 << 64) - 1),
    ((1 << 64) - 2 * SEGMENT, (1 << 64) - SEGMENT),
    ((1 << 64) - SEGMENT, (1 << 64) - 1),
    ((1 << 64) - 1, (1 << 64) - 1),
    (BEGIN, (1 << 64) - 1),
    (1, 0),
    ((1 << 64) - SEGMENT, BEGIN),
])
def test_positions_at_the_ends_of_the_log(play, restart, end):
    """No position wraps around: an error, with WAL up to where a log can reach."""
    class Ends(FakeServer):
        def read_replication_slot(self, peer, text):
            peer.result(["slot_type", "restart_lsn", "restart_tli"], ["physical", lsn_text(restart), "1"])
            peer.ready()

        def stream(self, peer, start, timeline):
            while start < 1 << 64:
                data = wal_segment(start // SEGMENT)[:min(SEGMENT, (1 << 64) - start)]
                for offset in range(0, len(data), fs.CHUNK):
                    peer.wal(start + offset, data[offset:offset + fs.CHUNK])
                start += SEGMENT
                if start // SEGMENT == restart // SEGMENT + 3:
                    break
            self.stand_still(peer)
    Ends.end = end
    run = play(Ends, "-S", "s").check(1).check_files()
    assert run.seconds < 2 * TIMEOUT + GRACE


# -- the monitor's connection ----------------------------------------------------------------------

def endless_rows(peer):
    while True:
        peer.send(b"D", fs.data_row(["x" * 60000] * 8))


MONITOR_ANSWERS = {
    "nothing": lambda peer: peer.silence(),
    "an error": lambda peer: (peer.error("42501", "no"), peer.ready()),
    "no row": lambda peer: (peer.result(["a"]), peer.ready()),
    "text for numbers": lambda peer: (peer.result(["a"] * 8, ["\xff\x1b[2J" * 1000] * 8), peer.ready()),
    "rows without end": endless_rows,
    "COPY": lambda peer: (peer.copy_both(), peer.silence()),
}


@pytest.mark.parametrize("answer", MONITOR_ANSWERS)
@pytest.mark.parametrize("at", ["SET", "SELECT"])
def test_what_a_monitor_is_told_harms_nothing(play, answer, at):
    asked = threading.Event()

    class Lies(FakeServer):
        def set(self, peer, text):
            self.reply(peer, "SET", lambda: (peer.send(b"C", b"SET\0"), peer.ready()))

        def select(self, peer, text):
            self.reply(peer, "SELECT", None)

        def reply(self, peer, word, good):
            if word == at:
                asked.set()
                MONITOR_ANSWERS[answer](peer)
            elif good is not None:
                good()
            else:
                peer.error("42501", "no")
                peer.ready()

        def stream(self, peer, start, timeline):
            asked.wait(10)
            time.sleep(0.3)
            super().stream(peer, start, timeline)
    run = play(Lies, "--monitor=on", "-E", lsn_text(FakeServer.end)).check(0).check_files()
    assert asked.is_set() and run.seconds < 12
