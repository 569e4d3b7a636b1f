"""Let the rendered pages load without a complaint, from disk too, and be read aloud.

Jupyter Book's extensions add some scripts twice, and a constant cannot
be declared twice. The theme preloads its icon fonts with a cross-origin request, which browsers refuse for files; the
style sheet loads the same fonts anyway. Its toggles in the table of contents are bare icons, which a screen reader
cannot name.
"""

import re
from pathlib import Path

TOGGLE = "Show or hide the pages of this chapter"


def tidy(html):
    """The page without font preloads and the second of any two equal scripts, with names for the toggles."""
    seen = set()

    def once(match):
        source = re.search(r'src="([^"]+)"', match[1])
        key = source[1] if source else match[0].strip()
        return "" if key in seen else seen.add(key) or match[0]

    html = re.sub(r'\s*<link rel="preload" as="font"[^>]*>', "", html)
    html = html.replace('<div role="list" class="citation-list">', '<div class="citation-list">')  # of no list items
    html = html.replace(
        '<summary><span class="toctree-toggle"', f'<summary aria-label="{TOGGLE}"><span class="toctree-toggle"'
    )
    return re.sub(r"\s*<script([^>]*)>.*?</script>", once, html, flags=re.DOTALL)


def main(folder):
    """Tidy every page in a folder."""
    for page in Path(folder).rglob("*.html"):
        page.write_text(tidy(page.read_text(encoding="utf-8")), encoding="utf-8")
