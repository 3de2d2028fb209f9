# SPDX-License-Identifier: PostgreSQL
"""cppcheck has nothing to say about the product's sources."""
import os
import shutil
import subprocess

from source import main

SKIPPED = 77  # meson's exit status of a test that could not run


def check(root):
    program = shutil.which("cppcheck")
    if not program:
        print("cppcheck is not installed")
        return SKIPPED
    folders = [folder for folder in ("proto", "src") if os.path.isdir(os.path.join(root, folder))]
    command = [program, "--quiet", "--enable=warning,performance,portability", "--error-exitcode=1",
               "--inline-suppr", "--std=c11", "-D_GNU_SOURCE", "-D__GNUC__=12", "-Iinclude", *folders]
    return 1 if subprocess.run(command, cwd=root, check=False).returncode else 0


if __name__ == "__main__":
    main(check)
