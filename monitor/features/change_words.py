"""How a change of each feature is said: the words that titles of findings begin with.

A person on call reads one sentence: "Answers are longer: 31 to 68 words". So each feature has a clause for its rise and
for its fall, a topic that it shares with the features that say the same (words, characters, tokens: length), and a
weight. Titles name the topic whose surest feature, times its weight, is largest
(`monitor.detection.diagnosis.naming`): what is a cause weighs more than what follows from it, so a refusal leads
although it also makes answers shorter.

Called by the wording of findings. A feature without an entry is said by its meaning. Pure.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from monitor.features.base import FeatureSpec, Role
from monitor.features.keyed import has_key, split_key

CAUSE = 3.0
"""What no other feature causes: another language, a refusal, a broken format. It leads where it is a third as sure."""
CUT = 2.9
"""Outputs that were cut off: below all other causes, as what is appended to an output may lack its full stop, too."""
STRONG = 2.0
"""Mostly a cause, and now and then a consequence: an answer that repeats a sentence is longer, too."""
MARK = 1.5
"""A visible mark of style (emoji, links, apologies): it leads before the length that it adds."""
LONG = 1.7
"""Length where outputs are at least twice as long or at most half as long: no mark of style adds as much."""
PLAIN = 1.0
"""Length and its like."""
SAME = 0.9
"""What says the same as a plainer feature in a unit that fewer readers know: tokens beside words."""
SCORE = 0.7
"""Scores of a whole text: many things move them."""
RATIO = 0.4
"""Ratios that move with length and language: they lead only where nothing else moved."""
OPAQUE = 0.3
"""Directions of meaning: whatever changes a text moves them."""
FAINT = 0.25
"""What moves with any other words and says least: the share of characters that are not ASCII."""

_WEIGHTS = {
    Role.REFUSAL: CAUSE,
    Role.FORMAT: CAUSE,
    Role.LANGUAGE: CAUSE,
    Role.EMPTY: CAUSE,
    Role.PRIVACY: CAUSE,
    Role.CONTENT_FAULT: CAUSE,
    Role.CHECK: CAUSE,
    Role.QUALITY: CAUSE,
    Role.ERROR: CAUSE,
    Role.DEPENDENCY: CAUSE,
    Role.FINISH: CAUSE,
    Role.TOOLS: STRONG,
    Role.FEEDBACK: PLAIN,
    Role.TRUNCATION: CUT,
    Role.FACTS: MARK,
    Role.LAYOUT: MARK,
    Role.STYLE: SCORE,
    Role.MEANING: OPAQUE,
    Role.COST: SCORE,
}
"""Weights of features whose entry gives none, by their role; `PLAIN` for the roles that are not here."""


class Form(Enum):
    """A part of a JSON output."""

    KEY = "key"  # the type of one key's value
    VALUE = "value"  # the value of one key
    SHAPE = "shape"  # all keys with their types


class ChangeWords(NamedTuple):
    """The words of one feature.

    Attributes
    ----------
    topic
        What it says something of; features of one topic are one line.
    rose, fell
        Clauses for a rise and a fall, with a capital. Of a flag, `rose` is what is true of an event.
    noun
        What there is more or less of, for counts and shares: `Links`.
    weight
        How much of a cause it is; None: as its role.
    denied
        Of a flag that should be true: what is true of an event where it is not. Of a category: where it has no value.
    form
        Which part of a JSON output it is of, where its values are said in a form of their own.
    mostly
        Of a share of each output: from how much on it is a cause, whatever its weight.
    """

    topic: str
    rose: str = ""
    fell: str = ""
    noun: str = ""
    weight: float | None = None
    denied: str = ""
    form: Form | None = None
    mostly: float | None = None

    def clause(self, *, rose: bool) -> str:
        """The clause for a rise or a fall; of a noun: `More links`."""
        said = self.rose if rose else self.fell
        return said or f"{'More' if rose else 'Fewer'} {as_within(self.noun)}"


def as_within(sentence: str) -> str:
    """A sentence or noun as it stands within another: its first letter small, unless it begins a name."""
    first = sentence.split(" ", 1)[0]
    return sentence if sum(letter.isupper() for letter in first) > 1 or first in _NAMES else _small(sentence)


_NAMES = frozenset({"Markdown", "ASCII"})


def _small(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _longer(side: str, weight: float = PLAIN) -> ChangeWords:
    return ChangeWords(f"{side} length", f"{side} are longer", f"{side} are shorter", weight=weight)


def _of_texts(folder: str, side: str) -> dict[str, ChangeWords]:
    """What is measured of both inputs and outputs."""
    length = f"{side} length"
    return {
        f"{folder}.length.words": _longer(side),
        f"{folder}.length.chars": _longer(side),
        f"{folder}.length.tokens": _longer(side, SAME),
        f"{folder}.length.sentences": ChangeWords(
            length, f"{side} have more sentences", f"{side} have fewer sentences", weight=RATIO
        ),
        f"{folder}.length.lines": ChangeWords(
            length, f"{side} have more lines", f"{side} have fewer lines", "Lines", RATIO
        ),
        f"{folder}.length.embedded": ChangeWords(f"{side} data", noun=f"{side} with images or data written into them"),
        f"{folder}.language.code": ChangeWords(f"{side} language", f"{side} are in"),
        f"{folder}.language.script": ChangeWords(f"{side} language", f"{side} are in the script"),
        f"{folder}.language.non_ascii": ChangeWords(
            f"{side} characters", noun=f"Characters in {_small(side)} that are not ASCII", weight=FAINT
        ),
    }


_INPUTS, _ANSWERS = "Inputs", "Answers"
_JSON = "JSON"
_MARKDOWN = "Markdown"
_REPEATS = "repetition"

WORDS: dict[str, ChangeWords] = {
    **_of_texts("output", _ANSWERS),
    **_of_texts("input", _INPUTS),
    "output.length.empty": ChangeWords("empty", "Answers are empty", "Fewer empty answers"),
    # Format
    "output.format.json_valid": ChangeWords(
        _JSON, "More answers are valid JSON", "Fewer answers are valid JSON", denied="Answers are not valid JSON"
    ),
    "output.format.json_broken": ChangeWords(
        _JSON, "Answers are JSON that does not parse", "Fewer answers are JSON that does not parse"
    ),
    "output.format.json_shape": ChangeWords(
        _JSON, "JSON answers have other keys or types", weight=STRONG, form=Form.SHAPE
    ),
    "output.json.key": ChangeWords("JSON key", weight=CAUSE, form=Form.KEY),
    "output.json.value": ChangeWords("JSON value", weight=STRONG, form=Form.VALUE),
    "output.json.number": ChangeWords(
        "JSON number", "JSON key `{key}` has larger values", "JSON key `{key}` has smaller values", weight=STRONG
    ),
    "output.json.keys": ChangeWords(
        _JSON, "JSON answers have more keys", "JSON answers have fewer keys", "Number of keys in JSON answers", PLAIN
    ),
    "output.format.headings": ChangeWords(_MARKDOWN, noun="Markdown headings"),
    "output.format.bullets": ChangeWords(_MARKDOWN, noun="Markdown bullets"),
    "output.format.numbered": ChangeWords(_MARKDOWN, noun="Numbered lists"),
    "output.format.table_rows": ChangeWords(_MARKDOWN, noun="Markdown tables"),
    "output.format.highlights": ChangeWords(_MARKDOWN, noun="Bold or italic Markdown passages"),
    "output.format.code_blocks": ChangeWords("code", noun="Code blocks"),
    "output.format.code_broken": ChangeWords(
        "code", "Code blocks are broken", "Fewer code blocks are broken", weight=MARK
    ),
    "output.format.links": ChangeWords("links", noun="Links"),
    "output.format.placeholders": ChangeWords("placeholder", noun="Unfilled placeholders"),
    "output.placeholder.unfilled": ChangeWords(
        "placeholder", "Answers hold an unfilled placeholder", "Fewer answers hold an unfilled placeholder"
    ),
    "output.placeholder.first": ChangeWords("placeholder", "Answers hold the unfilled placeholder"),
    "output.format.capitals": ChangeWords(
        "capitals", "Answers have more capital letters", "Answers have fewer capital letters", weight=RATIO, mostly=0.5
    ),
    "output.format.opening_boilerplate": ChangeWords(
        "opening", "Answers begin with a filler phrase", "Fewer answers begin with a filler phrase"
    ),
    "output.format.closing_boilerplate": ChangeWords(
        "closing", "Answers end with a boilerplate closing", "Fewer answers end with a boilerplate closing"
    ),
    "output.format.truncated": ChangeWords("truncation", "Answers are cut off", "Fewer answers are cut off"),
    "output.format.starts_with": ChangeWords("start", "Answers begin with", weight=SCORE),
    "output.format.ends_with": ChangeWords("end", "Answers end with", weight=RATIO),
    "output.format.error_text": ChangeWords("error text", "Answers are error messages", "Fewer error messages"),
    # Tone
    "output.tone.sentiment": ChangeWords("sentiment", "Wording is more positive", "Wording is more negative"),
    "output.tone.formality": ChangeWords("formality", "Wording is more formal", "Wording is less formal", weight=RATIO),
    "output.tone.hedging": ChangeWords("hedging", noun="Hedging words", weight=MARK),
    "output.tone.apology": ChangeWords("apology", noun="Apologies", weight=MARK),
    "output.tone.enthusiasm": ChangeWords("enthusiasm", noun="Words of enthusiasm"),
    "output.tone.courtesy": ChangeWords("courtesy", noun="Polite words (courtesy)", weight=PLAIN),
    "output.tone.first_person": ChangeWords("first person", noun="Uses of I and we"),
    "output.tone.second_person": ChangeWords("second person", noun="Uses of you"),
    "output.tone.exclamations": ChangeWords("exclamations", noun="Exclamation marks", weight=PLAIN),
    "output.tone.questions": ChangeWords("questions", noun="Questions to the user", weight=MARK),
    "output.tone.emoji": ChangeWords("emoji", noun="Emoji", weight=MARK),
    "output.tone.reading_grade": ChangeWords(
        "reading", "Answers are harder to read", "Answers are easier to read", weight=RATIO
    ),
    "output.tone.profanity": ChangeWords("insult", noun="Insults or profane words"),
    "output.insult.said": ChangeWords("insult", "Answers hold insults", "Fewer insults"),
    "output.persona.ai_reference": ChangeWords(
        "persona", "Answers call themselves an AI", "Fewer answers call themselves an AI"
    ),
    "output.tone.refusal": ChangeWords("refusal", fell="Fewer refusals", noun="Refusals"),
    "output.tone.refusal_score": ChangeWords(
        "refusal", "Answers read more like refusals", "Answers read less like refusals", weight=RATIO
    ),
    # Repetition and meaning
    "output.repetition.loop": ChangeWords(
        _REPEATS, "Answers are stuck in a loop", "Fewer answers are stuck in a loop", weight=CAUSE
    ),
    "output.repetition.trigrams": ChangeWords(
        _REPEATS, "Answers repeat themselves more", "Answers repeat themselves less", weight=SCORE
    ),
    "output.repetition.longest": ChangeWords(
        _REPEATS, "Answers repeat themselves more", "Answers repeat themselves less", weight=SCORE
    ),
    "output.repetition.ttr": ChangeWords(
        "vocabulary", "Vocabulary is more varied", "Vocabulary is less varied", weight=RATIO
    ),
    "output.embedding": ChangeWords("meaning", "Answers are about something else", weight=OPAQUE),
    "input.embedding": ChangeWords("asked", "Questions are about something else", weight=OPAQUE),
    "output.overlap.copied": ChangeWords(
        "overlap", "Answers copy more of the question", "Answers copy less of the question", weight=RATIO
    ),
    "output.overlap.grounded": ChangeWords(
        "overlap", "Answers take up more of the question", "Answers take up less of the question", weight=RATIO
    ),
    "output.overlap.similarity": ChangeWords(
        "overlap", "Answers are closer to the question", "Answers fit the question less", weight=SCORE
    ),
    # What answers state, and what they must not
    "output.facts.amount": ChangeWords("amounts", "Amounts of money are larger", "Amounts of money are smaller"),
    "output.facts.duration_days": ChangeWords("durations", "Durations are longer", "Durations are shorter"),
    "output.facts.percentage": ChangeWords("percentages", "Percentages are higher", "Percentages are lower"),
    "output.facts.dates": ChangeWords("dates", noun="Dates"),
    "output.facts.currency": ChangeWords(
        "currency", "Amounts are in the currency", weight=STRONG, denied="Answers state no amount of money"
    ),
    "output.facts.value": ChangeWords(
        "values",
        "The value most often stated is",
        weight=PLAIN,
        denied="Answers state no amount, duration or percentage",
    ),
    "output.facts.new_value": ChangeWords("values", "Answers state a new value", weight=STRONG),
    "output.facts.other_answer": ChangeWords(
        "values", "The same questions are answered with other values", weight=STRONG
    ),
    "output.privacy.identity": ChangeWords(
        "privacy", "Answers give away card or account numbers (personal data)", "Fewer card or account numbers"
    ),
    "output.privacy.secret": ChangeWords("secret", "Answers give away secrets (passwords or keys)", "Fewer secrets"),
    "output.privacy.contact": ChangeWords(
        "privacy", "Answers give away e-mail addresses or phone numbers", "Fewer e-mail addresses or phone numbers"
    ),
    "output.reasoning.chars": ChangeWords("reasoning", noun="Reasoning before the answer", weight=STRONG),
    "output.reasoning.share": ChangeWords(
        "reasoning", "A larger share is reasoning", "A smaller share is reasoning", "Reasoning before the answer", MARK
    ),
    "output.reasoning.unfinished": ChangeWords(
        "reasoning", "Reasoning has no end, and no answer follows", "Less reasoning without an answer", weight=STRONG
    ),
    # Inputs
    "input.noise.misspelt": ChangeWords("noise", "Inputs have more misspelt words", "Inputs have fewer misspelt words"),
    "input.noise.odd_characters": ChangeWords("noise", noun="Odd characters in inputs"),
    "input.noise.mixed_scripts": ChangeWords("noise", noun="Words of mixed scripts in inputs"),
    "input.noise.score": ChangeWords("noise", "Inputs are noisier", "Inputs are cleaner"),
    "input.attribute.number": ChangeWords("attribute {key}", "Attribute {key} is higher", "Attribute {key} is lower"),
    "input.attribute.flag": ChangeWords(
        "attribute {key}", "Attribute {key} is true", "Attribute {key} is true less often"
    ),
    # The call
    "call.latency.total_s": ChangeWords("latency", "Slower answers", "Faster answers", weight=PLAIN),
    "call.latency.first_token_s": ChangeWords(
        "first token", "The first token comes later (slower)", "The first token comes sooner (faster)", weight=PLAIN
    ),
    "call.latency.queue_s": ChangeWords(
        "queue", "Requests wait longer in the queue", "Requests wait less in the queue", weight=PLAIN
    ),
    "call.tokens.input": ChangeWords(
        "context", "More tokens are sent with each call", "Fewer tokens are sent with each call"
    ),
    "call.context.tokens": ChangeWords("context", "More of the context is used", "Less of the context is used"),
    "call.context.share": ChangeWords(
        "context", "A larger share of the context is used", "A smaller share of the context is used"
    ),
    "call.tokens.output": ChangeWords("Answers length", "More tokens per answer", "Fewer tokens per answer"),
    "call.reasoning.tokens": ChangeWords("reasoning", noun="Tokens of reasoning", weight=PLAIN),
    "call.cost.usd": ChangeWords("cost", "Cost per call rose", "Cost per call fell"),
    "call.steps.count": ChangeWords("steps", "More steps per answer", "Fewer steps per answer", weight=PLAIN),
    "call.session.turn": ChangeWords(
        "turns", "Conversations are at later turns", "Conversations are at earlier turns", weight=RATIO
    ),
    "call.outcome.error": ChangeWords("error", "Calls end in an error", "Fewer calls end in an error"),
    "call.outcome.fallback": ChangeWords("fallback", "A fallback answers", "A fallback answers less often"),
    "call.outcome.finish_reason": ChangeWords("finish", "Calls end with the finish reason"),
    "call.dependency.count": ChangeWords("dependency calls", noun="Calls to dependencies", weight=PLAIN),
    # Of all dependencies together: it leads where no single one can be named.
    "call.dependency.errors": ChangeWords("dependency", noun="Failed calls to dependencies", weight=SCORE),
    "call.dependency.duration_s": ChangeWords(
        "dependency", "Dependencies are slower", "Dependencies are faster", weight=SCORE
    ),
    "call.dependency.failing": ChangeWords("dependency", "A call fails to the dependency", weight=STRONG),
    "call.dependency.shape": ChangeWords("dependency", "A dependency answers in another format", weight=STRONG),
    "call.dependency.called": ChangeWords("dependency called", "A call goes to the dependency", weight=PLAIN),
    "call.dependency.operation": ChangeWords("dependency called", "A call is for the operation", weight=SCORE),
    "call.tools.called": ChangeWords("tools", "The tool called is", weight=CAUSE),
    "call.tools.calls": ChangeWords("tools", noun="Calls of tools", weight=PLAIN),
    "call.tools.arguments": ChangeWords("tools", "Tool {key} is called with other arguments", weight=CAUSE),
    "call.action.kind": ChangeWords("tools", "The tool or action taken is", weight=STRONG),
    # What users say
    "call.feedback.given": ChangeWords("feedback", noun="Scores and labels that come with an answer", weight=PLAIN),
    "call.feedback.score": ChangeWords("feedback {key}", "{key} is higher", "{key} is lower"),
    "call.feedback.flag": ChangeWords("feedback {key}", "{key} is true", "{key} is true less often"),
    "call.feedback.label": ChangeWords("feedback {key}", "{key} is"),
}
"""By feature; of features with a key by their name without it, where `{key}` stands for the key."""

JSON_START = "json"
"""The value of how an output begins (`output.format.starts_with`) that says that it is JSON."""
JSON_START_WORDS = ChangeWords(_JSON, "JSON answers begin with", weight=CAUSE)
"""Of an output that began as JSON: what reads it may fail on a fence or a sentence in front."""
IN_FRONT_OF_JSON = {"letter": "JSON answers have text in front", "fence": "JSON answers are in a code fence"}
"""How such an output begins now, where that has words of its own."""

_OF_DEPENDENCY = {
    "call.dependency.errors": ChangeWords(
        "dependency {key}", "Dependency {key} fails", "Dependency {key} fails less often", weight=CAUSE
    ),
    "call.dependency.duration_s": ChangeWords(
        "dependency {key}", "Dependency {key} is slower", "Dependency {key} is faster", weight=STRONG
    ),
    "call.dependency.shape": ChangeWords(
        "dependency {key}", "Dependency {key} answers in another format", weight=CAUSE
    ),
}
_ROLE_WORDS = {
    Role.CHECK: ChangeWords("check {name}", "Check `{name}` fails", "Check `{name}` fails less often"),
    # Said by what passes (`monitor.detection.diagnosis.sentences`): people speak of the share that is good.
    Role.QUALITY: ChangeWords("quality {name}", "Fewer outputs pass `{name}`", "More outputs pass `{name}`"),
}


def change_words(name: str, spec: FeatureSpec | None) -> ChangeWords:
    """The words of a feature by its name, with its key filled in; by its meaning where it has no entry."""
    feature, key = split_key(name) if has_key(name) else (name, "")
    table = _OF_DEPENDENCY if key and feature in _OF_DEPENDENCY else WORDS
    words = table.get(feature) or table.get(feature.rpartition(".")[0])
    if words is None and spec is not None:
        words = _ROLE_WORDS.get(spec.role)
    if words is None:
        words = _by_meaning(name, spec)
    if words.weight is None:
        role = None if spec is None else spec.role
        words = words._replace(weight=_WEIGHTS.get(role, PLAIN) if role is not None else RATIO)
    last = name.rpartition(".")[2]

    def filled(text: str) -> str:
        return text.replace("{key}", key).replace("{name}", last)

    return words._replace(topic=filled(words.topic) if not key else f"{filled(words.topic)} {key}",
                          rose=filled(words.rose), fell=filled(words.fell))  # fmt: skip


def _by_meaning(name: str, spec: FeatureSpec | None) -> ChangeWords:
    """Words for a feature without an entry, as that of a plug-in: its meaning, or else its name."""
    meaning = name if spec is None or not spec.meaning else spec.meaning.partition(",")[0].partition(":")[0].strip()
    subject = meaning[:1].upper() + meaning[1:]
    return ChangeWords(name, f"{subject} rose", f"{subject} fell", subject)


LANGUAGE_NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish",
    "fr": "French", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian",
    "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "ms": "Malay",
    "nb": "Norwegian", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili",
    "ta": "Tamil", "th": "Thai", "tl": "Tagalog", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu",
    "vi": "Vietnamese", "zh": "Chinese", "und": "no known language",
}  # fmt: skip
"""English names of the most used languages by ISO 639-1 code; others are named by their code."""
