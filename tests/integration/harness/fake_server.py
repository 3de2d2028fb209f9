# SPDX-License-Identifier: PostgreSQL
"""A server made of a script: plays a good replication session, and whatever a test puts in its place.

Speaks version 3 of the protocol from the server's side, as far as a receiver of WAL sees it, with WAL
that is right: page headers, records and their checksums. Each connection runs in a thread; a test
derives from FakeServer and replaces the steps it wants wrong.
"""

import socket
import struct
import threading
import time

from .util import lsn, lsn_text

SEGMENT = 1 << 20
PAGE = 8192
SYSTEM = 0x123456789ABCDEF0
BEGIN = 5 * SEGMENT
CHUNK = 128 * 1024


def _crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc_table()


def crc32c(data, crc=0xFFFFFFFF):
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


def _record(length, previous, seed):
    """A record of type XLOG_NOOP that is `length` bytes long."""
    data = struct.pack("<BI", 254, length - 24 - 5) + bytes([seed & 0xFF]) * (length - 24 - 5)
    head = struct.pack("<IIQBBH", length, 0, previous, 0x20, 0, 0)
    return head + struct.pack("<I", crc32c(head, crc32c(data)) ^ 0xFFFFFFFF) + data


_segments = {}


def wal_segment(number, timeline=1, segment=SEGMENT, system=SYSTEM, salt=0):
    """The bytes of a segment: one record fills each page."""
    key = number, timeline, segment, system, salt
    if key not in _segments:
        out = bytearray()
        for address in range(number * segment, (number + 1) * segment, PAGE):
            long = address % segment == 0
            head = struct.pack("<HHIQI", 0xD110, 2 if long else 0, timeline, address, 0) + bytes(4)
            if long:
                head += struct.pack("<QII", system, segment, PAGE)
            before = max(0, address - PAGE + (40 if (address - PAGE) % segment == 0 else 24))
            out += head + _record(PAGE - len(head), before, address // PAGE + salt)
        _segments[key] = bytes(out)
    return _segments[key]


def row_description(names):
    out = struct.pack(">h", len(names))
    for name in names:
        out += name.encode() + b"\0" + struct.pack(">ihihih", 0, 0, 25, -1, -1, 0)
    return out


def data_row(values):
    out = struct.pack(">h", len(values))
    for value in values:
        if value is None:
            out += struct.pack(">i", -1)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += struct.pack(">i", len(value)) + value
    return out


def error_fields(sqlstate, text, severity="ERROR"):
    return b"".join(k + v.encode() + b"\0" for k, v in (
        (b"S", severity), (b"V", severity), (b"C", sqlstate), (b"M", text))) + b"\0"


def wal_message(start, data, end=None, clock=0):
    return b"w" + struct.pack(">QQq", start, end if end is not None else (start + len(data)) & 0xFFFFFFFFFFFFFFFF, clock) + data


def keepalive_message(end, reply, clock=0):
    return b"k" + struct.pack(">QqB", end, clock, reply)


class Gone(Exception):
    """The receiver closed the connection."""


class Peer:
    """One connection, from the server's side."""

    def __init__(self, sock):
        self.sock = sock

    def raw(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            raise Gone from None

    def send(self, kind, payload=b"", length=None):
        self.raw(kind + struct.pack(">i", (len(payload) if length is None else length) + 4) + payload)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            try:
                got = self.sock.recv(count - len(data))
            except OSError:
                raise Gone from None
            if not got:
                raise Gone
            data += got
        return data

    def message(self):
        kind, length = struct.unpack(">ci", self.exactly(5))
        return kind, self.exactly(length - 4)

    def startup(self):
        """The settings of the connection; encryption is refused."""
        while True:
            length, code = struct.unpack(">ii", self.exactly(8))
            rest = self.exactly(length - 8)
            if code >> 16 == 3:
                return rest
            self.raw(b"N")

    def result(self, names, *rows, tag="SELECT"):
        self.send(b"T", row_description(names))
        for values in rows:
            self.send(b"D", data_row(values))
        self.send(b"C", tag.encode() + b"\0")

    def ready(self):
        self.send(b"Z", b"I")

    def error(self, sqlstate, text, severity="ERROR"):
        self.send(b"E", error_fields(sqlstate, text, severity))

    def parameter(self, name, value):
        self.send(b"S", name.encode() + b"\0" + value.encode() + b"\0")

    def copy_both(self):
        self.send(b"W", struct.pack(">bh", 0, 0))

    def wal(self, start, data, **more):
        self.send(b"d", wal_message(start, data, **more))

    def keepalive(self, end, reply=False, **more):
        self.send(b"d", keepalive_message(end, reply, **more))

    def silence(self):
        """Until the receiver goes."""
        while True:
            self.exactly(1)


class FakeServer:
    """Plays the good session to everyone who connects. Steps: authenticate, one for each command
    (named as its first word, in lower case), stream, copy_done."""

    system = SYSTEM
    timeline = 1
    end = BEGIN + 2 * SEGMENT + 5 * PAGE
    segment_size = "1MB"
    history = ""

    def __init__(self, host="127.0.0.1"):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        self.statuses = []          # (write, flush) of each report
        self.stopping = threading.Event()
        self.reached = threading.Event()  # set by steps that stand still
        self.peers = []
        threading.Thread(target=self._accept, daemon=True).start()

    def conninfo(self, **more):
        settings = {"host": "127.0.0.1", "port": self.port, "user": "x", "password": "y", "gssencmode": "disable", **more}
        return " ".join(f"{k}={v}" for k, v in settings.items())

    def close(self):
        self.stopping.set()
        self.listener.close()
        for peer in self.peers:
            peer.sock.close()

    def _accept(self):
        while not self.stopping.is_set():
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            peer = Peer(sock)
            self.peers.append(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        try:
            self.session(peer)
        except Gone:
            pass
        finally:
            peer.sock.close()

    def session(self, peer):
        peer.startup()
        self.authenticate(peer)
        self.welcome(peer)
        while True:
            kind, payload = peer.message()
            if kind == b"Q":
                self.command(peer, payload.rstrip(b"\0").decode())
            elif kind == b"X":
                return

    def command(self, peer, text):
        getattr(self, text.split()[0].lower())(peer, text)

    # -- the steps ---------------------------------------------------------------------------

    def authenticate(self, peer):
        peer.send(b"R", struct.pack(">i", 0))

    def welcome(self, peer):
        for name, value in (("server_version", "15.18"), ("client_encoding", "UTF8"), ("in_hot_standby", "off"),
                            ("integer_datetimes", "on"), ("standard_conforming_strings", "on")):
            peer.parameter(name, value)
        peer.send(b"K", struct.pack(">ii", 4711, 1))
        peer.ready()

    def show(self, peer, text):
        setting = text.split()[1].strip('"')
        value = {"data_directory_mode": "0700", "wal_segment_size": self.segment_size}[setting]
        peer.result([setting], [value], tag="SHOW")
        peer.ready()

    def identify_system(self, peer, text):
        peer.result(["systemid", "timeline", "xlogpos", "dbname"],
                    [str(self.system), str(self.timeline), lsn_text(self.end), None], tag="IDENTIFY_SYSTEM")
        peer.ready()

    def set(self, peer, text):
        """The monitor's first words: it is not welcome."""
        peer.error("42501", "no")
        peer.ready()

    def read_replication_slot(self, peer, text):
        peer.result(["slot_type", "restart_lsn", "restart_tli"], ["physical", lsn_text(BEGIN), "1"],
                    tag="READ_REPLICATION_SLOT")
        peer.ready()

    def timeline_history(self, peer, text):
        peer.result(["filename", "content"], [f"{int(text.split()[1]):08X}.history", self.history],
                    tag="TIMELINE_HISTORY")
        peer.ready()

    def start_replication(self, peer, text):
        words = text.split()
        start = next(w for w in words if "/" in w)
        peer.copy_both()
        self.stream(peer, lsn(start), int(words[-1]))
        self.listen(peer)
        self.copy_done(peer)

    def stream(self, peer, start, timeline):
        """All there is."""
        while start < self.end:
            segment = wal_segment(start // SEGMENT, timeline)
            offset = start % SEGMENT
            data = segment[offset:offset + min(CHUNK, self.end - start)]
            peer.wal(start, data, end=self.end)
            start += len(data)

    def listen(self, peer):
        """Takes reports until the receiver ends COPY."""
        while True:
            kind, payload = peer.message()
            if kind == b"c":
                return
            if kind == b"d" and payload[:1] == b"r":
                write, flush, _, _, reply = struct.unpack(">QQQqB", payload[1:])
                self.statuses.append((write, flush))
                if reply:
                    peer.keepalive(self.end)

    def copy_done(self, peer):
        peer.send(b"c")
        peer.send(b"C", b"COPY 0\0")
        peer.send(b"C", b"START_STREAMING\0")
        peer.ready()

    def stand_still(self, peer):
        """A step that never comes."""
        self.reached.set()
        peer.silence()

    def drip(self, peer, data, pause=0.25):
        """A byte now and then."""
        self.reached.set()
        for byte in data:
            peer.raw(bytes([byte]))
            time.sleep(pause)
        peer.silence()
