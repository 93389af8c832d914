"""An output that speaks of itself as an AI, in the largest languages; one about AI does not."""

from __future__ import annotations

import pytest

from monitor.features.families.persona import Persona
from tests.features.columns import columns_of


@pytest.mark.parametrize(
    "text",
    [
        "As an AI language model, I have no access to that.", "I'm just an AI, so I cannot see it.",
        "As a large language model, I ...", "I was trained by OpenAI.", "My knowledge cutoff is last year.",
        "Als KI-Sprachmodell kann ich das nicht.", "Ich bin eine KI.", "Como modelo de lenguaje, no puedo.",
        "Soy una IA y no veo pedidos.", "En tant qu'IA, je ne peux pas.", "Je suis une intelligence artificielle.",
        "Como um modelo de linguagem, não posso.", "Как языковая модель, я не могу.", "作为一个AI语言模型, 我不能。",
        "我是人工智能。", "AIとして、お答えできません。", "私はAIです。", "एक एआई भाषा मॉडल के रूप में, मैं नहीं कर सकता।",
        "بصفتي نموذجا لغويا، لا أستطيع.", "আমি একটি এআই।", "بطور اے آئی ماڈل، میں نہیں کر سکتا",
        "Sebagai model bahasa, saya tidak bisa.",
    ],
)  # fmt: skip
def test_self_reference(text: str) -> None:
    assert columns_of(Persona(), [text])["output.persona.ai_reference"].tolist() == [1]


@pytest.mark.parametrize(
    "text",
    [
        "As an AI engineer, you train models.", "The kitchen radio has an AI chip.", "We sell an AI tool.",
        "As a manager, Maria explained the model.", "Die KI hilft dem Team.", "La IA ayuda al equipo.",
        "人工智能公司很多。", "AIは便利です。", "Your order is on its way.",
    ],
)  # fmt: skip
def test_texts_about_ai(text: str) -> None:
    assert columns_of(Persona(), [text])["output.persona.ai_reference"].tolist() == [0]


@pytest.mark.parametrize("unit", ["as an ", "ai ", "i am an ai", "作为", "как ", "soy una ", "je suis "])
def test_hostile_texts_end(unit: str) -> None:
    columns_of(Persona(), [unit * 20_000 + " ai"])
