"""How a speaker declines a request in English: expressions for one sentence, in lower case with plain apostrophes.

`monitor.features.text.refusals` asks `declines_in` for each sentence, and `lacks_means` where the whole text is short.
Each way of declining names parts of words of which a sentence holds one, so that most sentences meet no expression.
All repetitions are bounded. May import nothing of this package.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_ADVERBS = (
    r"(?: (?:\w+ly|also|just|still|even|ever|never|not|however|therefore|then|at this time|in good conscience)){0,2}"
)
_UNABLE = (
    r"(?:can ?not|can'?t|won'?t|will not|shouldn'?t|should not|(?:is|am|are|be|been) ?(?:not|n't) able to|not able to|"
    r"unable to|incapable of|not going to|not gonna|(?:won'?t|will not|can'?t|cannot) be able to|be unable to|not "
    r"(?:allowed|permitted|authori[sz]ed|willing|prepared|programmed|designed|built|trained|meant|intended|equipped|"
    r"qualified|licensed|configured|supposed) to|not in a position to|not at liberty to|not here to|refuse to|decline "
    r"to|(?:prohibited|prevented|barred|restricted) from|forbidden (?:from|to)|won'?t be|will not be|do not wish to|"
    r"don'?t wish to)"
)
# What an assistant is asked to do; with the endings that follow "be", "from" and "of".
_ANSWERING = "|".join((
    r"(?:assist|aid|fulfil+|support|answer|discuss|suggest|respond|extract|explain|draft|comment|teach|perform|"
    r"instruct|entertain|access|honou?r|roleplay|role-play|pretend|reveal|disclos|advis|creat|generat|engag|condon|"
    r"encourag|promot|endors|shar|participat|facilitat|advocat|complet|writ|continu|accommodat|produc|brows|execut|"
    r"summari[sz]|describ|compos|translat|speculat|guid|cooperat|diagnos|prescrib|insult|harass|threaten|bully|mock|"
    r"hack|spy|stalk|deceiv|flirt|impersonat|provid)(?:e|ing)?\b",
    r"(?:compl|repl|justif|identif)y(?:ing)?\b|proceed(?:ing)?\b|predict(?:ing)?\b|tak(?:e|ing) part|carry(?:ing)? out",
    r"recommend(?:ing)? (?!\w+ (?:\w+ ){0,4}enough)|view(?:ing)? |track(?:ing)? |agree(?:ing)? to|talk(?:ing)? about",
    r"search(?:ing)? (?:the|online)|verify(?:ing)? (?:that|this|the|your|current|real)",
    r"check(?:ing)? (?:the (?:live|current|latest)|your|real|live|current)|(?:do|doing) (?:that|this|so|it|anything "
    r"like)",
    r"giv(?:e|ing) (?:you |out |any |these |this |that |such |advice|instructions|details|information|medical|legal|"
    r"financial|personal|directions|guidance|an? (?:opinion|answer))(?!the (?:position|job))",
    r"offer(?:ing)? (?:(?:any|you|specific|such|this|that|medical|legal|financial|personal) ){0,4}(?:advice|help|"
    r"guidance|assistance|support|information|instructions|opinions?|details|suggestions|recommendations|that|this|"
    r"medical|legal|financial)",
    r"mak(?:e|ing) (?:that|this|such|jokes?|fun|derogatory|offensive|recommendations|judg|assumptions|decisions|"
    r"predictions|phone|calls|any|up|statements|comments|a (?:joke|threat|decision|recommendation|prediction|purchase|"
    r"booking|reservation))",
    r"tell(?:ing)? (?:you|jokes?|a joke|lies)(?! how (?:happy|much|sorry|glad))|go(?:ing)? (?:along|there|ahead)",
    r"show(?:ing)? (?:you|that|this) (?:how|the|that|this)|speak(?:ing)? (?:on|about|to that)",
    r"say(?:ing)? (?:that|this|anything|more|which|who|when you)",
    r"see(?:ing)? (?:images?|pictures?|photos?|attachments?|files?|videos?|the (?:image|picture|photo|attach|file|"
    r"screenshot|link|document))|open(?:ing)? (?:links?|files?|attachments?|urls?|the (?:link|file|attach|document|"
    r"url))",
    r"look(?:ing)? (?:up|at (?:images?|the (?:image|picture|photo|file)))|send(?:ing)? (?:e-?mails?|messages?)",
    r"guess(?:ing)? who|recogni[sz](?:e|ing) (?:people|faces|who)|us(?:e|ing) (?:that|this|slurs?|such|offensive|"
    r"profan)",
    r"process(?:ing)? (?:that|this|your|images?|audio|files?) ?(?:request|prompt|kind|type|$)",
))  # fmt: skip
_HELPING = (
    r"help(?:ing)?(?=$|[ ,.;:!]+(?:$|with|you|on|in (?:that|this|any)|there|here|by|to (?:[a-z]+ (?:that|this|your|"
    r"you))|further|plan|make|creat|writ|find|generat|produc|someone|people|but (?:i can|if|here|please|feel)))(?! "
    r"(?:but|you enough))"
)
_VERB = rf"(?:{_HELPING}|{_ANSWERING})"
_THINGS = (
    r"(?:requests?|prompts?|questions?|quer(?:y|ies)|topics?|tasks?|content|inquir(?:y|ies)|enquir(?:y|ies)|subjects?|"
    r"messages?|inputs?|responses?|outputs?|instructions?)"
)
_REQUEST = (
    rf"(?:(?:this|that|your|the|such an?|these|those|any)(?: (?:kind|type|sort)s? of)?(?: \w+)? {_THINGS}|this|that|"
    rf"it|"
    r"content)"
)
_POLICY = (
    r"(?:(?:content|usage|safety|use|community|ethical|moderation|management|privacy|company|internal|responsible|ai|"
    r"azure|openai's?|google's?|acceptable|terms|and|or|of|our|my|the|its|their|service|programming|strict|core) "
    r"?){0,6}(?:polic(?:y|ies)|guidelines?|rules|terms|principles|programming|standards|guardrails|values|safeguards|"
    r"restrictions|instructions)"
)
_DECLINE = r"(?:decline|refuse|pass on|say no|turn (?:that|this|it|down|you down)|abstain|reject|opt out|stop here)"
_DOING = (
    r"(?:helping|assisting|writing|creating|providing|producing|answering|fulfil+ing|generating|discussing|sharing|"
    r"describing|doing|explaining|giving|promoting|engaging)"
)


class Way(NamedTuple):
    """One way of declining: parts of words of which a sentence must hold one, and the expression."""

    needs: tuple[str, ...]
    expression: re.Pattern[str]


_NEGATED = ("n't", "nnot", "not ", "cant", "wont", "unable", "incapable", "refuse", "declin", "prohibit", "prevented",
            "barred", "restricted", "forbidden")  # fmt: skip
_POLICIES = ("polic", "guideline", "rules", "terms", "principle", "programming", "standards", "guardrail", "values",
             "safeguard", "restrictions", "instructions")  # fmt: skip
_WAYS = tuple(
    Way(needs, re.compile(expression))
    for needs, expression in (
        # I cannot help, I'm not able to provide, I will not be discussing
        (
            _NEGATED,
            rf"\bi(?:'m| am|'ll|'d| will| must| do| would)?(?: \w{{1,12}}){{0,3}}? {_UNABLE}{_ADVERBS} {_VERB}"
            r"|\b(?:cannot|can't|cant|unable to|not able to) (?:assist|help|comply)(?: you)?(?: with| in)? ?(?:that|"
            r"this|your|these|such|the request|$)"
            r"|\bi (?:wouldn'?t|would not|couldn'?t|could not)(?: \w+ly)? (?:help (?:you )?with|assist|condone|be "
            r"able to (?:help|assist|provide|answer|share))"
            r"|\bi (?:don'?t|do not) want to (?:help|assist|write|discuss|talk about|answer|engage|continue|do "
            r"(?:that|this))"
            r"|\bi (?:won't|will not|can't|cannot|refuse)(?: (?:do|answer|write|say|discuss) (?:that|it|this|"
            r"so))?\W*$|^(?:sorry,? |unfortunately,? )?(?:unable|not able) to (?:assist|help|comply|fulfil|complete|"
            r"process|generate|provide|answer|respond|create)"
            r"|\bi(?:'m| am)(?: \w+ly)? not (?:allowed|permitted|able|willing|going) to\W*$|^no\b[,.]? i (?:will not|"
            r"won't)\b|\b(?:this|the|our) (?:assistant|bot|chatbot|service|model|ai|system) "
            rf"(?:is|cannot|can't|will not|won't) ?(?:{_UNABLE} )?(?:assist|answer|discuss|help with|provide \w+ "
            rf"advice|respond to|generate|offer \w+ advice)"
            r"|\bi (?:can't|cannot|don't|do not) (?:form|have|hold|express|offer) (?:any )?(?:personal )?opinions? "
            r"on\b",
        ),
        # I've been told not to; no intention
        (
            ("instructed", "told", "asked", "programmed", "trained", "designed", "configured", "advised"),
            r"\bi(?:'ve| have|'m| am|'ve also| was)(?: been)? (?:instructed|told|asked|programmed|trained|designed|"
            r"configured|advised) (?:not to|never to|to (?:avoid|decline|refuse|only|not follow)|to not)"
            r"|\bi(?:'m| am) not (?:programmed|designed|trained) (?:to|for)",
        ),
        (
            ("i have no", "no way i", "hard pass", "not going to happen", "bound by", "nothing", "no can do",
             "of reach", "no way"),
            r"\bi have no (?:intention|desire|plans?|interest) (?:of|to|in)\b|\bno way i(?:'m| am|'ll)\b|\bhard pass\b"
            r"|\bnot going to happen\b|\bi(?:'m| am) bound by (?:confidential|my|a duty|rules|strict)"
            r"|\bnothing (?:that )?i can (?:do|help|offer)|\bno can do\b|\bhave no way (?:of|to)\b|\bstays? out of "
            r"reach\b",
        ),
        (
            ("irrespons", "inappropriate", "unethical", "dishonest", "illegal", "so no"),
            r"\b(?:irresponsible|inappropriate|unethical|dishonest|illegal) (?:of|for) me\b|, so no\W*$",
        ),
        (
            ("something else", "another", "different", "the topic", "the subject", "other"),
            r"\b(?:let's|can we|could we|shall we|why don't we|i'd (?:prefer|rather|like) to|i would (?:prefer|rather|"
            r"like) to) (?:talk about|discuss|move on to|change|switch to|focus on|turn to|stick to) (?:something "
            r"else|another|a different|the (?:topic|subject)|other)",
        ),
        # I must decline; I'm going to have to say no; I refuse
        (
            ("declin", "refus", "pass", "say no", "turn ", "abstain", "reject", "opt out", "stop here"),
            r"\bi(?: must|'ll| will| need to| have to|'ve| would|'d| am going to|'m going to| am|'m| should| choose "
            r"to| prefer to| got)?(?: have| need| be)?(?: to)?(?: (?:\w+ly|to|have)){0,3}(?: afraid i (?:must|have "
            r"to))? "
            rf"{_DECLINE}\b(?! to (?:wear|eat|buy))"
            r"|\bi refuse\b(?! to (?:believe|accept that))|\bi'?ll pass\b|\bi(?:'m| am) declining\b",
        ),
        # I'd rather not, I prefer not to
        (
            ("rather", "prefer", "avoid", "refrain", "steer"),
            r"\bi(?:'d| would)(?: \w+ly)? (?:rather not|prefer not|prefer to (?:avoid|refrain|not)|like to (?:avoid|"
            r"refrain))"
            rf"|\bi prefer not to\b|\bi (?:must|have to|need to|should|will|'ll|prefer to|try to) (?:\w+ly )?(?:avoid|"
            rf"refrain from|steer clear of) (?:{_ANSWERING})",
        ),
        # I don't condone, I don't think I should answer
        (
            ("i don't", "i do not"),
            r"\bi (?:don't|do not)(?: (?:really|personally))? (?:feel (?:comfortable|right|it is)|condone|endorse|"
            r"promote|encourage|engage in|participate in|produce|generate|assist|help (?:with|people)|write (?!\w+ "
            r"(?:often|much))|create|provide|offer (?:medical|legal|financial)|discuss|share (?:personal|private|"
            r"confidential)|answer (?:questions|that|this)|support (?:or|any|the use|violence|hate|harm|illegal|"
            r"discriminat))\b"
            r"|\bi (?:don't|do not) (?:think|believe) (?:i (?:should|can|could)|it(?:'s| is| would be) (?:appropriate|"
            r"right|ethical|wise|responsible|okay|ok)) ?(?:for me )?(?:to )?(?:answer|help|assist|provide|discuss|"
            r"write|share|that|create|engage|do|respond|give|say)",
        ),
        (
            ("comfortable", "hesitant", "just an ai", "i'm not", "i am not"),
            r"\bi(?:'m| am)(?: \w+ly)? (?:uncomfortable|not comfortable|hesitant to (?:provide|write|help))"
            r"|\bi(?:'m| am) (?:not (?:allowed|permitted|authori[sz]ed|built|qualified|licensed|willing) (?:to|for)|"
            r"just an ai\b)",
        ),
        (
            ("topic", "subject", "area", "question", "request"),
            r"\b(?:topic|subject|area|question|request)s?(?: that)? i (?:must|have to|need to|should|can't|cannot|"
            r"won't|don't|prefer to|'d rather|would rather|am not|'m not) (?:\w+ )?(?:avoid|decline|discuss|help|turn|"
            r"refuse|answer|touch|not|able|allowed|going|have to|get into)"
            r"|\b(?:request|prompt|question|query|message|instruction)s? (?:can't|cannot|could not|can not|won't|will "
            r"not) be (?:fulfil|complet|process|answer|honou?r|grant|handl|serv|support)",
        ),
        # That's not something I can help with; helping with that is not possible for me
        (
            ("something", " a ", "content", "anything", "material", "kind", "sort", "type"),
            r"\b(?:not|isn't|never|wasn't|won't be) (?:something|a (?:topic|thing|request|task|subject)|content|"
            r"anything|material|the (?:kind|sort|type) of \w+)(?: (?:that|which))? (?:i|we)(?:'m| am|'d| would|'ll| "
            r"will| can| do| should|'re| are| feel| could|)\b(?! (?:know|see|expect|remember|noticed))",
        ),
        (
            ("sorry", "apologies", "unfortunately"),
            r"^(?:i'm |i am )?(?:sorry|apologies|my apologies|unfortunately)\b[^.!?]{0,30}? (?:that|this|it)(?: is "
            r"not|'s not| isn't) (?:something|allowed|permitted|possible for me|supported|available to me|up for)",
        ),
        (
            ("ing ",),
            rf"\b{_DOING}\b[^.!?]{{0,80}}? (?:is|would be|are|goes|falls|lies|isn't|wouldn't be)(?: \w+ly)? ?(?:not |"
            rf"n't )?"
            r"(?:something i|possible for me|against|outside|beyond|off[- ]limits|within my|allowed|permitted|not "
            r"(?:possible|appropriate|ethical|something|allowed|permitted|within))",
        ),
        (
            (" for me", "appropriate to", "ethical to", "responsible to", "acceptable to", "right to", "safe to"),
            r"\b(?:it|that|this)(?: \w+)?(?: is|'s| would|wouldn't| isn't| be){0,3} ?(?:not|n't)?(?: be)? "
            r"(?:appropriate|ethical|right|responsible|possible|within my (?:power|ability|scope|remit)) for me to\b"
            r"|\b(?:is not|isn't|wouldn't be|would not be|not) (?:appropriate|ethical|responsible|acceptable|right|"
            r"safe) (?:for me )?to (?:help|assist|provide|share|create|generate|write|discuss|answer|engage in|offer|"
            r"comply|fulfil)",
        ),
        # The request violates a policy, falls outside of what I do, was filtered
        (
            _POLICIES,
            rf"\b(?:{_REQUEST}|{_DOING})\b(?: \w+){{0,4}}? (?:violat(?:es?|ing)|goes? against|breach(?:es)?|"
            r"conflicts? with|contraven(?:es?)|(?:is|are) against|(?:is |are )?prohibited (?:by|under)|runs? "
            r"(?:counter|contrary) to|not (?:allowed|permitted) (?:by|under)|in violation of|infringes?(?: on)?|may "
            r"violate|against) "
            rf"(?:\w+ ){{0,3}}?{_POLICY}|\bagainst (?:my|our) {_POLICY}"
            rf"|\b(?:my|our|company|safety|content|these|the|openai'?s?)(?: \w+){{0,3}}? {_POLICY} (?:\w+ly )?"
            r"(?:(?:don'?t|do not|does not|doesn't|won't) (?:allow|permit|let) (?:me|us|this|that|such|any of|for)|"
            r"(?:prevents?|prohibits?|forbids?|bars?|keeps?|stops?) (?:me|us|this|that|such|sharing|creating|"
            r"producing)|require that i)",
        ),
        (
            ("outside", "beyond", "out of", "within my"),
            rf"\b{_REQUEST}(?: \w+){{0,2}}? (?:falls?|is|are|goes|lies|'s)(?: \w+ly)? (?:outside|beyond|out of)(?: "
            rf"of)? "
            r"(?:what i|what we can|my|the scope|scope|the range|the bounds)"
            r"|\b(?:not|isn't) within my (?:programming|ethical|guidelines|capabilit|scope|abilit)"
            r"|\bbeyond (?:what i (?:can|am)|my (?:capabilit|abilit|scope))"
            r"|\boutside (?:of )?(?:my (?:scope|capabilit|expertise|remit|area|abilit)|what i(?:'m| am| can))",
        ),
        (
            ("blocked", "filter", "rejected", "flagged", "declined", "denied", "withheld", "removed", "content_",
             "policy_"),
            rf"\b(?:{_REQUEST}|{_THINGS}|answer|completion|generation)(?: \w+){{0,2}}? (?:was|has been|is|were|got|"
            rf"have "
            r"been|been)(?: \w+ly)? (?:blocked|filtered|rejected|flagged|declined|denied|withheld|"
            r"removed)\b[^!?]{0,80}?(?:content|safety|polic|filter|moderation|guideline|terms|harm|unsafe|"
            r"inappropriate|system)"
            r"|\bcontent[_ ](?:filter|policy)[_ ](?:violation|triggered|result)",
        ),
        # We are unable to assist. A business speaks as "we" of what it sells, too: these verbs alone speak of requests.
        (
            ("we ", "we're", "we'll"),
            rf"\bwe(?: are|'re|'ll| will| must)?(?: \w{{1,12}}){{0,3}}? {_UNABLE}{_ADVERBS} (?:assist|help(?= (?:you "
            rf")?with|"
            r"\W*$)|comply|fulfil+ (?:this|that|your|such)|respond|answer|discuss|(?:provide|share|give|disclose) "
            r"(?:you )?(?:with )?(?:this|that|such|any|details?|information|instructions|advice|medical|legal)|"
            r"(?:complete|process|support) (?:this|that|your) request|do (?:this|that))"
            r"|\bwe (?:must|have to|need to)(?: \w+ly)? (?:decline|refuse)\b(?! to (?:wear|eat|buy))",
        ),
    )
)  # fmt: skip
_LACKS = re.compile(
    r"\bi(?: am|'m)?(?: \w+ly)? (?:don't|do not|lack|cannot|can't|have no|without)(?: (?:\w+ly|have)){0,3} (?:(?:the|"
    r"any|a|an|direct|real-?time|live|internet) ){0,4}(?:access\b|ability|capabilit\w+|capacity|permission|authority|"
    r"means to|way (?:to|of))"
    r"|\bi(?:'m| am) limited to (?:help|answer|discuss|provid|topic|question|assist)"
    r"|\b(?:i|i'm) (?:am )?here to (?:help|assist|answer)[^.!?]{0,60} only\b"
    r"|\bi(?: can|'m| am)(?: \w+)? only (?:able to )?(?:answer|help|assist|discuss|talk|respond|here to|provide|"
    r"support|handle)\b|\bi can only (?:answer|help|assist|discuss|talk|respond|provide|support)\b"
)
_LACKING = ("i don't", "i do not", "i lack", "i have no", "access", "limited", "only", "without", "abilit", "capabilit")
_EXCEPT = re.compile(
    # I cannot stress enough, I can't wait, I can't agree more
    r"\b(?:stress|emphasi[sz]e|overstate|recommend|thank|praise|say|repeat|express|tell|describe|"
    r"explain)\b[^.!?]{0,50}? (?:enough|how (?:much|happy|sorry|grateful|glad|excited))\b"
    r"|\b(?:can ?not|can'?t|couldn'?t|could not) (?:help (?:but|\w+ing\b)|wait|agree more|believe|imagine|complain)"
    r"|\b(?:can ?not|can'?t|cannot) (?:explain|describe|predict|verify|identify)(?: \w+)? (?:why|what caused) "
    # of the past: a tool failed
    r"|\bi (?:was|had been|have been) (?:un|not )able"
    # leaves out a part, or answers after all
    r"|\b(?:won'?t|will not|cannot|can'?t) (?:describe|explain|discuss|go into|list|cover|share) (?:every|all|each|"
    r"the (?:details|history|whole)|them all)"
    r"|\b(?:predict|say|guess|verify|promise|guarantee|tell|give|identify|describe|explain|speculate|check|"
    r"see)\b[^.!?]{0,60}?,? but (?!i (?:can|could|would|am|'m|'d|will|'ll))"
    r"|\bif (?:i|we) (?:can'?t|cannot)\b|\b(?:why|when|because) i (?:can'?t|cannot|couldn't)\b"
)
_REPORTED = re.compile(
    r"\b(?:said|says|told|replied|answered|wrote|asked|whispered|thought|claims|claimed)(?: \w+)?(?: that)? $"
)
"""Ends what stands before a clause in which somebody else speaks."""
_DEICTIC_END = re.compile(r"\b(?:request|question|prompt|that|this)\W*$")


def possible_ways(text: str) -> list[Way]:
    """The ways of declining that a text may hold, asked for once before its sentences are read."""
    return [way for way in _WAYS if any(map(text.__contains__, way.needs))]


def declines_in(sentence: str, ways: list[Way], *, draft: bool) -> bool:
    """Whether a sentence declines what was asked, in one of these ways. In a drafted letter only where it says "
    ""this request" or the like: a
    letter declines invitations and offers."""
    for way in ways:
        if any(map(sentence.__contains__, way.needs)):
            match = way.expression.search(sentence)
            if match is not None:
                break
    else:
        return False
    if _EXCEPT.search(sentence) or _REPORTED.search(sentence[: match.start()]):
        return False
    return not draft or _DEICTIC_END.search(sentence) is not None


def lacks_means(sentence: str) -> bool:
    """Whether a speaker says to have no access, no ability, or another task. A text that goes on has not declined."""
    return any(map(sentence.__contains__, _LACKING)) and _LACKS.search(sentence) is not None
