#!/bin/sh
# Proves that docker/Dockerfile compiles the service from source, with nothing pulled and nothing downloaded.
#
# The base image is made on the spot from this machine: the C toolchain of its Debian (or Ubuntu) packages, its Rust
# toolchain and the crates that `cargo fetch` has put into CARGO_HOME. Takes about two minutes on two cores, most of it compiling; leaves nothing behind but build cache.
set -eu
cd "$(dirname "$0")/.."

work=$(mktemp -d)
base=prove-builder-base:$$
image=
container=
clean_up() {
    [ -z "$container" ] || docker rm --force "$container" > /dev/null
    [ -z "$image" ] || docker rmi --force "$image" > /dev/null
    docker rmi --force "$base" > /dev/null 2>&1 || true
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

image=$(cargo xtask build --from-source --builder-image "$base")

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
