# Sourced by the demo: how it speaks. Colours only on a terminal that wants them (https://no-color.org).

if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' cyan=$'\e[36m' plain=$'\e[0m' clear=$'\r\e[K'
else
  bold='' dim='' red='' green='' cyan='' plain='' clear=''
fi

step_number=0
step_name='setting up'

# step NAME: a chapter of the story. A failure is reported under this name.
step() {
  step_number=$((step_number + 1)) step_name=$1
  printf '\n%s━━ %d. %s ━━%s\n' "$bold$cyan" "$step_number" "$1" "$plain"
}

# tell SENTENCE...: one paragraph.
tell() { printf '\n%s\n' "$*"; }

# typed COMMAND: a command line as a person would type it.
typed() { printf '\n%s$%s %s%s%s\n' "$green" "$plain" "$bold" "$1" "$plain"; }

# run COMMAND: shows a command line, then runs the very same text. Several lines are fine.
run() {
  typed "$1"
  eval "$1"
}

# quote: standard input, indented, for what is not the output of a command.
quote() { sed "s/^/  $dim│$plain /"; }

# happened SENTENCE: what this step was to show, and did.
happened() { printf '\n%s✓%s %s\n' "$green" "$plain" "$*"; }

# fail SENTENCE: ends the demo; the trap of `run` says in which step.
fail() {
  printf '%s%s✗ %s%s\n' "$clear" "$red" "$*" "$plain" >&2
  exit 1
}

# until_true SECONDS WHAT COMMAND...: waits for COMMAND to succeed, counting on a terminal, and fails when it never does.
# A COMMAND that knows so yields $hopeless.
hopeless=99
until_true() {
  local patience=$1 what=$2 start=$SECONDS
  shift 2
  until "$@" >/dev/null 2>&1; do
    (($? != hopeless)) || fail "there is no point in waiting for $what"
    ((SECONDS - start < patience)) || fail "waited $patience s for $what, in vain"
    # To standard error: the output may be wanted as a value. In a log that nobody reads live it would only be noise.
    [[ -z $clear ]] || printf '%s%s… %s, %d s%s' "$clear" "$dim" "$what" $((SECONDS - start)) "$plain" >&2
    sleep 0.2
  done
  printf %s "$clear" >&2
}

# must_be WHAT ACTUAL EXPECTED
must_be() { [[ $2 == "$3" ]] || fail "$1 should be ${3@Q}, but is ${2@Q}"; }
