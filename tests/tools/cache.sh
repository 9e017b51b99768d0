# Sourced by every script that provides a tool. Its promise: a file of the cache is there whole or not at all, however
# often a build was interrupted and however many run at once.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/portal-operator

# Standard output belongs to the answer (a path), so all talk goes to standard error.
say() { echo "${0##*/}: $*" >&2; }

# cached FILE COMMAND...: unless FILE is there, makes it by `COMMAND... TEMPORARY`, which has to write TEMPORARY.
# WARNING: never call it in a condition (`if cached`, `cached || …`): bash then ignores `set -e` in COMMAND.
cached() {
  local file=$1
  shift
  [[ -e $file ]] && return
  mkdir -p "${file%/*}"
  (
    flock --nonblock 9 || { say "waiting for another process that makes ${file##*/}" && flock 9; }
    [[ -e $file ]] && exit # the other process was successful
    rm -rf "$file.partial" # left behind by an interrupted one
    "$@" "$file.partial"
    mv "$file.partial" "$file"
  ) 9>"$file.lock"
}

# patiently WHAT COMMAND...: runs a COMMAND that takes minutes and says now and then that it is still at it.
patiently() {
  local what=$1 start=$SECONDS
  shift
  say "$what"
  # The ticker must outlive nobody, hold no lock (9), and not keep a pipe open for whoever waits for our output to end.
  (while sleep 20 2>/dev/null && kill -0 $$; do say "$what, $((SECONDS - start)) s"; done) >/dev/null 9>&- &
  ticker=$!
  trap 'kill $ticker 2>/dev/null' EXIT
  "$@" >&2
  say "$what: done in $((SECONDS - start)) s"
  kill "$ticker"
  trap - EXIT
}
