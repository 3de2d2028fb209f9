# SPDX-License-Identifier: PostgreSQL
"""Sources and programs of the distribution, fetched through a private apt configuration.

Nothing is installed: packages are unpacked into a cache folder. The archive is the one that apt
is configured with on this machine; without one, or without network, Unavailable says why.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Unavailable(Exception):
    pass


class OptionalUnavailable(Unavailable):
    """From another place than the distribution's archive: not every machine with a network reaches it."""


def cache_dir():
    path = Path(os.environ.get("WALRX_TEST_CACHE") or Path(tempfile.gettempdir()) / "walrx-test-cache")
    path.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.chmod(0o755)
    return path


def _call(argv, cwd=None):
    try:
        done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, cwd=cwd, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error)) from error
    if done.returncode != 0:
        raise Unavailable(f"{argv[0]}: {done.stderr.strip()[-500:]}")
    return done.stdout


def _apt(scratch):
    """apt-get with the machine's archives, sources included, and its own lists."""
    rows = _call(["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Identifier: Packages"])
    archives = sorted({tuple(line.split()) for line in rows.splitlines() if len(line.split()) == 2})
    if not archives:
        raise Unavailable("apt names no archive")
    for name in ("etc/apt.conf.d", "etc/preferences.d", "etc/sources.list.d", "state/lists/partial",
                 "cache/archives/partial"):
        (scratch / name).mkdir(parents=True)
    (scratch / "etc/sources.list").write_text("".join(
        f"{kind} [signed-by={KEYRING}] {uri} {suite} main\n"
        for suite, uri in archives for kind in ("deb", "deb-src")))
    apt = ["apt-get", "-qq", "-o", f"Dir::Etc={scratch}/etc", "-o", f"Dir::State={scratch}/state",
           "-o", "Dir::State::status=/var/lib/dpkg/status", "-o", f"Dir::Cache={scratch}/cache",
           "-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none",
           "-o", "APT::Install-Recommends=false"]
    _call(apt + ["update"])
    return apt


def _cached(name, make):
    """The folder cache/name, made once: make() fills a scratch folder that is then renamed."""
    home = cache_dir() / name
    if home.exists():
        return home
    scratch = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache_dir()))
    try:
        result = scratch / "result"
        result.mkdir(mode=0o755)
        (scratch / "apt").mkdir()
        make(_apt(scratch / "apt"), scratch, result)
        subprocess.run(["chmod", "-R", "a+rX", str(result)], check=True)
        try:
            result.rename(home)
        except OSError:
            if not home.exists():  # else another run was faster
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return home


def postgres_source(major=15):
    """The source tree of the packaged PostgreSQL, as the distribution ships it."""
    def make(apt, scratch, result):
        known = _call(["apt-cache", *apt[1:], "showsrc", f"postgresql-{major}"])
        versions = list(dict.fromkeys(re.findall(r"^Version: (\S+)", known, re.M)))
        for version in sorted(versions, key=lambda v: [int(n) for n in re.findall(r"\d+", v)], reverse=True):
            try:
                _call(apt + ["source", "--download-only", f"postgresql-{major}={version}"], cwd=scratch)
                break
            except Unavailable as error:  # an archive may list what it no longer holds
                reason = error
        else:
            raise Unavailable(f"no source of postgresql-{major} among {versions}: {reason if versions else ''}")
        tarballs = list(scratch.glob("*.orig.tar.*"))
        if len(tarballs) != 1:
            raise Unavailable(f"no source tarball of postgresql-{major}")
        _call(["tar", "-x", "--no-same-owner", "--strip-components=1", "-C", result, "-f", tarballs[0]])
    return _cached(f"postgresql-{major}-source", make)


def unpacked(package):
    """The package with what it depends on and this machine lacks, unpacked below one root."""
    def make(apt, scratch, result):
        plan = _call(apt + ["-s", "install", package])
        wanted = re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+)", plan, re.M)
        if not wanted:
            raise Unavailable(f"{package} is installed already, but not where it was looked for")
        _call(apt + ["download"] + [f"{name}={version}" for name, version in wanted], cwd=scratch)
        for deb in scratch.glob("*.deb"):
            _call(["dpkg-deb", "-x", deb, result])
    return _cached(package, make)
