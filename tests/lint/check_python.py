# SPDX-License-Identifier: PostgreSQL
"""pyflakes has nothing to say about the Python of the tree: every name is one that exists."""
import shutil
import subprocess
from pathlib import Path

from source import main

SKIPPED = 77  # meson's exit status of a test that could not run
FOLDERS = ("bench", "proto", "tests")


def is_python(path):
    if not path.is_file() or path.suffix not in ("", ".py"):
        return False
    if path.suffix == ".py":
        return True
    with open(path, "rb") as file:
        return b"python3" in file.readline()


def check(root):
    program = shutil.which("pyflakes3")
    if not program:
        print("pyflakes3 is not installed")
        return SKIPPED
    files = [path for folder in FOLDERS for path in sorted((Path(root) / folder).rglob("*")) if is_python(path)]
    if not files:
        return 0
    return 1 if subprocess.run([program, *files], check=False).returncode else 0


if __name__ == "__main__":
    main(check)
