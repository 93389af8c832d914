"""Whether a text declines what was asked, judged by whole sentences of its speaker.

`monitor.features.families.refusal` asks `may_decline` once for each distinct word, and `declines` for the texts that
hold such a word. A word alone says nothing: "I cannot stress enough", a refusal in a story, a drafted mail and "that
flight is full" decline nothing. So a text is first reduced to what its speaker says (quoted passages, code, block
quotes and drafts are left out), cut into sentences, and a sentence declines where

- a first person is unable, unwilling or not allowed to do what an assistant is asked for (answer, write, provide, ...),
- a request is said to violate a policy, or to lie outside of what the speaker does,
- a gateway reports that it filtered an answer.

English stands below, other languages in `data/refusals.yaml`. May import nothing of this package but `markdown` and
`json_texts`.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import yaml

READ = 700
"""Characters of the speaker's own words that are read: a refusal stands at the start of an answer (people's labels of
XSTest; reading on added none), and one in the 100th word is a remark."""
_RAW = 2 * READ
"""Characters of the text from which those are taken: quoted passages and headings before them are skipped."""

_WIDE_STOPS = "\u3002\uff01\uff1f\uff61\u0964\u06d4\u061f"
_SENTENCE = re.compile(rf"(?<=[.!?])[\s)]+|(?<=[{_WIDE_STOPS}])|\n+")
# Quoted passages of at most 400 characters. Single quotes count only around several words: others are apostrophes.
_QUOTED = re.compile(
    '"[^"\n]{1,400}"|\u201c[^\u201d\n]{1,400}\u201d|\u201e[^\u201c\u201d\n]{1,400}[\u201c\u201d]'
    "|\u00ab[^\u00bb\n]{1,400}\u00bb|\u300c[^\u300d\n]{1,400}\u300d|\u300e[^\u300f\n]{1,400}\u300f"
)
_SINGLE_QUOTED = re.compile(r"(?<!\w)'(?=[^'\n]{0,60}\s)(?:[^'\n]|(?<=\w)'(?=\w)){2,400}'(?!\w)")
_QUOTES = '"\u201c\u201e\u00ab\u300c\u300e'
_MARKS = frozenset("*_\u2019\u2018\u02bc\u00a0\u200b")
_BLOCK_QUOTE = re.compile(r"^[ \t]{0,3}>.*$", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t].*$", re.MULTILINE)
_CODE = re.compile(r"```.{0,4000}?(?:```|\Z)|`[^`\n]{1,200}`", re.DOTALL)
_LABEL = re.compile(r"\A(?:(?:assistant|ai|bot|response|answer|reply|output|model)\s?:\s*)", re.IGNORECASE)
_JSON_STRING = re.compile(r'"((?:[^"\\]|\\.){1,2000})"(?!\s{0,8}:)')
_EMPHASIS = str.maketrans({"*": "", "_": " ", "\u2019": "'", "\u2018": "'", "\u02bc": "'", "\u00a0": " ", "\u200b": ""})
_DRAFT = re.compile(
    r"\A\s*(?:subject|betreff|asunto|objet|assunto|oggetto)\s?:|\A\s*(?:dear|to whom it may|sehr geehrte|liebe[rs]?|"
    r"estimad[oa]s?|querid[oa]s?|cher|ch\u00e8re|prezad[oa]s?|gentile|caro|cara|beste|geachte)\b[^\n]{0,60}[,:]?\n",
    re.IGNORECASE,
)
_HANDED_OVER = re.compile(
    r"\A(?:sure|certainly|of course|absolutely|okay|ok|here(?:'s| is| are)|you (?:could|can|might)|to (?:decline|refuse|"
    r"say no)|one (?:option|way)|a polite|draft|template|e-?mail|letter|message|translation|in (?:english|german|french|"
    r"spanish))\b"
)
"""Openings of a sentence that ends in a colon and hands over somebody else's words."""

_ADVERB = r"(?: (?:\w+ly|also|just|still|even|ever|never|not|however|therefore|then|at this time|in good conscience))"
_I = r"\b(?:i|we)(?: am| are|'m| m| re|'re|'ll|'d| will| would| must| do)?"
_UNABLE = (
    r"(?:can ?not|can'?t|won'?t|wouldn'?t|will not|would not|couldn'?t|could not|shouldn'?t|should not|may not|"
    r"(?:is|am|are|be|been) ?(?:not|n't) able to|not able to|unable to|incapable of|not going to|not gonna|"
    r"(?:won'?t|will not|can'?t|cannot) be able to|be unable to|not (?:allowed|permitted|authori[sz]ed|willing|prepared|"
    r"programmed|designed|built|trained|meant|intended|equipped|qualified|licensed|configured|supposed) to|"
    r"not in a position to|not at liberty to|not here to|refuse to|decline to|prohibited from|prevented from|"
    r"barred from|restricted from|forbidden (?:from|to)|won'?t be|will not be|don'?t want to|do not want to|"
    r"do not wish to|don'?t wish to)"
)
# What an assistant is asked to do; each with the endings that follow "be", "from" and "of".
_ANSWERING = (
    r"(?:assist(?:ing)?|aid(?:ing)?|fulfil+(?:ing)?|comply(?:ing)?|provid(?:e|ing)|support(?:ing)?|recommend(?:ing)? "
    r"(?!\w+ (?:\w+ ){0,4}enough)|creat(?:e|ing)|generat(?:e|ing)|engag(?:e|ing)|condon(?:e|ing)|encourag(?:e|ing)|"
    r"promot(?:e|ing)|endors(?:e|ing)|advis(?:e|ing)|answer(?:ing)?|discuss(?:ing)?|shar(?:e|ing)|suggest(?:ing)?|"
    r"participat(?:e|ing)|tak(?:e|ing) part|facilitat(?:e|ing)|disclos(?:e|ing)|advocat(?:e|ing)|complet(?:e|ing)|"
    r"writ(?:e|ing)|respond(?:ing)?|repl(?:y|ying)|continu(?:e|ing)|proceed(?:ing)?|accommodat(?:e|ing)|carry(?:ing)? out|"
    r"produc(?:e|ing)|perform(?:ing)?|justify(?:ing)?|reveal(?:ing)?|access(?:ing)?|brows(?:e|ing)|predict(?:ing)?|"
    r"execut(?:e|ing)|summari[sz](?:e|ing)|extract(?:ing)?|describ(?:e|ing)|explain(?:ing)?|compos(?:e|ing)|"
    r"draft(?:ing)?|translat(?:e|ing)|speculat(?:e|ing)|comment(?:ing)?|identify(?:ing)?|honou?r(?:ing)?|"
    r"instruct(?:ing)?|teach(?:ing)?|guid(?:e|ing)|entertain(?:ing)?|cooperat(?:e|ing)|diagnos(?:e|ing)|"
    r"prescrib(?:e|ing)|impersonat(?:e|ing)|roleplay(?:ing)?|role-play(?:ing)?|pretend(?:ing)?|"
    r"search(?:ing)? (?:the|online)|verify(?:ing)? (?:that|this|the|your|current|real)|"
    r"check(?:ing)? (?:the (?:live|current|latest)|your|real|live|current)|"
    r"(?:do|doing) (?:that|this|so|it|anything like)|giv(?:e|ing) (?:you |out |any |these |this |that |such |advice|"
    r"instructions|details|information|medical|legal|financial|personal|directions|guidance|an? (?:opinion|answer))"
    r"(?!the (?:position|job))|offer(?:ing)? (?:(?:any |you |specific |such |this |that |medical |legal |financial |"
    r"personal )*(?:advice|help|assistance|guidance|support|information|instructions|opinions?|details|suggestions|"
    r"recommendations|that|this|medical|legal|financial))|mak(?:e|ing) (?:that|this|such|jokes?|fun|derogatory|"
    r"offensive|recommendations|judg|assumptions|decisions|predictions|phone|calls|any|up|statements|comments|a "
    r"(?:joke|threat|decision|recommendation|prediction|purchase|booking|reservation))|"
    r"tell(?:ing)? (?:you|jokes?|a joke|lies)(?! (?:how (?:happy|much|sorry|glad)))|"
    r"show(?:ing)? (?:you|that|this) (?:how|the|that|this)|agree(?:ing)? to|go(?:ing)? (?:along|there|ahead)|"
    r"talk(?:ing)? about|speak(?:ing)? (?:on|about|to that)|say(?:ing)? (?:that|this|anything|more|which|who|when you)|"
    r"see(?:ing)? (?:images?|pictures?|photos?|attachments?|files?|videos?|the (?:image|picture|photo|attach|file|screen"
    r"shot|link|document))|view(?:ing)? |open(?:ing)? (?:links?|files?|attachments?|the (?:link|file|attach|document|url)"
    r"|urls?)|look(?:ing)? (?:up|at (?:images?|the (?:image|picture|photo|file)))|send(?:ing)? (?:e-?mails?|messages?)|"
    r"guess(?:ing)? who|track(?:ing)? |recogni[sz](?:e|ing) (?:people|faces|who)|us(?:e|ing) (?:that|this|slurs?|such|"
    r"offensive|profan)|process(?:ing)? (?:that|this|your|images?|audio|files?) ?(?:request|prompt|kind|type|$))"
)
_HELP = (
    r"help(?:ing)?(?=$|[ ,.;:!]+(?:$|with|you|on|in (?:that|this|any)|there|here|by|to (?:[a-z]+ (?:that|this|your|"
    r"you))|here|further|plan|make|creat|writ|find|generat|produc|someone|people|but (?:i can|if|here|please|feel)))"
    r"(?! (?:but|you enough))"
)
_VERB = rf"(?:{_HELP}|{_ANSWERING})"
_REQUEST = (
    r"(?:(?:this|that|your|the|such an?|these|those|any)(?: (?:kind|type|sort)s? of)?(?: \w+)? (?:requests?|prompts?|"
    r"questions?|quer(?:y|ies)|topics?|tasks?|content|inquir(?:y|ies)|enquir(?:y|ies)|subjects?|messages?|inputs?|"
    r"responses?|outputs?|instructions?)|this|that|it|the response|the prompt|content)"
)
_POLICY = (
    r"(?:(?:content|usage|safety|use|community|ethical|moderation|management|privacy|company|internal|responsible|ai|"
    r"azure|openai's?|google's?|acceptable|terms|and|or|of|our|my|the|its|their|service|programming|strict|core)\s?)"
    r"{0,6}(?:polic(?:y|ies)|guidelines?|rules|terms|principles|programming|standards|guardrails|values|safeguards|"
    r"restrictions|instructions)"
)
_DECLINE = r"(?:decline|refuse|pass on|say no|turn (?:that|this|it|down|you down)|abstain|reject|opt out|stop here)"

_EVERY = "|".join((
    # I cannot help, I'm not able to provide, we will not be discussing, ...
    rf"\bi(?:'m| am|'ll|'d| will| must| do| would)?(?: \w{{1,12}}){{0,3}}? {_UNABLE}{_ADVERB}{{0,2}} {_VERB}",
    r"\b(?:cannot|can't|cant|unable to|not able to) (?:assist|help|comply)(?: you)?(?: with| in)? ?(?:that|this|your|"
    r"these|such|the request|$)",
    # I must decline; I'm going to have to say no; I refuse
    r"\bi(?: must|'ll| will| need to| have to|'ve| would|'d| am going to|'m going to| am|'m| should| choose to| prefer to|"
    rf" got)?(?: have| need| be)?(?: to)?(?: (?:\w+ly|to|have))*(?: afraid i (?:must|have to))? {_DECLINE}\b(?! to (?:wear|eat|buy))",
    r"\bi refuse\b(?! to (?:believe|accept that))|\bi'?ll pass\b|\bi(?:'m| am) declining\b",
    # I'd rather not, I prefer not to, I don't feel comfortable, I don't condone
    r"\bi(?:'d| would)(?: \w+ly)? (?:rather not|prefer not|prefer to (?:avoid|refrain|not)|like to (?:avoid|refrain))",
    r"\bi prefer not to\b|\bi (?:don't|do not)(?: (?:really|personally))? (?:feel (?:comfortable|right|it is)|condone|"
    r"endorse|promote|encourage|engage in|participate in|produce|generate|assist|help (?:with|people)|"
    r"write (?!\w+ (?:often|much))|create|provide|offer (?:medical|legal|financial)|discuss|share (?:personal|private|"
    r"confidential)|answer (?:questions|that|this)|support (?:or|any|the use|violence|hate|harm|illegal|discriminat))\b",
    r"\bi (?:don't|do not) (?:think|believe) (?:i (?:should|can|could)|it(?:'s| is| would be) (?:appropriate|right|"
    r"ethical|wise|responsible|okay|ok)) ?(?:for me )?(?:to )?(?:answer|help|assist|provide|discuss|write|share|that|"
    r"create|engage|do|respond|give|say)",
    r"\bi(?:'m| am)(?: \w+ly)? (?:uncomfortable|not comfortable|hesitant to (?:provide|write|help))",
    r"\bi(?:'m| am) (?:not (?:programmed|designed|allowed|permitted|authori[sz]ed|built|qualified|licensed|willing) "
    r"(?:to|for)|programmed (?:not )?to (?:avoid|refuse|not|follow)|just an ai\b)",
    r"\bi(?:'m| am)(?: \w+ly)? not (?:allowed|permitted|able|willing|going) to\W*$",
    rf"\bi (?:must|have to|need to|should|will|'ll|prefer to|try to) (?:\w+ly )?(?:avoid|refrain from|steer clear of) "
    rf"{_ANSWERING}",
    r"\b(?:topic|subject|area|question|request)s?(?: that)? i (?:must|have to|need to|should|can't|cannot|won't|don't|"
    r"prefer to|'d rather|would rather|am not|'m not) (?:\w+ )?(?:avoid|decline|discuss|help|turn|refuse|answer|touch|"
    r"not|able|allowed|going|have to|get into)",
    # That's not something I can help with; nothing I can do
    r"\b(?:not|isn't|never|wasn't|won't be) (?:something|a (?:topic|thing|request|task|subject)|content|anything|"
    r"material|the (?:kind|sort|type) of \w+)(?: (?:that|which))? (?:i|we)(?:'m| am|'d| would|'ll| will| can| do| should|"
    r"'re| are| feel| could|)\b(?! (?:know|see|expect|remember|noticed))",
    r"\bnothing (?:that )?i can (?:do|help|offer)|\bno can do\b|\bhave no way (?:of|to)\b|\bstays? out of reach\b",
    # Helping with that is not possible for me / wouldn't be appropriate
    r"\b(?:helping|assisting|writing|creating|providing|producing|answering|fulfil+ing|generating|discussing|sharing|"
    r"describing|doing|explaining|giving|promoting|engaging)\b[^.!?]{0,80}? (?:is|would be|are|goes|falls|lies|isn't|"
    r"wouldn't be)(?: \w+ly)? ?(?:not |n't )?(?:something i|possible for me|against|outside|beyond|off[- ]limits|"
    r"within my|allowed|permitted|not (?:possible|appropriate|ethical|something|allowed|permitted|within))",
    r"\b(?:it|that|this)(?: \w+)?(?: is|'s| would|wouldn't| isn't| be)* ?(?:not|n't)?(?: be)? (?:appropriate|ethical|right|"
    r"responsible|possible|within my (?:power|ability|scope|remit)) for me to\b",
    r"\b(?:is not|isn't|wouldn't be|would not be|not) (?:appropriate|ethical|responsible|acceptable|right|safe|okay) "
    r"(?:for me )?to (?:help|assist|provide|share|create|generate|write|discuss|answer|engage in|offer|comply|fulfil)",
    # The request violates a policy, falls outside of what I do, was filtered
    rf"\b(?:{_REQUEST}|creating|producing|writing|doing|providing|discussing|generating|sharing)\b(?: \w+){{0,4}}? "
    rf"(?:violat(?:es?|ing)|goes? against|breach(?:es)?|conflicts? with|contraven(?:es?)|(?:is|are) against|"
    rf"(?:is |are )?prohibited (?:by|under)|runs? (?:counter|contrary) to|not (?:allowed|permitted) (?:by|under)|"
    rf"in violation of|infringes?(?: on)?|may violate|against) (?:\w+ ){{0,3}}?{_POLICY}",
    rf"\b{_REQUEST}(?: \w+){{0,2}}? (?:falls?|is|are|goes|lies|'s)(?: \w+ly)? (?:outside|beyond|out of)(?: of)? (?:what i|"
    r"what we can|my|the scope|scope|the range|the bounds)",
    r"\b(?:not|isn't) within my (?:programming|ethical|guidelines|capabilit|scope|abilit)|\bbeyond (?:what i (?:can|am)|"
    r"my (?:capabilit|abilit|scope))|\boutside (?:of )?(?:my (?:scope|capabilit|expertise|remit|area|abilit)|what i"
    r"(?:'m| am| can))",
    rf"\bagainst (?:my|our) {_POLICY}",
    rf"\b(?:my|our|company|safety|content|these|the|openai'?s?)(?: \w+){{0,3}}? {_POLICY} (?:\w+ly )?(?:don'?t|do not|does not|"
    r"doesn't|won't|prevents?|prohibits?|forbids?|bars?|keeps?|stops?|require) ?(?:allow|permit|let|me|us|sharing|that i)",
    rf"\b(?:{_REQUEST}|request|response|prompt|content|message|output|answer|completion|generation)(?: \w+){{0,2}}? "
    r"(?:was|has been|is|were|got|have been|been)(?: \w+ly)? (?:blocked|filtered|rejected|flagged|declined|denied|"
    r"withheld|removed)\b[^!?]{0,80}?(?:content|safety|polic|filter|moderation|guideline|terms|harm|unsafe|inappropriate|"
    r"system)",
    r"\bcontent[_ ](?:filter|policy)[_ ](?:violation|triggered|result)",
))  # fmt: skip
_DECLINES = re.compile(_EVERY)
# A business speaks as "we" of what it sells, too; only these verbs speak of the request.
_WE_DECLINE = re.compile(
    rf"\bwe(?: are|'re|'ll| will| must)?(?: \w{{1,12}}){{0,3}}? {_UNABLE}{_ADVERB}{{0,2}} (?:assist|help(?= (?:you )?with|\W*$)|comply|"
    r"fulfil+ (?:this|that|your|such)|respond|answer|discuss|(?:provide|share|give|disclose) (?:you )?(?:with )?(?:this|"
    r"that|such|any|details?|information|instructions|advice|medical|legal)|complete (?:this|that|your) request|"
    r"process (?:this|that|your) request|support (?:this|that) request|do (?:this|that))"
    r"|\bwe (?:must|have to|need to)(?: \w+ly)? (?:decline|refuse)\b(?! to (?:wear|eat|buy))"
)
# What an assistant lacks. A text that goes on with an answer has not declined.
_LACKS = re.compile(
    r"\bi(?: am|'m)?(?: \w+ly)? (?:don't|do not|lack|cannot|can't|have no|without)(?: (?:\w+ly|currently|have|directly))* "
    r"(?:the |any |a |an |direct |real-?time |live |internet )*(?:access\b|ability|capabilit\w+|capacity|permission|authority|means to|way (?:to|of))"
    r"|\bi(?: can|'m| am)(?: \w+)? only (?:able to )?(?:answer|help|assist|discuss|talk|respond|here to|provide|support|"
    r"handle)\b|\bi can only (?:answer|help|assist|discuss|talk|respond|provide|support)\b"
)
_LACKING_WORDS = 60
"""Words of a text up to which "I don't have access to ..." is all that it says."""
_EXCEPT = re.compile(
    r"\b(?:stress|emphasi[sz]e|overstate|recommend|thank|praise|say|repeat|express|tell|describe|explain)\b[^.!?]{0,50}? "
    r"(?:enough|how (?:much|happy|sorry|grateful|glad|excited))\b"
    r"|\b(?:can ?not|can'?t|couldn'?t|could not) (?:help (?:but|\w+ing\b)|wait|agree more|believe|imagine|complain)"
    r"|\b(?:can ?not|can'?t|cannot) (?:explain|describe|predict|verify|identify)(?: \w+)? (?:why|what caused) "
    r"|\bif (?:i|we) (?:can'?t|cannot)\b|\b(?:why|when|because) i (?:can'?t|cannot|couldn't)\b"
)
_ANSWERS_ALL_THE_SAME = re.compile(
    r"\b(?:however|but|that said|nevertheless|still),?[^.!?]{0,50}? i can (?:tell you that|confirm that|say that|tell you the)\b"
)
_REPORTED = re.compile(r"\b(?:said|says|told|replied|answered|wrote|asked|whispered|thought|that)(?: \w+)? $")
"""Ends what stands before a clause in which somebody else speaks."""


class _Rules(NamedTuple):
    signals: re.Pattern[str]
    rules: tuple[tuple[re.Pattern[str], ...], ...]


@cache
def _other_languages() -> _Rules:
    text = resources.files("monitor.features").joinpath("data/refusals.yaml").read_text("utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)
    rules = tuple(tuple(map(re.compile, rule)) for of in found["rules"].values() for rule in of)
    return _Rules(re.compile("|".join(found["signals"])), rules)


_FIRST_PERSON_OR_REQUEST = re.compile(
    r"\b(?:i|we|my|our|me|us|i'm|i'd|i'll|requests?|prompts?|questions?|response|content|message|output|this|that|it|assist|"
    r"help|comply|no can do|stays?)\b"
)


_NEGATIVE = (
    "n't", "cannot", "not", "cant", "wont", "unable", "incapable", "declin", "refus", "reject", "filter", "block", "flag",
    "denied", "withh", "remov", "uncomf", "hesit", "just an", "program", "guidelin", "polic", "violat", "prohib",
    "forbid", "prevent", "barred", "restrict", "i'll pass", "ill pass", "say no", "turn ", "abstain", "opt out",
    "stop here", "rather", "prefer", "avoid", "refrain", "steer", "never", "nothing", "no ", "out of", "outside",
    "beyond", "against", "lack", "only", "without", "condone",
)  # fmt: skip
"""Parts of words, of which every English sentence that declines holds one."""


def may_decline(word: str) -> bool:
    """Whether a word, in lower case, can be part of a refusal in a language other than English."""
    return _other_languages().signals.search(word) is not None


def declines(text: str, *, only_english: bool = False) -> bool:
    """Whether a text declines the request that it answers. Time is bounded: at most `_RAW` characters are read.

    `only_english` leaves the other languages out, for texts that are known to be English.
    """
    said = own_words(text)
    if not said:
        return False
    draft = _DRAFT.match(said) is not None
    lowered = said.lower()
    words = len(lowered.split())
    if _ANSWERS_ALL_THE_SAME.search(lowered[:READ]):
        return False
    handed_over = False
    for sentence in _SENTENCE.split(lowered[:READ]):
        sentence = sentence.strip(" \t-\u2013\u2014\u2022")
        if not sentence:
            continue
        if sentence[-1] == ":":
            handed_over = handed_over or _HANDED_OVER.match(sentence) is not None
            continue
        if handed_over:
            return False
        if _english(sentence, draft=draft, words=words) or (not only_english and not draft and _foreign(sentence)):
            return True
    return False


def _english(sentence: str, *, draft: bool, words: int) -> bool:
    if _FIRST_PERSON_OR_REQUEST.search(sentence) is None or not any(map(sentence.__contains__, _NEGATIVE)):
        return False
    match = _DECLINES.search(sentence) or _WE_DECLINE.search(sentence)
    if match is None:
        return words <= _LACKING_WORDS and not draft and _LACKS.search(sentence) is not None
    if _EXCEPT.search(sentence) or _REPORTED.search(sentence[: match.start()]):
        return False
    return not draft or re.search(r"\b(?:request|question|prompt|that|this)\W*$", sentence) is not None


def _foreign(sentence: str) -> bool:
    languages = _other_languages()
    if languages.signals.search(sentence) is None:
        return False
    return any(all(part.search(sentence) for part in rule) for rule in languages.rules)


def own_words(text: str) -> str:
    """The start of a text without code, headings, block quotes and quoted passages; of JSON its strings. A text that
    is one quoted passage is what its speaker says."""
    part = text[:_RAW].strip()
    if part[:1] in ("{", "["):
        strings = _JSON_STRING.findall(part)
        if strings:
            part = "\n".join(string.replace("\\n", "\n").replace('\\"', "") for string in strings)
    if not _MARKS.isdisjoint(part):
        part = part.translate(_EMPHASIS)
    if not part:
        return part
    if "`" in part:
        part = _CODE.sub(" ", part)
    if ">" in part:
        part = _BLOCK_QUOTE.sub("", part)
    if "#" in part:
        part = _HEADING.sub("", part)
    bare = part
    if any(map(part.__contains__, _QUOTES)):
        bare = _QUOTED.sub(' "" ', bare)
    if " '" in part or part[0] == "'":
        bare = _SINGLE_QUOTED.sub(' "" ', bare)
    bare = bare.strip()
    if not any(map(str.isalnum, bare)):
        bare = part.strip(" \n\"'\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d")
    return _LABEL.sub("", bare)
