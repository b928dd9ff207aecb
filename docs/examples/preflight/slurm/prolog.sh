#!/bin/bash
# Prolog of slurm.conf: runs as root on each node of a job before its first step. Any exit code but 0 drains the node
# and requeues the job, so this script says 1 only where the node's GPUs are at fault, never for a fault of its own.
# What goes to stdout and stderr is lost here: the cause goes to the system log, the report to a file.

GPUDOCTOR=${GPUDOCTOR:-/opt/gpudoctor/bin/gpudoctor}
REQUIRE=${GPUDOCTOR_REQUIRE:-gpus>=1}    # as many as a node has; of a node, not of a job: no free-vram, no torch
REPORTS=${GPUDOCTOR_REPORTS:-/run/gpudoctor}
SECONDS_AT_MOST=${GPUDOCTOR_SECONDS:-30} # less than PrologTimeout
PATH=/usr/bin:/bin:/usr/sbin:/sbin       # slurmd sets none

tell() { # TEXT: line by line to the system log; where there is none, to slurmd
  printf 'job %s: %s\n' "${SLURM_JOB_ID:-?}" "$1" | logger -t gpudoctor -p daemon.err 2>/dev/null ||
    printf 'gpudoctor: %s\n' "$1" >&2
}

main() {
  # A job without GPUs does not care.
  [ -n "${SLURM_JOB_GPUS:-}" ] || return 0

  local report=() said code
  if mkdir -p "$REPORTS" 2>/dev/null && [ -w "$REPORTS" ]; then
    report=(--report "$REPORTS/prolog.json")
  fi

  # A prologue runs outside the job's cgroup: it looks at the whole node, not at the GPUs of one job.
  unset CUDA_VISIBLE_DEVICES
  said=$(timeout -k 5 "$SECONDS_AT_MOST" "$GPUDOCTOR" preflight --require "$REQUIRE" "${report[@]}" 2>&1 </dev/null)
  code=$?

  case $code in
    0)
      return 0
      ;;
    1)
      tell "node drained: $said"
      return 1
      ;;
    3 | 124 | 137) # undetermined, or no answer in time: a driver that hangs looks like this, and no job can use it
      tell "node drained, the GPUs do not answer ($code): $said"
      return 1
      ;;
    *) # written wrongly (2), not installed (126, 127) or anything else: not the node's fault
      tell "the check itself failed ($code), the job starts: $said"
      return 0
      ;;
  esac
}

main
