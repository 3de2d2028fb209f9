# SPDX-License-Identifier: PostgreSQL
"""Runs the shell blocks of a document in their order, as they stand there.

Each ```sh block has a line `<!-- run: NAME -->` before it. A line `export NAME=VALUE` gets the caller's value for NAME:
every value that a document gives is an example. What a block exports, later ones see.
"""

import re
import shlex
from pathlib import Path

from .util import clean_env, run, write_file

BLOCK = re.compile(r"(?:^<!-- run: ([a-z-]+) -->\n)?^```sh\n(.*?)^```$", re.M | re.S)
EXPORT = re.compile(r"^export ([A-Z_]+)=(?:'[^']*'|\S+)", re.M)
DOCS = Path(__file__).resolve().parents[3] / "docs"


def blocks(document):
    """[(name, text)]"""
    text = (DOCS / document).read_text()
    found = [(match[1], match[2]) for match in BLOCK.finditer(text)]
    unnamed = [block for name, block in found if name is None]
    assert not unnamed, f"{document}: a block without a name, so nobody runs it: {unnamed[0]}"
    names = [name for name, _ in found]
    assert len(set(names)) == len(names) == len(re.findall(r"^<!-- run:", text, re.M)), f"{document}: {names}"
    assert len(names) == len(re.findall(r"^```sh", text, re.M)), f"{document}: a block was not understood"
    return found


class Runbook:
    """`values`: of the names that the document exports; `path`: folders of programs, first ones first."""

    def __init__(self, home, values, path, log=None):
        """`log`: shown with a failure."""
        self.values, self.given, self.home, self.log = values, set(), home, log
        self.state = write_file(home / "exported", "")
        self.env = clean_env(home, PATH=":".join([*map(str, path), "/usr/bin", "/bin"]), PGAPPNAME="runbook")

    def text(self, block):
        def own(match):
            assert match[1] in self.values, f"no value for {match[1]}"
            self.given.add(match[1])
            return f"export {match[1]}={shlex.quote(str(self.values[match[1]]))}"
        return EXPORT.sub(own, block)

    def run(self, name, block):
        """What it prints on both streams; it must end with 0."""
        script = write_file(self.home / f"{name}.sh", f". {self.state}\nset -eu\n{self.text(block)}\nexport -p >{self.state}\n")
        done = run(["sh", script], env=self.env, check=False, timeout=120)
        if done.returncode != 0:
            log = self.log.read_text()[-4000:] if self.log and self.log.exists() else ""
            raise AssertionError(f"{name}: exit {done.returncode}\n{done.stdout}{done.stderr}{log}")
        return done.stdout + done.stderr
