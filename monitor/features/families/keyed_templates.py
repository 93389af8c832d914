"""The table of columns with a key: their declarations, and how many of each a stream watches at most.

`monitor.detection.columns.keyed_columns` chooses from it; rendering looks meanings up in it by `spec_of`. A family with
such columns adds its templates here. May import its neighbours in this package only.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from monitor.features.base import FeatureSpec
from monitor.features.families import feedback, json_fields, tools
from monitor.features.families.dependencies import keyed_spec
from monitor.features.keyed import has_key, spec_with_key, split_key


class Template(NamedTuple):
    """A declaration without its key.

    `most` is how many keys a stream watches. `expected` says that an event with other keys of this feature and not
    this one lacks it, rather than says nothing of it.
    """

    spec: FeatureSpec
    most: int
    expected: bool = False


# A category costs two flags and one for each common value, a number one column of the stream's products. A record of
# eight keys with four enumerations is wide for what a model answers.
TEMPLATES: dict[str, Template] = {
    template.spec.name: template
    for template in (
        Template(json_fields.KEY, 8, expected=True),
        Template(json_fields.VALUE, 4),
        Template(json_fields.NUMBER, 4),
        Template(tools.ARGUMENTS, 6),
        Template(feedback.NUMBER, 6),
        Template(feedback.FLAG, 4),
        Template(feedback.CATEGORY, 4),
        Template(feedback.INPUT_NUMBER, 4),
        Template(feedback.INPUT_FLAG, 4),
    )
}


@lru_cache(maxsize=4096)
def spec_of(name: str) -> FeatureSpec | None:
    """The declaration of a column with a key, of single dependencies too; None for any other name."""
    if not has_key(name):
        return None
    feature, key = split_key(name)
    template = TEMPLATES.get(feature)
    return keyed_spec(name) if template is None else spec_with_key(template.spec, key)
