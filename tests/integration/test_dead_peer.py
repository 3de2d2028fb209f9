# SPDX-License-Identifier: PostgreSQL
"""A peer that is gone without a word: packets that vanish, a server that is stopped, a name server that
does not answer. The network is two namespaces of their own and a pair of devices between them, so
this needs root."""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness.fake_server import BEGIN, CHUNK, SEGMENT, FakeServer, wal_segment
from harness.util import as_server, clean_env, wait_until

TIMEOUT = 2.0
GRACE = 3.0  # what a busy machine may add


def sh(*args, check=True):
    return subprocess.run([str(a) for a in args], check=check, capture_output=True, text=True)


class Network:
    """Two namespaces: the server's (10.93.0.1) and the receiver's (10.93.0.2)."""

    def __init__(self):
        name = f"walrx{os.getpid()}"
        self.server, self.client = name + "s", name + "c"
        self.made = []

    def make(self):
        for space in (self.server, self.client):
            sh("ip", "netns", "add", space)
            self.made.append(space)
            sh("ip", "-n", space, "link", "set", "lo", "up")
        sh("ip", "link", "add", "eth0", "netns", self.server, "type", "veth",
           "peer", "name", "eth0", "netns", self.client)
        for space, address in ((self.server, "10.93.0.1/24"), (self.client, "10.93.0.2/24")):
            sh("ip", "-n", space, "address", "add", address, "dev", "eth0")
            sh("ip", "-n", space, "link", "set", "eth0", "up")
        sh("ip", "netns", "exec", self.server, "iptables", "-L", "-n")
        return self

    def swallow(self, on=True):
        """Packets to and from the server vanish; nobody is told."""
        for chain in ("INPUT", "OUTPUT"):
            sh("ip", "netns", "exec", self.server, "iptables", "-w", "-A" if on else "-D", chain, "-j", "DROP")

    def inside(self, argv):
        return ["ip", "netns", "exec", self.client, *argv]

    @contextlib.contextmanager
    def server_side(self):
        """This thread, and sockets it makes, are in the server's namespace."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.server}") as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(home.fileno())

    def close(self):
        for space in self.made:
            sh("ip", "netns", "delete", space, check=False)


def _setns(fd):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, 0) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture
def network():
    if os.geteuid() != 0:
        pytest.skip("namespaces of the network need root")
    it = Network()
    try:
        it.make()
    except (OSError, subprocess.CalledProcessError) as reason:
        it.close()
        pytest.skip(f"no namespaces of the network: {getattr(reason, 'stderr', reason)}")
    yield it
    it.close()


class Sends(FakeServer):
    """Idle: nothing after the first segment. Under load: without end."""

    load = False

    def stream(self, peer, start, timeline):
        data = wal_segment(BEGIN // SEGMENT)
        while self.load or start < BEGIN + SEGMENT:
            peer.wal(start, data[start % SEGMENT:][:CHUNK])
            start += min(CHUNK, SEGMENT - start % SEGMENT)
            self.reached.set()
        self.reached.set()


class UnderLoad(Sends):
    load = True


@pytest.fixture
def far_server(network):
    servers = []

    def make(kind=Sends):
        with network.server_side():
            server = kind(host="0.0.0.0")
        servers.append(server)
        return server
    yield make
    for server in servers:
        server.close()


class Run:
    """walrx, started by the words in front of it."""

    def __init__(self, world, walrx, conninfo, *args, before=(), timeout=TIMEOUT, **env):
        self.directory = world.archive()
        self.log_path = world.base / f"dead{world.archives}.log"
        argv = as_server([*walrx.command, "-D", self.directory, "-d", conninfo, "-S", "s",
                          f"--receive-timeout={timeout}s", *args])
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen([*before, *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=clean_env(world.base, PGCONNECT_TIMEOUT="0", **env), cwd="/")
        self.began = time.monotonic()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_log(self, pattern, timeout=15):
        wait_until(lambda: re.search(pattern, self.log()), f"{pattern}\n{self.log()}", timeout, 0.02)

    def ends(self, status, timeout=15):
        try:
            assert self.process.wait(timeout) == status, self.log()
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there after {timeout} s\n{self.log()}") from None
        return time.monotonic()

    def stop(self):
        """How long it takes to end."""
        told = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.ends(0) - told


@pytest.fixture
def start(world, walrx):
    runs = []

    def run(*args, **more):
        runs.append(Run(world, walrx, *args, **more))
        return runs[-1]
    yield run
    for it in runs:
        if it.process.poll() is None:
            it.process.kill()
            it.process.wait()


def conninfo(server):
    return f"host=10.93.0.1 port={server.port} user=x sslmode=disable gssencmode=disable"


@pytest.mark.parametrize("kind", [Sends, UnderLoad])
def test_half_open_connections_are_noticed(network, far_server, start, kind):
    """Packets vanish while WAL streams, or after it."""
    server = far_server(kind)
    run = start(conninfo(server), "-n", before=network.inside([]))
    run.wait_log("starting log streaming")
    assert server.reached.wait(5)
    time.sleep(0.3)
    network.swallow()
    began = time.monotonic()
    took = run.ends(1) - began
    assert took < TIMEOUT + GRACE, f"{took} s\n{run.log()}"
    # The kernel may notice first: feedback is not acknowledged for a third of the time.
    assert re.search("no message from the server|[Cc]onnection timed out", run.log()), run.log()


def test_a_connection_that_is_swallowed_is_given_up_in_time(network, far_server, start):
    server = far_server()
    network.swallow()
    run = start(conninfo(server), "-n", before=network.inside([]))
    took = run.ends(1) - run.began
    assert took < TIMEOUT + GRACE, f"{took} s\n{run.log()}"
    run = start(conninfo(server), before=network.inside([]), timeout=60)
    time.sleep(0.5)
    assert run.stop() < GRACE


def test_the_receiver_comes_back_with_the_network(network, far_server, start):
    """Reconnecting meets the same silence, and goes on when it is over."""
    server = far_server()
    run = start(conninfo(server), before=network.inside([]))
    run.wait_log("starting log streaming")
    network.swallow()
    run.wait_log("no message from the server|[Cc]onnection timed out", TIMEOUT + GRACE)
    time.sleep(TIMEOUT)  # into an attempt to connect
    network.swallow(False)
    wait_until(lambda: run.log().count("starting log streaming") == 2, "streams again", 30)
    assert run.stop() < GRACE


def test_a_stopped_walsender_is_noticed(world, start):
    server = world.server()
    server.sql("select pg_create_physical_replication_slot('s', true)")
    run = start(server.conninfo(), "-n")
    run.wait_log("starting log streaming")
    pid = int(wait_until(lambda: server.sender("pid")[0], "a walsender"))
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        took = run.ends(1) - began
        assert took < TIMEOUT + GRACE, f"{took} s\n{run.log()}"
        assert "no message from the server" in run.log()
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_stopped_server_is_noticed_while_connecting(world, start):
    """The kernel takes the connection, the postmaster never does."""
    server = world.server()
    postmaster = int((Path(server.data) / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGSTOP)
    try:
        run = start(server.conninfo(), "-n")
        took = run.ends(1) - run.began
        assert TIMEOUT * 0.9 < took < TIMEOUT + GRACE, f"{took} s\n{run.log()}"
    finally:
        os.kill(postmaster, signal.SIGCONT)


# -- name servers ----------------------------------------------------------------------------------

@pytest.fixture
def dead_names(network, world):
    """The words in front of a command that make its only name server one that never answers."""
    resolv = world.base / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
    nsswitch = world.base / "nsswitch.conf"
    nsswitch.write_text("hosts: files dns\n")
    silent = subprocess.Popen(
        ["ip", "netns", "exec", network.client, "/usr/bin/python3", "-c",
         "import socket,time; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('127.0.0.1',53));"
         "print(1, flush=True); time.sleep(600)"], stdout=subprocess.PIPE)
    silent.stdout.readline()
    script = f"mount --bind {resolv} /etc/resolv.conf && mount --bind {nsswitch} /etc/nsswitch.conf && exec \"$@\""
    yield [*network.inside([]), "unshare", "--mount", "sh", "-c", script, "sh"]
    silent.kill()
    silent.wait()


def test_a_dead_name_server_delays_neither_the_time_out_nor_a_stop(dead_names, start):
    run = start("host=db.example.org user=x", "-n", before=dead_names)
    took = run.ends(1) - run.began
    assert TIMEOUT * 0.9 < took < TIMEOUT + GRACE, f"{took} s\n{run.log()}"
    assert 'server at "db.example.org", port 5432 failed: no answer within 2000 ms' in run.log()
    run = start("host=db.example.org user=x", before=dead_names, timeout=60)
    time.sleep(1)
    assert run.stop() < GRACE


def test_a_host_behind_one_without_an_address_gets_its_turn(dead_names, far_server, start):
    server = far_server()
    run = start(conninfo(server).replace("host=", "host=db.example.org,"), before=dead_names)
    run.wait_log("starting log streaming", TIMEOUT + GRACE)
    assert run.stop() < GRACE


def test_lookups_that_never_end_do_not_pile_up(dead_names, start):
    run = start("host=a.example.org,b.example.org,c.example.org user=x", before=dead_names, timeout=0.3)
    run.wait_log("earlier attempts have not come back", 20)
    time.sleep(1)
    assert len(os.listdir(f"/proc/{run.process.pid}/task")) <= 11  # stream, observer, monitor, eight
    assert run.stop() < GRACE
