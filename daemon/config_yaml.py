"""YAML to plain values, with the line of every key and value, and every mistake that can be told apart.

Built on PyYAML's parse events. Only what a configuration needs: mappings, lists and scalars. Scalars follow YAML 1.2:
only true and false are booleans (NO, ON and YES can be symbols), 17:00 is a text and no number in base 60, and
decimal numbers become `decimal.Decimal`, never binary floating point.
"""

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import yaml

MAX_BYTES = 1_048_576
MAX_DEPTH = 24
MAX_MISTAKES = 50

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Mistake:
    """Something wrong in the text itself. ``line`` counts from 1; ``path`` is empty where there is none."""

    line: int | None
    path: Path
    message: str


@dataclass
class Document:
    """What a text says: ``value`` in plain Python, ``lines`` of keys (or list items) by path, ``mistakes`` found."""

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    nulls: list[Path] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    def line_of(self, path: Path) -> int | None:
        """Line of ``path``, or of the nearest part of it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def decode(data: bytes) -> tuple[str, list[Mistake]]:
    """Bytes of a file as text; a mistake instead if that cannot be configuration. A UTF-8 BOM is taken off."""
    if len(data) > MAX_BYTES:
        return "", [Mistake(None, (), f"is larger than {MAX_BYTES} bytes; this can't be a configuration file")]
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "", [Mistake(None, (), "is written in UTF-16; save it as UTF-8")]
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return "", [Mistake(line, (), "has a character that is not UTF-8; save the file as UTF-8")]


def read(text: str) -> Document:
    """Read one YAML document. Never raises for what the text says; see ``mistakes``."""
    document = Document()
    text = text.removeprefix("\ufeff")
    for number, content in enumerate(text.splitlines(), 1):
        if re.match(r" *\t", content) and content.strip() and not content.lstrip().startswith("#"):
            document.mistakes.append(Mistake(number, (), "begins with a tab; indent with spaces"))
        elif control := re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", content):
            code = ord(control[0])
            document.mistakes.append(Mistake(number, (), f"has a control character (code {code}); remove it"))
    if document.mistakes:
        del document.mistakes[MAX_MISTAKES:]
        return document
    reader = _Reader(document)
    try:
        reader.read(text)
    except yaml.YAMLError as error:
        document.mistakes.append(_syntax(error, reader, text.splitlines()))
    return document


_INTEGER = re.compile(r"[-+]?\d(_?\d)*\Z")
_NUMBER = re.compile(r"[-+]?(\d(_?\d)*(\.\d*)?|\.\d+)([eE][-+]?\d{1,3})?\Z")
_LONGEST_NUMBER = 40


def scalar(text: str) -> Any:
    """Value of an unquoted scalar: None, bool, int, Decimal or str."""
    if text in {"", "~", "null", "Null", "NULL"}:
        return None
    if text in {"true", "True", "TRUE"}:
        return True
    if text in {"false", "False", "FALSE"}:
        return False
    if len(text) > _LONGEST_NUMBER:
        return text
    if _INTEGER.match(text):
        return int(text)
    if _NUMBER.match(text):
        return Decimal(text.replace("_", ""))
    return text


@dataclass
class _Node:
    """One YAML node: the text of a scalar, or the nodes below (of a mapping: keys and values by turns)."""

    line: int
    kind: Literal["scalar", "alias", "list", "mapping"]
    text: str = ""
    plain: bool = False
    tag: str | None = None
    in_brackets: bool = False
    below: list["_Node"] = field(default_factory=list)


class _Reader:
    """Builds a tree from parse events, then the document; of a key that comes twice the first counts."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.open_brackets: list[int] = []
        """Lines of the brackets that are open."""
        self.long_quote: tuple[int, int] | None = None
        """First and last line of the last text in quotes that goes over several lines."""

    def read(self, text: str) -> None:
        root: _Node | None = None
        stack: list[_Node] = []
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            line = event.start_mark.line + 1 if event.start_mark is not None else 1
            if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                del self.open_brackets[len(self.open_brackets) - int(stack.pop().in_brackets) :]
                continue
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                self._mistake(line, (), "begins a second document with ---; remove that line")
                return
            node = _node(event, line)
            if node is None:
                continue
            if stack:
                stack[-1].below.append(node)
            else:
                root = node
            last = event.end_mark.line + 1 if event.end_mark is not None else line
            if isinstance(event, yaml.ScalarEvent) and event.style in ("'", '"') and last > line:
                self.long_quote = (line, last)
            if node.in_brackets:
                self.open_brackets.append(line)
            if node.kind in {"list", "mapping"}:
                if len(stack) >= MAX_DEPTH:
                    self._mistake(line, (), f"is nested more than {MAX_DEPTH} levels deep; check its brackets")
                    return
                stack.append(node)
        if root is not None:
            self._document.lines[()] = root.line
            self._document.value = self._value(root, ())

    def _mistake(self, line: int, path: Path, message: str) -> None:
        if len(self._document.mistakes) < MAX_MISTAKES:
            self._document.mistakes.append(Mistake(line, path, message))

    def _value(self, node: _Node, path: Path) -> Any:
        if node.tag is not None and node.tag != "!":
            self._mistake(node.line, path, f"uses the YAML tag {node.tag[:60]}, which is not supported; remove it")
        if node.kind == "alias":
            self._mistake(node.line, path, "uses a YAML alias (*), which is not supported; write the value out")
            return None
        if node.kind == "list":
            for index, item in enumerate(node.below):
                self._document.lines[(*path, index)] = item.line
            return [self._value(item, (*path, index)) for index, item in enumerate(node.below)]
        if node.kind == "mapping":
            return self._mapping(node, path)
        value = scalar(node.text) if node.plain else node.text
        if value is None:
            self._document.nulls.append(path)
        return value

    def _mapping(self, node: _Node, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in zip(node.below[::2], node.below[1::2], strict=True):
            place = (*path, key.text)
            if key.kind != "scalar":
                self._mistake(key.line, path, "has a list or mapping as a key; write a plain key")
            elif key.text == "<<" and key.plain:
                self._mistake(
                    key.line, path, "uses a YAML merge key (<<), which is not supported; write the values out"
                )
            elif key.text in found:
                first = self._document.lines[place]
                self._mistake(key.line, place, f"is there twice (first in line {first}); remove one of them")
            else:
                self._document.lines[place] = key.line
                found[key.text] = self._value(value, place)
        return found


def _node(event: yaml.Event, line: int) -> _Node | None:
    match event:
        case yaml.AliasEvent():
            return _Node(line, "alias")
        case yaml.ScalarEvent():
            return _Node(line, "scalar", event.value, event.implicit[0] and event.style is None, event.tag)
        case yaml.MappingStartEvent():
            return _Node(line, "mapping", tag=event.tag, in_brackets=bool(event.flow_style))
        case yaml.SequenceStartEvent():
            return _Node(line, "list", tag=event.tag, in_brackets=bool(event.flow_style))
    return None


_SYNTAX = (
    ("mapping values are not allowed", "has a colon where none can be; quote the text, or check the indentation"),
    ("could not find expected ':'", "is no complete entry; write key: value"),
    ("found character '\\t'", "has a tab where spaces are needed; indent with spaces"),
    ("found unexpected end of stream", "opens a quote that is never closed; close it"),
    ("expected ',' or '}'", "opens a { that is not closed properly; check the commas and the closing }"),
    ("expected ',' or ']'", "opens a [ that is not closed properly; check the commas and the closing ]"),
    ("expected the node content", "breaks off before a value; close all brackets and complete the entry"),
    ("expected <block end>", "is not indented like the lines before it; line the keys up"),
    ("found undefined alias", "uses a YAML alias (*), which is not supported; write the value out"),
    ("found character", "has a character that cannot begin a value; put the text in quotes"),
    ("while scanning an alias", "begins with *; put the text in quotes"),
    ("while scanning an anchor", "begins with &; put the text in quotes"),
    ("found unknown escape", "has an unknown escape after a backslash; use single quotes"),
)


_BEGINS_EARLIER = ("could not find expected ':'", "found unexpected end of stream", "expected ',' or")
"""Problems that the parser notices where it gives up; what is to be mended is where it began."""
_NO_ENTRY = "is no complete entry; write key: value"


def _syntax(error: yaml.YAMLError, reader: _Reader, lines: list[str]) -> Mistake:
    """The parser's error in words, at the line that is to be mended rather than the one at which it gave up."""
    mark, began = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", None) or "")
    line = mark.line + 1 if mark is not None else began.line + 1 if began is not None else None
    quote = reader.long_quote
    if "'<stream end>'" in problem and reader.open_brackets:
        return Mistake(reader.open_brackets[-1], (), "opens a bracket that is never closed; close it")
    if quote is not None and quote[1] == line:
        return Mistake(quote[0], (), "opens a quote that is not closed in its line; close it")
    if began is not None and any(sign in problem for sign in _BEGINS_EARLIER):
        line = began.line + 1
    if line is not None:
        line = min(line, max(len(lines), 1))
        above = next((number for number in range(line - 1, 0, -1) if _says_something(lines[number - 1])), None)
        misplaced = "mapping values are not allowed" in problem or "expected <block end>" in problem
        if misplaced and above is not None and _has_no_colon(lines[above - 1]):
            return Mistake(above, (), _NO_ENTRY)
    said = " ".join(part for part in (problem, str(getattr(error, "context", None) or "")) if part)
    message = next(
        (text for sign, text in _SYNTAX if sign in said), "is not valid YAML; check indentation, colons and quotes"
    )
    return Mistake(line, (), message)


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _has_no_colon(line: str) -> bool:
    return re.search(r":(\s|$)", line) is None and not line.lstrip().startswith("-")
