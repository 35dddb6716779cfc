"""What stands in the guides: commands, names of the windows' parts, quoted messages, files, keys.

The guides are README.md and docs/*.md. Code is what stands between backticks or is indented by four spaces.
"""

from __future__ import annotations

import ast
import functools
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ("README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")))
CHECKLIST = "docs/windows-manual-checks.md"
"""Its commands are for a person on a real Windows: it is the list of what is run by hand."""

PROGRAMS = {
    *("apt-get", "bash", "pip", "python", "riskd", "riskgui", "tests/windows/run", "uv"),
    *("cd", "certutil", "cmd", "cmdkey", "del", "dir", "echo", "icacls", "install.cmd", "mkdir", "net", "ren", "sc"),
    *("taskkill", "type", "uninstall.cmd"),
}
"""First words that make a piece of code a command."""
SPAN = re.compile(r"`([^`\n]+(?:\n[^`\n]+){0,4})`")
ALONE = frozenset({"install.cmd", "riskgui", "tests/windows/run", "uninstall.cmd"})
"""Commands also without a word behind them; of the others the name alone only speaks of them."""


@dataclass(frozen=True)
class Command:
    """A command line as a guide writes it, without comment, ``uv run`` and quotes around the program."""

    guide: str
    text: str

    @property
    def words(self) -> list[str]:
        return self.text.split()


def read(guide: str) -> str:
    return (ROOT / guide).read_text(encoding="utf-8")


def blocks(guide: str) -> list[str]:
    """Lines of code blocks, without comments."""
    lines = [line for line in read(guide).splitlines() if re.match(r" {4}\S", line)]
    return [re.sub(r"\s+#.*", "", line).strip() for line in lines]


def spans(guide: str) -> list[str]:
    """What stands between backticks, line breaks as blanks."""
    return [" ".join(found.split()) for found in SPAN.findall(read(guide))]


def commands(guide: str) -> list[Command]:
    """Every command line of a guide, in order, each once. ``a && b`` are two."""
    found: dict[Command, None] = {}
    for code in [*blocks(guide), *spans(guide)]:
        for part in code.split(" && "):
            text = re.sub(r'^"[^"]*\\([^"\\]+)"', r"\1", part).removeprefix("uv run ")
            words = text.split()
            if words[0] in PROGRAMS and (len(words) > 1 or text in ALONE):
                found[Command(guide, text)] = None
    return list(found)


def bold(guide: str) -> list[str]:
    """What stands between double asterisks."""
    return [" ".join(found.split()) for found in re.findall(r"\*\*([^*]+)\*\*", read(guide))]


def italic(guide: str) -> list[str]:
    """What stands between single asterisks outside of code: in the guides, names of parts of the windows."""
    text = SPAN.sub("", read(guide)).replace("**", "")
    text = "\n".join(line for line in text.splitlines() if not re.match(r" {4}\S", line))
    return [" ".join(found.split()) for found in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", text)]


@functools.cache
def texts(*packages: str) -> tuple[str, ...]:
    """Every text in the packages' sources; values that are put in while running are ``{}``."""
    found: set[str] = set()
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(node.value)
                elif isinstance(node, ast.JoinedStr):
                    found.add("".join(_part(value) for value in node.values))
    return tuple(sorted(found))


def _part(value: ast.expr) -> str:
    return str(value.value) if isinstance(value, ast.Constant) else "{}"


def said_by(message: str, sources: tuple[str, ...]) -> bool:
    """Whether a source says the message. ``...`` in the message and ``{}`` in the source stand for what is put in."""
    wanted = re.compile(_anything_between(message.split("...")), re.IGNORECASE | re.DOTALL)
    for source in sources:
        if wanted.search(source):
            return True
        parts = source.split("{}")
        if len(parts) > 1 and len("".join(parts)) > 12 and re.search(_anything_between(parts), message + "."):
            return True
    return False


def _anything_between(parts: list[str]) -> str:
    return ".+?".join(re.escape(part) for part in parts)
