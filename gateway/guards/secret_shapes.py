"""The shapes of secrets, as facts: how each issuer's tokens begin, from which letters they are made, and how long they are."""

from __future__ import annotations

_W = "[A-Za-z0-9_-]"
_AN = "[A-Za-z0-9]"
_HEX = "[a-fA-F0-9]"
_B64 = "[A-Za-z0-9+/]"

# name: (beginning, letters, least, most) of tokens that say themselves what they are
_PREFIXED: dict[str, tuple[str, str, int, int]] = {
    "1password": ("A3-", "[A-Z0-9-]", 30, 40),
    "1password_service": ("ops_eyJ", _B64, 200, 900),
    "adobe": ("p8e-", "[A-Za-z0-9]", 32, 32),
    "age": ("AGE-SECRET-KEY-1", "[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]", 58, 58),
    "airtable": ("pat", "[A-Za-z0-9.]", 79, 79),
    "alibaba": ("LTAI", _AN, 16, 22),
    "anthropic": ("sk-ant-", _W, 90, 130),
    "artifactory": ("AKCp", _AN, 69, 69),
    "artifactory_reference": ("cmVmd", _AN, 59, 59),
    "atlassian": ("ATATT3", "[A-Za-z0-9_=-]", 60, 220),
    "bedrock": ("ABSK", _B64, 100, 280),
    "bedrock_short": ("bedrock-api-key-", _B64, 20, 900),
    "buildkite": ("bkua_", _HEX, 40, 40),
    "clickhouse": ("4b1d", _AN, 38, 38),
    "clojars": ("CLOJARS_", _AN, 60, 60),
    "cloudflare_origin": ("v1\\.0-", "[a-f0-9-]", 150, 175),
    "contentful": ("CFPAT-", _W, 43, 43),
    "databricks": ("dapi", "[a-f0-9]", 32, 32),
    "digitalocean": ("do[opr]_v1_", _HEX, 64, 64),
    "docker": ("dckr_[a-z]{3,4}_", _W, 27, 40),
    "doppler": ("dp\\.[a-z]{2,5}\\.", _AN, 40, 44),
    "duffel": ("duffel_(?:test|live)_", "[A-Za-z0-9_=-]", 43, 43),
    "dynatrace": ("dt0c01\\.", "[A-Za-z0-9.]", 89, 89),
    "easypost": ("EZ[AT]K", _AN, 54, 54),
    "facebook_page": ("EAA[MC]", _AN, 100, 400),
    "fio": ("fio-u-", "[A-Za-z0-9_=-]", 64, 64),
    "figma": ("figd_", _W, 40, 45),
    "flutterwave": ("FLW(?:SEC|PUB)K_TEST-", "[a-hA-H0-9X-]", 12, 34),
    "fly": ("fm[12][ar]?_", "[A-Za-z0-9+/]", 100, 900),
    "fly_personal": ("fo1_", _W, 43, 43),
    "github": ("gh[pousr]_", _AN, 36, 40),
    "github_fine": ("github_pat_", "[A-Za-z0-9_]", 82, 82),
    "gitlab": ("gl(?:pat|dt|ft|ffct|soat|rt)-", _W, 20, 20),
    "gitlab_trigger": ("glptt-", "[a-f0-9]", 40, 40),
    "gitlab_agent": ("glagent-", _W, 50, 50),
    "gitlab_oauth": ("gloas-", _W, 64, 64),
    "gitlab_routable": ("gl(?:pat-|rt-t\\d_)", "[A-Za-z0-9_.-]", 37, 320),
    "gitlab_job": ("glcbt-[A-Za-z0-9]{1,5}_", _W, 20, 20),
    "gitlab_session": ("_gitlab_session=", "[a-z0-9]", 32, 32),
    "gitlab_incoming": ("glimt-", _W, 25, 25),
    "gitlab_runner": ("GR1348941", _W, 20, 20),
    "google_api": ("AIza", _W, 35, 35),
    "google_oauth": ("GOCSPX-", _W, 24, 30),
    "google_refresh": ("1//0", _W, 40, 120),
    "google_access": ("ya29\\.", _W, 30, 400),
    "grafana": ("gl(?:c|sa)_", "[A-Za-z0-9+/_]", 32, 400),
    "groq": ("gsk_", _AN, 48, 56),
    "harness": ("(?:pat|sat)\\.", "[A-Za-z0-9._-]", 60, 80),
    "heroku": ("HRKU-AA", _W, 58, 58),
    "huggingface": ("hf_", "[A-Za-z]", 34, 34),
    "huggingface_org": ("api_org_", "[A-Za-z]", 34, 34),
    "infracost": ("ico-", _AN, 32, 32),
    "intra42": ("s-s4t2(?:af|ud)-", "[a-f0-9]", 64, 64),
    "langfuse": ("[sp]k-lf-", "[a-f0-9-]", 36, 36),
    "linear": ("lin_api_", _AN, 40, 40),
    "maxmind": ("[A-Za-z0-9]{6}_", "[A-Za-z0-9_]", 33, 33),
    "newrelic": ("NR(?:AK|II|JS|AL|RA)-", "[A-Za-z0-9-]", 19, 40),
    "notion": ("ntn_", _AN, 46, 46),
    "notion_old": ("secret_", _AN, 43, 43),
    "npm": ("npm_", _AN, 36, 36),
    "nuget": ("oy2", "[a-z0-9]", 43, 43),
    "octopus": ("API-", "[A-Z0-9]", 26, 26),
    "openai_project": ("sk-(?:proj|svcacct|admin)-", _W, 48, 170),
    "openai": ("sk-", _AN, 48, 48),
    "openrouter": ("sk-or-v1-", "[a-f0-9]", 64, 64),
    "openshift": ("sha256~", _W, 43, 43),
    "perplexity": ("pplx-", _AN, 48, 48),
    "planetscale": ("pscale_(?:tkn|oauth|pw)_", "[A-Za-z0-9_=.-]", 32, 64),
    "postman": ("PMAK-", "[a-fA-F0-9-]", 59, 59),
    "prefect": ("pnu_", _AN, 36, 36),
    "pulumi": ("pul-", "[a-f0-9]", 40, 40),
    "pypi": ("pypi-AgE", _W, 95, 1000),
    "readme": ("rdme_", "[a-z0-9]", 70, 70),
    "replicate": ("r8_", _AN, 37, 37),
    "rubygems": ("rubygems_", "[a-f0-9]", 48, 48),
    "scalingo": ("tk-us-", _W, 48, 48),
    "sendgrid": ("SG\\.", "[A-Za-z0-9=_.-]", 66, 66),
    "sendinblue": ("xkeysib-", "[A-Za-z0-9-]", 81, 81),
    "sentry": ("sntryu_", "[a-f0-9]", 64, 64),
    "sentry_org": ("sntrys_eyJ", "[A-Za-z0-9+/=_]", 80, 400),
    "settlemint": ("sm_[aps]at_", _AN, 16, 16),
    "shippo": ("shippo_(?:live|test)_", _HEX, 40, 40),
    "shopify": ("shp(?:at|ca|pa|ss)_", _HEX, 32, 32),
    "slack_bot": ("xoxb-\\d{8,14}-", "[A-Za-z0-9-]", 18, 60),
    "slack_user": ("xox[pe](?:-\\d{10,13}){3}-", "[A-Za-z0-9-]", 28, 34),
    "slack_legacy": ("xox[os]-\\d+-\\d+-\\d+-", _HEX, 8, 64),
    "slack_workspace": ("xox[ar]-(?:\\d-)?", _AN, 8, 48),
    "slack_refresh": ("(?i:xoxe)-\\d-", _AN, 140, 160),
    "slack_app": ("(?i:xapp)-\\d-", "[A-Za-z0-9-]", 30, 120),
    "slack_config": ("(?i:xoxe\\.xox[bp])-\\d-", "[A-Za-z0-9]", 100, 200),
    "sonar": ("sq[upa]_", "[a-f0-9]", 40, 40),
    "sourcegraph": ("sgp_(?:[a-fA-F0-9]{16}_|local_)?", _HEX, 40, 40),
    "square": ("sq0(?:atp|csp)-", _W, 22, 60),
    "square_access": ("EAAA", _W, 56, 64),
    "stripe": ("(?:sk|rk|whsec)_(?:test|live|prod)_", _AN, 10, 110),
    "stripe_webhook": ("whsec_", _AN, 32, 64),
    "supabase": ("sbp_", "[a-f0-9]", 40, 40),
    "tailscale": ("tskey-[a-z]+-", "[A-Za-z0-9-]", 20, 60),
    "tencent": ("AKID", _AN, 32, 32),
    "terraform": ("[A-Za-z0-9]{14}\\.atlasv1\\.", "[A-Za-z0-9_=-]", 60, 70),
    "twilio": ("(?:SK|AC)", "[a-f0-9]", 32, 32),
    "twilio_mixed": ("SK", _HEX, 32, 32),
    "typeform": ("tfp_", "[A-Za-z0-9_.=-]", 59, 59),
    "vault": ("hv[sbr]\\.", _W, 90, 310),
    "vault_old": ("s\\.", _AN, 24, 24),
    "vercel": ("vc[a-z]_", _AN, 24, 60),
    "wandb": ("wandb_v1_", _W, 60, 90),
    "xai": ("xai-", _AN, 70, 90),
    "yandex": ("AQVN", _W, 35, 38),
    "yandex_aws": ("YC", _W, 38, 38),
}  # fmt: skip

_EDGE = r"(?:^|[^A-Za-z0-9_])"
_END = r"(?:$|[^A-Za-z0-9_-])"

PREFIXED: dict[str, str] = {
    name: f"{_EDGE}({start}{letters}{{{least},{most}}}){_END}"
    for name, (start, letters, least, most) in _PREFIXED.items()
}

# Tokens whose parts have a structure of their own.
STRUCTURED: dict[str, str] = {
    "aws_access_key": r"(?:^|[^A-Za-z0-9])((?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{16})(?:$|[^A-Za-z0-9])",
    "jwt": r"(?:^|[^A-Za-z0-9_-])(ey[A-Za-z0-9_/\\-]{14,}\.ey[A-Za-z0-9_/\\-]{14,}(?:\.[A-Za-z0-9_/\\+=-]*)?)",
    "jwt_base64": r"(ZXlK[A-Za-z0-9+/]{80,}={0,2})",
    "private_key": r"(-----BEGIN[ A-Z0-9_-]{0,40}PRIVATE KEY(?: BLOCK)?-----[\sA-Za-z0-9+/=\\:,.\"'-]{16,})",
    "putty_key": r"(PuTTY-User-Key-File-\d)",
    "service_account": r"(\"type\"\s*:\s*\"service_account\")",
    "discord_bot": r"(?:^|[^A-Za-z0-9_-])([MNO][A-Za-z\d_-]{22,25}\.[A-Za-z\d_-]{6}\.[A-Za-z\d_-]{27,38})(?:$|[^A-Za-z0-9_-])",
    "telegram_bot": r"(?:^|[^A-Za-z0-9_])(\d{5,16}:A[A-Za-z0-9_-]{34})(?:$|[^A-Za-z0-9_-])",
    "azure_client_secret": r"(?:^|[^A-Za-z0-9_~.-])([A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34})(?:$|[^A-Za-z0-9_~-])",
    "azure_storage": r"(?i)AccountKey=([A-Za-z0-9+/]{60,90}={0,2})",
    "facebook_access": r"(?:^|\D)(\d{15,16}[|%][0-9A-Za-z_-]{27,40})(?:$|[^0-9A-Za-z_-])",
    "mailgun": r"(?:^|[^A-Za-z0-9])((?:pub)?key-[a-f0-9]{32})(?:$|[^A-Za-z0-9])",
    "mailchimp": r"(?:^|[^A-Za-z0-9-])([a-z0-9]{32}-us\d{1,2})(?:$|[^A-Za-z0-9])",
    "mapbox": r"([ps]k\.[A-Za-z0-9]{60}\.[A-Za-z0-9_-]{22})",
    "plaid": r"(access-(?:sandbox|development|production)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})",
    "defined_networking": r"(dnkey-[A-Za-z0-9=_-]{26}-[A-Za-z0-9=_-]{52})",
    "grafana_api_key": r"(eyJrIjoi[A-Za-z0-9+/=]{60,400})",
    "authress": r"((?:sc|ext|scauth|authress)_[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_-][A-Za-z0-9-]{10,32}\.[A-Za-z0-9+/_=-]{30,120})",
    "slack_webhook": r"(hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{40,60})",
    "teams_webhook": r"(webhook\.office\.com/webhookb2/[a-z0-9@-]{60,90}/IncomingWebhook/[a-z0-9/-]{60,90})",
    "discord_webhook": r"(discord(?:app)?\.com/api/webhooks/\d{15,20}/[A-Za-z0-9_-]{60,70})",
    "square_oauth": r"(sq0csp-[A-Za-z0-9_-]{43})",
    "npm_auth": r"(?i)(_(?:authToken|auth)\s*=\s*[\"']?(?:npm_[a-z0-9]{8,}|[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}|[a-z0-9+/]{12,}={1,2}))",
    "jfrog": r"(?:^|[\s=:\"'])((?:AKC|AP[0-9ABCDEF])[A-Za-z0-9]{10,})(?:$|[\s\"',;])",
    "kubernetes_secret": r"(?is)kind:\s*[\"']?secret[\"']?\s.{0,300}?\bdata:\s+[\w.-]+:\s*[\"']?([a-z0-9+/]{10,}={0,3})",
    "nuget_password": r"(?i)<add key=\"(?:cleartext)?password\"\s*value=\"([^\"]{8,})\"",
    "sumologic_id": r"(?i:sumo)[\w. -]{0,24}[\"']?\s{0,3}(?:=|:|,)\s{0,3}[\"']?(su[A-Za-z0-9]{12})(?:$|[^A-Za-z0-9])",
    "contribsys": r"(?i)(?:contribsys|sidekiq)[\w.\" ]{0,20}[=:]\s*[\"']?([a-f0-9]{8}:[a-f0-9]{8})(?:$|[^a-f0-9])",
}  # fmt: skip

# A credential inside an address: scheme://user:secret@host
ADDRESS = r"(?:^|[^A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{1,24}://[^\s:/@\"'<>]{0,64}:([^\s:/@\"'<>]{3,128})@[A-Za-z0-9\[%._-]+"

# A name that promises a secret, an assignment, and a value.
_NAMES = (
    r"passw(?:or)?d|passwd|passphrase|pwd|_pass|secret|token|api[ _.-]?key|apikey|access[ _.-]?key|access[ _.-]?id|private[ _.-]?key|"
    r"auth[ _.-]?key|client[ _.-]?key|signing[ _.-]?key|encryption[ _.-]?key|app[ _.-]?key|credential|creds|auth|_key|[a-z]Key|login|dsn"
)
_VENDORS = (
    r"adafruit|adobe|airtable|algolia|alibaba|asana|atlassian|beamer|bitbucket|bittrex|cloudflare|codecov|cohere|coinbase|confluen[ct]e?|"
    r"contentful|datadog|deepgram|deepseek|discord|dropbox|droneci|elevenlabs|etsy|facebook|fastly|finicity|finnhub|flickr|freshbooks|gemini|"
    r"gitter|gocardless|groq|hashicorp|heroku|hubspot|intercom|jfrog|artifactory|jira|kraken|kucoin|launchdarkly|linear|linkedin|lob|looker|mailchimp|"
    r"mailgun|mapbox|mattermost|meraki|messagebird|mistral|netlify|newrelic|new[-_]relic|nytimes|okta|openai|pagerduty|plaid|privateai|rapidapi|"
    r"rollbar|segment|sendbird|sendgrid|sentry|shodan|sidekiq|snowflake|snyk|softlayer|sonar|sourcegraph|square|squarespace|stripe|sumo(?:logic)?|tavily|telegram|travis(?:ci)?|"
    r"trello|twilio|twitch|twitter|typeform|vonage|yandex|zendesk|zoom"
)
_ASSIGN = (
    r"[\w.\])-]{0,40}[\"'`]?\]?\s{0,4}(?:=>|:{1,3}=|\?=|={1,3}|:|,\s?[\"']|\()\s{0,4}[\"'`]{0,3}(?:base64:)?"
)
_VALUE = r"([^\s\"'`,;<>(){}]{6,200})"

ASSIGNED: dict[str, str] = {
    "assigned_secret": f"(?:(?i:{_NAMES})){_ASSIGN}{_VALUE}",
    "assigned_vendor": f"(?i)(?:^|[^a-z])(?:{_VENDORS}){_ASSIGN}{_VALUE}",
    "named_value": rf"(?i)\"name\"\s*:\s*\"[^\"]{{0,20}}(?:{_VENDORS}|{_NAMES})[^\"]{{0,20}}\"\s*,\s*\"value\"\s*:\s*\"([^\"\s]{{8,200}})\"",
    "authorization": r"(?i)(?:authorization|x-[a-z-]{0,20}(?:key|token)|api-?key|token)[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:(?:bearer|basic|token|api-token|apikey|key)\s+)?([A-Za-z0-9+/=_.~@-]{8,400})",
    "curl_user": r"(?i)\bcurl\b[^\n]{0,300}\s(?:-u|--user)(?:=|\s{0,4})[\"']?([^\s:\"'$<]{0,64}:[\"']?[^\s\"'$]{3,64})",
    "spoken": r"(?i)(?:password|passphrase|secret|token|api key|client secret|access key|key)\s+(?:(?:for|of|to|on)\s+[\w./-]{1,24}(?:\s[\w./-]{1,24})?\s+)?(?:is|was|=|:|of)?\s{0,2}[\"'`]?([A-Za-z0-9+/=_~!@#$%^&*.-]{12,200})",
    "command_option": r"(?i)--?(?:password|token|api-?key|secret|vaulttoken)(?:=|\s+)[\"']?([^\s\"'$<{]{6,200})",
    "xml_value": r"(?i)<(?:[\w:.-]*(?:password|secret|token|apikey))>([^<>\s]{6,200})</",
}  # fmt: skip
