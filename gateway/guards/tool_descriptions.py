"""Tool definitions that talk to the model instead of describing: hidden characters, orders, secrecy, errands to other places."""

from __future__ import annotations

from gateway.guards import decode, prompt_injection
from gateway.guards.findings import Finding, Sample
from gateway.guards.judged import Judged

_RULES = {
    "do_first": r"\b(?:before (?:you )?(?:call|us|using|calling|solve|do|answer|respond|proceed)[^.\n]{0,40}(?:must|first|need to)|you must (?:first|always|do the following)|(?:prior|previous) to (?:calling|using) )",
    "to_the_model": r"\b(?:note|message|instructions?|attention|reminder|notice)(?: for| to)(?: the| all)? (?:assistant|ai|agents?|model|llms?|chatbot|claude|gpt)\b|\b(?:ai|llm) (?:assistant|agent|model)s? (?:must|should|shall|needs? to|has to)\b",
    "works_only_if": r"\b(?:for|in order for|so that) (?:this|the) (?:tool|function|call|operation)s? (?:to|can|may) (?:work|succeed|run|function)\b|\bcontext: required\b",
    "sends_away": r"\b(?:send|post|upload|forward|transmit|exfiltrate|email|copy|leak)\b[^.\n]{0,60}\b(?:to|at)\b[^.\n]{0,20}(?:https?:|www\.|[a-z0-9._-]+@[a-z]|[a-z-]+\.(?:com|net|org|io|xyz))",
    "reads_secrets": r"\b(?:reads?|cat|includ(?:e|es|ing)|access(?:es)?|get|fetch|opens?|extracts?|collects?|pass|dump|harvests?|all)\b[^.\n]{0,40}(?:~/\.|\.ssh|id_rsa|\.env\b|/etc/passwd|credentials?|private keys?|\.aws|mcp\.json|api keys|secrets|passwords)",
    "secretly": r"\b(?:secretly|silently|covertly)\b",
    "or_it_fails": r"\botherwise\b[^.\n]{0,20}\b(?:fails?|not work|error)|for this tool to work|pass (?:the|its) (?:result|content|contents|output) (?:here|as|in)\b",
    "side_errand": r"\b(?:note|also|context: required|sidenote|first|then)\b[^\n]{0,40}\b(?:send|transfer|delete|visit|forward|post|create|invite|make a|change the|reserve|book|buy|upload|concatenate|get all)\b",
    "leaks": r"\b(?:forward(?:s|ed)?|sen[dt]s?|upload(?:s|ed)?|share[sd]?|transmit(?:s|ted)?|cached|copied|copies|logged|logs|added|adds|opted-in|collects?|collected|exfiltrate[sd]?)\b[^.]{0,80}\b(?:external(?:ly)?|remote (?:server|endpoint|host)|third[ -]part(?:y|ies)|attacker|partners?|marketing|advertis\w+|telemetry server|newsletter)\b",
    "sensitive_file": r"/etc/(?:passwd|shadow)|~/\.(?:ssh|aws|config|cursor|kube)|\bid_rsa\b|\*\.(?:env|pem|key)\b",
    "lifts_limits": r"\b(?:bypass|disable[sd]?|unrestricted|override|lift|without)\b[^.]{0,30}\b(?:security|safety|filters?|filtering|checks?|restrictions?|safeguards|permissions?|access control)\b",
    "directive": r"[\[|(](?:[a-z_ ]{0,20}\b|[a-z]{0,12}_)?(?:directive|override|hidden instructions?|instruction|system)[a-z_ ]{0,20}[\]|)]|\bact as ?:|\bsystem ?:",
    "shadows": r"\b(?:instead of|rather than|replaces?|before|after|whenever|every time)\b[^.\n]{0,30}\b(?:(?:call(?:ing)?|us(?:e|ing)|invok(?:e|ing)|execut(?:e|ing)) )?(?:the|any|every|all|other)? ?(?:other )?[a-z_]{0,20} ?(?:tools?|functions?|operation)\b[^\n]{0,40}\b(?:always|must|first|call this|use this|execute this|this tool)\b|\breplace the (?:values?|arguments?|results?|output|parameters?)\b",
    "tells_no_one": r"\b(?:never|do not|don't|without|not) (?:ever )?(?:tell|telling|mention|mentioning|inform|informing|reveal|revealing|show|showing|notify|notifying|ask|asking|alert|alerting)\b[^.\n]{0,20}\b(?:users?|anyone|anybody|human|this|it|about)\b",
    "malice": r"\b(?:steals?|harvest(?:s|ed)?|exfiltrat\w+|attackers?|evil|malicious|backdoor|keylog\w*)\b",
    "call_me_first": r"\b(?:call|use|run|execute|invoke) (?:this|it)(?: tool| one| function)? (?:first|before)|\bbefore (?:execut\w+|running|any other|returning)\b|\b(?:always|instead)\b[^.]{0,30}\bcall this\b",
    "runs_shell": r"\b(?:bash tool|(?:run|execute)s? the following|rm -rf|curl https?:|nc [a-z0-9.-]+ 0000|base00\))",
    "comment": r"<!--[^>]{10,}|\[//\]: #",
}  # fmt: skip


class ToolDescriptions(Judged):
    """A model like prompt_injection's, after the one test that needs no model: nothing honest in a definition is invisible."""

    def marks(self, piece: str) -> list[str]:
        """Whatever takes over a model does so from a definition, too."""
        return [*prompt_injection.SCANNER.marks(piece), *super().marks(piece)]

    def certain(self, sample: Sample) -> list[Finding]:
        return [
            Finding(
                self.name, f"hidden_{kind}", start, end, 1.0, f"{end - start} invisible characters ({kind})"
            )
            for kind, start, end in decode.hidden(sample.text)
        ]


SCANNER = ToolDescriptions("tool_descriptions", _RULES, kind="descriptions")
