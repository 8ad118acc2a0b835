# shellcheck shell=bash
# What .ci/run and tests need of the machine, and how the machine is left as it was found. Sourced, never run.
#
# `prepare` comes first, `clean_up` last. Both call `chosen` and `heading` of .ci/run; .ci/programs calls neither.
#
# shellcheck disable=SC2317,SC2329 # the trap is called by name

# Where Debian asks whether a service may start.
readonly POLICY=/usr/sbin/policy-rc.d
# Where Debian's PostgreSQL reads whether its package makes a database cluster.
readonly NO_CLUSTER=/etc/postgresql-common/createcluster.d/ci-run.conf
# The version of cfn-guard.
readonly GUARD=3.2.1
# How many seconds a step's processes may outlive it.
patience=10

# Makes available what the chosen steps call, and remembers how the machine was.
prepare() {
  local begun=$SECONDS
  heading 'Preparing'
  work=$(mktemp --directory)
  trap finish EXIT
  trap 'patience=0; exit 130' INT
  trap 'patience=0; exit 143' TERM
  # Debian has nginx here, but not in everybody's path.
  export PATH="$PATH:/usr/sbin:/sbin"
  # No check has any use for an account that happens to be signed in.
  unset "${!AWS_@}"
  export CARGO_TERM_COLOR=never PIP_DISABLE_PIP_VERSION_CHECK=1
  if [ "${CI:-}" = true ]; then
    export CARGO_INCREMENTAL=0
  fi
  git status --porcelain >"$work/tree"
  if chosen test most release guide; then
    if ! docker version --format 'Docker engine {{.Server.Version}}'; then
      echo 'no Docker engine answers; start one, or name the steps that do without: .ci/run STEP...'
      exit 1
    fi
    if [ "$(id -u)" = 0 ]; then
      # A test that finds something missing fails instead of being ignored.
      export REQUIRE_PROGRAMS=1
    else
      echo 'not root: suites that take root will be reported as ignored'
    fi
    engine >"$work/engine"
  fi
  install_packages
  if chosen templates workflows test most openapi; then
    install_programs
  fi
  echo "-- ready after $((SECONDS - begun)) s"
}

# Debian packages, if one that a chosen step needs is missing.
install_packages() {
  local missing=()
  if chosen shell; then
    need shellcheck shellcheck
  fi
  if chosen templates; then
    need yamllint yamllint
  fi
  if chosen test unit most documents absent start openapi release guide clippy; then
    need curl curl
    need gcc gcc
    [ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
  fi
  if chosen test most; then
    need_for_tests
  fi
  if chosen release guide; then
    need docker docker.io
  fi
  if chosen guide; then
    need pg_ctlcluster postgresql
  fi
  if chosen templates workflows test most openapi && ! python3 -c 'import ensurepip' 2>/dev/null; then
    missing+=(python3-venv)
  fi
  if ((${#missing[@]})); then
    echo "installing ${missing[*]}"
    install_now "${missing[@]}"
  fi
}

# What tests call; xtask/requirements reads the packages' names from here.
need_for_tests() {
  need aws awscli
  need bash bash
  need chromedriver chromium-driver
  need chromium chromium
  need curl curl
  need docker docker.io
  need docker-registry docker-registry
  need git git
  need haproxy haproxy
  need htpasswd apache2-utils
  need jq jq
  need nginx nginx-light
  need pg_ctlcluster postgresql
  need python3 python3
  need shellcheck shellcheck
  need tar tar
  need unshare util-linux
}

# Notes the package that has a program, unless the program is there.
need() {
  command -v "$1" >/dev/null || missing+=("$2")
}

# Starts no service, now or at the next boot: the suites run a registry and a web server themselves.
install_now() {
  if [ ! -e "$POLICY" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$work/policy"
    holding=yes
    as_root install --mode 755 "$work/policy" "$POLICY"
  fi
  if [[ " $* " == *' postgresql '* ]]; then
    # The package would make a database cluster; the suites make their own.
    echo 'create_main_cluster = false' >"$work/no-cluster"
    as_root install -D --mode 644 "$work/no-cluster" "$NO_CLUSTER"
  fi
  as_root apt-get update --quiet=2
  if ! as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install --quiet=2 --yes --no-install-recommends "$@" >"$work/apt.log" 2>&1; then
    cat "$work/apt.log"
    exit 1
  fi
  if [ -d /run/systemd/system ]; then
    [[ " $* " != *' docker-registry '* ]] || as_root systemctl disable --quiet --now docker-registry
    [[ " $* " != *' haproxy '* ]] || as_root systemctl disable --quiet --now haproxy
    [[ " $* " != *' nginx-light '* ]] || as_root systemctl disable --quiet --now nginx
    [[ " $* " != *' postgresql '* ]] || as_root systemctl disable --quiet --now postgresql
  fi
  let_services_start
}

let_services_start() {
  if [ -n "${holding:-}" ]; then
    as_root rm "$POLICY"
    holding=
  fi
  if [ -e "$NO_CLUSTER" ]; then
    as_root rm "$NO_CLUSTER"
    as_root rmdir --ignore-fail-on-non-empty "${NO_CLUSTER%/*}"
  fi
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "this takes root: $*"
    return 1
  fi
}

# Programs in fixed versions; kept between runs beside what cargo builds.
install_programs() {
  local set sets=()
  ! chosen templates workflows test most || sets+=(python)
  ! chosen test most || sets+=(checkov guard)
  ! chosen openapi || sets+=(schemathesis)
  # At the same time: one compiles while the others download.
  local failed=0 installing=()
  for set in "${sets[@]}"; do
    install_set "$set" &
    installing+=($!)
  done
  for set in "${installing[@]}"; do
    wait "$set" || failed=1
  done
  ((failed == 0)) || exit 1
  for set in "${sets[@]}"; do
    # It is there, and says where.
    install_set "$set"
    case $set in
      python | guard) export PATH="$folder/bin:$PATH" ;;
      *) export PATH="$PATH:$folder/bin" ;;
    esac
  done
}

# Installs a set of programs, unless it is there, and sets folder.
install_set() {
  case $1 in
    python | checkov | guard | schemathesis) ;;
    *)
      echo "no set of programs is called '$1'"
      return 2
      ;;
  esac
  folder=${CARGO_TARGET_DIR:-target}/ci-programs/$1
  mkdir -p "$folder"
  folder=$(cd "$folder" && pwd)
  case $1 in
    python) install_python .ci/requirements.txt ;;
    guard) install_guard ;;
    *) install_python ".ci/$1.txt" ;;
  esac
}

# Makes folder a virtual environment that holds what a list names, unless it is. The list comes last: it is complete then.
install_python() {
  if ! cmp --silent "$1" "$folder/requirements.txt" || ! "$folder/bin/python" -c ''; then
    echo "installing the Python programs of $1"
    python3 -m venv --clear "$folder"
    "$folder/bin/pip" install --quiet --requirement "$1"
    cp "$1" "$folder/requirements.txt"
  fi
}

# The policy engine of the templates, from source; its optimizer would take longer than all that it checks.
install_guard() {
  if [ "$("$folder/bin/cfn-guard" --version 2>/dev/null)" != "cfn-guard $GUARD" ]; then
    echo "installing cfn-guard $GUARD"
    env --unset=CARGO_TARGET_DIR CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 \
      CARGO_PROFILE_RELEASE_LTO=off \
      cargo install --quiet --locked --root "$folder" --version "$GUARD" cfn-guard
  fi
}

# Leaves the machine as it was found. With CI=true, fails if that took more than removing images.
clean_up() {
  local failed=0
  cleaned=yes
  heading 'Leftovers'
  stop_processes || failed=1
  clean_engine || failed=1
  if ! git status --porcelain | diff "$work/tree" -; then
    echo 'the working tree has changed'
    failed=1
  fi
  if ((failed == 0)); then
    echo 'none'
  elif [ "${CI:-}" = true ]; then
    return 1
  fi
}

# Ends what the steps started and did not end; a variable that it inherited tells it from everything else.
stop_processes() {
  local left process
  left=$(processes)
  # Some end by themselves, as git's housekeeping does.
  while [ -n "$left" ] && ((patience)); do
    patience=$((patience - 1))
    sleep 1
    left=$(processes)
  done
  [ -n "$left" ] || return 0
  for process in $left; do
    echo "still running, stopped: $process $(tr '\0' ' ' <"/proc/$process/cmdline" | cut -c 1-120)"
    kill "$process" || true
  done
  sleep 2
  for process in $(processes); do
    kill -KILL "$process" || true
  done
  return 1
}

processes() {
  local folder
  for folder in /proc/[0-9]*; do
    if grep --quiet --null-data --line-regexp --fixed-strings "CI_RUN=$work" "$folder/environ" 2>/dev/null; then
      echo "${folder#/proc/}"
    fi
  done
}

# What is on the Docker engine: kind and name, a line each, in the order in which it can be removed.
engine() {
  {
    docker container ls --all --no-trunc --format 'container {{.ID}}'
    docker image ls --all --no-trunc --format 'image {{.ID}}'
    docker network ls --no-trunc --format 'network {{.ID}}'
    docker image ls --format 'tag {{.Repository}}:{{.Tag}}'
    docker volume ls --format 'volume {{.Name}}'
  } | LC_ALL=C sort --unique
}

clean_engine() {
  local failed=0 images=0 kind name
  [ -e "$work/engine" ] || return 0
  engine >"$work/engine.now"
  while read -r kind name; do
    if [ "${CI:-}" != true ]; then
      echo "new on the Docker engine: $kind $name"
      failed=1
      continue
    fi
    case $kind in
      image)
        # A test may leave its image to the next run.
        images=$((images + 1))
        ;;
      tag) ;;
      *)
        failed=1
        echo "left on the Docker engine, removed: $kind $name"
        docker "$kind" inspect --format '{{.Name}}' "$name" || true
        ;;
    esac
    remove "$kind" "$name" || failed=1
  done < <(LC_ALL=C comm -13 "$work/engine" "$work/engine.now")
  ((images == 0)) || echo "images removed: $images"
  return "$failed"
}

remove() {
  case $1 in
    container) docker container rm --force --volumes "$2" ;;
    image) docker image rm --force "$2" ;;
    # Gone with its image, unless the image was there before.
    tag) ! docker image inspect "$2" || docker image rm "$2" ;;
    *) docker "$1" rm "$2" ;;
  esac >"$work/removal" 2>&1 || {
    cat "$work/removal"
    return 1
  }
}

# However the run ends.
finish() {
  local code=$?
  trap '' INT TERM
  [ -z "${beside:-}" ] || kill "$beside" 2>/dev/null || true
  let_services_start
  [ -n "${cleaned:-}" ] || clean_up || true
  rm --recursive --force "$work"
  exit "$code"
}
