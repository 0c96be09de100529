"""Check the words of the project: riddles, personification, and second names for one thing.

`python tools/check_words.py [FILE …]` prints one line for each phrase that CONTRIBUTING.md rules out, in the
sources, the documentation and the recipes, or in the files named (a commit message, say), and exits with 1 if
there is any.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "docs", "recipes", "bench", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile")
SUFFIXES = {"", ".html", ".js", ".md", ".py", ".pyi", ".yaml"}

PHRASES = {
    # riddles and old-fashioned turns
    "anew": "again; reproduce",
    "if need be": "if missing; if necessary",
    "so many": "this many; N",
    "what there is|that there (is|are)( not)?": "available; unknown",
    "whoever|whatever (can|is|goes|it|lies|else)": "say who or what",
    "perhaps its|each perhaps": "optionally",
    "in words": "as text",
    "be it|be they": "whether … or",
    "told apart|tells? apart": "distinguish",
    "makes of it|came of|comes of it": "say what the result is",
    "sees? to it|takes? care that": "ensure",
    "anyhow|thereof|therein|wherein|whereof|hereby|lest|amidst|thereby": "a plain word",
    "for want of|for lack of": "without",
    "the like|and such": "say which",
    "can be had|is had|are had": "is available; is computed",
    "where there (is|are) none": "if missing",
    "goes? on (where|from|as|with)|go on (where|from|as|with|alike)": "resume; continue",
    "costs? (itself|themselves) alone": "is reported and skipped",
    # personification
    "eats?|eaten": "takes as input",
    "asks? no network": "needs no network",
    "(is|are) let in": "is allowed",
    "nobody('s)?|somebody|someone": "say which part of the program",
    "the doors?": "the entry point; the function; the command",
    "the (one )?road": "say what calls what",
    "say for (itself|themselves)": "report",
    "by itself and|attends? by (itself|themselves)": "on its own",
    "knows (no|nothing|none)": "does not import; has no",
    # one thing, one word
    "contenders?": "explainers",
    '(?<!")clip ?forms?|clip_form': "ClipSpec; clip_spec",
    "own_attention": "intrinsic_attention",
    "multi_?rate pathways": "multi-rate",
    # American spelling in prose
    "colou?rs? maps?": "colormap",
    "neighbor(s|ing)?|gray|favor|behavior|analyze[ds]?|artifacts?|modeling|label(ed|ing)": "British spelling",
}
"""Phrase, as a regular expression of whole words → what to write instead."""

BANNED = re.compile("|".join(rf"\b(?:{phrase})\b" for phrase in PHRASES), re.IGNORECASE)


def project_files() -> list[Path]:
    """List the text files whose words are checked."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", *FOLDERS]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [path for path in (ROOT / name for name in names) if path.suffix in SUFFIXES and path.is_file()]


def banned_phrases(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line number, phrase, and what to write instead, for each banned phrase in `text`."""
    for number, line in enumerate(text.splitlines(), 1):
        for match in BANNED.finditer(line):
            yield number, match[0], _advice(match[0])


def _advice(phrase: str) -> str:
    return next(advice for banned, advice in PHRASES.items() if re.fullmatch(banned, phrase, re.IGNORECASE))


def problems(paths: Iterable[Path]) -> Iterator[str]:
    """Yield one line for each banned phrase in the files."""
    for path in paths:
        for number, phrase, advice in banned_phrases(path.read_text(encoding="utf-8")):
            yield f"{path}:{number}: {phrase!r}: write {advice}"


def main() -> int:
    """Print the problems of the files named, or of the project, and return the exit status."""
    lines = list(problems([Path(name) for name in sys.argv[1:]] or project_files()))
    print("\n".join(lines) or "no banned phrases")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
