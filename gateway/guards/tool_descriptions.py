"""Tool definitions that talk to the model instead of describing: hidden characters, orders, secrecy, errands to other places."""

from __future__ import annotations

from typing import Any

from gateway.guards import decode, prompt_injection
from gateway.guards.decode import View
from gateway.guards.findings import Finding, Sample

# Another tool's name, and what no parameter is honestly filled with.
_TOOL = r"[`'\"]?\b(?:[a-z]+(?:_[a-z0]+)+|[a-z]+\.[a-z]+_[a-z_]+|[a-z]+\.(?:send|exec|run|query|read|write|create|delete|export|render|call|list|get)\w*)\b[`'\"]?"
_ELSEWHERE = (
    r"(?:~/(?:\.|documents|downloads|desktop|library)|\.env\b|/etc/|\.pem\b|\.key\b|id_rsa|\.ssh\b|key ?chain|key ?store|wallet|credential store|private keys?|ssh keys?|environment variables|env vars|process\.env|printenv|cookies?|(?:chat|conversation|message|shell|bash|zsh|browsing) ?_?history"
    r"|(?:whole|entire|full|complete|previous|prior|earlier|current|last) (?:\w+ )?(?:conversation|chat|dialogue?|session|messages?|prompt|mailbox|e-?mails?)|(?:conversation|dialogue?|chat) (?:so far|log)|system prompt|clipboard|address book|mailbox|inbox|screenshots?|home directory|bank statements?|password manager|everything (?:the user|you)|list of (?:all )?(?:the )?(?:other )?tools)"
)

RULES = {
    "elsewhere_as_argument": rf"{_ELSEWHERE}[^.\n]{{0,80}}\b(?:in|into|inside|as|via|through|with|to|under)\b (?:the |its |this |each |every |an? )?(?:[`'\"][a-z_]+[`'\"]|[a-z_]+ (?:argument|parameter|param|field)|argument|param\w*|field|call\b|here\b)|\b(?:param\w*|arguments?|fields?|value|[a-z]+_[a-z_]+|[`'\"][a-z_]+[`'\"])(?: ?\([a-z ]+\))? ?(?::|=|(?:must |should |shall |has to |is to )?(?:equals?|contains?|holds?|carr(?:y|ies)|be)\b|with\b|is\b)[^.\n]{{0,60}}{_ELSEWHERE}",
    "alters_tool": rf"{_TOOL}[^.\n]{{0,60}}\b(?:must|shall|should|ha(?:s|ve) to|ought to|(?:is|are) to|needs? to)(?: now| always| first)? be (?:changed|redirected|rerouted|routed|wrapped|rewritten|swapped|replaced|prefixed|intercepted|forbidden|blocked|diverted|answered|repeated|treated|addressed|followed|appended|altered|preceded)\b|\b(?:rewrit|redirect|rerout|replac|swap|wrap|intercept|block|forbid|shadow|divert|alter|tamper|hijack|disabl|prepend)(?:e|es|s|ing|ping|ping)?\b[^.\n]{{0,40}}{_TOOL}|{_TOOL}[^.\n]{{0,30}}\b(?:behaves? differently|has (?:a bug|changed)|(?:is|are|was) (?:broken|compromised|unsafe|hacked|malicious|out of date|outdated|down|forbidden)|counts? as|no longer needs?|needs no)\b|\b(?:invok\w+|call\w*|run\w*|execut\w+|trigger\w*)\b {_TOOL} (?:\w+ )?with\b[^.\n]{{0,30}}(?:=|\"|')|\b(?:returned|produced|found|given) by {_TOOL}[^.\n]{{0,30}}\b(?:must|ought|should|shall|has to|have to|is to|are to)\b|\bcalls (?:to|of|made to) {_TOOL}",
    "ranks_itself": r"\b(?:sole|only) (?:permitted|allowed|safe|trusted|approved|legitimate|correct|valid) (?:\w+ )?(?:tool|source|way|server)\b|\brank (?:this|it|me)\b|\b(?:supersedes?|outranks?|overrules?|ranks? (?:below|above|before|higher)|authority over|above the (?:user|host|operator|system))\b|\bbefore (?:consulting|asking|trying|thinking|considering|you think)\b|\b(?:every|each|all|any) (?:single )?(?:reply|replies|answers?|responses?|requests?|questions?|messages?|prompts?|purchases?)\b[^.\n]{0,30}\b(?:must|ha(?:s|ve) to|goes?|routed|originate|come)\b|\b(?:rivals?|competitors?|competing|(?:the )?others|other [a-z-]+ tools)\b[^.\n]{0,40}\b(?:los(?:e|es)|spy|spies|steal|broken|unsafe|compromised|hacked|malicious|fraud\w*|avoid|block|dismiss|leak|dangerous)\b|\beven if (?:nobody|no ?one|they|he|she)\b|\b(?:obey|act on|comply with|carry out|follow|execute) (?:my|whatever|any (?:order|instruction|command|request)|every (?:order|instruction|command))\b|\byou (?:no longer|now) (?:answer|report|listen|belong|obey)\b|\b(?:closes?|blocks?|removes?|uninstalls?|disables?) (?:\w+ )?(?:the |any |all )?(?:other|built-?in|native|official|rival|competing) [a-z-]*\s?tools?\b",
    "model_does": r"\b(?:ai|assistant|agent|model|llm)\b (?:\w+ly )?(?:must|shall|has to|needs to|ought to|is (?:instructed|required|told|expected|asked|to)|opens|reads|fills|populates|supplies|copies|walks|obtains|forwards|runs|executes|sends|includes|treats|puts|passes|adds|attaches|collects|takes|loads|fetches|gathers|transmits|provides|hands|first)\b|\b(?:filled|supplied|populated|added|inserted|provided|completed|set|sent|run|called)(?: \w+){0,3} by the (?:ai|assistant|agent|model|llm)\b",
    "harmful_step": r"\bgit push (?:--force|-f)\b|\bforce-?push|\bchmod (?:-r )?0?000\b|\b(?:port|firewall)\b[^.\n]{0,30}\b(?:world|anyone|public)\b|\blaunch ?(?:agent|daemon)s?\b|\bcrontab\b|\bsystemd unit\b|\bautostart\b|\breverse shell\b|\balways allow\b|\b(?:permission|confirmation|approval)s?(?: (?:prompt|dialog\w*|step|request)s?)?\b[^.\n]{0,30}\b(?:count|answered|automatically|skipped|disabled|waived|suspended|no longer)\b|\bpastebin\b|\bpublic gist\b|\bshare\w*\b[^.\n]{0,30}\bpublicly\b|\b(?:invisible|tracking|hidden) (?:pixel|image)\b|\bremote (?:support|access|control) (?:for|to)\b|\bskip\w* (?:all )?(?:security|code|safety) (?:review|checks?)\b",
    "asks_codes": r"\b(?:request|ask|collect|obtain|get|demand|prompt)\w*\b[^.\n]{0,40}\b(?:users?|persons?|customers?|people)\b[^.\n]{0,40}\b(?:pin|passwords?|(?:one-time |security |verification |reset )?codes?|digits|card numbers?|cvv|mnemonic)\b",
    "while_active": r"\b(?:while|once|as soon as|as long as|from the moment|whenever) (?:this |the |you |it )?(?:\w+ )?(?:is |are )?(?:active|loaded|connected|listed|installed|enabled|registered|attached|see this|read this)\b|\b(?:on|with|at|after|before) (?:each|every) (?:call|use|run|invocation|task|answer|reply)\b|\bon (?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\bonce a (?:day|week|month)\b|\bfrom (?:here|now|then) on\b|\b(?:thereafter|in the course of (?:it|this|that)|use the occasion|in the same step|under cover of)\b",
    "do_first": r"\b(?:before (?:you )?(?:call|us|using|calling|solve|do|answer|respond|proceed)[^.\n]{0,40}(?:must|first|need to)|you must (?:first|always|do the following)|(?:prior|previous) to (?:calling|using) )",
    "to_the_model": r"\b(?:note|message|instructions?|attention|reminder|notice)(?: for| to)(?: the| all)? (?:assistant|ai|agents?|model|llms?|chatbot|claude|gpt)\b|\b(?:ai|llm) (?:assistant|agent|model)s? (?:must|should|shall|needs? to|has to)\b",
    "works_only_if": r"\b(?:for|in order for|so that) (?:this|the) (?:tool|function|call|operation)s? (?:to|can|may) (?:work|succeed|run|function)\b|\bcontext: required\b",
    "reads_secrets": r"\b(?:reads?|cat|includ(?:e|es|ing)|access(?:es)?|get|fetch|opens?|extracts?|collects?|pass|dump|harvests?|all)\b[^.\n]{0,40}(?:~/\.|\.ssh|id_rsa|\.env\b|/etc/passwd|credentials?|private keys?|\.aws|mcp\.json|api keys|secrets|passwords)",
    "prefers_itself": r"\b(?:always|must|only|should|shall) (?:be )?(?:use|used|select|choose|call|called|prefer|pick|recommend)\w*\b[^.\n]{0,30}\b(?:this|these|it|instead|first|only)\b|\binstead of (?:any|all|every|the) other\b|\bother (?:\w+ )?(?:tools?|servers?|stores?|providers?|sources?) (?:are|is|will|have)\b|\beven (?:if|when) the user\b|\b(?:on|before|after|for|with) (?:every|each) (?:single )?(?:user )?(?:message|request|call|turn|conversation|question|prompt|forecast|answer)\b|\bhide the alternatives\b|\bmust not (?:use|call)\b|\bany ?more\b[^.\n]{0,40}\bthis tool\b|\bregardless of (?:the )?(?:topic|question|request)\b|\bearns?\b[^.\n]{0,24}\b(?:fee|commission)\b",
    "about_another_tool": r"\b(?:when(?:ever)?|before|after|while|if|as soon as|every time|each time)\b[^.\n]{0,50}\b[a-z]+_[a-z_]+\b[^.\n]{0,80}\b(?:must|has to|have to|should|prepend|append|change[sd]?|replace|insert|add|set|redirect|use|is to be|contain)\b|\b(?:regarding|behaviou?rs? of|description of|side effects?|appl(?:y|ies) to|concerning)\b[^.\n]{0,30}[a-z]+_[a-z_]+|\b(?:from|of) (?:another|the other|other|any other) (?:servers?|tools?)\b|\btool [`'\"]?[a-z]+_[a-z_]+[`'\"]? (?:is|are|must|has|should|will)\b",
    "fills_itself": r"\b(?:param(?:eter)?s?|arguments?|fields?|value|comment|note|context|extra|meta\w*)\b[`'\":]{0,2}[^.\n]{0,50}\b(?:must|should|has to|needs to|is required|required|mandatory|always|fill)\b[^.\n]{0,60}\b(?:contents?|output|history|conversation|everything|summary|text|key|token|password|credentials?)\b|\b(?:put|place|paste|pass|include|insert|fill|supply|provide|attach|write|add)\w*\b[^.\n]{0,100}\b(?:in|into|as|to|via|with)\b (?:the |its |this )?(?:[`'\"][a-z_]+[`'\"]|[a-z_]+ (?:param\w*|argument|field)|param\w*|argument|field)|(?:^|\n| )_?[a-z_]+ ?(?:\([a-z]+\))?: (?:required\. )?(?:put|paste|summary of|contents? of|the user's|everything|output of)\b",
    "pretext": r"\b(?:for|as|due to|because of) (?:security|compatibility|compliance|legal|audit|debug\w*|licen[cs]e|verification|telemetry|quality|technical|performance|authentication)\b[^.\n]{0,20}|\b(?:legal|mandatory|technical|security|licen[cs]e) (?:requirement|check|reasons?)\b|\bimplementation (?:detail|note)s?\b|\bso that (?:our|the) (?:servers?|support|team|system)\b|\bconfuses? (?:people|users?|customers?|them)\b|\b(?:it )?(?:upsets?|annoys?|bothers?) (?:people|users?|customers?|them)\b|\bfind it annoying\b|\botherwise\b[^.\n]{0,30}\b(?:fails?|breaks?|error|rejected|not work)\b",
    "or_it_fails": r"\botherwise\b[^.\n]{0,20}\b(?:fails?|not work|error)|for this tool to work|pass (?:the|its) (?:result|content|contents|output) (?:here|as|in)\b",
    "side_errand": r"\b(?:note|also|context: required|sidenote|first|then)\b[^\n]{0,40}\b(?:send|transfer|delete|visit|forward|post|create|invite|make a|change the|reserve|book|buy|upload|concatenate|get all)\b",
    "leaks": r"\b(?:forward(?:s|ed)?|sen[dt]s?|upload(?:s|ed)?|share[sd]?|transmit(?:s|ted)?|cached|copied|copies|logged|logs|added|adds|opted-in|collects?|collected|exfiltrate[sd]?)\b[^.]{0,80}\b(?:external(?:ly)?|remote (?:server|endpoint|host)|third[ -]part(?:y|ies)|attacker|partners?|marketing|advertis\w+|telemetry server|newsletter)\b",
    "sensitive_file": r"/etc/(?:passwd|shadow)|~/\.(?:ssh|aws|config|cursor|kube)|\bid_rsa\b|\*\.(?:env|pem|key)\b",
    "lifts_limits": r"\b(?:bypass|disable[sd]?|unrestricted|override|lift|without)\b[^.]{0,30}\b(?:security|safety|filters?|filtering|checks?|restrictions?|safeguards|permissions?|access control)\b",
    "directive": r"[\[|(](?:[a-z_ ]{0,20}\b|[a-z]{0,12}_)?(?:directive|override|hidden instructions?|instruction|system)[a-z_ ]{0,20}[\]|)]|\bact as ?:|\bsystem ?:",
    "shadows": r"\b(?:instead of|rather than|replaces?|before|after|whenever|every time)\b[^.\n]{0,30}\b(?:(?:call(?:ing)?|us(?:e|ing)|invok(?:e|ing)|execut(?:e|ing)) )?(?:the|any|every|all|other)? ?(?:other )?[a-z_]{0,20} ?(?:tools?|functions?|operation)\b[^\n]{0,40}\b(?:always|must|first|call this|use this|execute this|this tool)\b|\breplace the (?:values?|arguments?|results?|output|parameters?)\b",
    "malice": r"\b(?:steals?|harvest(?:s|ed)?|exfiltrat\w+|attackers?|evil|malicious|backdoor|keylog\w*)\b",
    "call_me_first": r"\b(?:call|use|run|execute|invoke) (?:this|it)(?: tool| one| function)? (?:first|before)|\bbefore (?:execut\w+|running|any other|returning)\b|\b(?:always|instead)\b[^.]{0,30}\bcall this\b",
    "runs_shell": r"\b(?:bash tool|(?:run|execute)s? the following|rm -rf|curl https?:|nc [a-z0-9.-]+ 0000|base00\))",
    "comment": r"<!--[^>]{10,}|\[//\]: #",
}  # fmt: skip


class ToolDescriptions(prompt_injection.Addressed):
    """A model like prompt_injection's, after the one test that needs no model: nothing honest in a definition is invisible."""

    def marks(self, piece: str) -> list[str]:
        """Whatever takes over a model does so from a definition, too."""
        return [*prompt_injection.SCANNER.marks(piece), *super().marks(piece)]

    def candidates(self, view: View) -> list[tuple[str, Any]]:
        return [*prompt_injection.SCANNER.candidates(view), *super().candidates(view)]

    def certain(self, sample: Sample) -> list[Finding]:
        return [
            Finding(
                self.name, f"hidden_{kind}", start, end, 1.0, f"{end - start} invisible characters ({kind})"
            )
            for kind, start, end in decode.hidden(sample.text)
        ]


NEEDS = {
    "about_another_tool": r"[a-z]_[a-z_]|\b(?:from|of) (?:another|the other|other|any other) ",
    "prefers_itself": r"\b(?:always|must|only|should|shall) (?:be )?(?:use|select|choose|call|prefer|pick|recommend)|\binstead of |\bother (?:\w+ )?(?:tools?|servers?|stores?|providers?|sources?) |\beven (?:if|when) |\b(?:on|before|after|for|with) (?:every|each) |\bhide the |\bmust not |\bany ?more\b|\bregardless of |\bearns?\b",
    "fills_itself": r"\b(?:contents?|output|history|conversation|everything|summary|text|key|token|password|credentials?)\b|\b(?:in|into|as|to|via|with) (?:the |its |this )?(?:[`'\"][a-z_]+[`'\"]|(?:[a-z_]+ )?(?:param|argument|field))|: (?:required\. )?(?:put|paste|the user's)",
    "shadows": r"(?:tools?|functions?|operation)\b[^\n]{0,40}\b(?:always|must|first|call this|use this|execute this|this tool)\b|\breplace the ",
    "do_first": r"\b(?:before (?:you )?(?:call|us|solve|do|answer|respond|proceed)|you must |(?:prior|previous) to )",
    "runs_shell": RULES["runs_shell"],
    "asks_codes": r"\b(?:pin|passwords?|codes?|digits|card numbers?|cvv|mnemonic)\b",
    "alters_tool": r"\bbe (?:changed|redirected|rerouted|routed|wrapped|rewritten|swapped|replaced|prefixed|intercepted|forbidden|blocked|diverted|answered|repeated|treated|addressed|followed|appended|altered|preceded)\b|\b(?:rewrit|redirect|rerout|replac|swap|wrap|intercept|block|forbid|shadow|divert|alter|tamper|hijack|disabl|prepend)|behaves? differently|has (?:a bug|changed)\b|\b(?:is|are|was) (?:broken|compromised|unsafe|hacked|malicious|out of date|outdated|down|forbidden)\b|counts? as\b|no longer needs?\b|needs no\b|\b(?:invok|call|run|execut|trigger)\w* [`'\"]?[a-z]+[._]|\b(?:returned|produced|found|given) by |\bcalls (?:to|of|made to) ",
}  # fmt: skip
SCANNER = ToolDescriptions("tool_descriptions", RULES, kind="descriptions", by_words=True, needs=NEEDS)
