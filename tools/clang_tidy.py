#!/usr/bin/env python3
# Runs clang-tidy on every source of ours that has changed, itself or a header of ours that it includes, since it last
# passed, in this clone or in another one of this user. Most of its time it looks at the headers, so it reads several
# sources of a folder as one. The tests are left to the compiler's warnings and the sanitizers, which find more there in
# less time.
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
ANY_INCLUDE = re.compile(r"^#include [<\"].*[>\"]", re.MULTILINE)
PRECOMPILED = re.compile(r"-include \S+/cmake_pch\.hxx|-Winvalid-pch|-fpch-instantiate-templates")
TOGETHER_MAX = 8
OUTPUT = re.compile(r" -o \S+| -M\w \S+")
# The analyzer does not follow a coroutine over its awaits, and takes GoogleTest's macros for leaks; elsewhere it may
# look at 10,000 states of each function, since without a bound it takes longer than everything else.
NOT_ANALYZED = re.compile(r"\bco_(await|return|yield)\b|<gtest/gtest\.h>")
# Sources that are included count as headers for it.
ANALYZER = [f"--extra-arg={word}" for word in ["-Xclang", "-analyzer-config", "-Xclang", "max-nodes=10000",
                                               "-Xclang", "-analyzer-opt-analyze-headers"]]


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


def read_commands(build: pathlib.Path) -> dict[pathlib.Path, dict[str, str]]:
    """Returns: the sources of ours, each with its compile command without the precompiled headers."""
    found: dict[pathlib.Path, dict[str, str]] = {}
    for command in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(command["file"])
        if path.exists() and not any(path.is_relative_to(ROOT / folder) for folder in ("build", "tests")):
            command["command"] = PRECOMPILED.sub("", command["command"])
            found[path] = command
    return dict(sorted(found.items()))


class Unit:
    """Sources that clang-tidy reads as one, compiled with one command."""

    def __init__(self, sources: list[pathlib.Path], command: dict[str, str], is_analyzed: bool) -> None:
        self.sources = sources
        self.command = command
        self.is_analyzed = is_analyzed
        self.checks = [] if is_analyzed else ["-clang-analyzer-*"]
        if not sources[0].is_relative_to(ROOT / "coax"):
            self.checks.append("-concurrency-mt-unsafe")  # a program may ask for its environment

    def key(self, sources: Sources, common: str) -> str:
        """No path of this clone is part of it."""
        digest = hashlib.sha256((common + self.command["command"].replace(str(ROOT), "")).encode())
        for file in sorted({file for source in self.sources for file in sources.closure(source)}):
            digest.update(f"{file.relative_to(ROOT)}\0{sources.text(file)}\0".encode())
        return digest.hexdigest()[:32]

    def check(self, work: pathlib.Path, number: int) -> str:
        """What there is to say, empty when nothing."""
        folder = work / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        file = self.sources[0]
        if len(self.sources) > 1:
            file = folder / "together.cpp"
            file.write_text(self.together())
        (folder / "compile_commands.json").write_text(json.dumps([{**self.command_for(file), "file": str(file)}]))
        run = subprocess.run([TOOL, "-p", str(folder), "--quiet", "--use-color=false",
                              f"--checks={','.join(self.checks)}", *ANALYZER, str(file)],
                             capture_output=True, text=True, check=False)
        said = "" if run.returncode == 0 else run.stdout or f"{file}: clang-tidy: {run.stderr}"
        if len(self.sources) > 1 and "[clang-diagnostic-" in said:  # they cannot be read together
            return "".join(unit.check(folder, index) for index, unit in enumerate(self.divided()))
        return said.replace(f"{ROOT}/", "")

    def together(self) -> str:
        """Programs are in a namespace each, since each has a main(); their headers come before."""
        includes = [f'#include "{path.relative_to(ROOT)}"  // NOLINT' for path in self.sources]
        if self.sources[0].relative_to(ROOT).parts[0] not in ("examples", "bench"):
            return "\n".join(includes) + "\n"
        headers = {line for path in self.sources for line in ANY_INCLUDE.findall(path.read_text())}
        programs = [f"namespace program_{number} {{\n{line}\n}}" for number, line in enumerate(includes)]
        return "\n".join([*(f"{header}  // NOLINT" for header in sorted(headers)), *programs]) + "\n"

    def divided(self) -> list["Unit"]:
        middle = len(self.sources) // 2
        return [Unit(part, self.command_for(part[0]), self.is_analyzed)
                for part in (self.sources[:middle], self.sources[middle:])]

    def command_for(self, path: pathlib.Path) -> dict[str, str]:
        return {**self.command, "command": self.command["command"].replace(str(self.sources[0]), str(path))}


def units_of(commands: dict[pathlib.Path, dict[str, str]], sources: Sources) -> list[Unit]:
    groups: dict[tuple[pathlib.Path, bool, str], list[pathlib.Path]] = {}
    for path, command in commands.items():
        is_analyzed = NOT_ANALYZED.search(sources.text(path)) is None
        flags = OUTPUT.sub("", command["command"].replace(str(path), ""))
        groups.setdefault((path.parent, is_analyzed, flags), []).append(path)
    return [Unit(group[first:first + TOGETHER_MAX], commands[group[first]], is_analyzed)
            for (_, is_analyzed, _), group in groups.items() for first in range(0, len(group), TOGETHER_MAX)]


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    start = time.monotonic()
    build, work = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    CACHE.mkdir(parents=True, exist_ok=True)
    version = subprocess.run([TOOL, "--version"], capture_output=True, text=True, check=True).stdout
    common = version + (ROOT / ".clang-tidy").read_text() + pathlib.Path(__file__).read_text()
    sources = Sources()
    units = units_of(read_commands(build), sources)
    passed = [CACHE / unit.key(sources, common) for unit in units]
    changed = [number for number, file in enumerate(passed) if not file.exists()]
    for number in set(range(len(units))) - set(changed):
        passed[number].touch()  # it is in use
    printed: set[str] = set()
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        jobs = {pool.submit(units[number].check, work, number): number for number in changed}
        for job in concurrent.futures.as_completed(jobs):
            if not job.result():
                passed[jobs[job]].touch()
            elif job.result() not in printed:
                printed.add(job.result())
                print(job.result(), flush=True)
    for file in CACHE.iterdir():
        if file.stat().st_mtime < time.time() - KEPT_S:
            file.unlink(missing_ok=True)
    failed = sum(not file.exists() for file in passed)
    total, checked = (sum(len(units[number].sources) for number in numbers) for numbers in (range(len(units)), changed))
    seconds = time.monotonic() - start
    print(f"clang-tidy: {total} sources, {checked} checked in {seconds:.0f} s, {failed} of {len(units)} groups to mend")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
