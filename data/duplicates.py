"""Duplicate records of a try-on data set: VITON as published holds most of its pictures twice.

One record for each content leaves the 6,824 and 416 pairs of VITON-Clean.
"""

import hashlib
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from data.layouts import Layout

Name = TypeVar('Name')


def distinct(contents: Mapping[Name, Hashable], seen: Iterable[Hashable] = ()) -> list[Name]:
    """Return the names whose content comes for the first time, in order, without those already in `seen`."""
    seen, kept = set(seen), []
    for name, content in contents.items():
        if content not in seen:
            seen.add(content)
            kept.append(name)
    return kept


def digest_record(source: Path, layout: Layout, part: str, pair: tuple[str, str | None]) -> tuple[str, str]:
    """Return the SHA-1 digests of the pictures of a person and of its garment; '' for a missing file."""
    kinds = zip(('img', 'color'), pair, strict=True)
    found = (layout.file(source, part, kind, name) if name else None for kind, name in kinds)
    person_digest, garment_digest = (
        hashlib.sha1(path.read_bytes()).hexdigest() if path else '' for path in found
    )
    return person_digest, garment_digest
