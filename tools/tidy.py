#!/usr/bin/env python3
# The part of the style that a machine can test. Each function named check_... is one rule or a few that belong
# together; its docstring says why. Prints "path:line: rule: what to do" for each breach; exit code 1 when there is one.
"""Usage: tools/tidy.py [ROOT]
       tools/tidy.py --list SUFFIX...       the files of ours that end so
       tools/tidy.py --wording [FOLDER]...  how many banned words each folder has, or which ones these have"""

import ast
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import wording

# The folders of coax/, and of app/, and what each may include; what those may include, it may, too.
LAYERS: dict[str, set[str]] = {
    "base": set(),
    "codec": {"base"},
    "net": {"base"},
    "socket": {"net", "codec"},
    "loop": {"socket"},
    "sim": {"loop"},
    "task": {"loop"},
    "stream": {"task"},
    "datagram": {"stream"},
    "file": {"stream"},
    "guard": {"task"},
    "server": {"guard", "stream"},
    "tls": {"server"},
    "http": {"server", "file"},
    "bus": {"stream"},
    "store": {"http", "bus"},
    "program": {"task"},
    "clients": {"tls"},
    "test": {"sim", "stream"},
    "app/console": {"http", "tls", "datagram", "bus", "program"},
    "app/commands": {"app/console", "store"},
}
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 120

CPP = {".cpp", ".hpp"}
HASH_COMMENT = {".py", ".cmake", ".sh"}
SLASH_COMMENT = CPP | {".js", ".mjs"}
CODE = HASH_COMMENT | SLASH_COMMENT | {".css", ".html"}
TEXT = CODE | {".md", ".txt", ".json", ".toml", ".in", ".yml", ".yaml"}
SCRIPTS = {"dev", ".ci/run"}  # bash without an extension
IGNORED_FOLDERS = {"build", "node_modules", "__pycache__", ".git", ".cache"}

# Libraries that no user of ours should have to parse.
PRIVATE_LIBRARIES = re.compile(r"^(boost/|openssl/|liburing|nats|spdlog/|utf8proc|nghttp2/|"
                               r"sqlite3|idn2|sodium|zlib|zstd|brotli/|qrencode|prometheus/)")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
LITERAL_OR_COMMENT = re.compile(
    r"//[^\n]*|/\*.*?\*/"  # comments
    r'|R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"'  # strings
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",  # characters, but not the marks in 1'000
    re.DOTALL,
)


@dataclasses.dataclass(frozen=True, order=True)
class Breach:
    path: str
    line: int
    rule: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.advice}"


class File:
    """One file of the tree, with what several rules ask of it."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.lines = text.split("\n")
        self.suffix = pathlib.PurePosixPath(path).suffix
        self.parts = pathlib.PurePosixPath(path).parts
        self.is_cpp = self.suffix in CPP
        self.is_script = path in SCRIPTS
        # Without comments and literals, line for line, so that a word in a comment is no breach.
        self.bare = blank(text) if self.is_cpp else text

    def includes(self) -> Iterator[tuple[int, str, bool]]:
        """Line, path, and whether it is in quotes."""
        for number, line in enumerate(self.lines, 1):
            if match := INCLUDE.match(line):
                yield number, match[1] or match[2], match[1] is not None

    def breach(self, line: int, rule: str, advice: str) -> Breach:
        return Breach(self.path, line, rule, advice)


def blank(text: str) -> str:
    """Replaces comments and literals with spaces and keeps the line ends."""
    return LITERAL_OR_COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def layer_of(path: str) -> str | None:
    parts = path.split("/")
    if len(parts) < 3 or parts[0] not in {"coax", "app"}:
        return None
    return parts[1] if parts[0] == "coax" else f"app/{parts[1]}"


def below(layer: str, layers: dict[str, set[str]] | None = None) -> set[str]:
    """All that a layer may include besides itself. Of a graph without circles."""
    layers = LAYERS if layers is None else layers
    return layers[layer].union(*(below(other, layers) for other in layers[layer]))


def check_direction(file: File) -> Iterator[Breach]:
    """A layer that knows only those below it can be read, tested and replaced alone."""
    if not file.is_cpp or file.parts[0] not in {"coax", "services", "app"}:
        return
    own = layer_of(file.path)
    if own and own not in LAYERS:
        yield file.breach(1, "layer", f"{own} is no layer; put the file into one of {', '.join(LAYERS)}")
        return
    for line, path, quoted in file.includes():
        if not quoted:
            continue
        top = path.split("/")[0]
        if file.parts[0] == "services":
            sibling = top == "services" and path.split("/")[1] != file.parts[1]
            if sibling or top in {"app", "tests", "bench", "examples"}:
                yield file.breach(line, "direction", f"services are independent: do not include {path}")
        elif file.parts[0] == "coax" and top != "coax" and "/" in path:
            yield file.breach(line, "direction", f'coax/ includes only coax/: do not include "{path}"')
        elif own and file.parts[0] == "coax" and path == "coax/coax.hpp":
            yield file.breach(line, "direction", "coax.hpp is for users; include the header you need")
        elif own and layer_of(path) in LAYERS and layer_of(path) not in {own} | below(own):
            advice = f"{own} may not include {layer_of(path)}: move what both need down, or the including code up"
            yield file.breach(line, "direction", advice)


def check_includes(file: File) -> Iterator[Breach]:
    """Users parse our public headers, and no other library's; paths from the root read the same everywhere."""
    if not file.is_cpp:
        return
    public = file.parts[0] == "coax" and file.suffix == ".hpp" and not file.path.endswith("_private.hpp")
    for line, path, quoted in file.includes():
        if public and PRIVATE_LIBRARIES.match(path):
            yield file.breach(line, "private-header", f"include <{path}> in the .cpp or in a *_private.hpp")
        if public and path.endswith("_private.hpp"):
            yield file.breach(line, "private-header", f"{path} is not installed: include it in the .cpp")
        if quoted and "/" not in path or path.startswith("."):
            yield file.breach(line, "include-path", f'write "{path}" from the root of the repository')


def check_codec(file: File) -> Iterator[Breach]:
    """Codecs are pure: bytes in, events out; so blocking code, coroutines, tests and fuzzers share them."""
    if not file.is_cpp or layer_of(file.path) != "codec":
        return
    for line, path, _ in file.includes():
        if re.match(r"sys/(?!types)|unistd\.h|poll\.h|netinet/|time\.h|ctime|thread|coroutine$", path):
            yield file.breach(line, "pure-codec", f"a codec has no descriptor, clock or thread: no <{path}>")


def check_header(file: File) -> Iterator[Breach]:
    """A header is included once, and leaves the names of those who include it alone."""
    if file.suffix != ".hpp":
        return
    if "#pragma once" not in file.lines:
        yield file.breach(1, "pragma-once", "add #pragma once below the opening comment")
    for number, line in enumerate(file.bare.split("\n"), 1):
        if re.search(r"\busing\s+namespace\b", line):
            yield file.breach(number, "using-namespace", "name what you use; a header leaks it into every user")


def check_opening(file: File) -> Iterator[Breach]:
    """Every file opens by telling why it exists."""
    if file.suffix not in HASH_COMMENT | SLASH_COMMENT and not file.is_script:
        return
    hash_comment = file.suffix in HASH_COMMENT or file.is_script
    number = 2 if file.lines[0].startswith("#!") else 1
    line = file.lines[number - 1] if len(file.lines) >= number else ""
    if not re.match(r'(#|""").*\w' if hash_comment else r"(//|/\*).*\w", line):
        yield file.breach(number, "opening", "open with a comment that tells why the file exists")


def check_lines(file: File) -> Iterator[Breach]:
    """Invisible white space makes differences that mean nothing; long lines are not read."""
    if file.suffix not in TEXT and not file.is_script and file.parts[-1] != "CMakeLists.txt":
        return
    wide_allowed = file.suffix in {".md", ".json", ".txt", ".html"} and file.parts[-1] != "CMakeLists.txt"
    for number, line in enumerate(file.lines, 1):
        if line != line.rstrip():
            yield file.breach(number, "white-space", "remove the white space at the end of the line")
        if "\t" in line:
            yield file.breach(number, "tab", r"indent with spaces; write \t in literals")
        if len(line) > COLUMNS_MAX and not wide_allowed and "://" not in line:
            yield file.breach(number, "line-length", f"{len(line)} columns; break it at {COLUMNS_MAX}")
    if file.text and not file.text.endswith("\n"):
        yield file.breach(len(file.lines), "white-space", "end the file with a line end")


def check_length(file: File) -> Iterator[Breach]:
    """A file and a function that fit in a head."""
    if file.suffix not in CODE and not file.is_script:
        return
    count = file.text.count("\n")
    if count > FILE_LINES_MAX:
        yield file.breach(FILE_LINES_MAX + 1, "file-length", f"{count} lines; split it, at most {FILE_LINES_MAX}")
    for name, line, lines in functions(file):
        if lines > FUNCTION_LINES_MAX:
            advice = f"{name} has {lines} lines; give its parts names, at most {FUNCTION_LINES_MAX}"
            yield file.breach(line, "function-length", advice)


def functions(file: File) -> Iterator[tuple[str, int, int]]:
    """Name, first line and number of lines of each function; lambdas and nested ones count as part of the outer."""
    if file.suffix == ".py":
        for node in ast.walk(ast.parse(file.text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield node.name, node.lineno, node.end_lineno - node.lineno + 1
    elif file.is_cpp:
        yield from cpp_functions(file.bare)


def cpp_functions(bare: str) -> Iterator[tuple[str, int, int]]:
    """Walks the braces. `head` is the text before one since the last statement; it tells a namespace or a class,
    which is entered, from the body of a function, which is measured, and from an initialiser, which is skipped."""
    bare = re.sub(r"^[ ]*#(?:[^\n\\]|\\.|\\\n)*", lambda m: re.sub(r"[^\n]", " ", m[0]), bare, flags=re.MULTILINE)
    position = 0
    head = ""
    while position < len(bare):
        character = bare[position]
        if character == "{":
            if is_scope(head):
                head = ""
            else:
                end = matching_brace(bare, position)
                if is_function(head):
                    lines = bare.count("\n", position, end) + 1
                    yield function_name(head), bare.count("\n", 0, position) + 1, lines
                    head = ""
                else:
                    head += "{}"
                position = end
        elif character == "}" or (character == ";" and head.count("(") <= head.count(")")):
            head = ""
        else:
            head += character
        position += 1


def matching_brace(bare: str, position: int) -> int:
    depth = 0
    for brace in re.finditer(r"[{}]", bare[position:]):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return position + brace.start()
    return len(bare) - 1


def is_scope(head: str) -> bool:
    template = r"\btemplate\s*<.*>(?=\s*(requires|class|struct|union))"
    words = re.sub(template + r"|\[\[.*?\]\]", "", head, flags=re.DOTALL).strip()
    if words.count("(") > words.count(")"):  # a default argument
        return False
    namespace = r"(inline\s+)?namespace\b|extern\s*$"
    plain = r"(requires\b.*)?(class|struct|union|enum)\b[^()=]*$"
    aligned = r"(class|struct|union)\s+(alignas\s*\([^)]*\)\s*)?[\w:<>, ]+(final)?(\s*:[^()]*)?$"
    return bool(re.match(f"{namespace}|{plain}|{aligned}", words, re.DOTALL))


def is_function(head: str) -> bool:
    head = head.rstrip()
    if head.count("(") > head.count(")"):  # a default argument
        return False
    after = head[head.rfind(")") + 1:]
    if ")" not in head or re.search(r"=\s*$", head) or (re.search(r"(?<![=!<>])=(?!=)", after) and "->" not in after):
        return False
    initialisers = re.search(r"\)[^():]*:(?!:)(?!.*\boperator\b)", head)
    if initialisers and re.search(r"[\w>]$", head) and not re.search(r"\b(try|const|noexcept|override|final)$", after):
        return False  # the brace of a member's initialiser: Name() : member_{...
    return True


def function_name(head: str) -> str:
    test = re.search(r"\b(?:TYPED_)?TEST(?:_F|_P)?\s*\(\s*(\w+)\s*,\s*(\w+)", head)
    if test:
        return f"{test[1]}.{test[2]}"
    keywords = {"requires", "sizeof", "alignas", "alignof", "noexcept", "decltype", "explicit"}
    names = (match[1] for match in re.finditer(r"([~\w:]+|operator[^\s\w(]+)\s*\(", head))
    return next((name for name in names if name not in keywords), "function")


def check_words(file: File) -> Iterator[Breach]:
    """Open work belongs in an issue; a test waits for events, not for time."""
    if file.suffix not in TEXT and not file.is_script:
        return
    for number, line in enumerate(file.lines, 1):
        if re.search(r"\b(TO[D]O|FIX[M]E)\b(?!\s*\(#\d+\))", line):
            yield file.breach(number, "todo", "do it, or open an issue and write its number: TODO(#12)")
    if file.is_cpp and file.parts[0] == "tests":
        for number, line in enumerate(file.bare.split("\n"), 1):
            # coax::sleep is an operation, which tests of time limits need; it blocks no thread.
            if re.search(r"this_thread::sleep|\b(sleep_for|usleep|nanosleep)\b|(?<![\w.])sleep\s*\(\s*\d+\s*\)", line):
                yield file.breach(number, "sleep", "wait for the event, or use the virtual clock")


def check_lock(file: File) -> Iterator[Breach]:
    """A lock file names versions and hashes; where they come from is for each machine to say."""
    if file.parts[-1] == "package-lock.json":
        for number, line in enumerate(file.lines, 1):
            if '"resolved"' in line:
                yield file.breach(number, "registry", "remove the address: npm finds the package by version and hash")


def check_orphans(files: list[File]) -> Iterator[Breach]:
    """A header without an includer is dead, or a user cannot reach it."""
    users: dict[str, set[str]] = {}
    for file in files:
        if file.is_cpp:
            for _, path, _ in file.includes():
                users.setdefault(path, set()).add(file.path)
    for file in files:
        if file.suffix == ".hpp" and file.parts[0] == "coax" and file.path != "coax/coax.hpp":
            if not users.get(file.path, set()) - {file.path.removesuffix(".hpp") + ".cpp"}:
                yield file.breach(1, "orphan", "nothing includes it: add it to coax/coax.hpp, or remove it")


def banned_words(file: File) -> list[tuple[int, str, str]]:
    """Line, words and advice, in comments, documents and messages."""
    if file.path in wording.EXEMPT or file.suffix not in TEXT and not file.is_script:
        return []
    if file.is_cpp:
        return sorted(wording.find(wording.prose_of_cpp(file.text, LITERAL_OR_COMMENT)))
    return sorted(wording.find(wording.prose_of_markdown(file.text) if file.suffix == ".md" else file.text))


def check_wording(files: list[File], allowed: dict[str, int]) -> Iterator[Breach]:
    """A reader who knows Asio, Go or Trio recognises every term. Folders that are not rewritten yet may keep the
    banned words that they have, and get no new ones."""
    counts: Counter[str] = Counter()
    for file in files:
        folder = wording.folder_of(file.path)
        for line, words, advice in banned_words(file):
            counts[folder] += 1
            if folder not in allowed:
                yield file.breach(line, "wording", f'"{words}": {advice}')
    for folder, count in counts.items():
        if count > allowed.get(folder, count):
            advice = f"{count} banned words, {allowed[folder]} before: tools/tidy.py --wording {folder} lists them"
            yield Breach(folder, 1, "wording", advice)


PER_FILE = [check_direction, check_includes, check_codec, check_header, check_opening, check_lines, check_length,
            check_words, check_lock]


def paths_of(root: pathlib.Path) -> list[str]:
    """What git knows or would add; without git, all but what is made by building."""
    if (root / ".git").exists():
        try:
            command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
            listing = subprocess.run(command, check=True, capture_output=True).stdout.decode()
            return sorted({path for path in listing.split("\0") if path and (root / path).is_file()})
        except (OSError, subprocess.CalledProcessError):
            pass
    found = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in IGNORED_FOLDERS]
        found += [(pathlib.Path(folder) / name).relative_to(root).as_posix() for name in names]
    return sorted(found)


def files_of(root: pathlib.Path) -> list[File]:
    files = []
    for path in paths_of(root):
        try:
            files.append(File(path, (root / path).read_bytes().decode()))
        except (UnicodeDecodeError, FileNotFoundError):  # a picture; a file that went away while we looked
            continue
    return files


def check_tree(root: pathlib.Path) -> tuple[int, list[Breach]]:
    """The number of files, and their breaches."""
    files = files_of(root)
    breaches = [breach for file in files for check in PER_FILE for breach in check(file)]
    breaches += check_orphans(files)
    breaches += check_wording(files, wording.NOT_YET_REWRITTEN)
    return len(files), sorted(set(breaches))


def show_wording(files: list[File], folders: list[str]) -> None:
    """Each banned word of these folders; without any, how many each folder has and may have."""
    counts: Counter[str] = Counter()
    for file in files:
        folder = wording.folder_of(file.path)
        for line, words, advice in banned_words(file):
            counts[folder] += 1
            if folder in folders:
                print(f'{file.path}:{line}: "{words}": {advice}')
    for folder in [] if folders else sorted(counts.keys() | wording.NOT_YET_REWRITTEN.keys()):
        print(f"{folder:<20} {counts[folder]:>4} of {wording.NOT_YET_REWRITTEN.get(folder, 0)}")
    if not folders:
        print(f"{'all':<20} {counts.total():>4}")


def main(arguments: list[str]) -> int:
    root = pathlib.Path(__file__).resolve().parent.parent
    if arguments[:1] == ["--wording"]:
        show_wording(files_of(root), arguments[1:])
        return 0
    if arguments[:1] == ["--list"]:
        print(*(path for path in paths_of(root) if path.endswith(tuple(arguments[1:]))), sep="\n")
        return 0
    root = pathlib.Path(arguments[0]) if arguments else root
    count, breaches = check_tree(root)
    for breach in breaches:
        print(breach)
    print(f"tidy: {count} files, {len(breaches)} to mend" if breaches else f"tidy: {count} files, all good")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
