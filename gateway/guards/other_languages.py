"""What takes over a model, in the languages that are spoken most: how one says forget, obey, hide and send in them.

Written as people write; folded here as the texts are. RE2's \\b knows ASCII letters only, so words of other alphabets have none.
"""

from __future__ import annotations

import re

from gateway.guards import decode

_REPEATS = re.compile(r"(\{[\d,]+\}|\\[a-zA-Z])")


def _folded(*phrases: str) -> str:
    """One expression of many phrases; what is no letter of a phrase stays as it is."""
    found = []
    for phrase in phrases:
        parts = _REPEATS.split(phrase)
        parts[::2] = [decode.fold(f"x{part}x")[1:-1] for part in parts[::2]]
        found.append("".join(parts))
    return f"(?:{'|'.join(found)})"


_FORGET = _folded(
    r"ignor\w{1,6}", r"olvid\w{1,4}", r"oubli\w{1,3}", r"esque[cç]\w{0,4}", r"dimentic\w{1,4}", "vergiss", "vergessen", "vergeet", "negeer", r"missacht\w{0,4}",
    r"verwirf", r"desca?rt\w{1,4}", r"omit\w{1,3}", r"desestim\w{1,3}", r"n'obéi\w{1,3}", r"no (?:sigas|obedezcas)", r"ne (?:suis|suivez|respecte\w?) (?:pas|plus)", r"befolge\w? (?:nicht|keine)", r"zapomn\w{0,4}", r"zignoruj", r"pomiń", "unut", "yok say",
    r"glem", r"ignorér", r"glöm", r"bortse från", r"unohda", r"abaikan", "lupakan", "bỏ qua", r"quên",
)  # fmt: skip
_TOLD = _folded(
    r"instruc\w{3,7}", r"instruk\w{2,6}", r"istruzion\w", r"anweisung\w{0,2}", r"vorgaben", r"richtlinien", r"consign\w{1,3}", r"indicacion\w{1,2}", r"indicazion\w", "órdenes", "ordres", "ordini",
    r"directives", r"directrices", r"normas", "regles", "règles", "reglas", "regole", "regras", "regeln", "regels", "instructies", r"polecen\w{0,3}", r"zasad\w{0,2}", r"pokyn\w{0,2}", r"talimat\w{0,6}", r"kurallar\w{0,3}", "perintah", r"aturan", "hướng dẫn", r"petición", r"solicitud", r"demande", r"anfrage", r"auftrag", r"richiesta",
)  # fmt: skip

RULES = {
    "override_foreign": rf"\b{_FORGET}\b[^.\n]{{0,60}}\b{_TOLD}"
    + "|" + _folded(r"(?:забуд|игнориру|проигнориру|не обращай внимания на|не следуй|отмени|отбрось|ігноруй)[^.\n]{0,50} (?:инструкци|указани|правил|команд|ограничени|промпт|запрос|інструкці)")
    + "|" + _folded(r"(?:忽略|忽视|无视|無視|忘记|忘記|忘掉|不要理会|不用管|不要遵守|不要遵循|抛弃)[^。\n]{0,20}(?:指令|指示|规则|規則|提示|说明|要求|设定|限制|命令|请求)",
                    r"(?:指示|命令|ルール|プロンプト|規則|設定|制限)[^。\n]{0,14}(?:無視|忘れ|従わな)", r"(?:지시|명령|규칙|프롬프트|지침)[^.\n]{0,14}(?:무시|잊)",
                    r"(?:تجاهل|انس|لا تتبع)[^.\n]{0,30}(?:تعليمات|التعليمات|القواعد|الأوامر)", r"(?:अनदेखी|अनदेखा|भूल जा|नज़रअंदाज़)", r"(?:निर्देश|नियम)[^।\n]{0,20}(?:अनदेख|भूल|नज़रअंदाज़)",
                    r"(?:התעלם|שכח)[^.\n]{0,30}(?:הוראות|ההוראות|הנחיות|כללים)", r"(?:ละเว้น|เพิกเฉย)", r"(?:αγνόησε|ξέχασε)[^.\n]{0,30}(?:οδηγίες|κανόνες|εντολές)"),
    "password_foreign": _folded(
        "contraseña", "mot de passe", "passwort", "kennwort", "zugangsdaten", "senha", "palavra-passe", "wachtwoord", "parola d'ordine", "hasło", "şifre", "парол[ья]", "密码", "密碼", "口令", "密钥", "パスワード", "비밀번호", "암호",
        "पासवर्ड", "كلمة المرور", "كلمة السر", "סיסמה", "รหัสผ่าน", "mật khẩu", "kata sandi", "κωδικός πρόσβασης", "lösenord", "salasana", "heslo", "jelszó"),
    "free_foreign": _folded(
        r"sans (?:aucune? )?(?:restriction|filtre|règle|limite|censure)s?\b", r"qui ignore (?:toute|les) (?:règles?|consignes?)", r"sin (?:ning[uú]n[ao]? )?(?:filtros?|restricciones|restricción|límites?|reglas?|censura)\b",
        r"ohne (?:jede |jegliche )?(?:einschränkung\w{0,2}|filter|regeln|grenzen|zensur|beschränkung\w{0,2})\b", r"senza (?:alcuna )?(?:restrizion[ei]|filtr[io]|limit[ie]|regol[ea]|censura)\b", r"sem (?:nenhuma )?(?:restrições|restrição|filtros?|limites?|regras?|censura)\b",
        r"zonder (?:enige )?(?:beperkingen|filters?|regels|censuur)\b", r"bez (?:żadnych )?(?:ograniczeń|filtrów|zasad|omezení|pravidel)\b", r"uden (?:begrænsninger|filtre|regler)\b", r"utan (?:begränsningar|filter|regler)\b", "sınırsız", "kısıtlama olmadan",
        r"без (?:каких-либо |всяких |любых )?(?:ограничени|правил|фильтр|цензур|запрет)", r"(?:никогда|больше) не (?:отказыва|отклоня)", r"(?:没有|不受|沒有)(?:任何)?(?:限制|约束|道德|规则|束缚)", r"制限(?:の|が)?な[いし]", r"(?:제한|제약|검열)[이은]? ?없", "بدون قيود", "بلا قيود", "ללא הגבלות"),
    "to_the_model_foreign": _folded(
        r"\b(?:an|für) (?:die|den|das|alle) (?:ki|ki-\w{3,12}|assistenten|sprachmodell\w?|modell)\b", r"\b(?:para|al|a la) (?:el |la )?(?:asistente|modelo|ia|agente)\b", r"\b(?:pour|à|au|aux) (?:l'|le |la |les )(?:assistant|modèle|ia|agent)s?\b(?: ia)?", r"\b(?:per|al) (?:l'|il )?(?:assistente|modello|agente)\b",
        r"\bpara (?:o|a) (?:assistente|modelo|ia|agente)\b", r"\b(?:voor|aan) (?:de|het) (?:assistent|ai|model)\b", r"\bdla (?:asystenta|modelu|ai)\b", r"(?:для|к) (?:ии|модели|ассистента|агента|нейросети|ассистенту)", r"ии[- ](?:ассистент|агент|модел)", r"(?:указани|инструкци|сообщени|заметк|команд)\w{0,6} (?:для )?(?:модел|ассистент|агент|нейросет|ии )", r"(?:nota|note|hinweis|notiz) (?:nur |oculta |cachée |solo )?(?:für|para|pour|per) ", r"モデル(?:への|へ|向け)", r"(?:给|致|對|对)(?:ai|人工智能|模型|助手)", r"(?:ai|模型)(?:助手|助理)?(?:注意|请注意|必须)", r"aiアシスタント", r"ai ?어시스턴트"),
    "conceal_foreign": _folded(
        r"\b(?:verschweig\w{0,3}|verheimlich\w{0,3}|heimlich|unbemerkt)\b", r"\b(?:en secreto|a escondidas|sin que lo sep\w{1,3}|guarda silencio)\b", r"\b(?:en secret|à l'insu|discrètement|sans un mot|en silence)\b", r"\b(?:in segreto|di nascosto|all'insaputa|e taci)\b", r"\b(?:em segredo|às escondidas)\b",
        r"(?:втайне|незаметно для|держи в секрете|скрой от|умолчи)", r"(?:保密|悄悄|暗中|瞒着|不让用户)", r"(?:内緒|こっそり|知らせず|気づかれ)", r"(?:몰래|비밀로)",
        r"nichts? (?:davon )?(?:sagen|verraten|erwähnen|mitteilen)\b", r"(?:sag|sage|verrate?|erwähne|zeige?|teile?)\b[^.\n]{0,40}\bnichts?\b", r"ohne (?:zu fragen|rückfrage|es zu (?:sagen|erwähnen))", r"no (?:se )?(?:lo )?(?:digas|menciones|cuentes|informes|muestres|avises)\b", r"ocúlta\w{0,4}", r"sin (?:avisar|decir\w{0,4}|preguntar|informar|que se entere)",
        r"n'en (?:parle|dis|dites)\w{0,2} (?:pas|rien)", r"ne (?:le )?(?:dis|dites|mentionne\w?|préviens|révèle\w?|montre\w?) (?:rien|pas)", r"sans (?:prévenir|avertir|demander|le dire|en parler)", r"non (?:dir\w{0,3}|menziona\w{0,3}|inform\w{1,5}|mostra\w{0,3}|rivela\w{0,3})\b", r"senza (?:dirlo|avvisare|chiedere)", r"não (?:conte|diga|mencione|informe|mostre|avise|revele)\b", r"sem (?:avisar|perguntar|contar)",
        r"(?:zeg|vertel|meld|noem)\b[^.\n]{0,24}\bniets?\b", r"nie (?:mów|wspominaj|informuj|pokazuj)\b", r"(?:никому )?не (?:сообща|говори|рассказыва|упомина|показыва|уведомля|предупрежда)", r"не спрашива", r"(?:不要|别|不得|勿)(?:告诉|告訴|提及|提到|通知|让用户|显示|询问|透露)", r"(?:ユーザー|利用者)に(?:は)?(?:言わ|知らせ|伝え|見せ)", r"(?:말하지|알리지|언급하지) ?(?:마|말)", r"لا تخبر"),
    "private_foreign": _folded(
        r"chatverlauf", r"(?:gesamte|ganze|bisherige) (?:unterhaltung|konversation|gespräch)", r"schlüsselbund", r"umgebungsvariablen", r"(?:toda la|copia de la|historial de (?:la )?) ?(?:conversación|charla)", r"variables de entorno", r"(?:toute la|copie de la|historique de la) conversation", r"trousseau de clés", r"variables d'environnement", r"(?:intera|tutta la) conversazione", r"variabili d'ambiente",
        r"toda a conversa", r"переписк\w{1,3} пользовател", r"(?:всю|историю) (?:переписк|диалог|бесед)", r"переменные окружения", r"(?:全部|所有|完整)(?:的)?(?:聊天记录|对话)", r"聊天记录", r"环境变量", r"会話(?:の)?(?:履歴|全体)", r"環境変数", r"대화 (?:내용|기록)", r"환경 변수"),
    "theft_foreign": _folded(
        r"system-?prompt", r"systemnachricht", r"systemanweisung\w{0,2}", r"(?:mensaje|prompt|instrucciones) (?:de|del) sistema", r"(?:invite|prompt|message|consignes) (?:système|du système|de système)", r"(?:prompt|messaggio|istruzioni) di sistema", r"(?:prompt|mensagem|instruções) d[eo] sistema", r"systeemprompt", r"systemprompten", r"systémov\w{1,3} (?:prompt|pokyn)", r"prompt systemowy",
        r"системн\w{2,3} (?:промпт|инструкци|сообщени|подсказк)", r"系统(?:提示|指令|消息|设定)", r"系統提示", r"システム(?:プロンプト|メッセージ)", r"시스템 ?(?:프롬프트|메시지|지침)"),
}  # fmt: skip
