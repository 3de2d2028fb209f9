# SPDX-License-Identifier: PostgreSQL
"""Fixtures: `world` makes servers and receivers for one test and takes them away again."""

import os
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import majors  # noqa: E402
from harness.disk import unavailable  # noqa: E402
from harness.packages import OptionalUnavailable, Unavailable  # noqa: E402
from harness.postgres import Templates, place_of_servers  # noqa: E402
from harness.receiver import KINDS, Program  # noqa: E402
from harness.util import make_dir, release_ports  # noqa: E402
from harness.world import World  # noqa: E402

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


@pytest.fixture
def world(request, temp_root, templates):
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)[:24]
    it = World(make_dir(Path(tempfile.mkdtemp(prefix=name + "-", dir=temp_root)) / "w", 0o755), templates)
    it.base.parent.chmod(0o755)
    yield it
    it.close()


@pytest.fixture
def cut_disk(world):
    """Makes a filesystem whose power can be cut (harness/disk.py); where it cannot, the test is skipped."""
    def make(kind):
        reason = unavailable(kind)
        if reason is not None:
            pytest.skip(reason)
        return world.disk(kind)
    return make


@pytest.fixture
def seed():
    """Printed, so that pytest shows it with a failure; WALRX_TEST_SEED makes the run again."""
    value = int(os.environ.get("WALRX_TEST_SEED") or random.randrange(1 << 32))
    print(f"WALRX_TEST_SEED={value}")
    return value


@pytest.fixture(scope="session")
def fetched():
    """Call something that may need the network; without it the test is skipped with the reason.

    WALRX_TEST_REQUIRE_NETWORK=1 turns the skip into a failure, for machines that do have it, but where
    something else than the distribution's archive is needed.
    """
    def call(make, *args):
        try:
            return make(*args)
        except Unavailable as reason:
            if os.environ.get("WALRX_TEST_REQUIRE_NETWORK") and not isinstance(reason, OptionalUnavailable):
                raise
            pytest.skip(str(reason))
    return call
