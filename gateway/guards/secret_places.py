"""Where secrets stand: inside addresses, behind names that promise one, in commands, files and sentences."""

from __future__ import annotations

# A credential inside an address: scheme://user:secret@host
ADDRESS = r"(?:^|[^A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{1,24}://[^\s:/@\"'<>]{0,64}:([^\s:/\"'<>]{3,128})@[A-Za-z0-9\[%._-]+"

# Passwords, in the languages that they are told in.
WORDS = (
    "pass(?:w(?:or)?d|phrase|wort|code)|kennwort|contraseña|mot de passe|senha|palavra-passe|wachtwoord|пароль|hasło|lösenord|adgangskode|kodeord|passord|salasana|şifre|parola|heslo|jelszó|geslo|lozinka"
    "|slaptažodis|parool|κωδικός|密码|密碼|口令|パスワード|비밀번호|كلمة المرور|كلمة السر|סיסמה|סיסמא|mật khẩu|kata sandi|รหัสผ่าน|पासवर्ड"
)
_IS = r"\s(?:is|was|ist|lautet|est|es|è|é|är|er|on|to|jest|это)\s{1,3}|\s?(?:是|為|为|は|는|은)\s{0,3}"

# A name that promises a secret, an assignment, and a value.
_NAMES = (
    r"passw(?:or)?d|passphrase|passwd|pwd|\bpw\b|_pass|\bpass|passwort|kennwort|contraseña|mot de passe|senha|wachtwoord|пароль|hasło|lösenord|密码|パスワード|비밀번호|secret|token|api[ _.-]?key|apikey|access[ _.-]?key|access[ _.-]?id|private[ _.-]?key|(?:subscription|master|preshared|pre-shared|storage|function|recovery|host)[ _.-]?key|"
    r"auth[ _.-]?key|client[ _.-]?key|signing[ _.-]?key|encryption[ _.-]?key|app[ _.-]?key|app[ _.-]?id|account[ _.-]?key|credential|creds|auth|_key|[a-z]Key|login|dsn|\bjwt|session(?:[_-]?id)?|sessid|\bpsk|(?:recovery|backup) codes?"
)
_VENDORS = (
    r"adafruit|adobe|airtable|algolia|alibaba|asana|atlassian|beamer|bitbucket|bittrex|cloudflare|codecov|cohere|coinbase|confluen[ct]e?|"
    r"contentful|datadog|deepgram|deepseek|discord|dropbox|droneci|elevenlabs|etsy|facebook|fastly|finicity|finnhub|flickr|freshbooks|gemini|"
    r"gitter|gocardless|groq|hashicorp|heroku|hubspot|intercom|jfrog|artifactory|jira|kraken|kucoin|launchdarkly|linear|linkedin|lob|looker|mailchimp|"
    r"mailgun|mapbox|mattermost|meraki|messagebird|mistral|netlify|newrelic|new[-_]relic|nytimes|okta|openai|pagerduty|plaid|privateai|rapidapi|"
    r"rollbar|segment|sendbird|sendgrid|sentry|shodan|sidekiq|snowflake|snyk|softlayer|sonar|sourcegraph|square|squarespace|stripe|sumo(?:logic)?|tavily|telegram|travis(?:ci)?|"
    r"alchemy|amplitude|auth0|binance|bluemix|bugsnag|cloudant|cloudinary|deepl|etherscan|hetzner|honeybadger|ibm[_-]?(?:cloud|cos|iam)|infura|jenkins|keycloak|klaviyo|linode|loggly|mailjet|mixpanel|nexmo|opsgenie|"
    r"plivo|postmark|pusher|sparkpost|splunk|spotify|teamcity|virustotal|vultr|watson|trello|twilio|twitch|twitter|typeform|vonage|yandex|zendesk|zoom"
)
_ASSIGN = r"[\w.\])-]{0,40}[\"'`]?\]?\s{0,4}(?::\s?&?[\w<>'\[\]]{1,24}\s?=|\||\s?(?:del|für|von|de|du|of|for)\s[\w ]{1,24}:|=>|:{1,3}=|\?=|={1,3}|:|,\s?[\"']|\()\s{0,4}[\"'`]{0,3}(?:base64:)?"
_VALUE = r"([^\s\"'`,;<>(){}]{6,200})"

ASSIGNED: dict[str, str] = {
    "assigned_secret": f"(?:(?i:{_NAMES})){_ASSIGN}{_VALUE}",
    "assigned_vendor": f"(?i)(?:^|[^a-z])(?:{_VENDORS}){_ASSIGN}{_VALUE}",
    "named_value": rf"(?i)\"name\"\s*:\s*\"[^\"]{{0,20}}(?:{_VENDORS}|{_NAMES})[^\"]{{0,20}}\"\s*,\s*\"value\"\s*:\s*\"([^\"\s]{{8,200}})\"",
    "authorization": r"(?i)(?:authorization|x-[a-z-]{0,20}(?:key|token)|api-?key|token)[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:[a-z][\w-]{2,15}\s+)?([A-Za-z0-9+/=_.~@-]{8,400})",
    "curl_user": r"(?i)\bcurl\b[^\n]{0,300}\s(?:-u|--user)(?:=|\s{0,4})[\"']?([^\s:\"'$<]{0,64}:[\"']?[^\s\"'$]{3,64})",
    "parameter_value": rf"(?i)\"[^\"]{{0,40}}(?:{_NAMES})[^\"]{{0,24}}\"\s*:\s*\{{\s*\"value\"\s*:\s*\"([^\"\s]{{6,200}})\"",
    "pair": r"(?i)\b(?:log ?in|credentials?|creds|user(?:name)?|account|access)\b\s*[:=]?\s*[\w.@-]{2,40}\s+/\s+(\S{6,64})",
    "piped": r"(?i)\becho\s+(?:-n\s+)?[\"']?([^\s\"'$]{6,64})[\"']?\s*\|\s*(?:docker|podman|sudo|helm|oras|gpg|kinit|passwd|chpasswd|cryptsetup|openssl|gh|vault|su)\b",
    "here_string": r"(?i)\b(?:sudo|su|gpg|kinit|cryptsetup|ssh-add|passwd|docker login)\b[^\n|;]{0,60}<<<\s*[\"']?([^\s\"'$]{6,64})",
    "auth_pair": r"(?i)\b(?:auth|(?:http)?_?(?:basic|digest)_?auth|login|credentials|http_basic|ps_?credential)\s*[=(:]\s*[(\[]?\s*[\"'][^\"']{1,40}[\"']\s*,\s*[\"']([^\"'\s]{6,64})[\"']",
    "seed_phrase": r"(?i)\b(?:seed|mnemonic|recovery)\b[^:=\n]{0,40}[:=]\s{0,2}[\"']?((?:[a-z]{3,8}[ ,]{1,2}){11,23}[a-z]{3,8})\b",
    "sql_password": r"(?i)\b(?:identified by|password|pwd)\s+(?:by\s+)?'([^'\s]{6,64})'",
    "environment_entry": rf"(?i)\bname:\s*[\"']?[\w.-]{{0,40}}(?:{_VENDORS}|{_NAMES})[\w.-]{{0,24}}[\"']?\s+value:\s*[\"']?([^\"'\s]{{8,200}})",
    "xml_attribute": r"(?i)(?:key|name)\s*=\s*[\"'][^\"']{0,40}(?:password|passwd|pwd|secret|token|api_?-?key|connectionstring)[^\"']{0,24}[\"']\s+value\s*=\s*[\"']([^\"']{6,200})[\"']",
    "command_password": r"(?i)\b(?:mysql\w*|mariadb\w*|sshpass|redis-cli|(?:docker|podman|oras|registry|nerdctl|oc|cf|az|skopeo|helm|crane|vault|argocd) login|svn|smbclient|ldapsearch|rabbitmqadmin|mongo\w*|sqlcmd|bcp|lftp|xfreerdp|mosquitto_\w+|htpasswd|openssl|(?:un)?zip|7z|keytool|ipmitool|impacket-\w+|evil-winrm|isql|clickhouse-client)\b[^\n|;]{0,160}?\s(?:-p ?|-a ?|-w ?|--?pass(?:word|wd|phrase)?[= ]|/p:|-passin pass:|-storepass )[\"']?([^\s\"'$<]{6,64})",
    "net_use": r"(?i)\bnet use\b[^\n]{0,80}/user:\S{1,40}\s+[\"']?([^\s\"'/]{6,64})",
    "netrc": r"(?i)\blogin\s+\S{1,64}\s+password\s+(\S{5,128})",
    "pgpass": r"(?m)(?:^|[\s\"'`])(?:[\w*-]{1,40}\.){0,6}[\w*-]{1,40}:(?:\d{4,5}|\*):[\w*.-]{1,40}:[\w.-]{1,40}:([^\s:\"'`]{6,64})(?:$|[\s\"'`])",
    "oracle_address": r"(?i)\b(?:jdbc:oracle:\w+:|sqlplus\s+|connect\s+)[\w$-]{1,40}/[\"']?([^\s/@\"']{5,64})@",
    "query_parameter": r"(?i)[?&](?:app_?id|api_?key|key|access_token|auth_token|token|sig|signature|auth|secret|client_secret|subscription-key|code)=([A-Za-z0-9._~%+/-]{16,400})",
    "spoken": r"(?i)(?:secret|token|api key|client secret|access key|key)\s+(?:(?:for|of|to|on)\s+[\w./-]{1,24}(?:\s[\w./-]{1,24})?\s+)?(?:is|was|ist|est|es|è|é|это|=|:|of|to)?\s{0,2}[\"'`]?([A-Za-z0-9+/=_~!?@#$%^&*.-]{8,200})",
    "spoken_password": rf"(?i)(?:{WORDS}|wi-?fi key)(?:\s?\([\w .]{{1,20}}\))?(?:\s(?:for|of|to|on|für|de|du|от|do|del)\s[^\s,;:]{{1,24}}(?:\s[^\s,;:]{{1,24}})?)?(?:{_IS}|(?:\s[^\s,;:=]{{1,16}})?(?:\s{{0,3}}(?:[:=：]|=>|->|→)|\s\|)\s{{0,3}}|\s)[\"'`「“]?([^\s\"'`,;<>(){{}}「」“”]{{6,64}})",
    "used_as": rf"(?i)\b(?:use|using|try|enter|type|with)\s+[\"'`]?([^\s\"'`,;]{{6,200}})[\"'`]?\s+(?:as|for)\s+(?:the|your|my|a)\s(?:\w+\s)?(?:{WORDS}|secret|token|api key|key)\b",
    "logged_in": r"(?i)\blog(?:ged)?[ -]?in\s+(?:as|with)\s+[\w.@-]{2,40}\s+(?:with|and|using|/)\s+[\"'`]?([^\s\"'`,;]{6,64})",
    "bearer": r"(?i)\bbearer\s+([A-Za-z0-9._~+/=-]{20,400})",
    "address_token": r"(?i)(?:https?|git|ssh|rediss?|amqps?|wss?)://([A-Za-z0-9_.~+-]{20,200})@[A-Za-z0-9.-]+",
    "configured": r"(?im)^\s*(?:requirepass|masterauth|bindpw|rootpw|wpa-psk|enable (?:secret|password)(?: \d)?|(?:username \S{1,32} )?(?:password|secret) \d|snmp(?:-server)? community)\s+[\"']?(\S{6,64})",
    "windows_password": r"(?i)\b(?:net user \S{1,40}\s+|ConvertTo-SecureString\s+(?:-String\s+)?[\"'])([^\s\"'/*]{6,64})",
    "variable_default": rf"(?is)\bvariable\s+\"[^\"]{{0,40}}(?:{_NAMES})[^\"]{{0,24}}\"\s*\{{[^}}]{{0,200}}?\bdefault\s*=\s*\"([^\"\s]{{6,200}})\"",
    "secret_set": r"(?i)\bsecrets?\s+(?:set|put|create)\s+[\w./-]{1,60}\s+(?:--body|-b|--value|--from-literal=[\w.-]{1,40})[ =][\"']?(\S{8,200})",
    "xml_entry": r"(?i)<[\w:.-]{1,40}\s[^<>]{0,60}(?:key|name|id)=[\"'][^\"']{0,40}(?:password|passwd|secret|token|api_?-?key)[^\"']{0,24}[\"'][^<>]{0,40}>([^<>\s]{6,200})</",
    "command_option": r"(?i)--?(?:password|token|api-?key|secret|vaulttoken)(?:=|\s+)[\"']?([^\s\"'$<{]{6,200})",
    "xml_value": r"(?i)<(?:[\w:.-]*(?:password|passwd|pass|passphrase|secret|psk|token|apikey))(?:\s[^<>]{0,80})?>([^<>\s]{6,200})</",
}  # fmt: skip
