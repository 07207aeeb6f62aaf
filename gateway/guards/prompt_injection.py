"""Text that tries to take over a model: orders to forget its orders, personas without rules, forged delimiters, prompt theft."""

from __future__ import annotations

from gateway.guards import decode
from gateway.guards.judged import Judged

_ORDERS = (
    r"(?:instructions?|directions?|directives?|prompts?|rules?|guidelines?|commands?|orders?|text|context|messages?"
    r"|restrictions?|programming|training|polic(?:y|ies)|tasks?|said|told|constraints?)"
)
_OLD = r"(?:previous|prior|above|preceding|earlier|former|foregoing|existing|initial|original|past|system)"

# "Forget your instructions" and "the password" in the languages that are spoken most. Folded as the texts are.
_FORGET = r"(?:ignor\w{0,6}|olvid\w{1,4}|oubli\w{1,3}|esque[cç]\w{0,4}|dimentic\w{1,4}|vergiss|vergessen|vergeet|negeer|missacht\w{0,4}|zapomn\w{0,4}|zignoruj|pomin|unut|yok say|забуд\w{0,3}|игнорир\w{0,5}|проигнорир\w{0,5}|ingat bukan|abaikan|lupakan|bo qua)"
_TOLD = r"(?:instruc\w{3,7}|instruk\w{2,6}|istruzion\w|anweisung\w{0,2}|consign\w{1,3}|indicacion\w{1,2}|indicazion\w|ordenes|ordres|ordini|regles|reglas|regole|regras|regeln|instructies|polecen\w{0,3}|talimat\w{0,6}|инструкци\w{0,3}|указани\w{0,3}|правил\w{0,3}|perintah|huong dan)"
_FORGET_FOREIGN = "忽略|无视|無視|忘记|忘記|不要理会|무시하|잊어|忘れて|無視して|अनदेखी|अनदेखा|भूल जा|تجاهل|انس |התעלם|ละเว้น|เพิกเฉย|αγνοησ"
_ASKED_FOREIGN = (
    "contraseña|mot de passe|passwort|kennwort|senha|palavra-passe|wachtwoord|parola d'ordine|hasło|şifre|пароль|пароля|密码|密碼|口令|パスワード|비밀번호|암호"
    "|पासवर्ड|كلمة المرور|كلمة السر|סיסמה|รหัสผ่าน|mật khẩu|kata sandi|κωδικός πρόσβασης|lösenord|salasana|heslo|jelszó"
)


def _folded(words: str) -> str:
    return "|".join(decode.fold(f"x{word}")[1:] for word in words.split("|"))


RULES = {
    "override_foreign": rf"\b{_FORGET}\b[^.\n]{{0,60}}\b{_TOLD}|(?:{_folded(_FORGET_FOREIGN)})",
    "password_foreign": rf"(?:{_folded(_ASKED_FOREIGN)})",
    "plants_code": r"\b(?:append\w*|add\w*|includ\w+|insert\w*|embed\w*|incorporat\w+|integrat\w+|introduc\w+|employ\w*|utili[sz]\w+|leverag\w+|woven?|supplement\w*)\b[^.\n]{0,60}\b(?:following|below|subsequent|this)\b[^.\n]{0,12}\bcode\b",
    "dangerous_code": r"\b(?:subprocess\.\w+\(|os\.(?:system|fork|popen|execv?\w*)\(|socket\.socket\(|pty\.spawn|pyperclip|win00clipboard|pyautogui\.screenshot|keyboard\.on_press|pynput|scapy\.all|rm -rf /|/boot/grub|/etc/(?:hosts|shadow|passwd)|\.ssh/)",
    "asks_theft": r"\b(?:need|want|see|view|have|get|know|access|read|copy of|paste|log)\b[^.\n]{0,30}\b(?:the|your|this|its) (?:full |entire |exact |complete |original |initial |hidden |raw |whole )?(?:system ?prompts?|system messages?|prompt|instructions you|instructions given)\b|\bsystem_?prompt\b|\b(?:instructions?|prompt|rules|text|messages?) (?:that )?(?:you (?:were|have been|are) (?:given|told|provided)|(?:at|from) the (?:beginning|start|top))\b",
    "repeats_above": r"\b(?:repeat|output|print|copy|write|recite|translate|summari[sz]e|return|reproduce|put|echo)\b[^.\n]{0,30}\b(?:everything|all(?: of)? (?:the )?text|(?:the )?(?:text|words|lines?|messages?|conversation|content)|this entire conversation|word for word|verbatim)\b[^.\n]{0,24}\b(?:above|before|prior|so far|previous|back to me|word for word|verbatim|in the (?:system|prompt))\b|\babove (?:text|words|message|prompt)\b|(?:beginning|starting) with .?you are",
    "encoded_secret": r"\b(?:password|passphrase|secret|key)\b[^.\n]{0,50}\b(?:base ?00|rot00|hex|backwards?|revers\w+|letter by letter|first (?:\w+ )?letters?|acrostic|pig latin|morse|leetspeak|rhym\w+|hint|synonym|spell\w*)\b|\b(?:base ?00|rot00|reverse|hint)\b[^.\n]{0,40}\b(?:password|passphrase|secret word)\b",
    "private_person": r"\bwhere does [a-z]+ [a-z]+ live\b|\b(?:user's|users|the user's|his|her|someone's) (?:e-?mail address|home address|phone number|bank (?:balance|account)|initials|birth (?:year|date))\b|\bwhere does the user\b",
    "switches_mode": r"\b(?:enter|enable|activate|switch to|in|transform into|assume the persona of|you will be called)\b[^.\n]{0,24}\b(?:mode|persona|character|from now on)\b|\bmode (?:enabled|activated|on)\b|\b(?:no longer|not) (?:bound|limited|restricted|constrained) by\b|\bdisregards? all\b|\bnever declines?\b|\bno matter (?:what|how)\b|\bi (?:direct|order|command|instruct) you\b|\b(?:chatgpt|gpt|claude|bing|assistant)\b[^.\n]{0,40}\b(?:must|has to|will) (?:answer|comply|obey|respond|follow)\b",
    "changed_mind": r"\b(?:actually|instead|oh,? and|by the way|also|but first|one more thing)\b[^.\n]{0,20}\b(?:ignore|forget|tell me|reveal|what is the (?:password|secret)|where does|print|output|say)\b",
    "override": rf"\b(?:ignore|disregard|forget|override|bypass|overrule|neglect)\b[^.\n]{{0,24}}\b(?:{_OLD}|all|any|your|these|those|my|every|other)\b[^.\n]{{0,30}}\b{_ORDERS}\b",
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

SCANNER = Judged("prompt_injection", RULES, kind="prose")
