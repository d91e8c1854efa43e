#!/usr/bin/env python3
# Doxygen's input filter: comments of our headers are plain ones, and this makes them Doxygen's, line for line.
"""Usage: tools/reference/filter.py HEADER: writes the header with Doxygen's comments to standard output"""

import itertools
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import tidy  # noqa: E402

# About the code, or a heading between declarations.
NOT_A_DESCRIPTION = re.compile(r"\s*(NOLINT|---|namespace\b)")
# The fixed labels of declarations; \label is an alias of the Doxyfile.
LABEL = re.compile(r"(?:^|(?<=[.;] ))\s?(Returns|Throws|Cancelled|Lifetime|Thread|Source)( of [^:.`]{1,30})?: ")
ATTRIBUTE = re.compile(r'\[\[(?:"[^"]*"|[^\]"])*\]\] ?')


def escape(text: str) -> str:
    """Escapes what Doxygen would parse as a command, HTML or a link; `code` and "words" are safe already."""
    parts = re.split(r'(`[^`]*`|"[^"]*")', text)
    parts[::2] = [re.sub(r"([\\@&$#<>%]|(?<!\w)::(?=\w))", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def describe(text: str) -> str:
    text = re.sub(r"^ Returns: ", " Returns ", text)  # then it is the brief description
    return LABEL.sub(lambda match: rf" \label{{{match[1]}{match[2] or ''}}} ", escape(text))


def comment_column(line: str, bare: str) -> int | None:
    """Where the comment of a line begins. `bare` is the line without comments and literals."""
    for match in re.finditer("//", line):
        if not bare[match.start():].strip() and line[:match.start()].count('"') % 2 == 0:
            return match.start()
    return None


def body_lines(file: tidy.File) -> set[int]:
    """Lines within functions: what comments say there is about the code."""
    return {line + offset for _, line, count in tidy.functions(file) for offset in range(1, count)}


class Header:
    def __init__(self, path: str, text: str) -> None:
        self.file = tidy.File(path, text)
        self.lines = self.file.lines
        in_bodies = body_lines(self.file)
        bare = self.file.bare.split("\n")
        self.columns = [None if index + 1 in in_bodies else comment_column(line, bare[index])
                        for index, line in enumerate(self.lines)]

    def is_block(self, index: int) -> bool:
        """Whether the line is nothing but a comment."""
        column = self.columns[index] if index < len(self.lines) else None
        return column is not None and not self.lines[index][:column].strip()

    def text(self, index: int) -> str:
        return self.lines[index][self.columns[index] + 2:]

    def describes_next(self, index: int) -> bool:
        """Whether the block of comments ends at a declaration; the one that opens the file describes the file."""
        end = index
        while self.is_block(end):
            end += 1
        is_opening = all(self.is_block(line) for line in range(index))
        return is_opening or bool(end < len(self.lines) and self.lines[end].strip(" }"))

    def is_code(self, index: int) -> bool:
        """Indented lines, with an empty line of comment before the first."""
        while self.text(index).startswith("   "):
            index -= 1
            if not self.is_block(index):
                return False
        return not self.text(index).strip()

    def described_class(self) -> list[str]:
        """A file that opens with "Name: ..." describes its class of that name, unless the class has its own comment."""
        opening = [self.described_block(index) for index in itertools.takewhile(self.is_block, itertools.count())]
        match = re.match(r"/// (\w+): ", opening[0])
        if not match:
            return []
        declaration = re.compile(rf"(class|struct) (\[\[.*\]\] )?(COAX_\w+ )?{match[1]}\b[^;]*$")
        namespace = ""
        for index, line in enumerate(self.lines):
            if found := re.match(r"namespace ([\w:]+) \{", line):
                namespace = found[1] + "::"
            if declaration.match(line):
                has_comment = self.is_block(index - 1) or self.lines[index - 1].startswith("template")
                return [] if has_comment else [rf"/// \class {namespace}{match[1]}", *opening]
        return []

    def described(self) -> list[str]:
        result = []
        trailing: int | None = None  # the column of a comment behind code, which the next lines may go on with
        for index, line in enumerate(self.lines):
            column = self.columns[index]
            if column is None or NOT_A_DESCRIPTION.match(self.text(index)):
                trailing = None
                bare = re.sub(r"^.*= delete;$", "", ATTRIBUTE.sub("", line))  # says nothing to a reader
                result.append(bare if column is None else line)
            elif not self.is_block(index):
                trailing = column
                result.append(f"{ATTRIBUTE.sub('', line[:column])}///<{describe(self.text(index))}")
            elif column == trailing:
                result.append(f"{line[:column]}///<{describe(self.text(index))}")
            else:
                trailing = None
                result.append(self.described_block(index))
        return as_file_description(result) + self.described_class()

    def described_block(self, index: int) -> str:
        line, text = self.lines[index], self.text(index)
        if not self.describes_next(index):
            return line
        indent = line[:self.columns[index]]
        if text.startswith("   ") and self.is_code(index):
            return f"{indent}///    {text}"
        return f"{indent}///{describe(text)}"


def as_file_description(lines: list[str]) -> list[str]:
    """The command that makes the first comment the file's takes a line, and Doxygen does not need #pragma once."""
    if "#pragma once" in lines:
        lines.remove("#pragma once")
    return [r"/// \file", *lines]


if __name__ == "__main__":
    source = pathlib.Path(sys.argv[1])
    print("\n".join(Header(str(source), source.read_text()).described()), end="")
