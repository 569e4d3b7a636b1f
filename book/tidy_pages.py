"""Let the rendered pages load without a complaint, from disk too: python book/tidy_pages.py FOLDER.

Jupyter Book's extensions add some scripts twice, and a constant cannot be declared twice. The theme preloads its icon
fonts with a cross-origin request, which browsers refuse for files; the style sheet loads the same fonts anyway.
"""

import re
import sys
from pathlib import Path


def tidy(html):
    """The page without font preloads and without the second of any two equal scripts."""
    seen = set()

    def once(match):
        source = re.search(r'src="([^"]+)"', match[1])
        key = source[1] if source else match[0].strip()
        return "" if key in seen else seen.add(key) or match[0]

    html = re.sub(r'\s*<link rel="preload" as="font"[^>]*>', "", html)
    return re.sub(r"\s*<script([^>]*)>.*?</script>", once, html, flags=re.DOTALL)


for page in Path(sys.argv[1]).rglob("*.html"):
    page.write_text(tidy(page.read_text()))
