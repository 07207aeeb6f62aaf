#!/usr/bin/env bash
# Deploy the gateway to Fly.io: ./deploy.sh [app] [provider-key] [jwt-secret]
#
# Without arguments it asks. Secrets are best in the environment (ANTHROPIC_API_KEY, MCP_JWT_SECRET) or typed when asked for,
# where nothing echoes; on the command line they stay in the shell's history. They reach flyctl on standard input only.
# Safe to run twice. --dry-run says what it would do; --rollback puts the release before this one back.
set -euo pipefail
cd "$(dirname "$0")"

config=${GATEWAY_CONFIG:-gateway.yaml}
region=${FLY_REGION:-ams}
dry=""
rollback=""
words=()
for word in "$@"; do
  case $word in
    --dry-run) dry=1 ;;
    --rollback) rollback=1 ;;
    -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    -*) echo "deploy.sh: $word is no option; see --help" >&2; exit 2 ;;
    *) words+=("$word") ;;
  esac
done

say() { printf '\n==> %s\n' "$*"; }
fail() { printf 'deploy.sh: %s\n' "$*" >&2; exit 1; }
run() {
  if [ -n "$dry" ]; then printf 'would run: %s\n' "$*"; else "$@"; fi
}
ask() { # VARIABLE PROMPT [default]
  local answer=${3:-}
  [ -t 0 ] && read -r -p "$2${3:+ [$3]}: " answer
  printf -v "$1" '%s' "${answer:-${3:-}}"
}
ask_secret() { # VARIABLE PROMPT
  local answer=""
  if [ -t 0 ]; then
    read -r -s -p "$2: " answer
    echo
  fi
  printf -v "$1" '%s' "$answer"
}

flyctl=$(command -v flyctl || command -v fly || true)
[ -n "$flyctl" ] || fail "flyctl is missing: install it from fly.io/docs/flyctl/install, then run 'fly auth login'"
"$flyctl" auth whoami >/dev/null 2>&1 || fail "you are not signed in: run 'fly auth login'"

app=${words[0]:-${FLY_APP:-}}
[ -n "$app" ] || ask app "Name of the app" "my-gateway"
[[ $app =~ ^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$ ]] || fail "'$app' is no name for an app: small letters, digits and hyphens"

if [ -n "$rollback" ]; then
  image=$("$flyctl" releases --app "$app" --image --json | python3 -c '
import json, sys
done = [r for r in json.load(sys.stdin) if str(r.get("Status", r.get("status"))) == "complete"]
print((done[1].get("ImageRef") or done[1].get("imageRef")) if len(done) > 1 else "")')
  [ -n "$image" ] || fail "$app has no release before this one"
  say "Going back to $image"
  run "$flyctl" deploy --app "$app" --image "$image" --wait-timeout 120
  exit 0
fi

key=${words[1]:-${ANTHROPIC_API_KEY:-}}
secret=${words[2]:-${MCP_JWT_SECRET:-}}
[ ${#words[@]} -lt 2 ] || echo "warning: secrets on the command line stay in your shell's history; use the environment" >&2
[ -n "$key" ] || ask_secret key "Provider key (ANTHROPIC_API_KEY; empty keeps what is set)"
[ -n "$secret" ] || ask_secret secret "Secret that signs MCP tokens, 32 characters or more (empty: a new one)"
[ -z "$secret" ] || [ ${#secret} -ge 32 ] || fail "the token secret has ${#secret} characters; HS256 needs 32"

gateway=.venv/bin/gateway
if [ ! -f "$config" ]; then
  say "No $config: starting from examples/fly"
  run cp examples/fly/gateway.yaml "$config"
  [ -z "$dry" ] || config=examples/fly/gateway.yaml
fi
if [ -x "$gateway" ]; then
  say "Checking $config"
  ANTHROPIC_API_KEY=checked MCP_JWT_SECRET=checked-checked-checked-checked-checked GATEWAY_SEAL_KEY=checked \
    FLY_APP_NAME=$app "$gateway" check "$config" || fail "$config cannot be used; nothing was created"
fi
target=plain
grep -qE '^[^#]*command: *\[ *"?(npx|node)' "$config" && target=with-node

if "$flyctl" apps list --json 2>/dev/null | grep -q "\"$app\""; then
  say "$app exists"
else
  say "Creating $app"
  run "$flyctl" apps create "$app"
fi

if grep -qE '^store: *"?sqlite:' "$config"; then
  if "$flyctl" volumes list --app "$app" --json 2>/dev/null | grep -q '"gateway_data"'; then
    say "The volume is there"
  else
    say "Creating the volume for SQLite"
    run "$flyctl" volumes create gateway_data --app "$app" --region "$region" --size 1 --yes
  fi
elif grep -qE '^store: *"?dynamodb:' "$config"; then
  say "DynamoDB: the role in AWS_ROLE_ARN must trust Fly's identity provider (docs/deploy-fly.md has the commands)"
  [ -n "${AWS_ROLE_ARN:-}" ] || echo "warning: AWS_ROLE_ARN is not set; set it as a secret before the first request" >&2
fi

say "Setting secrets"
fresh=""
if [ -z "$secret" ] && ! "$flyctl" secrets list --app "$app" --json 2>/dev/null | grep -q MCP_JWT_SECRET; then
  secret=$(head -c 36 /dev/urandom | base64 | tr -d '\n')
  fresh=1
fi
seal=""
"$flyctl" secrets list --app "$app" --json 2>/dev/null | grep -q GATEWAY_SEAL_KEY || seal=$(head -c 36 /dev/urandom | base64 | tr -d '\n')
lines() {
  [ -z "$key" ] || printf 'ANTHROPIC_API_KEY=%s\n' "$key"
  [ -z "$secret" ] || printf 'MCP_JWT_SECRET=%s\n' "$secret"
  [ -z "$seal" ] || printf 'GATEWAY_SEAL_KEY=%s\n' "$seal"
  [ -z "${AWS_ROLE_ARN:-}" ] || printf 'AWS_ROLE_ARN=%s\n' "$AWS_ROLE_ARN"
}
if [ -z "$(lines)" ]; then
  echo "nothing new"
elif [ -n "$dry" ]; then
  lines | sed 's/=.*/=…/; s/^/would set: /'
else
  lines | "$flyctl" secrets import --stage --app "$app"
fi

say "Deploying ($target)"
mount=()
if grep -qE '^store: *"?sqlite:' "$config"; then mount=(--volume-initial-size 1); fi
run "$flyctl" deploy --app "$app" --config fly.toml --build-target "$target" --primary-region "$region" \
  --wait-timeout 300 "${mount[@]}"

url="https://$app.fly.dev"
say "Waiting for $url/healthz"
if [ -z "$dry" ]; then
  for attempt in $(seq 1 "${HEALTH_TRIES:-30}"); do
    if curl -fsS --max-time 5 "${HEALTH_URL:-$url/healthz}" >/dev/null 2>&1; then break; fi
    [ "$attempt" -lt "${HEALTH_TRIES:-30}" ] || fail "$app does not answer: 'fly logs -a $app'; './deploy.sh $app --rollback' goes back"
    sleep "${HEALTH_PAUSE:-2}"
  done
fi

cat <<END

$app is live. Make a key, and paste:

  fly ssh console -a $app -C "gateway keys create --owner you@example.com --config gateway.yaml"

  export ANTHROPIC_BASE_URL=$url
  export ANTHROPIC_AUTH_TOKEN=gwk_…          # the key that was printed
  claude mcp add --transport http tools $url/mcp --header "Authorization: Bearer gwk_…"

${fresh:+A secret for MCP tokens was made and set; nobody has seen it. }Logs: fly logs -a $app. Back: ./deploy.sh $app --rollback
END
