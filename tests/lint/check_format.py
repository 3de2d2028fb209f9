# SPDX-License-Identifier: PostgreSQL
"""clang-format agrees with every C file. Versions disagree with each other, so only one counts."""
import re
import shutil
import subprocess

from source import main, sources

VERSION = "14"
SKIPPED = 77  # meson's exit status of a test that could not run


def formatter():
    for name in (f"clang-format-{VERSION}", "clang-format"):
        path = shutil.which(name)
        if path:
            text = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
            if re.search(rf"version {VERSION}\.", text):
                return path
    return None


def check(root):
    program = formatter()
    if not program:
        print(f"clang-format {VERSION} is not installed")
        return SKIPPED
    files = [source.path for source in sources(root)]
    if not files:
        return 0
    result = subprocess.run([program, "--dry-run", "-Werror", "--style=file", *files], cwd=root, check=False)
    return 1 if result.returncode else 0


if __name__ == "__main__":
    main(check)
