"""Find results that were typed into prose: every number there must come from a computation, by glue.

Usage: python book/build/check_prose.py, from the root. `make book` and `make lint` stop if it finds any. What may stay
is what no run can change: references (section 5.1, Table 2, chapter 2), mathematics, code, links, citations, words
quoted from the paper, and the conventions named in `CONVENTIONS`.
"""

import re
import sys
from pathlib import Path

import jupytext

NOT_PROSE = [  # in this order
    r"```\{(?:math|code-cell|bibliography)\}.*?```",  # directives without prose
    r"```(?:sh|python|yaml)\n.*?```",
    r"^:\w+:.*$",  # options of directives
    r"\$[^$]*[A-Za-z\\][^$]*\$",  # a number alone is no formula
    r"\{\w+(?::\w+)*\}`[^`]*`",  # roles, glue among them
    r"(?<!`)`(?!`)[^`\n]*[A-Za-z_/][^`\n]*`(?!`)",
    r"\]\([^)]*\)",  # targets of links
    r"\"[^\"]*[a-z]\s[^\"]*\"",  # the paper's own words
]
LIST = r"\d+(?:\.\d+)*(?:\s*(?:,|and|to|or)\s*(?:and\s+)?\d+(?:\.\d+)*)*"
CONVENTIONS = [
    rf"\b(?:[Ss]ections?|[Tt]ables?|[Ff]igures?|[Cc]hapters?|[Tt]heorem|[Ll]emma|[Rr]ows|[Ll]ayers?|seed)\s+{LIST}",
    r"(?<!\d)95\s%(?=\s+\(?(?:interval|of\s+draws))",  # the level of intervals
    r"\b(?:level\s+of|below|at|call)\s+5\s%",  # the level of tests
    r"MNIST-5k|mnist5k|x86-64|AVX2|LEGC-?\w*|F1|SHA-256|float(?:32|64)|ResNet-50|UCI|0–1 test|AR\(1\)|W1|W2|[a-z]\d\b",
]


def typed_numbers(source):
    """What is left of numbers in one Markdown text: list of (number, its surroundings)."""
    text = source
    for pattern in NOT_PROSE:
        text = re.sub(pattern, " ", text, flags=re.DOTALL if "```" in pattern else re.MULTILINE)
    for pattern in CONVENTIONS:
        text = re.sub(pattern, " ", text)
    text = re.sub(r"^\s*\d+\. ", "", text, flags=re.MULTILINE)  # numbered lists
    return [
        (m[0], " ".join(text[max(0, m.start() - 40) : m.end() + 20].split())) for m in re.finditer(r"\d[\d.,]*", text)
    ]


def problems(paths=None):
    """One line for every number typed into the prose of the notebooks and of the book's pages."""
    found = []
    for path in map(Path, paths or [*sorted(Path("notebooks").glob("*.ipynb")), *sorted(Path("book").glob("*.md"))]):
        for cell in jupytext.read(path).cells:
            if cell.cell_type == "markdown":
                found += [f"{path}: {number} in “… {around} …”" for number, around in typed_numbers(cell.source)]
    return found


if __name__ == "__main__":
    lines = problems(sys.argv[1:])
    print("\n".join(lines))
    sys.exit(bool(lines))
