# SPDX-License-Identifier: PostgreSQL
"""What a script outside of pytest needs: a folder, a copy of walrx, a World, and a tidy way out."""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from contextlib import contextmanager
from pathlib import Path

from .postgres import Templates
from .receiver import Program
from .util import make_dir, release_ports
from .world import World

TREE = Path(__file__).resolve().parents[3]


def add_options(parser):
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32),
                        help="what is done when, and to whom (default: by chance, printed)")
    parser.add_argument("--walrx", type=Path, default=TREE / "build" / "release" / "src" / "cli" / "walrx",
                        help="the program (default: %(default)s)")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()),
                        help="where servers and archives are (default: %(default)s)")
    parser.add_argument("--hold", type=Path, metavar="FILE",
                        help="while FILE exists there is no load and nothing is done (measurements on the same machine)")


def hold(options, *clients):
    """Waits while the file of --hold is there; returns the seconds."""
    if options.hold is None or not options.hold.exists():
        return 0.0
    began = time.monotonic()
    say("held")
    for them in clients:
        them.pause()
    while options.hold.exists():
        time.sleep(2)
    for them in clients:
        them.resume()
    say("goes on")
    return time.monotonic() - began


def say(text):
    print(f"{time.strftime('%H:%M:%S', time.gmtime())} {text}", flush=True)


@contextmanager
def stage(options, name):
    """(World, Program). A failure leaves the folder, says where it is, and ends with status 1."""
    # Told to end: still stop the servers and unmount. (In the background SIGINT is ignored by default.)
    for sig in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sig, signal.default_int_handler)
    if not options.walrx.is_file():
        sys.exit(f"no walrx at {options.walrx}: build it (./run-tests build), or name it with --walrx")
    root = Path(tempfile.mkdtemp(prefix=f"walrx-{name}-", dir=options.scratch))
    root.chmod(0o755)
    bin_dir = make_dir(root / "bin", 0o755)
    shutil.copy(options.walrx, bin_dir / "walrx")
    (bin_dir / "walrx").chmod(0o755)
    world = World(make_dir(root / "w", 0o755), Templates(root))
    say(f"seed {options.seed}, folder {root}")
    try:
        yield world, Program("walrx", bin_dir)
    except BaseException as error:
        traceback.print_exc()
        os.environ["WALRX_TEST_KEEP"] = "1"
        for title, text in world.logs()[-6:]:
            print(f"\n== {title}\n{text[-2500:]}")
        world.close()
        say(f"FAILED with seed {options.seed}: {error!r}"[:500])
        say(f"servers, logs and images of the disks stay in {root}")
        sys.exit(1)
    else:
        world.close()
        shutil.rmtree(root, ignore_errors=True)
    finally:
        release_ports()
