#!/usr/bin/env python3
# Runs tests of pages (those that are named, or all *.test.mjs here) in a real browser against the program that
# COAX names, or one in COAX_EXAMPLES. Each of them starts one of its own, since some stop it and start it again.

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
NODE_MAJOR_MIN = 18
INSTALL_S_MAX = 60
TESTS_S_MAX = 280
SKIPPED = 77


def missing() -> str | None:
    """What this machine lacks for the tests, in words."""
    if not any(os.access(path, os.X_OK) for path in [os.environ.get("CHROMIUM", ""), *BROWSERS]):
        return "no Chromium: install it, or name it in CHROMIUM"
    if not shutil.which("node") or not shutil.which("npm"):
        return "no node or no npm in PATH"
    version = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    if int(re.match(r"v(\d+)", version)[1]) < NODE_MAJOR_MIN:
        return f"node {version} is too old: {NODE_MAJOR_MIN} or later"
    if not (FOLDER / "node_modules" / "playwright-core").is_dir():
        if run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], INSTALL_S_MAX) != 0:
            return f"npm ci failed in {FOLDER}"
    return None


def run(command: list[str], seconds_max: float) -> int:
    """The exit code. When the time is over, ends the command with all that it started, hubs and browsers too."""
    with subprocess.Popen(command, cwd=FOLDER, start_new_session=True) as process:
        try:
            return process.wait(seconds_max)
        except subprocess.TimeoutExpired:
            print(f"{command[0]} took more than {seconds_max} s", file=sys.stderr)
            os.killpg(process.pid, signal.SIGKILL)
            return 1


def main() -> int:
    if "COAX" not in os.environ:
        sys.exit("COAX must name the program to test")
    if lack := missing():
        print(lack, file=sys.stderr)
        return 1 if os.environ.get("CI") else SKIPPED
    tests = sys.argv[1:] or sorted(path.name for path in FOLDER.glob("*.test.mjs"))
    return run(["node", "--test", "--test-reporter=spec", *tests], TESTS_S_MAX)


if __name__ == "__main__":
    sys.exit(main())
