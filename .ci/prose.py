"""Check the words of pages, docstrings and log events, the length of Markdown lines, and Markdown links.

Print `file:line: problem` for each finding and exit with 1 if there is any. Arguments name files; without any, all
tracked files are checked. CONTRIBUTING.md has the style guide behind the list.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MARKDOWN_LINE_LENGTH = 120
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}

#: What we do not write, and what to write instead.
BANNED = {
    r"anew": "again, or afresh",
    r"of ours": "our own",
    r"so many": "the number or the limit",
    r"whoever|nobody|somebody": "the one who acts, by name",
    r"(?:is|are|was|were|be|been) told": "reported or published",
    r"(?:is|are|was|were|be|been) looked at": "polled or checked",
    r"look(?:s|ed|ing)? after": "what is done, e.g. requeues",
    r"(?<!worth\s)(?:a|the|each|every|next|last|first) looks?": "poll",
    r"(?:is|are|was|were|be|been) away": "unavailable",
    r"in earnest": "in production",
    r"stand-ins?": "simulator",
    r"keepers?": "dispatcher",
    r"sightings?": "poll result",
    r"happenings?": "turn stats",
    r"bare loops?": "baseline loop",
    r"handed out again": "requeued",
    r"reckoned": "computed",
    r"behavior\w*": "behaviour",
    r"catalogs?": "catalogue",
    r"canceled": "cancelled",
    r"(?:serial|initial|normal|recogn|organ|optim|summar)iz\w+": "-ise, as British English has it",
}
_SPACED = [words.replace(" ", r"\s+") for words in BANNED]  # a phrase may be wrapped
_BANNED = re.compile(
    "|".join(rf"(?P<b{n}>\b(?:{words})\b)" for n, words in enumerate(_SPACED)), re.IGNORECASE
)
_CODE = re.compile(r"`[^`]*`|\]\([^)]*\)|https?://\S+")
_LINK = re.compile(r"\]\(<?([^)\s>#]+)(?:#[^)\s]*)?[^)]*\)")


def find_banned(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line, counted from 0, and the message for each banned phrase outside code and links."""
    shown = _CODE.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), text)
    for match in _BANNED.finditer(shown):
        better = list(BANNED.values())[int((match.lastgroup or "b0")[1:])]
        yield shown.count("\n", 0, match.start()), f'"{" ".join(match[0].split())}": better {better}'


def check_markdown(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the findings of one page; fenced code is left alone."""
    lines, fence = path.read_text(encoding="utf-8").split("\n"), ""
    prose = []
    for number, line in enumerate(lines, 1):
        mark = line.strip()[:3]
        if mark in {"```", "~~~"} and fence in {"", mark}:
            fence = "" if fence else mark
        text = "" if fence or mark in {"```", "~~~"} else line
        prose.append(text)
        if len(_LINK.sub("]()", text)) > MARKDOWN_LINE_LENGTH and not re.match(r"\s*(\||\[.*\]:|<)", text):
            yield number, f"{len(line)} characters: wrap at {MARKDOWN_LINE_LENGTH}"
        for target in _LINK.findall(re.sub(r"`[^`]*`", "", text)):
            if not re.match(r"[a-z]+:", target) and not (path.parent / target).exists():
                yield number, f"{target} does not exist"
    yield from ((number + 1, problem) for number, problem in find_banned("\n".join(prose)))


def check_python(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the findings of one module's docstrings and log events."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        texts: list[ast.expr] = []
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                texts = [node.body[0].value] if ast.get_docstring(node, clean=False) else []  # type: ignore[attr-defined]
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=name), args=[event, *_]):
                texts = [event] if name in LOG_METHODS else []
        for text in texts:
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                yield from ((text.lineno + number, problem) for number, problem in find_banned(text.value))


def main(names: list[str]) -> int:
    """Return the exit status for the named files, or for all tracked ones."""
    if not names:
        command = ["git", "ls-files", "-z"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)  # noqa: S603 - our own
        names = [str(ROOT / name) for name in listed.stdout.split("\0") if name]
    found = False
    for path in map(Path, names):
        check = {".md": check_markdown, ".py": check_python}.get(path.suffix)
        if check is not None and path.exists():
            for number, problem in sorted(check(path)):
                found = True
                print(f"{os.path.relpath(path)}:{number}: {problem}")  # noqa: T201 - a command's output
    return int(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
