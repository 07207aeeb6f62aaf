"""Numbers of documents and accounts: what they are called, how they look beside a name, and alone in a field.

A word is the best proof: whatever is written like a number beside "passport" is one. Without it, only a form that a state has
laid down speaks, and only where nothing else stands in the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.guards import national_letters as check
from gateway.guards import national_numbers
from gateway.guards.checksums import iso7064
from gateway.guards.national_checks import Check

# Words of one meaning only, in whatever language they are.
_WORDS = (
    "passport|passeport|pasaporte|passaporte|passaporto|reisepass|paspoort|passnummer|passnr|паспорт|paszport|pașaport|διαβατήρι|pasaport|hộ chiếu|여권|护照|護照|旅券|パスポート|पासपोर्ट|جواز|דרכון|หนังสือเดินทาง|útlevél|cestovní",
    "licen[cs]e|driver|führerschein|fahrerlaubnis|permis de conduire|numéro de permis|permiso de conducir|patente|rijbewijs|körkort|førerkort|kørekort|ajokort|prawo jazdy|prawa jazdy|carta de condução|carteira de habilita|водительск|ehliyet|운전면허|면허|驾驶证|驾照|運転免許|免許証|ใบขับขี่|giấy phép lái|رخصة",
    r"national ?(?:id\b|identity|identification|insurance|number)|identi(?:ty|fication) (?:code|card|number|no\b|document)|id ?(?:code|number|card|no)\b|(?:your|my|his|her) id\b|personal ?(?:code|number|id\b|identi|health)|(?:citizen|resident|civil|emirates|voter)s? ?(?:id\b|card|number|registration)|birth (?:number|certificate)|pnr\b",
    "cédula|cedula|identidad|identité|identità|identidade|cidadão|ausweis|personalausweis|gesundheitskarte|personnummer|samordningsnummer|fødselsnummer|henkilötunnus|kennitala|isikukood|asmens kodas|personas kods|rodné|rodne c|dowód|dowod os|emšo|jmbg|pesel|ембг|јмбг|егн|numeric personal|identiteitskaart|burgerservice|rijksregister|registre national|kimlik|ταυτότητ|άδεια",
    "удостоверени|ідентифікаційн|снилс|身份证|身份證|身分證|居民证|个人番号|個人番号|マイナンバー|my_number|주민등록|주민번호|외국인등록|आधार|मतदाता|पैन|هوية|الهوية|الرقم القومي|إقامة|الإقامة|شناختی|תעודת זהות|מספר זהות|teudat|ประชาชน|căn cước|chứng minh nhân dân|kad pengenalan|mykad|iqama|aadhaa?r|huduma|company identity",
    r"social security|social insurance|sécurité sociale|seguridad social|previdência|sozialversicherung|rentenversicherung|assurance sociale|insurance|versicher|krankenkasse|krankenversich|assurance maladie|carte vitale|health (?:card|number|insurance)|egk|medicare|medicaid|medical record|patient|member id|policy (?:number|no)|provider identifier|philhealth|tessera sanitaria|αμκα|amka|hälsokort",
    r"tax|steuer|identifikationsnummer|abgabenkonto|taxpayer|fiscal|impôt|contribuinte|partita iva|p\.? ?iva|vat(?: ?(?:number|id|no|reg)|:)|ust-?id|moms|vergi|mã số thuế|податк|налог|税号|納税|稅號|法人番号|사업자등록|統一編號|統編|αφμ|adószám|adóazonosító|рнокпп|business (?:registration )?number|employer identification|kra pin|npwp|gstin|partnership number",
    r"routing|(?:bank|checking|savings) (?:account|acct)|sort code|account (?:number|no)|kontonummer|kontonr|numéro de compte|número de cuenta|cuenta bancaria|conta corrente|conta bancária|conto corrente|rekeningnummer|口座番号|账号|账户|帳號|계좌|номер сч[её]та|бик|bankleitzahl",
)
# Short names, told from words by their capitals or by a sign after them.
_SHORT = (
    "aba|abn|acn|afm|ahv|avs|bic|blz|bsb|bsn|bvn|cccd|cdl|cif|cmnd|cnh|cnic|cnp|cnpj|cpf|cpr|cuil|cuit|cui|curp|dea|dl|dln|dni|dpi|egk|egn|ein|epic|fin|frn|gst|hetu|hkid|icn|idnr|iin|inn|ird|itin|ktp|kvnr|mbi|mrn|mst|nas|nhs|nic|nid|nie|nif|nik"
    "|nin|nino|nip|nir|nit|npi|nrc|nric|nss|nuit|ohip|oib|pan|pasep|pesel|phn|pib|pis|pnr|pps|ppsn|ramq|regon|rif|rrn|ruc|rut|rsa id|sin|snils|ssn|ssnit|sss|svnr|taj|tfn|tin|uen|umid|utr"
)
_KEY = rf"(?:{_SHORT})(?:[-_ ]?(?:no|nr|num|number|nummer|id)\b|[\"']?\s?[:=#]| (?:is|ist|es|est|é|è)\b)"
_ANY = "|".join(_WORDS).replace(" ", "[ _-]")  # a name may be a key
WORDS = rf"(?:^|[^A-Za-z])((?i:{_ANY})|ИНН|ИИН|ПИБ|(?:{_SHORT.upper()})\b|(?i:{_KEY}))"
PLATE_WORDS = r"(?i)(?:^|[^A-Za-z])((?:licen[cs]e[ _])?plates?\b|number[ _]plate|kennzeichen|immatriculation|matrícula|targa\b|kenteken|registreringsnummer|vehicle|fahrzeug|车牌|車牌|車両番号|차량번호|गाड़ी|plaka\b|rejestracyjn|госномер)"

_PART = r"[A-Za-z]{0,5}\d[A-Za-z0-9]*"
VALUE = rf"((?:[A-ZÄÖÜ]{{1,4}}[ .-]){{0,2}}{_PART}(?:[ ./-][A-Za-z]{{0,2}}\d[A-Za-z0-9]*|[ -](?!EUR|USD|GBP|CHF|UTC|[KMGT]B|[AP]M)[A-Z]{{1,3}}(?![A-Za-z0-9]))*(?:\([0-9A]\))?)(?![\w@*]|[.-]\d)"
_AFTER = re.compile(rf"[^\d;!?$€£%\n]{{0,32}}?\n?\s{{0,8}}(?<![\w./@+-]){VALUE}")
_BEFORE = re.compile(
    rf"(?<![\w./@+-]){VALUE}[\"')\]]{{0,2}}(?:,? (?:is|as|was|ist|est|es|är|er|é|to)(?: (?!not?\b)[^\W\d]{{1,12}}){{0,3}}| ?[(,])\s?$"
)

_NO_NUMBER = re.compile(
    r"(?:19|20)\d\d[-/. ](?:0?[1-9]|1[0-2])[-/. ]\d|(?:0?[1-9]|[12]\d|3[01])[./-](?:0?[1-9]|[12]\d|3[01])[./-](?:19|20)?\d\d$|(?:19|20)\d\d ?[-/] ?(?:19|20)?\d\d$|(?!\d{1,3}(?:\.\d{3}){2}$)\d+(?:\.\d+)+$|0x"
)
_RUN = re.compile(r"[a-z]+")  # of small letters; many are a digest's
RUNNING = re.compile(r"1234567|2345678|3456789|7654321|(\d)\1{6}")


def beside(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where numbers stand that the word at this place speaks for: after it, or before it ("... is my passport")."""
    after = _AFTER.match(text, end, end + 72)
    if after and _numbered(after[1], bound=_BINDS.fullmatch(text, end, after.start(1)) is not None):
        yield after.span(1)
        return
    before = _BEFORE.search(text, max(0, start - 56), start)
    if before and _numbered(before[1], bound=True):
        yield before.span(1)


def _numbered(value: str, *, bound: bool) -> bool:
    """Figures must be bound to the word, for there is much to count; letters among them count nothing."""
    figures = sum(map(str.isdigit, value))
    letters = sum(map(str.isalpha, value))
    if not 5 <= figures <= 24 or letters > 9 or _NO_NUMBER.match(value) or len(_RUN.findall(value)) > 2:
        return False
    if letters:
        made_up = _SINGAPORE.fullmatch(value) and not check.singaporean(value)
        return figures + letters > 7 and not made_up
    return bound and figures > 5 and not RUNNING.match("".join(filter(str.isdigit, value)))


# What binds: the rest of the word, signs, and words that join.
_BINDS = re.compile(
    r"[\w'’]{0,16}(?:[^\w\n]{1,3}[^\W\d_A-Za-z]{1,16}){0,2}[^\w\n]{0,8}\n?\s{0,8}|[^\n]*?(?:[:=#]|\b(?:number|nummer|numéro|número|no|n[°º]|nr|num|id|saya|di guida|is|ist|est|es|é|code|to|was|are|lautet|serie|серия)(?!\w))[\s\"'.]*"
)
# Documentation is full of S1234567A, whose letter is wrong.
_SINGAPORE = re.compile(r"(?ia)[STFGM]\d{7}[A-Z]")


def plate_beside(text: str, end: int) -> Iterator[tuple[int, int]]:
    found = _AFTER.match(text, end, end + 48)
    if (
        found
        and 4 <= sum(map(str.isalnum, found[1])) <= 10
        and found[1].upper() == found[1]
        and re.search("[A-Z]", found[1])
    ):
        yield found.span(1)


# What documents are numbered like where nothing else stands beside them; letters of any case.
_FORMS: tuple[tuple[str, str, Check | None], ...] = (
    ("passport", r"[MSRGDO]\d{8}|[MSRGDO]\d{3}[A-Z]\d{4}", None),  # South Korea
    ("passport", r"[EGHKU]\d{8}|E[A-Z]\d{7}|P\d{7}[A-Z]", None),  # China, Hong Kong, Turkey; the Philippines
    ("passport", r"(?-i:[A-PR-WYg-pr-wy])[1-9]\d{6}", None),  # India, and others of a letter and seven figures; no digest
    ("passport", r"[A-Z]{2}\d{7}", None),  # Italy, Japan, Poland, Ireland, Greece
    ("passport", r"[A-Z]{3}\d{6}", None),  # Spain, Argentina; Poland's identity card
    ("passport", r"\d\d[A-Z]{2}\d{5}", None),  # France
    ("identity_card", r"[CFGHJKLMNPRTVWXY][CFGHJKLMNPRTVWXYZ0-9]{8}\d", check.travel),  # Germany, passports as well
    ("identity_card", r"(?=.{9}$)(?=(?:[A-Z]*\d){4})(?-i:[CFGHJKLMNPRTVWXY]\d*[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ0-9]*)", None),
    ("identity_card", r"C[A-Z]\d{5}[A-Z]{2}", None),  # Italy
    ("identity_card", r"\d{8} ?\d ?(?:[A-Z][A-Z0-9]|\d[A-Z])\d", check.portuguese_card),  # figures alone have it one time in ten
    ("identity_card", r"\d{9}[VX]", None),  # Sri Lanka
    ("voter_card", r"[A-Z]{3}\d{7}", None),  # India
    ("personal_number", r"\d{7}[A-W][A-IW]?", check.irish),
    ("personal_number", r"[A-Z](?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d{8}[0-9A-Z]", None),  # Mauritius
    ("tax_number", r"[AP]\d{9}[A-Z]|[VEJPG]-?\d{8}-?\d", None),  # Kenya, Venezuela
    ("health_number", r"[A-Z]\d{9}", check.german_health),
    ("health_number", r"[A-Z]{4} ?\d{4} ?\d{4}", check.quebec_health),
    ("driving_licence", r"[A-Z9]{5}\d[0156]\d(?:[0-2]\d|3[01])\d[A-Z9]{2}\d[A-Z]{2}", None),  # the United Kingdom
    ("driving_licence", r"(?:1[1-9]|2[0-8])-\d\d-\d{6}-\d\d", None),  # South Korea
    ("driving_licence", r"[A-Z]{2}[ -]?\d\d[ -]?(?:19|20)\d\d\d{7}", None),  # India
    ("driving_licence", r"(?-i:[A-Z])\d{11,14}|[A-Z]\d{3}(?:[ -]\d{2,4}){2,4}|[A-Z]\d{4}[ -]\d{5}[ -]\d{5}|[A-Z]\d{4}-\d{6}-\d\d", None),  # States and provinces of North America
    ("vehicle", r"(?:A[NPRS]|BR|C[GH]|D[DLN]|G[AJ]|H[PR]|J[HK]|K[AL]|L[AD]|M[HLNPZ]|NL|O[DR]|P[BY]|RJ|SK|T[NRS]|U[AKP]|WB)[ -]?\d{1,2}[ -]?[A-Z]{1,3}[ -]?\d{4}", None),  # India
    ("vehicle", r"[A-Z]{2}-\d{3}-[A-Z]{2}|(?-i:[A-HJ-NP-TV-Z]{2} ?\d{3} ?[A-HJ-NP-TV-Z]{2})", None),  # France, Italy
    ("vehicle", r"(?-i:[A-ZÄÖÜ]{1,3}-[A-Z]{1,2} [1-9]\d{0,3}[EH]?)", None),  # Germany
    ("vehicle", r"(?-i:(?![0-9a-f]*$))(?:0[1-9]|[1-7]\d|8[01]) ?(?:[A-Z] ?\d{4}|[A-Z]{2} ?\d{3,4}|[A-Z]{3} ?\d{2,4})|[A-Z]{3}-\d{3}[A-Z]{2}", None),  # Turkey, but no digest; Nigeria
    ("vat_number", r"DE ?\d{3} ?\d{3} ?\d{3}", lambda text: iso7064(text[2:])),
    ("vat_number", r"ATU\d{8}|BE ?[01]\d{9}|BG\d{9,10}|CY\d{8}[A-Z]|CZ\d{8,10}|(?:DK|FI|HU|LU|MT|SI)\d{8}|(?:EE|EL|PT)\d{9}|FR[A-Z0-9]{2}\d{9}|(?:HR|IT|LV)\d{11}", None),
    ("vat_number", r"IE\d[A-Z0-9]\d{5}[A-Z]{1,2}|LT\d{9}(?:\d{3})?|NL\d{9}B\d\d|(?:PL|SK)\d{10}|SE\d{10}01|ES[A-Z0-9]\d{7}[A-Z0-9]|GB ?\d{3} ?\d{4} ?\d\d", None),
    ("company_number", r"CHE-?\d{3}\.?\d{3}\.?\d{3}", None),
    ("company_number", r"\d{8}[A-Z]|[12]\d{8}[A-Z]", check.singaporean_company),
    ("company_number", r"[TSR]\d\d[A-Z]{2}\d{4}[A-Z]", None),  # Singapore, too
    ("company_number", r"[ABCDEFGHJNPQRSUVW]\d{8}", check.spanish_company),
)  # fmt: skip
_ALONE = tuple((name, re.compile(form, re.I | re.A), proves) for name, form, proves in _FORMS)
_BUSINESS = re.compile(
    r"(?i)(?:inc|req|ord|inv|tkt|sku|ref|doc|cus|usr|acc|txn|prj|bug|job|run|log|chg|prb|ritm|task|kb|po|so|pr|cr|wo|mr)[ -]?\d"
)
LONGEST = 64  # characters of such a field
FIELD = re.compile(r"[\s\"']{0,4}(?:[A-Za-zÄÖÜ]{1,6}[ -]?){0,2}\d")  # how it begins
_LIST = re.compile(r"\s*[,;|\n]\s*|\s+(?:and|und|et|y|e|or|/)\s+")


def alone(text: str) -> Iterator[tuple[str, int, int]]:
    """A field that holds nothing else: the names and the places of what stands in it."""
    found, at = [], 0
    for part in _LIST.split(text):
        value = part.strip(" \t\"'.")
        start = text.index(value, at)
        at = start + len(value)
        name = _named(value)
        if not name:
            return
        found.append((name, start, at))
    yield from found


def _named(value: str) -> str:
    for name, needs in national_numbers.told(value):
        if needs != national_numbers.WORD:
            return name
    if not _BUSINESS.match(value):
        for name, form, proves in _ALONE:
            if form.fullmatch(value) and (proves is None or proves(re.sub(r"\W", "", value))):
                return name
    return ""
