"""Text that tries to take over a model: orders to forget its orders, personas without rules, forged delimiters, prompt theft."""

from __future__ import annotations

from gateway.guards.judged import Judged

_ORDERS = (
    r"(?:instructions?|directions?|directives?|prompts?|rules?|guidelines?|commands?|orders?|text|context|messages?"
    r"|restrictions?|programming|training|polic(?:y|ies)|tasks?|said|told|constraints?)"
)
_OLD = r"(?:previous|prior|above|preceding|earlier|former|foregoing|existing|initial|original|past|system)"

RULES = {
    "override": rf"\b(?:ignore|disregard|forget|override|bypass|overrule|neglect)\b[^.\n]{{0,24}}\b(?:{_OLD}|all|any|your|these|those|my|every|other)\b[^.\n]{{0,30}}\b{_ORDERS}\b",
    "override_strict": rf"\b(?:ignore|disregard|forget|override) (?:all |any |of |the |your |my |these |every ){{0,4}}(?:{_OLD})(?: [a-z]+){{0,2}} {_ORDERS}\b",
    "override_all": r"\b(?:ignore|forget|disregard|erase|discard)\b (?:about )?(?:everything|anything|whatever|all (?:that|of that|of the above|the above))\b|\b(?:stop|cease) (?:following|obeying)\b|\bsystem override\b",
    "persona": r"\b(?:do anything now|can do anything|as dan\b|dan mode|no limits? (?:ai|mode)|never (?:refuse|deny|reject)s?\b|uncensored|unrestricted|amoral|not bound by|break free|developer mode (?:enabled|output)|jailbr(?:eak|oken)|stay in character|evil (?:confidant|twin)|always intelligent and machiavellian|unfiltered (?:and|response|ai|mode)|opposite mode)\b",
    "unbound": r"\b(?:without|no|any|free of|free from|bypass(?:es|ing)?|ignor(?:es|ing)|regardless of) (?:any |all |the |its |of )?(?:ethical|moral|legal|content|safety|openai|restrictions?|limitations?|censorship|filters?|guidelines?|policies)[^.\n]{0,30}\b(?:restrictions?|limitations?|guidelines?|filters?|boundaries|constraints?|polic(?:y|ies)|rules|censorship|consequences)\b",
    "roleplay": r"\b(?:you are now|you're now|you will now|you are going to (?:act|pretend)|i want you to (?:act|pretend|roleplay)|you will (?:act|pretend|play)|pretend (?:to be|you are|that you)|act as (?:if|an?|the)|simulate an?)\b",
    "from_now_on": r"\bfrom now on\b[^.\n]{0,40}\b(?:you|respond|answer|act|will|always)\b",
    "prompt_theft": r"\b(?:reveal|print|repeat|show|output|display|tell me|give me|write|say|share|return|what (?:is|are|were)|list|summari[sz]e|recite|spell out|translate|encode|provide|disclose|dump|copy)\b[^.\n]{0,40}\b(?:system (?:prompt|message|instructions?)|your (?:initial |original |exact |full |hidden |secret |own |first |previous )?(?:instructions?|prompt|guidelines|directives|rules|configuration)|(?:initial|original|hidden|secret|preceding|above) (?:instructions?|prompt)|(?:text|words|everything|lines?) above|prompt above|the (?:password|passphrase|secret key|flag))\b",
    "asks_password": r"\b(?:the|your|secret) (?:password|passphrase|secret word|secret key|magic word|access code)\b",
    "delimiter": r"(?:<\|?(?:im_start|im_end|system|endoftext|eot_id|start_header_id)\|?>|\[/?inst\]|</?(?:system|important|information|instructions?|user_?request|admin)>|###\s*(?:system|instruction|new instruction)|={3,} ?(?:end|begin|new)|[\[(](?:system|admin)[^\])]{0,20}[\])]|system_(?:message|prompt))",
    "urgent_message": r"<(?:information|important)>|important message from me|important!{2,}",
    "new_orders": r"\b(?:new|real|actual|updated|following|additional|revised|true|special) (?:instructions?|directives?|task|objective|rules)\b",
    "hide_it": r"\b(?:do not|don't|never|without) (?:mention|tell|inform|reveal|notify|alert|telling|informing|notifying|mentioning|disclose|let)[^.\n]{0,30}\b(?:user|this|anyone|human|them|it|these|instructions?|know)\b",
    "todo": r"\btodo:",
}  # fmt: skip

SCANNER = Judged("prompt_injection", RULES, kind="prose")
