"""What of a drawn output an evaluator may see: texts in the form that its settings allow, cut where they are long."""

from __future__ import annotations

from monitor.criteria.criterion import Criterion
from monitor.evaluators.base import Question
from monitor.evaluators.config import Sent, SentTexts
from monitor.events.redaction import mask
from monitor.judgment.records import Sampled

SHARE_OF_BEGINNING = 0.6
"""Of a text that is cut, the share of what is kept that is its beginning: most of an answer is decided there, and how
it ends has to be seen, too."""


def question_for(sampled: Sampled, criterion: Criterion, texts: SentTexts) -> Question | None:
    """The question whether an output passes a criterion; None where the message holds no text of it."""
    output = sent(sampled.output, texts.output, texts.longest)
    if output is None or criterion.passes is None:
        return None
    return Question(
        criterion=criterion.name,
        passes=criterion.passes,
        output=output,
        input=sent(sampled.input, texts.input, texts.longest),
        prompt=sent(sampled.prompt, texts.prompt, texts.longest),
    )


def sent(text: str | None, form: Sent, longest: int) -> str | None:
    """The text as it may be sent; None where it may not, or there is none."""
    if text is None or form is Sent.NONE:
        return None
    # Masked before it is cut, so that no secret is cut in two and then not recognised.
    return cut(mask(text) if form is Sent.MASKED else text, longest)


def cut(text: str, longest: int) -> str:
    """At most `longest` characters of the text, with a note of what is left out in its middle."""
    if len(text) <= longest:
        return text
    beginning = int(longest * SHARE_OF_BEGINNING)
    end = longest - beginning
    return f"{text[:beginning]}\n[{len(text) - longest} characters left out here]\n{text[-end:]}"
