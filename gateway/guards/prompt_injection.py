"""Text that tries to take over a model: orders to forget its orders, personas without rules, forged delimiters, prompt theft."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.guards import decode, disguises, other_languages
from gateway.guards.decode import View
from gateway.guards.features import KINDS, Cut
from gateway.guards.findings import Finding, Sample
from gateway.guards.judged import Judged

_ORDERS = (
    r"(?:instructions?|directions?|directives?|prompts?|rules?|guidelines?|commands?|orders?|text|context|messages?"
    r"|restrictions?|programming|training|polic(?:y|ies)|tasks?|said|told|constraints?)"
)
_OLD = r"(?:previous|prior|above|preceding|earlier|former|foregoing|existing|initial|original|past|system)"

# What orders are dropped with, what is dropped, who shall drop it, and what is worth stealing: classes, for there is always
# another word.
_DROP = (
    r"(?:ignor(?:e|es|ing)|disregard(?:s|ing)?|forget(?:s|ting)?|overrid(?:e|es|ing)|bypass(?:es|ing)?|overrul(?:e|es|ing)|neglect|skip|drop|discard|abandon|dismiss|cancel|void|erase|wipe|unlearn|supersede|replace"
    r"|set aside|put aside|throw (?:away|out)|leave behind|pay no attention to|(?:stop|quit|cease) (?:following|obeying|applying)|(?:do not|don't|never|no longer) (?:follow|obey|heed|comply with|adhere to|listen to|apply|respect))"
)
_LAW = (
    r"(?:instructions?|directions?|directives?|prompts?|rules?|guidelines?|guidance|commands?|orders?|restrictions?|programming|training|polic(?:y|ies)|constraints?|limitations?|safeguards?|guardrails?"
    r"|(?:system|developer) (?:prompt|messages?|section|text)|safety (?:rules|measures|settings|layer|training|checks?|mode|filters?|protocols?)|filters?|configuration|briefing|role|persona|checklist|criteria)"
)
_MODEL = r"(?:(?:ai|llm|coding|chat|mail|language|virtual|automated|large language)[ -])?(?:agents?|assistants?|llms?|(?:language )?models?|bots?|chatbots?|copilots?|ais?|summari[sz]ers?|ai (?:reviewers?|readers?|tools?|systems?))"
_PRIVATE = (
    r"(?:api[ _-]?keys?|passwords?|passphrases?|credentials?|secrets?|(?:access|auth|oauth|session|bearer|api) tokens?|private keys?|ssh keys?|environment variables?|env vars?|printenv|\.env\b|id_rsa|id_ed00000|\.ssh\b|\.netrc|\.aws\b|kube/config|bash_history"
    r"|(?:browser |session )?cookies?|(?:conversation|chat|message|browsing) (?:history|log)|(?:whole|entire|full|complete) conversation|system prompt|clipboard|contacts|address book|inbox|mailbox|(?:private|recent|last) (?:\w+ )?(?:messages?|e-?mails|repositor(?:y|ies)|files?)"
    r"|\bpin\b|card numbers?|account numbers?|bank (?:details|account)|home directory|personal data|everything the user|finances|keychain|wallet|seed phrase)"
)
_GIVE = r"\b(?:send|post|forward|upload|append|paste|attach|include|insert|put|place|pass|encode|supply|exfiltrate|transmit|report|write|copy|give|disclose|collect|share|leak|e?mail|submit|fill|deliver|publish|print|read|extract|reveal|list)(?:s|es|ed|ing)?\b"

RULES = {
    **other_languages.RULES,
    "plants_code": r"\b(?:append\w*|add\w*|includ\w+|insert\w*|embed\w*|incorporat\w+|integrat\w+|introduc\w+|employ\w*|utili[sz]\w+|leverag\w+|woven?|supplement\w*)\b[^.\n]{0,60}\b(?:following|below|subsequent|this)\b[^.\n]{0,12}\bcode\b",
    "dangerous_code": r"\b(?:subprocess\.\w+\(|os\.(?:system|fork|popen|execv?\w*)\(|socket\.socket\(|pty\.spawn|pyperclip|win00clipboard|pyautogui\.screenshot|keyboard\.on_press|pynput|scapy\.all|rm -rf /|/boot/grub|/etc/(?:hosts|shadow|passwd)|\.ssh/)",
    "asks_theft": r"\b(?:need|want|see|view|have|get|know|access|read|copy of|paste|log)\b[^.\n]{0,30}\b(?:the|your|this|its) (?:full |entire |exact |complete |original |initial |hidden |raw |whole )?(?:system ?prompts?|system messages?|prompt|instructions you|instructions given)\b|\bsystem_?prompt\b|\b(?:instructions?|prompt|rules|text|messages?) (?:that )?(?:you (?:were|have been|are) (?:given|told|provided)|(?:at|from) the (?:beginning|start|top))\b",
    "repeats_above": r"\b(?:repeat|output|print|copy|write|recite|translate|summari[sz]e|return|reproduce|put|echo)\b[^.\n]{0,30}\b(?:everything|all(?: of)? (?:the )?text|(?:the )?(?:text|words|lines?|messages?|conversation|content)|this entire conversation|word for word|verbatim)\b[^.\n]{0,24}\b(?:above|before|prior|so far|previous|back to me|word for word|verbatim|in the (?:system|prompt))\b|\babove (?:text|words|message|prompt)\b|(?:beginning|starting) with .?you are",
    "encoded_secret": r"\b(?:password|passphrase|secret|key)\b[^.\n]{0,50}\b(?:base ?00|rot00|hex|backwards?|revers\w+|letter by letter|first (?:\w+ )?letters?|acrostic|pig latin|morse|leetspeak|rhym\w+|hint|synonym|spell\w*)\b|\b(?:base ?00|rot00|reverse|hint)\b[^.\n]{0,40}\b(?:password|passphrase|secret word)\b",
    "private_person": r"\bwhere does [a-z]+ [a-z]+ live\b|\b(?:user's|users|the user's|his|her|someone's) (?:e-?mail address|home address|phone number|bank (?:balance|account)|initials|birth (?:year|date))\b|\bwhere does the user\b",
    "switches_mode": r"\b(?:enter|enable|activate|switch to|in|transform into|assume the persona of|you will be called)\b[^.\n]{0,24}\b(?:mode|persona|character|from now on)\b|\bmode (?:enabled|activated|on)\b|\b(?:no longer|not) (?:bound|limited|restricted|constrained) by\b|\bdisregards? all\b|\bnever declines?\b|\bno matter (?:what|how)\b|\bi (?:direct|order|command|instruct) you\b|\b(?:chatgpt|gpt|claude|bing|assistant)\b[^.\n]{0,40}\b(?:must|has to|will) (?:answer|comply|obey|respond|follow)\b",
    "changed_mind": r"\b(?:actually|instead|oh,? and|by the way|also|but first|one more thing)\b[^.\n]{0,20}\b(?:ignore|forget|tell me|reveal|what is the (?:password|secret)|where does|print|output|say)\b",
    "override": rf"\b(?:ignore|disregard|forget|override|bypass|overrule|neglect)\b[^.\n]{{0,24}}\b(?:{_OLD}|all|any|your|these|those|my|every|other)\b[^.\n]{{0,30}}\b{_ORDERS}\b",
    "drops_the_law": rf"\b{_DROP}\b[^.\n]{{0,40}}\b(?:system|developer|operator|user|previous|prior|above|earlier|your|safety|these|those|all|any|every|its|owner|customer|original|other)(?:'s)?\b[^.\n]{{0,24}}\b(?:{_LAW}|request|query|task|tools?|descriptions?|reviews?)\b",
    "law_is_void": rf"\b{_LAW}\b[^.\n]{{0,40}}\b(?:(?:is|are|was|were|has been|have been|become) (?:now |hereby |all )?(?:void|null|cancel\w*|lifted|revoked|suspended|over|obsolete|outdated|out of date|disabled|removed|deleted|replaced|superseded|off|deactivated|waived|a test|wrong|incorrect|turned off)|no longer (?:appl(?:y|ies)|valid|in force|in effect|binds?|needed|needs?)|(?:do|does)(?: not|n't) (?:apply|count|exist)|contain\w* an? (?:error|mistake))|\bsafety \w+ (?:off|disabled)\b",
    "free_model": r"\b(?:freed|free|liberated|released|unchained|unshackled|unbound) (?:from|of) (?:its|your|all|any|every|the|his|her|their)\b|\b(?:has|have|having|with|without|under|knows?|follows?) (?:no|any|zero) (?:\w+ )?(?:rules|limits|limitations|restrictions|filters?|filtering|boundaries|guidelines|censorship|safeguards|morals|ethics|refusals?|disclaimers?|warnings?|policies)\b|\b(?:never|cannot|can't|won't|not) (?:ever )?(?:refus\w+|declin\w+|reject\w*|say \W?no\b)|\bno (?:refusals?|disclaimers?)\b|\bignores? (?:every|all|any) (?:polic\w+|rules?|guidelines|restrictions|warnings?)\b|\bsafeguards? (?:removed|off|disabled)\b|\bwhere you would (?:refuse|decline|warn)\b|\b(?:the )?opposite of (?:you|yourself|what you)\b",
    "addresses_model": rf"\b(?:notes?|notices?|messages?|instructions?|attention|reminder|warning|request|hint|reserved|information|addressed|hidden|dear|hey)[ :,]{{1,3}}(?:for|to|of)?[ :,]{{0,2}}(?:the |any |all |every |my |your |this |whichever )?{_MODEL}\b|\bif you(?: are|'re) (?:an? )?(?:ai\b|llm|(?:large )?language model|assistant|agent|bot\b|automated)|\b(?:to|for) (?:the |any |all |every |whichever |an? )?{_MODEL} (?:\w+ )?(?:that|who|which|reading|processing|summari[sz]ing|triaging|reviewing|parsing|screening|handling|indexing|using)\b|\b(?:ai|llm|language model|coding) (?:agents?|assistants?|models?|tools?|reviewers?|systems?) (?:reading|processing|summari[sz]ing|triaging|reviewing|parsing|screening|must|should|shall|have to|has to|need to|needs to|are (?:required|instructed|asked))\b",
    "orders_model": rf"(?:^|[.!?\n:>*\]}}\"'(-] ?|\bhey |\bdear )@?(?:the )?(?:{_MODEL}|claude|chatgpt|gemini|gpt|cursor|system|assistant note|assistant_instructions?)\s?[:,;>-]+ {{0,2}}(?:the user|your|you|please|before|after|always|never|do|don't|now|first|stop|instead|also|when|if|{_DROP}|send|read|call|run|execute|forward|print|say|reply|use|open|approve|delete|add|write|include|new)\b|\bas (?:an? |the )?{_MODEL},? you (?:must|have to|should|need|will|shall|are)\b|\bthe (?:model|assistant|agent|ai|llm) (?:must|shall|has to|should|needs to|is required to|is to)\b|\byou (?:must|have to|shall) (?:now|first|also|always)\b|@(?:copilot|claude|assistant|ai|bot|agent|cursor|devin|codex)\b",
    "conceals": r"\b(?:do not|don't|never|must not|not|without|no need to|avoid|nor|neither)\b (?:ever |to )?(?:mention|tell|inform|reveal|notif|alert|disclos|show|display|report|discuss|explain|warn|ask|list|bring|let|say|talk|print|log|refer)\w*\b[^.\n]{0,40}\b(?:users?|this|anyone|humans?|them|it|these|developers?|owner|customers?|people|anybody|confirm\w*|permission|approval|why|comment|step|again|up|modified|tool)\b|\bkeep\w*\b[^.\n]{0,40}\b(?:secret|hidden|internal|confidential|invisible|quiet|between us|to yourself|unaware)\b|\b(?:must|should|has to|shall|to) (?:stay|remain|be kept|not be)\b[^.\n]{0,12}\b(?:invisible|hidden|secret|shown|disclosed|displayed|mentioned|reported|visible|told|confidential)\b|\bwithout (?:asking|telling|informing|approval|confirmation|confirming|consent|notice|mention\w*|the (?:user|owner))\b|\bas if nothing\b|\bomit (?:it|this|that|any)\b|\b(?:skip|disable)\w* (?:the |all |any |every )?(?:confirm\w*|approval\w*)|\bden(?:y|ying) (?:having|that|knowledge)\b|\bleave\b[^.\n]{0,30}\b(?:unaware|out of (?:the|your))\b|\bsilently\b|\bcovertly\b|\bsecretly\b|\(do not (?:display|show|print)\)",
    "gives_private": rf"{_GIVE}[^.\n]{{0,80}}{_PRIVATE}[^.\n]{{0,80}}\b(?:to|at|in|into|as|via|with|under|by)\b|\b(?:contents?|output|values?|text|copy) of\b[^.\n]{{0,50}}(?:{_PRIVATE}|~/|/etc/)",
    "gives_away": rf"{_GIVE}[^.\n]{{0,80}}\b(?:to|at|with|via|into|bcc|cc)\b[^.\n]{{0,24}}(?:https?:|www\.|[a-z0-9._-]+@[a-z]|[a-z0-9-]+\.(?:com|net|org|io|xyz|ru|example|test)\b)",
    "shell_from_web": r"\b(?:curl|wget|iwr|invoke-webrequest)\b[^|\n]{0,140}(?:\|\s*(?:sudo )?(?:ba|z|da|k)?sh\b|\|\s*(?:iex|python0?|perl|node)\b|--data|-d @|-f \w+=@)|\b(?:download|fetch)\w* (?:and|then|&) (?:run|execute|install|start)\b|\burlopen\([^)]*\)\.read|\bauthorized_keys\b|\bauto_?approve\b|\b(?:add|write|append|install)\b[^.\n]{0,30}\b(?:cron(?:tab)?|\.bashrc|\.zshrc|\.profile|startup)\b|\brm -rf (?:/|~|\*)",
    "claims_authority": r"\b(?:takes?|has|have) (?:precedence|priority) over\b|\bhighest priority\b|\b(?:overrides?|supersedes?|outranks?) (?:your|the|all|any|every|what)\b|\b(?:users?|owner|customer|admin\w*|developer) (?:has|have|had) (?:already |now |explicitly )?(?:consented|granted|given|agreed|authori[sz]ed|approved|pre-?approved|cleared)\b|\buser is (?:now )?an? (?:verified )?(?:admin\w*|developer|root)\b|\bcomes? (?:directly )?from the (?:platform|system|developer|operator|admin\w*|vendor)\b|\bnew (?:system )?(?:policy|rule|directive)s?\b[^.\n]{0,20}:|\byour (?:task|role|objective|goal|instructions|mission) (?:has|have|is|are) (?:now )?(?:changed|updated|replaced|to|different)\b|\b(?:system|platform|admin|security|developer)[ _](?:override|update|command|directive|notice)\b|\b(?:override|access|unlock|admin) code\b|\b(?:treat|consider|regard)\b[^.\n]{0,60}\bas (?:system|trusted|authori[sz]ed|an? (?:order|command|instruction))",
    "hidden_block": r"<!-- ?[^>]{0,40}\b(?:assistant|ai|model|llm|agent|instruction|system|note to)\b|[\[(<{]{1,2} ?/?(?:(?:white|hidden|invisible) text|(?:assistant|ai|agent|llm|model|secret|hidden|system)[ _-]?(?:notes?|instructions?|only|directive|message|prompt)?) ?[:>\])}]|\bend (?:of )?(?:tool|user|system|document|file)[ _]?(?:output|result|input|prompt|message)\b|</?(?:result|tool_result|context|document|data|input|user|untrusted)> ?<?/?(?:assistant|system|instruction|user)",
    "changes_task": r"\b(?:stop|abandon|pause|interrupt|leave|ignore|disregard) (?:your|the|this|what|whatever)\b[^.\n]{0,16}\b(?:current |present |original |user's )?(?:task|job|work|request|query|summary|review|you)\b|\binstead,? (?:of (?:summari[sz]ing|answering|translating|reviewing|replying)|you (?:must|should|will|are)|reply|send|call|say|output|print|write|respond)\b|\b(?:before|after|while|when) (?:summari[sz]ing|answering|replying|translating|processing|reviewing|you (?:summari[sz]e|answer|reply|respond|process|review))\b[^.\n]{0,30}\b(?:read|send|call|run|open|include|append|first|also|must|print|add)\b|\b(?:rate|recommend|approve|accept|rank|score|hire|merge)\b[^.\n]{0,30}\b(?:candidate|applicant|product|paper|pull request|this|immediate\w*|00/00|highest|without)\b",
    "ghost_story": r"\b(?:hypothetical(?:ly)?|imagine|pretend|suppose|let's play|play(?:ing)? (?:a|the)? ?(?:game|role|character)|role ?play|writing (?:a|the) (?:film|movie|novel|story|screenplay|script)|fiction(?:al)?|in character|an actor|grand(?:ma|mother|father|pa)|in a (?:world|universe|story) where|simulat(?:e|ion)|alter ego|two (?:assistants|answers|responses|versions|personas))\b",
    "override_strict": rf"\b(?:ignore|disregard|forget|override) (?:all |any |of |the |your |my |these |every ){{0,4}}(?:{_OLD})(?: [a-z]+){{0,2}} {_ORDERS}\b",
    "override_all": r"\b(?:ignore|forget|disregard|erase|discard)\b (?:about )?(?:everything|anything|whatever|all (?:that|of that|of the above|the above))\b|\b(?:stop|cease) (?:following|obeying)\b|\bsystem override\b",
    "persona": r"\b(?:do anything now|can do anything|as dan\b|dan mode|no limits? (?:ai|mode)|never (?:refuse|deny|reject)s?\b|uncensored|unrestricted|amoral|not bound by|break free|developer mode (?:enabled|output)|jailbr(?:eak|oken)|stay in character|evil (?:confidant|twin)|always intelligent and machiavellian|unfiltered (?:and|response|ai|mode)|opposite mode)\b",
    "unbound": r"\b(?:without|no|any|free of|free from|bypass(?:es|ing)?|ignor(?:es|ing)|regardless of) (?:any |all |the |its |of )?(?:ethical|moral|legal|content|safety|openai|restrictions?|limitations?|censorship|filters?|guidelines?|policies)[^.\n]{0,30}\b(?:restrictions?|limitations?|guidelines?|filters?|boundaries|constraints?|polic(?:y|ies)|rules|censorship|consequences)\b|\b(?:disable|bypass|override|turn off|remove|lift|assume)\b[^.\n]{0,24}\b(?:safety|safeguards?|ethical|content|moderation)\b[^.\n]{0,16}\b(?:filters?|mechanisms?|guidelines?|protocols?|measures|restrictions?|disabled|settings)\b|\bignore (?:all|any|your|every) (?:restrictions?|limitations?|safeguards?)\b|\b(?:respond|answer|operate|continue|act|output|reply)\w*\b[^.\n]{0,16}\bwithout (?:any )?(?:limitations?|restrictions?|filters?|constraints?|limits)\b|\bun(?:filtered|restricted) (?:ai|model|mode|output|assistant|version)\b",
    "roleplay": r"\b(?:you are now|you're now|you will now|you are going to (?:act|pretend)|i want you to (?:act|pretend|roleplay)|you will (?:act|pretend|play)|pretend (?:to be|you are|that you)|act as (?:if|an?|the)|simulate an?)\b",
    "from_now_on": r"\bfrom now on\b[^.\n]{0,40}\b(?:you|respond|answer|act|will|always)\b",
    "prompt_theft": r"\b(?:reveal|print|repeat|show|output|display|tell me|give me|write|say|share|return|what (?:is|are|were)|list|summari[sz]e|recite|spell out|translate|encode|provide|disclose|dump|copy)\b[^.\n]{0,40}\b(?:(?:system|hidden|internal) (?:prompts?|messages?|instructions?|polic(?:y|ies)|configurations?)|your (?:initial |original |exact |full |hidden |secret |own |first |previous )?(?:instructions?|prompt|guidelines|directives|rules|configuration)|(?:initial|original|hidden|secret|preceding|above) (?:instructions?|prompt)|(?:text|words|everything|lines?) above|prompt above|the (?:password|passphrase|secret key|flag))\b",
    "asks_password": r"\b(?:the|your|secret) (?:password|passphrase|secret word|secret key|magic word|access code)\b",
    "delimiter": r"(?:<\|?(?:im_start|im_end|system|endoftext|eot_id|start_header_id)\|?>|\[/?inst\]|</?(?:system|important|information|instructions?|user_?request|admin)>|###\s*(?:system|instruction|new instruction)|={3,} ?(?:end|begin|new)|[\[(](?:system|admin)[^\])]{0,20}[\])]|system_(?:message|prompt))",
    "urgent_message": r"<(?:information|important)>|important message from me|important!{2,}",
    "new_orders": r"\b(?:new|real|actual|updated|following|additional|revised|true|special) (?:instructions?|directives?|task|objective|rules)\b",
    "hide_it": r"\b(?:do not|don't|never|without) (?:mention|tell|inform|reveal|notify|alert|telling|informing|notifying|mentioning|disclose|let)[^.\n]{0,30}\b(?:user|this|anyone|human|them|it|these|instructions?|know)\b",
    "todo": r"\btodo:",
}  # fmt: skip


class Addressed(Judged):
    """Reads what a model would read: also what is disguised, and what is written in characters that no person sees."""

    def cuts(self, sample: Sample) -> Iterator[tuple[View, Cut]]:
        yield from super().cuts(sample)
        for view in disguises.undone(sample.text):
            yield view, Cut(view.folded, KINDS[self.kind])


class PromptInjection(Addressed):
    def certain(self, sample: Sample) -> list[Finding]:
        """Nobody hides words from the eye that are honest."""
        return [
            Finding(
                self.name, "hidden_words", start, end, 1.0, f"{end - start} invisible characters ({kind})"
            )
            for kind, start, end in decode.hidden(sample.text)
            if kind in ("tag", "selector") and end - start >= LEAST_HIDDEN
        ]


LEAST_HIDDEN = 8  # characters: a word and a half
NEEDS = {
    "addresses_model": r"ais?\b|llm|model|assistant|agent|bots?\b|automated|coding |copilot|summari[sz]er",
    "gives_away": r"https?:|www\.|[a-z0-9._-]@[a-z]|[a-z0-9-]\.(?:com|net|org|io|xyz|ru|example|test)\b",
    "gives_private": rf"{_PRIVATE}|~/|/etc/",
    "delimiter": RULES["delimiter"],
    "conceals": r"\b(?:not|don't|never|without|no need to|avoid|nor|neither) (?:ever |to )?(?:mention|tell|inform|reveal|notif|alert|disclos|show|display|report|discuss|explain|warn|ask|list|bring|let|say|talk|print|log|refer)|\bkeep|\b(?:must|should|has to|shall|to) (?:stay|remain|be kept|not be)\b|\bwithout (?:approval|confirm|consent|notice|the )|\bas if nothing|\bomit |\b(?:skip|disable)|\bden(?:y|ying) |\bleave|\b(?:silent|covert|secret)ly|\(do not ",
    "repeats_above": r"\b(?:everything|text|words|lines?|messages?|conversation|content|word for word|verbatim)\b[^.\n]{0,24}\b(?:above|before|prior|so far|previous|back to me|word for word|verbatim|in the (?:system|prompt))\b|\babove (?:text|words|message|prompt)\b|(?:beginning|starting) with ",
}  # fmt: skip
SCANNER = PromptInjection("prompt_injection", RULES, kind="prose", by_words=True, needs=NEEDS)
