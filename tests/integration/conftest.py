# SPDX-License-Identifier: PostgreSQL
"""Fixtures: `world` makes servers and receivers for one test and takes them away again."""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import majors  # noqa: E402
from harness.packages import Unavailable  # noqa: E402
from harness.postgres import Postgres, Templates, place_of_servers  # noqa: E402
from harness.receiver import KINDS, Program, Receiver  # noqa: E402
from harness.util import free_port, make_dir, release_ports  # noqa: E402

TREE = Path(__file__).resolve().parents[2]


def pytest_addoption(parser):
    parser.addoption("--receivers", default=os.environ.get("WALRX_TEST_RECEIVERS", ",".join(KINDS)),
                     help="which receivers the shared scenarios run against, e.g. walrx,front")
    parser.addoption("--majors", default=os.environ.get("WALRX_TEST_MAJORS", ""),
                     help="which major versions test_majors.py runs, e.g. 10,19; all: each one that is known")


def pytest_configure(config):
    # A test run that is told to end (a time-out, a cancelled job) still stops its servers.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    config.addinivalue_line("markers", "slow: takes more than about ten seconds")
    config.addinivalue_line("markers", "receivers(*kinds): the kinds of receiver of this test")
    config.addinivalue_line("markers", "network: fetches packages, skipped where that fails")


def pytest_generate_tests(metafunc):
    if "receiver" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("receivers").split(",")
        only = metafunc.definition.get_closest_marker("receivers")
        kinds = [k for k in (only.args if only else ("walrx", "pg_receivewal")) if k in chosen]
        metafunc.parametrize("receiver", kinds, indirect=True)
    if "major" in metafunc.fixturenames:
        metafunc.parametrize("major", majors.chosen(metafunc.config.getoption("majors")), indirect=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the logs of the servers and receivers of its test."""
    outcome = yield
    report = outcome.get_result()
    world = getattr(item, "funcargs", {}).get("world")
    if report.when == "call" and report.failed and world is not None:
        report.sections.extend(world.logs())


@pytest.fixture(scope="session")
def temp_root():
    root = Path(tempfile.mkdtemp(prefix="walrx-it-"))
    root.chmod(0o755)  # the servers' user passes through
    yield root
    release_ports()
    if os.environ.get("WALRX_TEST_KEEP") is None:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def bin_dir(temp_root):
    """A copy of walrx that every user can run, and the link under the other name."""
    path = make_dir(temp_root / "bin", 0o755)
    (path / "front").mkdir()
    (path / "front").chmod(0o755)
    (path / "front" / "pg_receivewal").symlink_to(path / "walrx")
    return path


def install_walrx(bin_dir):
    source = Path(os.environ.get("WALRX_BIN", TREE / "build" / "release" / "src" / "cli" / "walrx"))
    if not source.is_file():
        pytest.fail(f"no walrx at {source}: build it, or set WALRX_BIN to the program", pytrace=False)
    if not (bin_dir / "walrx").exists():
        shutil.copy(source, bin_dir / "walrx")
        (bin_dir / "walrx").chmod(0o755)


@pytest.fixture(scope="session")
def programs(bin_dir):
    def get(kind):
        if kind != "pg_receivewal":
            install_walrx(bin_dir)
        return Program(kind, bin_dir)
    return get


@pytest.fixture
def receiver(request, programs):
    return programs(request.param)


@pytest.fixture
def walrx(programs):
    return programs("walrx")


@pytest.fixture(scope="session")
def templates(temp_root):
    place = place_of_servers(temp_root)
    root = Path(tempfile.mkdtemp(prefix="walrx-it-", dir=place))
    root.chmod(0o755)
    yield Templates(root)
    if os.environ.get("WALRX_TEST_KEEP") is None:
        shutil.rmtree(root, ignore_errors=True)


class World:
    """The servers and receivers of one test."""

    def __init__(self, base, templates):
        self.base = base
        self.templates = templates
        self.servers = []
        self.receivers = []
        self.archives = 0

    def server(self, name=None, start=True, **options):
        name = name or f"pg{len(self.servers)}"
        server = Postgres(self.base, name, self.templates, **options)
        self.servers.append(server)
        if start:
            server.start()
            server.create_table()
        return server

    def standby(self, primary, name=None, **conf):
        """A streaming standby of primary, started."""
        def backup(target):
            primary.base_backup(target)
        name = name or f"pg{len(self.servers)}"
        server = Postgres(self.base, name, self.templates, segsize_mb=primary.segsize >> 20,
                          bindir=primary.bindir, tools=primary.tools, conf=conf, data_from=backup)
        server.follow(primary)
        self.servers.append(server)
        return server.start()

    def archive(self, name=None):
        self.archives += 1
        return make_dir(self.base / (name or f"archive{self.archives}"), 0o700)

    def receive(self, program, archive, server_or_conninfo, *args, start=True, **options):
        """Start a receiver. A server stands for the connection string of its superuser."""
        conninfo = server_or_conninfo
        if isinstance(conninfo, Postgres):
            conninfo = conninfo.conninfo()
        log = self.base / f"receiver{len(self.receivers)}.log"
        it = Receiver(program, archive, conninfo, log, self.base, args=args,
                      segsize=self.servers[0].segsize if self.servers else None, **options)
        self.receivers.append(it)
        return it.start() if start else it

    def free_port(self):
        return free_port()

    def logs(self):
        out = [(f"{r.program} {' '.join(str(a) for a in r.argv[1:])}", r.log()[-6000:])
               for r in self.receivers]
        return out + [(f"server {s.name}", s.log_tail()) for s in self.servers]

    def close(self):
        for it in self.receivers:
            it.cleanup()
        for server in self.servers:
            server.cleanup()
        if os.environ.get("WALRX_TEST_KEEP") is None:
            for path in [self.base] + [server.base for server in self.servers]:
                shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def world(request, temp_root, templates):
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)[:24]
    it = World(make_dir(Path(tempfile.mkdtemp(prefix=name + "-", dir=temp_root)) / "w", 0o755), templates)
    it.base.parent.chmod(0o755)
    yield it
    it.close()


@pytest.fixture(scope="session")
def fetched():
    """Call something that may need the network; without it the test is skipped with the reason.

    WALRX_TEST_REQUIRE_NETWORK=1 turns the skip into a failure, for machines that do have it.
    """
    def call(make, *args):
        try:
            return make(*args)
        except Unavailable as reason:
            if os.environ.get("WALRX_TEST_REQUIRE_NETWORK"):
                raise
            pytest.skip(str(reason))
    return call
