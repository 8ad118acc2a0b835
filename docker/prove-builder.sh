#!/bin/sh
# Proves that docker/Dockerfile compiles the service from source, with nothing pulled and nothing downloaded.
#
# The base image is made on the spot from this machine: the C toolchain of its Debian (or Ubuntu) packages, its Rust
# toolchain and the crates that `cargo fetch` has put into CARGO_HOME. Without buildx the engine's own BuildKit is asked
# over its socket. Takes about four minutes on two busy cores, most of them compiling; leaves nothing behind but build cache.
set -eu
cd "$(dirname "$0")/.."

work=$(mktemp -d)
base=prove-builder-base:$$
image=prove-builder:$$
container=
clean_up() {
    [ -z "$container" ] || docker rm --force "$container" > /dev/null
    docker rmi --force "$image" "$base" > /dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# Files of the packages, under their real names where /bin and /lib are links into /usr.
apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
    --no-enhances gcc libc6-dev coreutils dash sed findutils | grep '^[a-z]' | sort -u > "$work/packages"
{
    xargs dpkg -L < "$work/packages" 2> /dev/null | grep '^/'
    printf '%s\n' /bin /sbin /lib /lib64 /usr/bin/cc /usr/bin/sh /etc/alternatives/cc
} | grep -v -e '^/usr/share' -e '^/etc/[^a]' -e '/lto1$' -e 'libasan\|libtsan\|libubsan\|liblsan' |
    sed -E 's#^/(bin|sbin|lib|lib64)/#/usr/\1/#' | sort -u > "$work/files"

cargo_home=${CARGO_HOME:-$HOME/.cargo}
sysroot=$(rustc --print sysroot)
mkdir "$work/tmp"
tar -c --no-recursion --hard-dereference --ignore-failed-read -f "$work/base.tar" -T "$work/files" 2> /dev/null
tar -r -f "$work/base.tar" --exclude=share --transform='s#^\./#usr/local/rust/#' \
    -C "$sysroot" ./bin/cargo ./bin/rustc ./lib
tar -r -f "$work/base.tar" --transform='s#^\./#usr/local/cargo/#' -C "$cargo_home" ./registry/index ./registry/cache
tar -r -f "$work/base.tar" -C "$work" tmp
docker import --change 'ENV PATH=/usr/local/rust/bin:/usr/local/bin:/usr/bin' --change 'ENV CARGO_NET_OFFLINE=true' \
    --change 'ENV CARGO_HOME=/usr/local/cargo' "$work/base.tar" "$base" > /dev/null
rm "$work/base.tar"

if docker buildx version > /dev/null 2>&1; then
    docker buildx build --load --network none --file docker/Dockerfile --build-arg BUILDER_IMAGE="$base" \
        --tag "$image" .
else
    tar -cf "$work/context.tar" docker/Dockerfile Cargo.toml Cargo.lock crates xtask/Cargo.toml
    query="version=2&networkmode=none&dockerfile=docker/Dockerfile&t=$image"
    curl --silent --show-error --unix-socket /var/run/docker.sock --header 'Content-Type: application/x-tar' \
        --data-binary "@$work/context.tar" --output "$work/answer" \
        "http://localhost/build?$query&buildargs=%7B%22BUILDER_IMAGE%22%3A%22$base%22%7D"
    # Steps and their output come as encoded records, of which the text is enough to see what went wrong.
    if ! grep -q 'Successfully tagged' "$work/answer"; then
        sed -n 's/.*"aux":"\([^"]*\)".*/\1/p' "$work/answer" | while read -r record; do
            echo "$record" | base64 -d | strings -n 8 >&2
        done
        grep '"error' "$work/answer" >&2
        exit 1
    fi
fi

container=$(docker create --read-only --cap-drop ALL --security-opt no-new-privileges \
    --publish 127.0.0.1::8080 "$image")
docker start "$container" > /dev/null
address=$(docker port "$container" 8080/tcp)
attempts=0
until answer=$(curl --silent --fail "http://$address/api/greeting"); do
    attempts=$((attempts + 1))
    [ "$attempts" -lt 100 ] || { echo "nothing answers at $address" >&2; exit 1; }
    sleep 0.1
done
echo "compiled from source, and it answers: $answer"
[ "$answer" = '{"id":1,"content":"Hello, World!"}' ]
