#!/usr/bin/env bash
# CPU of a plan with nothing to change: 1,000 resources of towpath against 1,000 `terraform_data` of
# Terraform, measured side by side. Run it at the top of the repository:
#
#     cargo build && benches/terraform.sh [target/debug/towpath]
#
# towpath's plan includes reading the 1,000 objects over HTTP; the sandbox that answers is a process of
# its own, whose CPU is printed apart. `terraform_data` is built into Terraform and reads nothing. Each
# figure is the median of five runs of user and system time together. Without terraform it says so.
set -euo pipefail

towpath=$(realpath "${1:-target/debug/towpath}")
count=${COUNT:-1000} runs=${RUNS:-5}
if ! command -v terraform >/dev/null; then
    echo "There is no terraform here: nothing was compared."
    exit 0
fi
[ -x "$towpath" ] || { echo "There is no program at $towpath: cargo build" >&2; exit 1; }
work=$(mktemp -d)
sandbox=
trap '[ -z "$sandbox" ] || kill "$sandbox" 2>/dev/null; wait; rm -rf "$work"' EXIT

# Seconds of user and system time of a command, the median of the runs.
cpu() {
    local times=()
    for _ in $(seq "$runs"); do
        times+=("$({ TIMEFORMAT='%U %S'; time "$@" >"$work/out" 2>&1; } 2>&1 | awk 'END {print $1 + $2}')")
    done
    printf '%s\n' "${times[@]}" | sort -n | sed -n "$(((runs + 1) / 2))p"
}

# Seconds of user and system time that a running process has used.
used() {
    awk -v ticks="$(getconf CLK_TCK)" '{print ($14 + $15) / ticks}' "/proc/$1/stat"
}

mkdir "$work/terraform" "$work/towpath" "$work/towpath/stacks" "$work/aws"
for number in $(seq "$count"); do
    echo "resource \"terraform_data\" \"r$number\" { input = { name = \"r$number\", host = \"db$number.example.com\" } }"
done >"$work/terraform/main.tf"
{
    printf 'stack: bench\ntarget: sandbox\nresources:\n'
    for number in $(seq "$count"); do
        echo "  r$number: {kind: dms/data_provider, engine: postgres, host: db$number.example.com, database: club}"
    done
} >"$work/towpath/stacks/bench.yaml"

cd "$work/terraform"
export CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1
terraform init >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }
first_terraform=$(cpu terraform plan)
terraform apply -auto-approve >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }
plan_terraform=$(cpu terraform plan -detailed-exitcode)
grep -q "No changes" "$work/out"

cd "$work/aws"
"$towpath" sandbox --port 0 --speed 100000 --quota "dms:DataProviders=$count" >"$work/endpoint" 2>&1 &
sandbox=$!
until grep -q '^http://' "$work/endpoint"; do sleep 0.1; done
export TOWPATH_SANDBOX_PROXY TOWPATH_SPEED=100000
TOWPATH_SANDBOX_PROXY=$(head -1 "$work/endpoint")
cd "$work/towpath"
first_towpath=$(cpu "$towpath" plan || true)
"$towpath" apply --yes >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }
before=$(used "$sandbox")
plan_towpath=$(cpu "$towpath" plan)
after=$(used "$sandbox")
"$towpath" plan >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }

echo "$(terraform version 2>/dev/null | head -1), $("$towpath" --version) ($towpath)"
awk -v tf="$plan_terraform" -v tp="$plan_towpath" -v tf0="$first_terraform" -v tp0="$first_towpath" \
    -v aws="$(awk -v a="$after" -v b="$before" -v r="$runs" 'BEGIN {print (a - b) / r}')" -v n="$count" 'BEGIN {
    printf "nothing to change, %d resources: terraform %.2f s, towpath %.2f s of CPU, ratio %.3f\n", n, tf, tp, tp / tf
    printf "everything to create:              terraform %.2f s, towpath %.2f s of CPU, ratio %.3f\n", tf0, tp0, tp0 / tf0
    printf "the sandbox that answered a plan used %.2f s of its own\n", aws
}'
