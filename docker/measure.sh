#!/bin/sh
# Measures an image of the service: its size, the time from `docker start` returning to the first answer (median of ten
# starts) and the resident memory when idle. Usage: docker/measure.sh IMAGE
#
# Takes about fifteen seconds; leaves nothing behind.
set -eu
image=${1:?usage: docker/measure.sh IMAGE}

container=$(docker create --read-only --cap-drop ALL --security-opt no-new-privileges --publish 127.0.0.1::8080 "$image")
trap 'docker rm --force "$container" > /dev/null' EXIT
trap 'exit 130' INT TERM

# Milliseconds until the first answer; asks without a pause, so that the clock stops at the answer and not after a nap.
first_answer() {
    docker start "$container" > /dev/null
    started=$(date +%s%N)
    address=$(docker port "$container" 8080/tcp)
    until curl --silent --fail --max-time 1 --output /dev/null "http://$address/api/greeting"; do
        [ $(($(date +%s%N) - started)) -lt 10000000000 ] || { echo "no answer within 10 s" >&2; exit 1; }
    done
    echo $((($(date +%s%N) - started) / 1000000))
}

times=
for _ in 1 2 3 4 5 6 7 8 9 10; do
    times="$times $(first_answer)"
    docker kill "$container" > /dev/null
    docker wait "$container" > /dev/null
done
docker start "$container" > /dev/null
sleep 3
process=$(docker inspect --format '{{.State.Pid}}' "$container")
resident=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$process/status")
threads=$(sed -n 's/^Threads:[^0-9]*//p' "/proc/$process/status")

echo "size, bytes:             $(docker image inspect --format '{{.Size}}' "$image")"
echo "compressed, bytes:       $(docker save "$image" | tar -xO --wildcards '*/layer.tar' 2> /dev/null | gzip -c | wc -c)"
# shellcheck disable=SC2086 # one figure a line
echo "first answer, ms:        $(printf '%s\n' $times | sort -n | awk '{ a[NR] = $1 } END { print (a[5] + a[6]) / 2 }') (median of$times)"
echo "resident when idle, kB:  $resident in $threads threads"
