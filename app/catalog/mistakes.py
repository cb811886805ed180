"""What can be wrong with a catalog, each with its place and what would be right."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CatalogMistake:
    """One mistake. `table`: "tools.create_ticket"; `key`: "lookup.url", "" for the whole table; `line` if known."""

    file: str
    line: int | None
    table: str
    key: str
    problem: str
    wanted: str

    @property
    def tool(self) -> str | None:
        """The tool that it is about, if it is about one."""
        kind, _, name = self.table.partition(".")
        return name if kind == "tools" and name else None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        what = ".".join(part for part in (self.table, self.key) if part)
        return f"{place}: {what + ': ' if what else ''}{self.problem}; {self.wanted}"


class CatalogErrors(Exception):
    """Every mistake of a catalog, one line each."""

    def __init__(self, mistakes: Iterable[CatalogMistake]) -> None:
        self.mistakes = list(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class Notes:
    """Collects the mistakes of one file; finds lines by the text, since the TOML parser keeps none."""

    def __init__(self, file: Path, text: str) -> None:
        self.mistakes: list[CatalogMistake] = []
        self._file = str(file)
        self._lines = text.splitlines()

    def add(self, table: str, key: str, problem: str, wanted: str) -> None:
        """Note one mistake."""
        self.mistakes.append(CatalogMistake(self._file, self._line_of(table, key), table, key, problem, wanted))

    def at_line(self, line: int | None, problem: str, wanted: str) -> None:
        """Note a mistake of the file itself."""
        self.mistakes.append(CatalogMistake(self._file, line, "", "", problem, wanted))

    def unknown_key(self, table: str, key: str, known: Iterable[str]) -> None:
        """Note a key that nobody reads, with the one that was perhaps meant."""
        names = sorted(known)
        near = difflib.get_close_matches(key.rpartition(".")[2], names, 1, 0.6)
        wanted = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(names)}"
        self.add(table, key, "unknown key", wanted)

    def _line_of(self, table: str, key: str) -> int | None:
        """The line of the key, else of the deepest table on the way to it, else of nothing."""
        best, path = None, _steps(table)
        wanted = path + _steps(key) if key else path
        current: list[str] = []
        for number, line in enumerate(self._lines, 1):
            if header := re.match(r"\s*\[+([^\]]+)\]+\s*(?:#.*)?$", line):
                current = _steps(header[1])
                here = current
            elif assignment := re.match(r"\s*([\w.\"'*-]+)\s*=", line):
                here = current + _steps(assignment[1])
            else:
                continue
            if here == wanted[: len(here)] and len(here) >= len(path) and (not best or len(here) > best[0]):
                best = (len(here), number)
        return best[1] if best else None


def _steps(dotted: str) -> list[str]:
    """The parts of a dotted key, quotes honoured: `models."gpt-4.1*"` has two."""
    return [part.strip("\"'") for part in re.findall(r"\"[^\"]*\"|'[^']*'|[^.\s]+", dotted)]
