"""Objects that ship as YAML beside the code, read once."""

from __future__ import annotations

import functools

from meshup.model.lacking import DEFINITIONS
from meshup.model.objects import Object
from meshup.model.shipped import shipped


@functools.cache
def objects(folder: str) -> tuple[Object, ...]:
    """Give the objects of a folder of templates/ in the order of its files; their maps are not to be changed."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: list[Object] = []
    for path in sorted((shipped("templates") / folder).glob("*.yaml")):
        found += yaml.load_all(path.read_text(encoding="utf-8"), loader)
    return tuple(found)


def of_the_ledger() -> tuple[Object, ...]:
    """Give what the ledger is made of in the order of writing: kinds, bounds, policies with their bindings."""
    kinds = {str(each["metadata"]["name"]): each for each in objects("crds")}
    return (*(kinds[name] for name in DEFINITIONS), *objects("policies"))
