# SPDX-License-Identifier: PostgreSQL
"""PostgreSQL's own test of pg_receivewal, unchanged, with walrx in the place of pg_receivewal."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from harness.packages import postgres_source
from harness.postgres import BINDIR
from harness.util import as_server, clean_env, free_port, make_dir

CHECKS = 42  # of 15.18; a later minor release may add some, none may go missing


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.receivers("front", "pg_receivewal")
def test_postgres_own_test_passes(receiver, temp_root, fetched):
    source = fetched(postgres_source)
    work = make_dir(temp_root / f"tap-{receiver}", 0o755)
    program = Path(receiver.command[0])
    regress = "/bin/true"  # it is only asked to set up authentication, a no-op on Unix
    env = clean_env(
        work, PATH=f"{program.parent}:{BINDIR}:/usr/bin:/bin", TESTDIR=work, PGPORT=free_port(),
        PERL5LIB=source / "src/test/perl", PG_REGRESS=regress, TMPDIR=work,
        GZIP_PROGRAM=shutil.which("gzip"), LZ4=shutil.which("lz4"), TAR=shutil.which("tar"))
    env.pop("PGAPPNAME")
    env.pop("PGCONNECT_TIMEOUT")
    found = subprocess.run(["which", "pg_receivewal"], env=env, stdout=subprocess.PIPE, text=True, check=True)
    assert found.stdout.strip() == str(program)
    done = subprocess.run(
        as_server(["prove", "-v", "t/020_pg_receivewal.pl"]), env=env, stdin=subprocess.DEVNULL,
        cwd=source / "src/bin/pg_basebackup", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=300, check=False)
    log = "".join(f"\n==> {p.name}\n{p.read_text(errors='replace')[-4000:]}"
                  for p in sorted((work / "tmp_check/log").glob("regress_log*"))) \
        if (work / "tmp_check/log").is_dir() else ""
    checks = re.findall(r"^(ok|not ok) \d+(.*)$", done.stdout, re.M)
    failed = [text for verdict, text in checks if verdict != "ok"]
    skipped = [text for _, text in checks if re.search(r"#\s*skip", text, re.I)]
    assert done.returncode == 0 and not failed, f"{done.stdout}{log}"
    assert not skipped, skipped
    assert len(checks) >= CHECKS, done.stdout
