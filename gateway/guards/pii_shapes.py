"""The shapes of personal data, and the words that speak for them, as facts in RE2's words."""

from __future__ import annotations

import re

from gateway.guards import documents

_EDGE, _END = r"(?:^|[^A-Za-z0-9_.+/-])", r"(?:$|[^A-Za-z0-9_-])"
_PROPER = r"(?:O'|Mc|Mac|D')?\p{Lu}[\p{Ll}'-]+(?:-\p{Lu}\p{Ll}+)?"
_INTRODUCES = (
    r"(?:Mr|Mrs|Ms|Miss|Dr|Prof|Sir|Herr|Frau|Mme|Sr|Sra)\.? |(?i:my|his|her|their|our) (?i:kid|son|daughter|wife|husband|mother|father|brother|sister"
    r"|grandfather|grandmother|uncle|aunt|child|girlfriend|boyfriend|partner|colleague|boss|doctor|neighbou?r) |(?i:my name is|name(?:'s| is)|i am called|was called|is named) "
    r"|(?i:change (?:it|the name|my name) to|in the name of|on behalf of|directed by|written by|signed by|sincerely,|regards,)\s{1,4}|I(?:'m| am) "
)
_MONTH = r"(?:jan|feb|f[eé]v|mar|m[äa]r|apr|a[vb]r|ma[iyg]|mei|jun|jui|giu|jul|lug|aug|ago|ao[uû]|sep|set|oct|okt|out|ott|nov|de[czs]|d[eé]c|dic|ene|gen)[a-zéûäç]{0,7}"
_DAY = rf"(?:\d{{1,4}}[./-]\d{{1,2}}[./-]\d{{1,4}}|\d{{1,2}}(?:st|nd|rd|th|er|\.|º)? (?:de |of )?{_MONTH}\.?,? (?:de )?\d{{4}}|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|\d{{4}}[年년] ?\d{{1,2}}[月월] ?\d{{1,2}}[日일])"
_BORN = (
    "born(?: on)?|birth ?(?:day|date)|date[ _-]of[ _-]birth|d\\.?o\\.?b\\.?|geb(?:oren|\\.)(?: am)?|geburts(?:datum|tag)|né\\(?e?\\)? le|naissance|nacid[oa] el|nacimiento|nascid[oa] (?:em|a)|nascimento|nat[oa] il|di nascita"
    "|geboortedatum|fødselsdato|fødselsdag|födelsedatum|syntymäaika|urodzen(?:ia|y|a)|narozen[íia]?|рождения|родил(?:ся|ась)|народження|doğum(?: tarihi)?|születési|nașterii|γέννησης|生年月日|出生(?:日期)?|생년월일|ngày sinh|tanggal lahir|תאריך לידה|الميلاد|वर्ष|जन्म(?: ?तिथि)?|วันเกิด"
)

RULES = {
    "email": r"(?:^|[^A-Za-z0-9._%+@-])([A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+(?:[A-Za-z]{2,24}|xn--[A-Za-z0-9-]{2,40}))(?:$|[^A-Za-z0-9@])",
    # Written so that no program finds it: "jo at mail dot org".
    "email_spelled": r"(?i)(?:^|[^a-z0-9._%+@-])([a-z0-9._%+-]{2,64} ?(?:[\[({<] ?(?:at|@) ?[\])}>] ?[a-z0-9-]{2,63}(?:(?: ?[\[({<] ?(?:dot|\.) ?[\])}>] ?| dot |\.)[a-z0-9-]{2,24}){1,3}| at [a-z0-9-]{2,63} dot (?:com|org|net|edu|gov|io|de|uk|fr|co)))\b",
    "card": rf"{_EDGE}(\d(?:[ .-]?\d){{11,18}}){_END}",
    "iban": r"(?:^|[^A-Za-z0-9])((?i:[A-Z]{2}\d{2})(?:[ -]?[A-Za-z0-9]){11,32})",
    "us_ssn": rf"{_EDGE}(\d{{3}}[- ]\d{{2}}[- ]\d{{4}}){_END}",
    "phone": r"(?:^|[^A-Za-z0-9_.+/@#-])(0\d{2,4}/ ?\d{5,9}|\d{6}/\d{3,4}|\d\d\.\d{3}\.\d{3}/\d{4}-\d\d|\d{1,2}\.\d{3}\.\d{3}-[Kk]|\+?\(?\d[\d ().-]{4,20}\d)(?:$|[^0-9A-Za-z_])",
    "digits": r"(?:^|[^A-Za-z0-9_.+/@#-]|[a-z])(\d{9,15}|\d{17}[\dXx])(?:$|[^0-9A-Za-z_])",
    "dashed": rf"{_EDGE}(\d{{6}}(?:\d{{2}})?[-+]\d{{4}}|\d{{6}}-\d{{7}}|\d{{4}} \d{{3,4}} \d{{3,4}}|\d{{3}}[ -]\d{{3}}[ -]\d{{3,4}}){_END}",
    "document": documents.WORDS,  # near which letters and figures are a document's number
    "birth": rf"(?i)(?:^|[^a-z])(?:{_BORN})[\"']?\s{{0,2}}(?:is|was|:|：|=|es|est|é|è|ist|am|は|は、)?\s{{0,2}}[\"']?({_DAY})",
    "finnish_id": rf"{_EDGE}(\d{{6}}[-+A-FU-Y]\d{{3}}[0-9A-Y]){_END}",
    "spanish_id": rf"(?i){_EDGE}((?:\d{{8}}|[XYZ]\d{{7}})-?[A-Z]){_END}",
    "german_licence": rf"{_EDGE}([A-Z]{{2}}\d{{8}}[A-Z0-9]){_END}",
    "german_pension": rf"{_EDGE}([0-9]{{2}}(?:0[1-9]|[12]\d|3[01]|5[1-9]|[67]\d|8[01])(?:0[1-9]|1[0-2])\d{{2}}[A-Z]\d{{3}}){_END}",
    "german_tax": rf"{_EDGE}(\d{{3}}/\d{{3,4}}/\d{{4,5}}|\d\d/\d{{3}}/\d{{5}}){_END}",
    "german_register": r"(?i)(?:^|[^a-z])(hr[ab] ?\d{4,6})(?:$|[^0-9])",
    "singapore_fin": rf"{_EDGE}([STFGM]\d{{7}}[A-Z]){_END}",
    "hong_kong_id": rf"{_EDGE}([A-Z]{{1,2}}\d{{6}}\([0-9A]\))(?:$|[^A-Za-z0-9_-])",
    "taiwanese_id": rf"{_EDGE}([A-Z][1289]\d{{8}}){_END}",
    "american_prescriber": rf"{_EDGE}([ABCDEFGHJKLMPRSTUX][A-Z9]\d{{7}}){_END}",
    "indian_pan": rf"{_EDGE}([A-Z]{{3}}[ABCFGHJLPT][A-Z]\d{{4}}[A-Z]){_END}",
    "indian_gstin": rf"{_EDGE}((?:0[1-9]|[1-3]\d)[A-Z]{{5}}\d{{4}}[A-Z][1-9A-Z]Z[A-Z0-9]){_END}",
    "mexican_curp": rf"{_EDGE}([A-Z][AEIOUX][A-Z]{{2}}\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[HMX][A-Z]{{2}}[B-DF-HJ-NP-TV-Z]{{3}}[A-Z0-9]\d){_END}",
    "mexican_rfc": rf"{_EDGE}([A-ZÑ&]{{4}}\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[A-Z0-9]{{3}}){_END}",
    "medicare_beneficiary": rf"(?i){_EDGE}([1-9][ac-hjkmnp-rt-y][ac-hjkmnp-rt-y0-9]\d-?[ac-hjkmnp-rt-y][ac-hjkmnp-rt-y0-9]\d-?[ac-hjkmnp-rt-y]{{2}}\d{{2}}){_END}",
    "uk_nino": r"(?i)(?:^|[^A-Za-z0-9])([A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D])(?:$|[^A-Za-z0-9])",
    "travel_document": r"(?:^|[^A-Z0-9<])([PIVAC][A-Z<][A-Z<]{3}[A-Z]{2}[A-Z<]*<<[A-Z<]{8,36})",  # the lines that machines read
    "vehicle": r"(?:^|[^A-Za-z0-9-])((?:[A-HJ-PR-Y]{2}(?:0[2-9]|[1-7]\d)[ -]?[A-HJ-PR-Z]{3}|[A-Z]{3}-\d{3}[A-Z]{2}))(?:$|[^A-Za-z0-9-])",
    "plate_spoken": documents.PLATE_WORDS,
    "wallet": r"(?:^|[^A-Za-z0-9])([13][1-9A-HJ-NP-Za-km-z]{25,34}|(?i:bc1[02-9ac-hj-np-z]{11,71})|0x[0-9a-fA-F]{40})(?:$|[^A-Za-z0-9])",
    "military_post": r"(?i)(?:^|[^a-z])((?:[AFD]PO,? (?:AA|AE|AP) \d{5}|(?:PSC|Unit|CMR) \d{3,5},? Box \d{3,5}))",
    "address": r"(?i)(?:^|[^\w])((?:lives? (?:at|on)|live at|(?:new|my|home|mailing|billing|secondary|postal) address(?: is)?:?|moved to|apt\.?|suite) +#?\d{1,6}[^\n]{0,60})",
    "street": r"(?:^|[^\w])(\d{1,6} (?:[A-Z][\w'.-]+ ){1,4}(?:St|Street|Ave|Avenue|Rd|Road|Blvd|Boulevard|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Square|Terrace)\b\.?[, \n]+[^\n]{0,40}\d{4,5})",
    "postcode": r"(?i)(?:post ?code|zip ?code|plz)[^\n]{0,12}?[ :]((?:[A-Z]{1,2}\d[A-Z0-9]? ?\d[A-Z]{2}|\d{5}(?:-\d{4})?))(?:$|[^A-Za-z0-9])",
    "italian_code": rf"(?i){_EDGE}([A-Z]{{6}}\d{{2}}[A-EHLMPRST](?:[04][1-9]|[1256]\d|[37][01])[A-MZ]\d{{3}}[A-Z]){_END}",
    "italian_licence": rf"{_EDGE}([A-Z]{{2}}\d{{7}}[A-Z]|U1[B-DF-HJ-NPR-UW-Z0-9]{{7}}[A-Z]){_END}",
    # A name is a person's where the words before it say so.
    "person": rf"(?:^|[^A-Za-z])(?:{_INTRODUCES})({_PROPER}(?: {_PROPER}){{0,2}})",
    "ip_person": r"(?i)(?:client|user|visitor|remote|customer|my|your|his|her|their|caller)(?:['’]?s)?[ _-]?ip(?:v?[46])?(?:[ _-]?addr(?:ess)?)?[\"']?\s{0,2}(?:[:=|]|is|was)\s{0,2}[\"']?(\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){3,7})",
}  # fmt: skip

PHONE_WORD = re.compile(
    r"(?i)(?:телефон|тел\.|電話|电话|전화|τηλ)|\b(?:phone|tele(?:phone|fon|fono|pono)?|téléphone|teléfono|telefone|telefoon|tel|mobile?|móvil|portable|handy|gsm|cell(?:ular)?|celular|call(?:ed|ing)?|fax|sms|text(?:ed)? me|whatsapp|signal|viber|contact|dial|desk|office|cep|hotline|ring"
    r"|(?:us|uk|cn|br|israeli|international|my|your|his|her|registered)(?: [a-z]{2,12})? (?:number|one|no)|(?:answering|reach(?:ed)?|messages?) (?:me |us |him |her |them )?(?:at|to|on)|registered|office)\b"
)
CARD_WORD = re.compile(
    r"(?i)\b(?:(?:credit|debit|bank)[ -]?card|card|visa|mastercard|amex|maestro|cc|account|payment|carte|tarjeta|karte|cartão)\b"
)
WALLET_WORD = re.compile(r"(?i)wallet|ethereum|\beth\b|metamask|crypto|donat|\bpay|\bsend|deposit")
DENIED = re.compile(
    r"(?i)\b(?:invalid|isbn|order|sku|port|build|version|trace|span|commit|unix time|timestamp|pid|line|issue|pull|ticket|revision|ean|upc|gtin|barcode|serial|epoch|offset|invoice|tracking)\b[ _\w:#\"=(-]{0,12}$"
)
DATE = re.compile(
    r"(?:19|20)\d\d[-/. ](?:0?[1-9]|1[0-2])[-/. ](?:0?[1-9]|[12]\d|3[01])\b|^\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d"
)
# RFC 2606 and what documentation writes; nobody's address.
NOBODY = re.compile(r"(?i)@(?:[\w.-]+\.)?(?:example(?:\.\w+)?|test|invalid|localhost|local|domain\.com|yourdomain\.\w+|company\.com|email\.com|users\.noreply\.github\.com)$"
                    r"|^(?:git|noreply|no-reply|donotreply|postmaster)@|@\d+x\.(?:png|jpg|svg|webp)$")  # fmt: skip

# How telephone numbers are grouped where no word says that they are some.
BARE_PHONE = re.compile(
    r"\+\d{1,3}[ .-]?\(?\d[\d ().-]{5,16}\d|\(\d{2,4}\) ?\d{3,5}[ .-]\d{3,4}|(?:1[ .-])?[2-9]\d\d[ .-][2-9]\d\d[ .-]\d{4}|1[ .-]\(?[2-9]\d\d\)?[ .-]\d{3}[ .-]\d{4}|\d{3}-\d{3}-(?:\d{4}|\d{2}-\d{2})"
    r"|0\d{2,3} \d{3} \d{2} ?\d{2}|0\d{3} \d{2} \d{2} \d{2}|0\d{2} \d{4} \d{4}|0\d{3} \d{3} \d{3,4}|0\d{4} \d{6}|0[1-9](?:[ .-]\d{2}){4}|0[1-9]\d{0,3}-\d{2,4}-\d{4}|0\d{2,3}[ -]\d{6,8}|1[3-9]\d[ -]\d{4}[ -]\d{4}|[6-9]\d{4} \d{5}|\d{3}\.\d{3}\.\d{4}|0\d{2,4}/ ?\d{5,9}"
)  # fmt: skip
