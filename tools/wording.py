# The wording that tools/tidy.py tests: words in place of which a reader expects a noun or a term of the field.
"""Banned words in comments, documents and messages, and the folders that still have some."""

import re
from collections.abc import Iterator

# What is banned, and what to write instead.
BANNED = {
    "whoever|whomever|the one who": "name it: the caller, the task, the peer, the receiver",
    "who (comes|goes)": "name it: a new connection, a client that leaves",
    "nobody": "say what is missing: no receiver, no task waits, there is no listener",
    "what (stands|comes|came)|(stands?|stood) there": "name it: the buffered bytes, the input, the rest of the line",
    "goes on|going on|went on": "continues, resumes, is repeated",
    "told": "reported, printed, sent, notified",
    "for ever": "without an end, indefinitely",
    "reads? away": "reads and discards; lingering close (nginx)",
    "fad(e|es|ed|ing) away": "is in TIME_WAIT",
}

# Folders and files that may still have banned words, with their number. All were rewritten: keep it empty.
NOT_YET_REWRITTEN: dict[str, int] = {}

# These quote them.
EXEMPT = {"tools/wording.py", "tests/tools/wording_test.py"}

# A phrase may be wrapped into the next line of a comment.
PATTERNS = [(re.compile(rf"\b(?:{words})\b".replace(" ", r"[\s/#]+"), re.IGNORECASE), advice)
            for words, advice in BANNED.items()]
MARKDOWN_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def keep_lines(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def prose_of_cpp(text: str, comment_or_literal: re.Pattern) -> str:
    """Nothing but comments and literals, where they are."""
    parts, end = [], 0
    for match in comment_or_literal.finditer(text):
        parts += [keep_lines(text[end:match.start()]), match[0]]
        end = match.end()
    return "".join(parts)


def prose_of_markdown(text: str) -> str:
    return MARKDOWN_CODE.sub(lambda match: keep_lines(match[0]), text)


def find(prose: str) -> Iterator[tuple[int, str, str]]:
    """Line, words and advice."""
    for pattern, advice in PATTERNS:
        for match in pattern.finditer(prose):
            words = " ".join(re.findall(r"\w+", match[0]))
            yield prose.count("\n", 0, match.start()) + 1, words, advice


def folder_of(path: str) -> str:
    """Where the words of a file are counted: its folder, of two parts where the first has several; or the file."""
    parts = path.split("/")
    if len(parts) == 1:
        return path
    return "/".join(parts[:2]) if parts[0] in {"coax", "docs", "services", "tests"} and len(parts) > 2 else parts[0]
