#!/bin/bash
# The composite action's one step: installs gpudoctor aside, checks, and shows the cause on the job's summary page.
set -euo pipefail

venv=$RUNNER_TEMP/gpudoctor
report=$RUNNER_TEMP/gpudoctor-preflight.json
said=$RUNNER_TEMP/gpudoctor-preflight.txt

if [ ! -x "$venv/bin/gpudoctor" ]; then
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    "${PACKAGE:-$GITHUB_ACTION_PATH/../../../..}"
fi

# on-unknown is about a command, so there is one: it runs where the job may go on.
code=0
"$venv/bin/gpudoctor" preflight --require "$REQUIRE" --wait "$WAIT" --on-unknown "$ON_UNKNOWN" \
  --report "$report" -- true 2>"$said" || code=$?
cat "$said" >&2

{
  if [ "$code" -eq 0 ]; then
    echo "### ✓ GPU preflight"
  else
    echo "### ✗ GPU preflight (exit code $code)"
  fi
  if [ -s "$said" ]; then
    echo '```text'
    cat "$said"
    echo '```'
  fi
} >>"$GITHUB_STEP_SUMMARY"

if [ -s "$report" ]; then
  echo "report=$report" >>"$GITHUB_OUTPUT"
fi
exit "$code"
