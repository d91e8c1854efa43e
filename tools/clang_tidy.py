#!/usr/bin/env python3
# Runs clang-tidy on every source of ours that has changed, itself or a header of ours that it includes, since it last
# passed, in this clone or in another one of this user. Without the precompiled headers: that is faster here, needs no
# build, and finds an include that is missing. The tests are left to the compiler's warnings and the sanitizers, which
# find more there in less time.
"""Usage: tools/clang_tidy.py COMPILE_COMMANDS_FOLDER WORK_FOLDER"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# An empty file for each source that has passed, named by the digest of all that clang-tidy reads of it.
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "coax" / "clang-tidy"
KEPT_S = 30 * 24 * 3600
TOOL = "clang-tidy-19"
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
PRECOMPILED = re.compile(r"-include \S+/cmake_pch\.hxx|-Winvalid-pch|-fpch-instantiate-templates")
# The analyzer does not follow a coroutine over its awaits; elsewhere it may look at 10,000 states of each function,
# since without a bound it takes longer than everything else.
COROUTINE = re.compile(r"\bco_(await|return|yield)\b")
ANALYZER_BOUND = [f"--extra-arg={word}" for word in ["-Xclang", "-analyzer-config", "-Xclang", "max-nodes=10000"]]


class Sources:
    """Reads files once, and knows what each includes of ours, directly or not."""

    def __init__(self) -> None:
        self.texts: dict[pathlib.Path, str] = {}

    def text(self, path: pathlib.Path) -> str:
        if path not in self.texts:
            self.texts[path] = path.read_text(errors="replace")
        return self.texts[path]

    def closure(self, path: pathlib.Path) -> list[pathlib.Path]:
        seen: set[pathlib.Path] = set()
        waiting = [path]
        while waiting:
            current = waiting.pop()
            if current not in seen and current.is_file():
                seen.add(current)
                waiting += [ROOT / name for name in INCLUDE.findall(self.text(current))]
        return sorted(seen)


def write_commands(build: pathlib.Path, folder: pathlib.Path) -> dict[pathlib.Path, str]:
    """Writes the compile commands without the precompiled headers into the folder. Returns: the sources of ours, each
    with its command, in which no path depends on where this clone is."""
    commands = json.loads((build / "compile_commands.json").read_text())
    commands = [command for command in commands if not command["file"].startswith(str(ROOT / "build"))]
    for command in commands:
        command["command"] = PRECOMPILED.sub("", command["command"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compile_commands.json").write_text(json.dumps(commands))
    all_commands = {pathlib.Path(command["file"]): command["command"].replace(str(ROOT), "") for command in commands}
    return {path: command for path, command in sorted(all_commands.items())
            if path.exists() and not path.is_relative_to(ROOT / "tests")}


def arguments_for(path: pathlib.Path, text: str) -> list[str]:
    left_out = ["-clang-analyzer-*"] if COROUTINE.search(text) else []
    if not path.is_relative_to(ROOT / "coax"):
        left_out.append("-concurrency-mt-unsafe")  # a program may ask for its environment
    return [f"--checks={','.join(left_out)}", *ANALYZER_BOUND]


def key_of(sources: Sources, path: pathlib.Path, common: str) -> str:
    digest = hashlib.sha256(common.encode())
    for file in sources.closure(path):
        digest.update(f"{file.relative_to(ROOT)}\0{sources.text(file)}\0".encode())
    return digest.hexdigest()[:32]


def check(path: pathlib.Path, commands: pathlib.Path, arguments: list[str]) -> str:
    """What clang-tidy has to say, empty when nothing."""
    command = [TOOL, "-p", str(commands), "--quiet", "--use-color=false", *arguments, str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return ""
    return run.stdout.replace(f"{ROOT}/", "") or f"{path.relative_to(ROOT)}: clang-tidy: {run.stderr}"


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    start = time.monotonic()
    build, work = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    commands = write_commands(build, work)
    paths = list(commands)
    CACHE.mkdir(parents=True, exist_ok=True)
    version = subprocess.run([TOOL, "--version"], capture_output=True, text=True, check=True).stdout
    common = version + (ROOT / ".clang-tidy").read_text() + pathlib.Path(__file__).read_text()
    sources = Sources()
    passed = {path: CACHE / key_of(sources, path, common + command) for path, command in commands.items()}
    changed = [path for path in paths if not passed[path].exists()]
    for path in set(paths) - set(changed):
        passed[path].touch()  # it is in use
    printed: set[str] = set()
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        jobs = {pool.submit(check, path, work, arguments_for(path, sources.text(path))): path for path in changed}
        for job in concurrent.futures.as_completed(jobs):
            if not job.result():
                passed[jobs[job]].touch()
            elif job.result() not in printed:
                printed.add(job.result())
                print(job.result(), flush=True)
    for file in CACHE.iterdir():
        if file.stat().st_mtime < time.time() - KEPT_S:
            file.unlink(missing_ok=True)
    failed = sum(not file.exists() for file in passed.values())
    seconds = time.monotonic() - start
    print(f"clang-tidy: {len(paths)} sources, {len(changed)} checked in {seconds:.0f} s, {failed} to mend")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
