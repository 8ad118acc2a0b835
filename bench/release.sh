#!/usr/bin/env bash
# Measures `cargo xtask release` against the commands that it stands for: get-login-password, docker login, build, tag,
# push and `aws cloudformation deploy`. Usage: bench/release.sh [ROUNDS]
#
# Both sides release the same program to the same emulator with the same template (light.yaml), side by side in one run.
# Everything happens in a temporary folder and on loopback, and is taken away at the end, also after Ctrl-C.
# BENCH_TARGET names a folder for what cargo compiles, which then stays; without, it is compiled anew, which takes
# minutes. BENCH_SIZES are the sizes in MB of the images whose growth is shown.
set -euo pipefail

rounds=${1:-5}
sizes=${BENCH_SIZES:-2 20 100 500}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here rounds sizes
readonly region=eu-central-1 triple=x86_64-unknown-linux-gnu

for program in aws cargo curl docker git hyperfine jq ministack python3; do
  command -v "$program" >/dev/null || { echo "$program is needed" >&2; exit 3; }
done
[ "$(uname -sm)" = 'Linux x86_64' ] || { echo 'this takes Linux on x86_64' >&2; exit 3; }

work=$(mktemp --directory)
mark=bench-$$
emulator='' counter=''
readonly work mark

clean_up() {
  trap - EXIT INT TERM
  local pid images
  for pid in $counter $emulator; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  # An image that another was built upon goes once that one is gone.
  for _ in 1 2 3; do
    images=$({
      docker images --quiet --filter "label=bench=$mark"
      docker images --quiet --filter "label=xtask.service=$mark"
    } | sort --unique) || true
    [ -n "$images" ] || break
    # shellcheck disable=SC2086 # one image a word
    docker rmi --force $images >/dev/null 2>&1 || true
  done
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Waits until something answers on a loopback port.
await() {
  local attempt
  for attempt in {1..300}; do
    ! curl --silent --fail --max-time 2 --output /dev/null "http://127.0.0.1:$1/_ministack/health" || return 0
    sleep 0.1
  done
  echo "nothing answers on port $1 after $attempt attempts" >&2
  return 1
}

# Neither this machine's account nor its registry logins take part.
while read -r variable; do unset "$variable"; done < <(compgen -e | grep '^AWS_' || true)
DOCKER_HOST=${DOCKER_HOST:-$(docker context inspect --format '{{.Endpoints.docker.Host}}')}
export DOCKER_HOST DOCKER_CONFIG=$work/docker-config
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=$region AWS_EC2_METADATA_DISABLED=true
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_PAGER=''
export CARGO_TARGET_DIR=${BENCH_TARGET:-$work/target}
mkdir "$DOCKER_CONFIG"

port=$(free_port)
counted=$(free_port)
mkdir "$work/emulator"
BIND_HOST=127.0.0.1 GATEWAY_PORT=$port MINISTACK_HOSTNAME=$mark MINISTACK_REGION=$region TMPDIR=$work/emulator \
  STATE_DIR=$work/emulator/state S3_DATA_DIR=$work/emulator/s3 IOT_MTLS_ENABLED=0 SFTP_ENABLED=0 \
  ministack >"$work/emulator.log" 2>&1 &
emulator=$!
python3 "$here/count.py" 127.0.0.1 "$port" "$counted" >>"$work/requests" 2>"$work/count.log" &
counter=$!
await "$port"
await "$counted"

# --- the two sides -------------------------------------------------------------------------------------------------

copy=$work/copy
mkdir "$copy" "$work/article" "$work/bin"
(cd "$here/.." && git ls-files -z --cached --others --exclude-standard | xargs --null cp --parents --target-directory "$copy")
sed --in-place "s/^name = .*/name = \"$mark\"/" "$copy/deploy.toml"
for side in direct counted; do
  address=127.0.0.1:$port
  [ $side = direct ] || address=127.0.0.1:$counted
  cat >>"$copy/deploy.toml" <<TOML

[environments.$side]
region = "$region"
stack = "tool-$side"
template = "bench/light.yaml"
endpoint = "http://$address"
registry = "$address"
TOML
  # What the article has its readers type.
  cat >"$work/article-$side" <<SCRIPT
#!/bin/sh
set -eu
export AWS_ENDPOINT_URL=http://$address DOCKER_BUILDKIT=0
image=$address/article:\$(cat "$work/tag")
aws ecr get-login-password | docker login --username AWS --password-stdin $address
docker build --tag article-$mark "$work/article"
docker tag article-$mark "\$image"
docker push "\$image"
aws cloudformation deploy --stack-name article-$side --template-file "$here/light.yaml" \\
  --parameter-overrides "ContainerURI=\$image" --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset
SCRIPT
  cat >"$work/tool-$side" <<SCRIPT
#!/bin/sh
set -eu
cd "$copy"
exec cargo xtask release $side --yes --no-smoke
SCRIPT
done
cat >"$work/article/Dockerfile" <<DOCKERFILE
FROM scratch
LABEL bench=$mark
COPY api /api
ENTRYPOINT ["/api"]
DOCKERFILE
chmod +x "$work"/article-* "$work"/tool-*
(
  cd "$copy"
  git init --quiet
  git add --all
  git -c user.name=bench -c user.email=bench@localhost -c commit.gpgsign=false commit --quiet --message 'As it is'
)

# A change of one line that is already compiled: the source has a new line and its old time, so that cargo finds nothing
# to do, and the program some new bytes at its end, which the loader does not look at.
source=$copy/crates/api/src/handlers.rs
program=$CARGO_TARGET_DIR/$triple/release/api
cat >"$work/change" <<SCRIPT
#!/bin/sh
set -eu
new=\$(head --bytes 8 /dev/urandom | od --address-radix n --format x8 | tr --delete ' \n')
touch --reference "$source" "$work/time"
echo "// \$new" >>"$source"
touch --reference "$work/time" "$source"
printf %s "\$new" >>"$program"
cp "$program" "$work/article/api"
echo "\$new" >"$work/tag"
git -C "$copy" -c user.name=bench -c user.email=bench@localhost -c commit.gpgsign=false commit --quiet --all --message "\$new"
SCRIPT
chmod +x "$work/change"

echo 'compiling ...' >&2
(cd "$copy" && nice -n 15 cargo xtask build >/dev/null)
compiled=$(stat --format %s "$program")
cp "$program" "$work/article/api"
cp "$program" "$work/program"
echo first >"$work/tag"
aws --endpoint-url "http://127.0.0.1:$port" ecr create-repository --repository-name article >/dev/null

model=$(sed --quiet 's/^model name[^:]*: //p' /proc/cpuinfo | head --lines 1)
printf '%s processors, %s; load %s\n' "$(nproc)" "$model" "$(cut --delimiter ' ' --fields 1-3 /proc/loadavg)"
printf 'Docker %s, %s\n' "$(docker version --format '{{.Server.Version}}')" "$(aws --version 2>&1)"

# --- time ------------------------------------------------------------------------------------------------------------

# Silent, unless it fails.
quietly() {
  "$@" >"$work/said" 2>&1 || { tail --lines 30 "$work/said" >&2; return 1; }
}
quietly "$work/article-direct"
quietly "$work/tool-direct"
# In rounds, so that what else the machine does meets both sides alike.
measure() {
  local title=$1 round
  shift
  for round in $(seq "$rounds"); do
    quietly hyperfine --shell none --show-output --warmup 1 --runs 3 --export-json "$work/times-$round.json" "$@" \
      --command-name 'the five commands' "$work/article-direct" \
      --command-name 'cargo xtask release' "$work/tool-direct"
  done
  printf '\n== %s\n%-22s %8s %8s %8s\n' "$title" seconds median least most
  jq --slurp --raw-output '
    def digits: . * 1000 | round / 1000;
    [range(2) as $side | {name: .[0].results[$side].command, times: [.[].results[$side].times[]] | sort}]
      | (.[] | [.name, (.times | .[length / 2 | floor], .[0], .[-1] | digits)] | @tsv),
        "the tool takes \((map(.times | .[length / 2 | floor]) | .[1] / .[0]) * 1000 | round / 10) % of their time"
    ' "$work"/times-*.json | awk -F '\t' 'NF > 1 { printf "%-22s %8s %8s %8s\n", $1, $2, $3, $4; next } 1'
}
# The commands name a change set after the second, and two of one name are refused.
measure 'Nothing has changed' --prepare 'sleep 1'
# Each run of each side releases a change of its own.
measure 'A change of one line, already compiled' --prepare "$work/change"

# --- calls -----------------------------------------------------------------------------------------------------------

printf '\n== Requests (AWS / registry)\n'
requests() {
  : >"$work/requests"
  "$work/$1-counted" >/dev/null 2>&1
  printf '%-22s %-10s %3d / %3d   %s\n' "$2" "$1" "$(grep --count ^aws "$work/requests" || true)" \
    "$(grep --count ^registry "$work/requests" || true)" \
    "$(sed --quiet 's/^aws //p' "$work/requests" | sort | uniq --count | awk '{ print $2 ($1 > 1 ? " x" $1 : "") }' | paste --serial --delimiters ' ')"
}
"$work/article-counted" >/dev/null 2>&1
"$work/tool-counted" >/dev/null 2>&1
requests article 'nothing has changed'
requests tool 'nothing has changed'
"$work/change"
requests article 'one line'
requests tool 'one line'

# --- growth ----------------------------------------------------------------------------------------------------------

printf '\n== From a small image to a large one\n%8s %10s %10s %12s\n' MB 'commands s' 'tool s' 'tool, MB'
# Only what compiles is replaced: the packages of the SBOM are asked of cargo itself.
cat >"$work/bin/cargo" <<SCRIPT
#!/bin/sh
[ "\$1" = build ] || exec "$(command -v cargo)" "\$@"
echo '{"reason":"compiler-artifact","target":{"name":"api"},"executable":"$work/large"}'
SCRIPT
chmod +x "$work/bin/cargo"
tool=$CARGO_TARGET_DIR/debug/xtask
for size in $sizes; do
  "$work/change"
  cp "$work/program" "$work/large"
  missing=$((size * 1000 * 1000 - compiled))
  ((missing <= 0)) || head --bytes "$missing" /dev/urandom >>"$work/large"
  # A small program must differ too from the one before.
  cat "$work/tag" >>"$work/large"
  cp "$work/large" "$work/article/api"
  python3 "$here/memory.py" "$work/article.txt" "$work/article-direct" >/dev/null 2>&1
  (
    cd "$copy"
    PATH=$work/bin:$PATH python3 "$here/memory.py" "$work/tool.txt" "$tool" release direct --yes --no-smoke >/dev/null 2>&1
  )
  read -r theirs _ <"$work/article.txt"
  read -r seconds memory <"$work/tool.txt"
  printf '%8d %10s %10s %12s\n' "$size" "$theirs" "$seconds" "$memory"
done
