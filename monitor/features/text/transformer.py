"""The transformer itself as embedder, in place of the static table: any sentence-transformers model.

Needs the extra `transformers`; 20 to 30 outputs a second on two CPU cores with all-MiniLM-L6-v2, so for a GPU or for
streams with little traffic. Reimers and Gurevych, Sentence-BERT (2019). May import `monitor.errors` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.errors import ConfigError

_CHARACTERS = 8_000
"""More than any model's window of 512 tokens; a longer text costs time in the tokenizer and nothing else."""


class TransformerEmbedder:
    """Embeds texts with a sentence-transformers model.

    Parameters
    ----------
    model
        Name or folder of the model. Raises `ConfigError` with what to do where it, or the extra, is not there.
    device
        As torch names it; None takes a GPU where there is one.
    batch_size
        Texts at a time.
    """

    def __init__(self, model: str, *, device: str | None = None, batch_size: int = 32) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ConfigError(
                f"features.embedding: {model!r} needs sentence-transformers: "
                "pip install 'output-quality-monitor[transformers]'"
            ) from error
        if Path(model).is_absolute() and not Path(model).is_dir():
            # sentence-transformers would take it for a name and go looking for it on the network
            raise ConfigError(f"features.embedding: no sentence-transformers model {model!r}: there is no such folder")
        try:
            self._model = SentenceTransformer(model, device=device)
        except (OSError, ValueError) as error:
            raise ConfigError(f"features.embedding: no sentence-transformers model {model!r}: {error}") from error
        self._batch_size = batch_size
        self.name = model
        dimensions = self._model.get_embedding_dimension()
        if not dimensions:
            raise ConfigError(f"features.embedding: the model {model!r} does not say how long its vectors are")
        self.dimensions = int(dimensions)

    def embed(self, texts: Sequence[str | None]) -> NDArray[np.float32]:
        """float32 (n, d) of unit length; zero rows for None and blank texts."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        rows = [row for row, text in enumerate(texts) if text and text.strip()]
        if rows:
            # half surrogate pairs cannot be encoded
            clean = [(texts[row] or "")[:_CHARACTERS].encode("utf-8", "replace").decode("utf-8") for row in rows]
            vectors[rows] = self._model.encode(
                clean, batch_size=self._batch_size, normalize_embeddings=True, show_progress_bar=False
            )
        return vectors
