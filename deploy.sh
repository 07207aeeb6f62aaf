#!/usr/bin/env bash
# Deploy the gateway to Fly.io: ./deploy.sh [app] [provider-key] [jwt-secret]
#
# Without arguments it asks. Secrets are best in the environment (ANTHROPIC_API_KEY, MCP_JWT_SECRET, and whatever else the
# configuration names as ${NAME}) or typed when asked for, where nothing echoes; on the command line they stay in the shell's
# history. They reach flyctl on standard input only. Without a secret for tokens a key pair signs them.
# Safe to run twice. --dry-run says what it would do; --rollback puts the release before this one back.
set -euo pipefail
cd "$(dirname "$0")"

config=gateway.yaml
region=${FLY_REGION:-ams}
gateway=.venv/bin/gateway
dry="" rollback="" words=()

main() {
  read_words "$@"
  find_flyctl
  [ -z "$rollback" ] || { go_back; return; }
  take_configuration
  take_secrets
  check_configuration
  look_around
  prepare_role
  gather_secrets
  create_app
  prepare_store
  set_secrets
  deploy
  await_health
  say_what_to_paste
}

say() { printf '\n==> %s\n' "$*"; }
fail() { printf 'deploy.sh: %s\n' "$*" >&2; exit 1; }
run() { if [ -n "$dry" ]; then printf 'would run: %s\n' "$*"; else "$@"; fi; }
uses_store() { grep -qE "^store: *[\"']?$1:" "$config"; }

read_words() {
  local word
  for word in "$@"; do
    case $word in
      --dry-run) dry=1 ;;
      --rollback) rollback=1 ;;
      -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' deploy.sh; exit 0 ;;
      -*) echo "deploy.sh: $word is no option; see --help" >&2; exit 2 ;;
      *) words+=("$word") ;;
    esac
  done
  [ ${#words[@]} -le 3 ] || { echo "deploy.sh: three arguments at most; see --help" >&2; exit 2; }
  [ ${#words[@]} -lt 2 ] || echo "warning: secrets on the command line stay in your shell's history; use the environment" >&2
  app=${words[0]:-${FLY_APP:-}}
  [ -n "$app" ] || ask app "Name of the app" my-gateway
  [[ $app =~ ^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$ ]] || fail "'$app' is no name for an app: small letters, digits and hyphens"
}

ask() { # VARIABLE PROMPT [default]
  local answer=""
  if [ -t 0 ]; then read -r -p "$2${3:+ [$3]}: " answer; fi
  printf -v "$1" '%s' "${answer:-${3:-}}"
}

ask_secret() { # VARIABLE PROMPT
  local answer=""
  if [ -t 0 ]; then read -r -s -p "$2: " answer; echo; fi
  printf -v "$1" '%s' "$answer"
}

find_flyctl() {
  fly=$(command -v flyctl || command -v fly || true)
  [ -n "$fly" ] || fail "flyctl is missing: install it from fly.io/docs/flyctl/install, then run 'fly auth login'"
  "$fly" auth whoami </dev/null >/dev/null 2>&1 || fail "you are not signed in: run 'fly auth login'"
}

go_back() {
  local releases image
  releases=$("$fly" releases --app "$app" --image --json) || fail "the releases of $app cannot be listed"
  # The newest first, other things within each; of those that came to be whole, the second that has an image of its own.
  image=$(grep -oiE '"(Status|ImageRef)": *"[^"]*"' <<<"$releases" | awk -F'"' '
    tolower($2) == "status" { whole = $4 ~ /^(complete|succeeded)$/ }
    tolower($2) == "imageref" && whole && $4 != "" && !seen[$4]++ { print $4 }' | sed -n 2p) || true
  [ -n "$image" ] || fail "$app has no release before this one"
  say "Going back to $image"
  run "$fly" deploy --app "$app" --image "$image" --wait-timeout 120s || fail "going back has failed: 'fly logs -a $app'"
}

take_configuration() {
  if [ -f "$config" ]; then return; fi
  say "No gateway.yaml: starting from examples/fly"
  run cp examples/fly/gateway.yaml gateway.yaml
  [ -z "$dry" ] || config=examples/fly/gateway.yaml
}

take_secrets() {
  key=${words[1]:-${ANTHROPIC_API_KEY:-}}
  secret=${words[2]:-${MCP_JWT_SECRET:-}}
  [ -n "$key" ] || ask_secret key "Provider key (ANTHROPIC_API_KEY; empty keeps what is set)"
  [ -n "$secret" ] || ask_secret secret "Secret that signs MCP tokens, 32 characters or more (empty: a key pair)"
  [ -z "$secret" ] || [ ${#secret} -ge 32 ] || fail "the token secret has ${#secret} characters; HS256 needs 32"
  if [ -n "$secret" ] && grep -q 'jwks: {file: jwt-public.pem}' "$config" && [ -z "$dry" ]; then
    # shellcheck disable=SC2016
    sed -i.before 's/jwks: {file: jwt-public.pem}/secret: "${MCP_JWT_SECRET}"/' "$config" && rm -f "$config.before"
  elif grep -q 'file: jwt-public.pem' "$config" && [ ! -f jwt-public.pem ]; then
    say "Making the key pair that signs tokens: jwt-private.pem stays here, jwt-public.pem goes along"
    [ -x "$gateway" ] || [ -n "$dry" ] || fail "run 'make install' first: the key pair is made by the gateway itself"
    run "$gateway" token pair
  fi
}

# Every ${NAME} without a default that the configuration holds.
# shellcheck disable=SC2016
named() { sed 's/#.*//' "$config" | grep -oE '\$\{[A-Z][A-Z0-9_]*\}' | tr -d '${}' | grep -v '^FLY_' | sort -u || true; }

check_configuration() {
  if [ ! -x "$gateway" ] || { [ -n "$dry" ] && [ ! -f gateway.yaml ]; }; then
    say "Not checking $config: run 'make install' for that"
    return
  fi
  say "Checking $config"
  local name account=()
  if uses_store dynamodb; then look_into_account; fi
  ( # a stand-in for each secret: those that Fly keeps already are not known here
    for name in $(named); do [ -n "${!name:-}" ] || export "$name=a-stand-in-for-the-secret-that-fly-keeps"; done
    export FLY_APP_NAME=$app
    "$gateway" check "$config" ${account[@]+"${account[@]}"} # bash 3 has no other way
  ) || fail "$config cannot be used; nothing was created"
}

# The table, and the rights of the role that the machines will have, where somebody here may ask AWS.
look_into_account() {
  if [ -n "${AWS_PROFILE:-}${AWS_ACCESS_KEY_ID:-}" ]; then
    account=(--account)
    [ -z "${AWS_ROLE_ARN:-}" ] || account+=(--role "$AWS_ROLE_ARN")
  else
    echo "warning: the table and the role's rights are not checked: neither AWS_PROFILE nor AWS_ACCESS_KEY_ID is set" >&2
  fi
}

look_around() {
  local apps
  apps=$("$fly" apps list --json) || fail "your apps cannot be listed; nothing was created"
  exists="" kept="[]"
  grep -qE "\"(Name|name|ID|id)\": *\"$app\"" <<<"$apps" || return 0
  exists=1
  kept=$("$fly" secrets list --app "$app" --json) || fail "the secrets of $app cannot be listed; nothing was changed"
}

# Fly's machines have an identity of their own; AWS is told to trust that of this app's. Nothing is made that is there.
prepare_role() {
  if ! uses_store dynamodb || [ -n "${AWS_ROLE_ARN:-}" ] || grep -q '"AWS_ROLE_ARN"' <<<"$kept"; then return 0; fi
  if ! command -v aws >/dev/null || [ -z "${AWS_PROFILE:-}${AWS_ACCESS_KEY_ID:-}" ]; then
    echo "warning: AWS_ROLE_ARN is not set, and no role can be made without the aws command and AWS_PROFILE: docs/deploy-fly.md" >&2
    return 0
  fi
  export AWS_PAGER=""
  local account issuer=oidc.fly.io/${FLY_ORG:-personal} role=fly-$app table
  account=$(aws sts get-caller-identity --query Account --output text) || fail "AWS does not know you; nothing was created"
  table=$(sed -nE "s|^store: *[\"']?dynamodb://([A-Za-z0-9_.-]+).*|\1|p" "$config")
  say "Making the role $role, which trusts the machines of $app"
  aws iam get-open-id-connect-provider --open-id-connect-provider-arn "arn:aws:iam::$account:oidc-provider/$issuer" >/dev/null 2>&1 \
    || run aws iam create-open-id-connect-provider --url "https://$issuer" --client-id-list sts.amazonaws.com --output text \
    || fail "AWS cannot be told to trust Fly; nothing was created"
  aws iam get-role --role-name "$role" >/dev/null 2>&1 \
    || run aws iam create-role --role-name "$role" --query Role.Arn --output text --assume-role-policy-document "$(trust)" \
    || fail "the role $role cannot be created; nothing was deployed"
  run aws iam put-role-policy --role-name "$role" --policy-name gateway \
    --policy-document "$(sed "s|:\*:table/gateway|:$account:table/$table|" infra/dynamodb/policy.json)" \
    || fail "the role $role cannot be given its rights; nothing was deployed"
  AWS_ROLE_ARN=arn:aws:iam::$account:role/$role
}

trust() {
  cat <<END
{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
  "Principal": {"Federated": "arn:aws:iam::$account:oidc-provider/$issuer"},
  "Condition": {"StringEquals": {"$issuer:aud": "sts.amazonaws.com"}, "StringLike": {"$issuer:sub": "${FLY_ORG:-personal}:$app:*"}}}]}
END
}

gather_secrets() { # into `lines`, NAME=value each
  local name value
  lines=""
  for name in $(named) AWS_ROLE_ARN; do
    case $name in
      ANTHROPIC_API_KEY) value=$key ;;
      MCP_JWT_SECRET) value=$secret ;;
      *) value=${!name:-} ;;
    esac
    if [ -z "$value" ] && ! grep -q "\"$name\"" <<<"$kept"; then
      case $name in
        GATEWAY_SEAL_KEY) value=$(head -c 36 /dev/urandom | base64 | tr -d '\n') ;;
        AWS_ROLE_ARN) ;;
        *) [ -n "$dry" ] || fail "$config names $name, and nobody has set it: put it into the environment, and run this again" ;;
      esac
    fi
    [ -z "$value" ] || lines+="$name=$value"$'\n'
  done
}

create_app() {
  if [ -n "$exists" ]; then say "$app exists"; return; fi
  say "Creating $app"
  run "$fly" apps create "$app" ${FLY_ORG:+--org "$FLY_ORG"} || fail "$app cannot be created: is the name taken? Nothing was deployed"
}

prepare_store() {
  fly_toml=fly.toml machines=()
  if uses_store sqlite; then
    machines=(--ha=false) # one machine holds the file
    fly_toml=.fly.volume.toml
    trap 'rm -f .fly.volume.toml' EXIT
    { cat fly.toml; printf '\n[[mounts]]\nsource = "gateway_data"\ndestination = "/data"\n'; } >"$fly_toml"
    if [ -z "$dry" ] && "$fly" volumes list --app "$app" --json | grep -q '"gateway_data"'; then say "The volume is there"; return; fi
    say "Creating the volume for SQLite"
    run "$fly" volumes create gateway_data --app "$app" --region "$region" --size 1 --yes || fail "the volume cannot be created"
  elif uses_store memory; then
    machines=(--ha=false)
    echo "warning: store: memory: forgets limits, keys and the ledger with each deployment" >&2
  fi
}

set_secrets() {
  say "Setting secrets"
  if [ -z "$lines" ]; then
    echo "nothing new"
  elif [ -n "$dry" ]; then
    printf '%s' "$lines" | sed 's/=.*/=…/; s/^/would set: /'
  else
    printf '%s' "$lines" | "$fly" secrets import --stage --app "$app" || fail "the secrets cannot be set; nothing was deployed"
  fi
}

deploy() {
  local target=plain
  if sed 's/#.*//' "$config" | grep -qE 'command: *\[ *"?(npx|node)'; then target=with-node; fi
  say "Deploying ($target)"
  run "$fly" deploy --app "$app" --config "$fly_toml" --build-target "$target" --primary-region "$region" \
    --wait-timeout 300s ${machines[@]+"${machines[@]}"} \
    || fail "the deployment has failed, the release before it goes on: 'fly logs -a $app'"
}

await_health() {
  url=https://$app.fly.dev
  [ -z "$dry" ] || return 0
  say "Waiting for $url/healthz"
  local attempt
  for attempt in {1..30}; do
    if curl -fsS --max-time 5 "$url/healthz" >/dev/null 2>&1; then return; fi
    if [ "$attempt" -lt 30 ]; then sleep 2; fi
  done
  fail "$app does not answer: 'fly logs -a $app'; './deploy.sh $app --rollback' goes back"
}

say_what_to_paste() {
  [ -z "$dry" ] || { say "Nothing was changed"; return; }
  cat <<END

$app is live. Make a key, and paste:

  fly ssh console -a $app --user gateway -C "/opt/gateway/bin/gateway keys create --owner you@example.com --config /app/gateway.yaml"

  export ANTHROPIC_BASE_URL=$url
  export ANTHROPIC_AUTH_TOKEN=gwk_…          # the key that was printed
  claude mcp add --transport http tools $url/mcp --header "Authorization: Bearer gwk_…"

Logs: fly logs -a $app. Back: ./deploy.sh $app --rollback
END
}

main "$@"
