"""Documents: links inside the project lead somewhere, and the README stays short."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ('docs', 'checkpoints', 'runtime/native', 'tests/parity')
DOCUMENTS = [
    *sorted(ROOT.glob('*.md')),
    *(path for folder in FOLDERS for path in sorted((ROOT / folder).glob('*.md'))),
]
LINK = re.compile(r'!?\[[^\]]*\]\(([^)\s]+)\)')


def anchors(document: Path) -> set[str]:
    """The headings of a document as a host of repositories links to them."""
    lines = document.read_text(encoding='utf-8').splitlines()
    titles = [line.lstrip('#').strip().lower() for line in lines if line.startswith('#')]
    return {re.sub(r'[^\w\- ]', '', title).replace(' ', '-') for title in titles}


def broken(document: Path) -> list[str]:
    """Links of a document to files or headings that are not there."""
    faults = []
    for link in LINK.findall(document.read_text(encoding='utf-8')):
        name, _, anchor = link.partition('#')
        target = document.parent / name if name else document
        if '://' in link:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            faults.append(link)
    return faults


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    assert broken(document) == []


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / 'a.md').write_text(
        '# Some title\n[x](b.md) [y](#some-title) [z](#other) ![p](a.md#some-title) [w](https://x.org)'
    )
    assert broken(tmp_path / 'a.md') == ['b.md', '#other']


def test_the_readme_is_read_in_two_minutes():
    assert len((ROOT / 'README.md').read_text(encoding='utf-8').splitlines()) <= 140
