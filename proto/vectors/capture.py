#!/usr/bin/env python3
# SPDX-License-Identifier: PostgreSQL
#
# Makes the vectors of this folder from a throw-away server: initdb in a temporary folder, a Unix
# socket as the only door, and the replication protocol spoken here by hand, so that no library stands
# between the server's bytes and the files. See README.md.
import argparse
import os
import pwd
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

PAGE = 8192
SEGMENT = 1024 * 1024
PORT = 5432  # names the socket file only: the server listens nowhere else


class Server:
    """A cluster in a temporary folder."""

    def __init__(self, bindir, scratch, user):
        self.bindir, self.user = bindir, user
        self.data = os.path.join(scratch, "data")
        self.sockets = scratch
        self.log = os.path.join(scratch, "server.log")
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--locale=C",
                 "-E", "UTF8", "--no-sync", f"--wal-segsize={SEGMENT // 1024 // 1024}")
        with open(os.path.join(self.data, "postgresql.conf"), "a") as conf:
            conf.write("listen_addresses = ''\n"
                       f"unix_socket_directories = '{self.sockets}'\nport = {PORT}\n"
                       "wal_level = replica\nmax_wal_senders = 4\nmax_replication_slots = 4\n"
                       "autovacuum = off\nfsync = off\nwal_recycle = off\nwal_keep_size = 256MB\n"
                       "checkpoint_timeout = 1h\nmax_wal_size = 1GB\n"
                       "max_prepared_transactions = 2\n")

    def run(self, program, *args, check=True):
        # "env" has a path of its own
        return subprocess.run([os.path.join(self.bindir, program) if program != "env" else program, *args], user=self.user,
                              cwd="/", check=check, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True).stdout

    def control(self, *args):
        # Its output goes nowhere: the server would keep a pipe open.
        subprocess.run([os.path.join(self.bindir, "pg_ctl"), "-D", self.data, "-w", "-t", "60",
                        "-l", self.log, *args], user=self.user, cwd="/", check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       stdin=subprocess.DEVNULL)

    def start(self):
        self.control("start")

    def stop(self, mode="fast"):
        self.control("-m", mode, "stop")

    def wal(self, lsn, timeline, size):
        """`size` bytes of the segment file that holds `lsn`, from there on."""
        per_log = (1 << 32) // SEGMENT
        number = lsn // SEGMENT
        name = f"{timeline:08X}{number // per_log:08X}{number % per_log:08X}"
        with open(os.path.join(self.data, "pg_wal", name), "rb") as segment:
            segment.seek(lsn % SEGMENT)
            return segment.read(size)


class Connection:
    """The frontend/backend protocol, version 3, as far as this script needs it."""

    def __init__(self, server, **parameters):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(os.path.join(server.sockets, f".s.PGSQL.{PORT}"))
        parameters = {"user": "postgres", **parameters}
        body = b"".join(f"{k}\0{v}\0".encode() for k, v in parameters.items()) + b"\0"
        self.socket.sendall(struct.pack("!II", len(body) + 8, 3 << 16) + body)
        self.until(b"Z")

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError("server closed the connection")
            data += more
        return data

    def message(self):
        kind, length = struct.unpack("!cI", self.exactly(5))
        body = self.exactly(length - 4)
        if kind == b"E":
            raise RuntimeError(body.replace(b"\0", b" ").decode())
        return kind, body

    def until(self, *kinds):
        """All messages up to the first of one of these kinds."""
        seen = []
        while not seen or seen[-1][0] not in kinds:
            seen.append(self.message())
        return seen

    def send(self, kind, body):
        self.socket.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def query(self, text):
        """The rows of one command, values as bytes or None."""
        self.send(b"Q", text.encode() + b"\0")
        return [row(body) for kind, body in self.until(b"Z") if kind == b"D"]

    def copy_messages(self):
        """The CopyData bodies of a stream until it ends."""
        while True:
            kind, body = self.message()
            if kind == b"c":
                return
            if kind == b"d":
                yield body

    def close(self):
        self.send(b"X", b"")
        self.socket.close()


def row(body):
    values, position = [], 2
    for _ in range(struct.unpack_from("!H", body)[0]):
        (length,) = struct.unpack_from("!i", body, position)
        position += 4
        if length < 0:
            values.append(None)
        else:
            values.append(body[position:position + length])
            position += length
    return values


def lsn_number(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def lsn_text(number):
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


class Output:
    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)

    def binary(self, name, data):
        with open(os.path.join(self.folder, name), "wb") as out:
            out.write(data)

    def row(self, name, values):
        """One line per column, escaped as COPY's text format escapes."""
        def line(value):
            if value is None:
                return b"\\N\n"
            for plain, escaped in ((b"\\", b"\\\\"), (b"\n", b"\\n"), (b"\t", b"\\t")):
                value = value.replace(plain, escaped)
            return value + b"\n"
        self.binary(name + ".row", b"".join(line(v) for v in values))


def records(server, timeline, first, end):
    """pg_waldump's view of a stretch of WAL: a line of LSN, length and previous LSN per record."""
    text = server.run("pg_waldump", "-p", os.path.join(server.data, "pg_wal"), "-t", str(timeline),
                      "-s", lsn_text(first), "-e", lsn_text(end), check=False)
    lines = []
    for line in text.splitlines():
        if line.startswith("rmgr:"):
            length = line.split("tot):")[1].split(",")[0].split("/")[1].strip()
            lsn = line.split("lsn: ")[1].split(",")[0]
            previous = line.split("prev ")[1].split(",")[0]
            lines.append(f"{lsn} {length} {previous}\n")
    return "".join(lines)


def capture_commands(server, out, has_read_slot):
    physical = Connection(server, replication="true")
    out.row("identify_system", physical.query("IDENTIFY_SYSTEM")[0])
    out.row("show_wal_segment_size", physical.query("SHOW wal_segment_size")[0])
    out.row("show_data_directory_mode", physical.query("SHOW data_directory_mode")[0])
    physical.query("CREATE_REPLICATION_SLOT reserved PHYSICAL RESERVE_WAL")
    physical.query("CREATE_REPLICATION_SLOT unreserved PHYSICAL")
    if has_read_slot:
        for name in ("reserved", "unreserved", "missing"):
            out.row("read_slot_" + name, physical.query("READ_REPLICATION_SLOT " + name)[0])
    physical.query("DROP_REPLICATION_SLOT reserved")
    physical.query("DROP_REPLICATION_SLOT unreserved")
    physical.close()
    logical = Connection(server, replication="database", database="postgres")
    out.row("identify_system_database", logical.query("IDENTIFY_SYSTEM")[0])
    logical.close()


def capture_messages(server, sql, out):
    """One 'w' and one 'k': an open stream that is given a small transaction and then a silence."""
    stream = Connection(server, replication="true")
    start = stream.query("IDENTIFY_SYSTEM")[0][2].decode()
    stream.send(b"Q", f"START_REPLICATION PHYSICAL {start} TIMELINE 1\0".encode())
    stream.until(b"W")
    sql.query("CREATE TABLE small (a int)")
    wanted = {b"w", b"k"}
    for body in stream.copy_messages():
        if body[:1] in wanted and len(body) < 16384:
            wanted.remove(body[:1])
            out.binary({b"w": "wal_data.msg", b"k": "keepalive.msg"}[body[:1]], body)
        if not wanted:
            break
        # A status that asks for an answer is answered by a keepalive.
        status = b"r" + struct.pack("!QQQqB", lsn_number(start), 0, 0, 0, 1)
        stream.send(b"d", status)
    stream.socket.close()


def switch(sql):
    """Ends the segment; the start of the next one, which already holds a record."""
    lsn = lsn_number(sql.query("SELECT pg_switch_wal()")[0][0].decode())
    sql.query("SELECT txid_current()")  # an empty segment would not be switched from
    return (lsn // SEGMENT + 1) * SEGMENT


def wal_position(sql):
    return lsn_number(sql.query("SELECT pg_current_wal_insert_lsn()")[0][0].decode())


def capture_wal(server, sql, out, full):
    """A segment of few pages that ends in XLOG_SWITCH, and the first pages of the one behind it."""
    sql.query("CREATE TABLE busy (a int, b text)")  # its page images stay out of the vector
    start = switch(sql)
    sql.query("INSERT INTO busy SELECT i, repeat('x', i * 10) FROM generate_series(1, 60) i")
    if not full:
        sql.query("CHECKPOINT")
        data = server.wal(start, 1, PAGE)
        out.binary("segment_start.wal", data)
        out.binary("segment_start.records",
                   records(server, 1, start, wal_position(sql)).encode())
        return
    used = wal_position(sql) - start
    following = switch(sql)
    sql.query("INSERT INTO busy SELECT i, repeat('y', i * 5) FROM generate_series(1, 90) i")
    sql.query("CHECKPOINT")
    pages = used // PAGE + 1
    assert pages <= 7, f"{pages} pages are too many for a small vector"
    out.binary("switch.wal", server.wal(start, 1, pages * PAGE))
    out.binary("segment_start.wal", server.wal(following, 1, 2 * PAGE))
    out.binary("switch.records",
               records(server, 1, start, following + 2 * PAGE).encode())


def capture_events(server, sql, out):
    """Records that carry a time, among compressed page images, and what pg_waldump says of them."""
    sql.query("SET wal_compression = on")
    sql.query("CREATE TABLE events (a int PRIMARY KEY, b text)")
    sql.query("INSERT INTO events SELECT i, repeat('z', 90) FROM generate_series(1, 40) i")
    sql.query("CHECKPOINT")  # the next change of each page is logged with its image
    start = switch(sql)
    for text in ("UPDATE events SET b = 'a' WHERE a = 1",
                 "BEGIN", "DELETE FROM events WHERE a = 2", "ROLLBACK",
                 "BEGIN", "DELETE FROM events WHERE a = 3", "PREPARE TRANSACTION 'one'",
                 "COMMIT PREPARED 'one'",
                 "BEGIN", "DELETE FROM events WHERE a = 4", "PREPARE TRANSACTION 'two'",
                 "ROLLBACK PREPARED 'two'",
                 "SELECT pg_create_restore_point('before the release')",
                 # a commit with subtransactions, a dropped relation and invalidations
                 "BEGIN", "SAVEPOINT s", "DELETE FROM events WHERE a = 5", "RELEASE s", "DROP TABLE events",
                 "COMMIT",
                 "SELECT txid_current()"):
        sql.query(text)
    end = wal_position(sql)
    sql.query("CHECKPOINT")
    out.binary("events.wal", server.wal(start, 1, ((end - start) // PAGE + 1) * PAGE))
    text = server.run("env", "TZ=UTC", os.path.join(server.bindir, "pg_waldump"), "-p",
                      os.path.join(server.data, "pg_wal"), "-t", "1", "-s", lsn_text(start), "-e", lsn_text(end),
                      check=False)
    lines = []
    for line in text.splitlines():
        match = re.search(r"lsn: (\S+), prev.* desc: (COMMIT|ABORT|COMMIT_PREPARED|ABORT_PREPARED) "
                          r"(?:\d+: |\w+: )?(\S+ \S+) UTC", line)
        if match:
            lines.append(f"{match[1]} {match[2]} {match[3]}\n")
        match = re.search(r"lsn: (\S+), prev.* desc: RESTORE_POINT (.+)$", line)
        if match:
            lines.append(f"{match[1]} RESTORE_POINT {match[2]}\n")
    out.binary("events.records", "".join(lines).encode())


def capture_overwrite(server, out):
    """A record cut at a page boundary by a crash, and what the server wrote in its place."""
    sql = Connection(server, database="postgres")
    sql.query("CHECKPOINT")
    begin = switch(sql)
    sql.query("CHECKPOINT")
    sql.query("SELECT pg_logical_emit_message(false, 'p', repeat('z', 20000))")
    sql.query("SELECT txid_current()")
    end = wal_position(sql)
    sql.socket.close()
    server.stop("immediate")
    segment = begin // SEGMENT
    path = os.path.join(server.data, "pg_wal", f"{1:08X}{0:08X}{segment:08X}")
    assert end // SEGMENT == segment
    with open(path, "r+b") as wal:
        wal.seek(PAGE)
        wal.write(bytes(SEGMENT - PAGE))
    server.start()
    sql = Connection(server, database="postgres")
    sql.query("SELECT txid_current()")
    end = wal_position(sql)
    sql.close()
    out.binary("overwrite.wal", server.wal(begin, 1, 2 * PAGE))
    out.binary("overwrite.records", records(server, 1, begin, min(end, begin + 2 * PAGE)).encode())


def capture_timeline(server, out):
    """A promotion, the history file it wrote and what a stream of the old timeline ends with."""
    server.stop()
    open(os.path.join(server.data, "standby.signal"), "w").close()
    server.start()
    sql = Connection(server, database="postgres")
    sql.query("SELECT pg_promote()")
    while sql.query("SELECT pg_is_in_recovery()")[0][0] != b"f":
        time.sleep(0.05)
    sql.query("CHECKPOINT")
    sql.close()
    stream = Connection(server, replication="true")
    history = stream.query("TIMELINE_HISTORY 2")[0]
    out.row("timeline_history", history)
    out.binary(history[0].decode(), history[1])
    switchpoint = lsn_number(history[1].decode().split("\t")[1])
    start = switchpoint // SEGMENT * SEGMENT
    stream.send(b"Q", f"START_REPLICATION PHYSICAL {lsn_text(start)} TIMELINE 1\0".encode())
    stream.until(b"W")
    for _ in stream.copy_messages():
        pass
    stream.send(b"c", b"")
    rows = [row(body) for kind, body in stream.until(b"Z") if kind == b"D"]
    out.row("end_of_timeline", rows[0])
    stream.close()


def main():
    parser = argparse.ArgumentParser(description="capture protocol and WAL vectors")
    parser.add_argument("--bindir", required=True, help="folder of the server's programs")
    parser.add_argument("--out", required=True, help="folder to write to, e.g. proto/vectors/15")
    parser.add_argument("--small", action="store_true", help="one WAL page only")
    parser.add_argument("--events", action="store_true", help="only events.*, the rest stays as it is")
    args = parser.parse_args()
    user = "postgres" if os.geteuid() == 0 else None
    scratch = tempfile.mkdtemp(prefix="vectors.")
    if user:
        os.chown(scratch, pwd.getpwnam(user).pw_uid, -1)
    out = Output(args.out)
    server = None
    try:
        server = Server(args.bindir, scratch, user)
        server.start()
        sql = Connection(server, database="postgres")
        version = int(sql.query("SHOW server_version_num")[0][0])
        if args.events:
            capture_events(server, sql, out)
            return 0
        capture_commands(server, out, version >= 150000)
        capture_messages(server, sql, out)
        capture_wal(server, sql, out, not args.small)
        capture_events(server, sql, out)
        sql.close()
        if not args.small:
            capture_overwrite(server, out)
        capture_timeline(server, out)
        out.binary("server_version", f"{version}\n".encode())
    finally:
        if server and os.path.exists(os.path.join(server.data, "postmaster.pid")):
            server.stop("immediate")
        shutil.rmtree(scratch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
