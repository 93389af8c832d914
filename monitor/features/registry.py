"""The explicit table of feature families, in column order. A new family is one line here and one module beside it.

May import its neighbours in this package only.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from monitor.features.base import Extractor
from monitor.features.declared_attributes import Declared, nothing_declared
from monitor.features.families.call import CallFacts
from monitor.features.families.embedding import DIRECTIONS, Embedding, NoEmbedding, random_projections
from monitor.features.families.facts import Facts
from monitor.features.families.feedback import Feedback
from monitor.features.families.format import Format
from monitor.features.families.insult import Insult
from monitor.features.families.json_fields import JsonFields
from monitor.features.families.language import Language
from monitor.features.families.length import Length
from monitor.features.families.noise import Noise
from monitor.features.families.overlap import Overlap
from monitor.features.families.persona import Persona
from monitor.features.families.placeholder import Placeholder
from monitor.features.families.privacy import Privacy
from monitor.features.families.reasoning import Reasoning
from monitor.features.families.refusal import Refusal
from monitor.features.families.repetition import Repetition
from monitor.features.families.tone import Tone
from monitor.features.families.tools import Tools
from monitor.features.featurizer import DependentFamily, Featurizer
from monitor.features.text.static_table import default_table
from monitor.features.text.words import Embedder

STATIC = "static"
OFF = "off"


def default_extractors(
    families: Sequence[str] = ("*",), embedder: Embedder | None = None, declared: Declared = nothing_declared
) -> tuple[Extractor, ...]:
    """All families whose name matches one of the globs, in column order.

    `embedder` is what will embed the texts, None for the static table: the projections depend on it. `declared` gives
    the attributes that the settings declare for a stream.
    """
    if embedder is None:
        directions = {side: default_table().projections(count) for side, count in DIRECTIONS.items()}
    else:
        directions = {side: random_projections(embedder.dimensions, count) for side, count in DIRECTIONS.items()}
    table: tuple[Extractor, ...] = (
        Length("output"),
        Format(),
        Tone(),
        Refusal(),
        Language("output"),
        Repetition(),
        Embedding("output", directions["output"]),
        Overlap(),
        Length("input"),
        Language("input"),
        Noise(),
        Embedding("input", directions["input"]),
        CallFacts(),
        Facts(),
        JsonFields(),
        Tools(),
        Feedback(declared),
        Privacy(),
        Placeholder(),
        Persona(),
        Reasoning(),
        Insult(),
    )
    return tuple(family for family in table if any(fnmatchcase(family.family, glob) for glob in families))


def build_featurizer(
    families: Sequence[str] = ("*",),
    embedding: str = STATIC,
    *,
    excerpts: bool = True,
    checks: DependentFamily | None = None,
    declared: Declared = nothing_declared,
) -> Featurizer:
    """The featurizer that configuration asks for.

    `embedding` is `static`, `off`, or the name or folder of a sentence-transformers model (the extra `transformers`).
    Raises `ConfigError` where the extra or the model is not there.
    """
    embedder: Embedder | None = None
    if embedding == OFF:
        embedder = NoEmbedding()
    elif embedding != STATIC:
        from monitor.features.text.transformer import TransformerEmbedder

        embedder = TransformerEmbedder(embedding)
    extractors = default_extractors(families, embedder, declared)
    return Featurizer(extractors, embedder=embedder, excerpts=excerpts, checks=checks)
