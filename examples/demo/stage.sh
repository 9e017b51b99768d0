# Sourced by the demo: the mail catcher and the operator, started on ports of the system's choice and ended at the end.
# Everything they write lies in $PORTAL_OPERATOR_TEST_DIR, which the control plane removes when it ends.

stage=${PORTAL_OPERATOR_TEST_DIR:?run this by \`make demo\`: it needs a control plane}
pids=()

# background NAME COMMAND...: starts it with its output in a log.
background() {
  local name=$1
  shift
  # Not in our process group: a Ctrl-C is ours to handle, so that the end has an order.
  set -m
  "$@" </dev/null >"$stage/$name.log" 2>&1 &
  set +m
  pids+=($!)
  declare -g "${name//-/_}_pid=$!"
}

# end_all: ends what was started, the last one first, and waits for it. Whoever does not listen is killed.
end_all() {
  local index pid patience
  for ((index = ${#pids[@]} - 1; index >= 0; index--)); do
    pid=${pids[index]}
    kill "$pid" 2>/dev/null || continue
    for ((patience = 100; patience > 0; patience--)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  pids=()
}

# listening PID: the TCP ports that a process listens at, as the kernel knows them. So port 0 can be asked of a program
# that does not tell what it got, and no port is ever chosen twice.
listening() {
  local fd inode sockets=' '
  for fd in /proc/"$1"/fd/*; do
    inode=$(readlink "$fd") || continue
    [[ $inode != socket:* ]] || sockets+="${inode//[!0-9]/} "
  done
  while read -r _ address _ state _ _ _ _ _ inode _; do
    [[ $state == 0A && $sockets == *" $inode "* ]] && echo $((16#${address##*:}))
  done <"/proc/$1/net/tcp" || true
}

# find_mailpit: sets mailbox and mail_port once both servers of Mailpit are up. Which is which, it tells itself.
find_mailpit() {
  local port ports
  kill -0 "$mailpit_pid" 2>/dev/null || return $hopeless # it ended
  mapfile -t ports < <(listening "$mailpit_pid")
  ((${#ports[@]} == 2)) || return 1
  for port in "${ports[@]}"; do
    if curl --silent --fail --max-time 2 "http://localhost:$port/readyz" >/dev/null 2>&1; then
      mailbox=http://localhost:$port
    else
      mail_port=$port
    fi
  done
  [[ -n ${mailbox:-} && -n ${mail_port:-} ]]
}

start_mailpit() {
  local program
  program=$(tests/tools/mailpit) # builds it the first time, and says so
  TMPDIR=$stage background mailpit "$program" --smtp 127.0.0.1:0 --listen 127.0.0.1:0 \
    --disable-version-check --smtp-disable-rdns
  until_true 30 "the mail catcher to listen" find_mailpit
}

# address WHAT: where the operator says that it listens.
address() { sed -n "s/\x1b\[[0-9;]*m//g; s/.*listening what=\"$1\" address=\([^ ]*\).*/\1/p" "$stage/operator.log"; }

# operator_is_ready: sets page and metrics.
operator_is_ready() {
  local page_address
  kill -0 "$operator_pid" 2>/dev/null || return $hopeless # it ended
  page_address=$(address page)
  metrics=http://$(address metrics)
  # Each line of the log may be the last one so far.
  [[ -n $page_address && $metrics != http:// ]] || return 1
  page=http://localhost:${page_address##*:}
  curl --silent --fail --max-time 2 "$metrics/readyz"
}

# start_operator FLAG...: returns when it is ready.
start_operator() {
  # Its flags are variables too: those of the caller's shell are not meant.
  local name
  for name in "${!PORTAL_OPERATOR_@}"; do
    [[ $name == PORTAL_OPERATOR_TEST_DIR ]] || unset "$name"
  done
  unset POD_NAME POD_NAMESPACE
  background operator portal-operator run "$@"
  until_true 30 "the operator to be ready" operator_is_ready
}

# What went wrong, for a person who was not there.
report() {
  printf '\n%sThe demo failed in step %d: %s%s\n' "$bold$red" "$step_number" "$step_name" "$plain"
  if [[ -s $stage/operator.log ]]; then
    printf 'The objects, and the end of the operator'\''s log:\n'
    kubectl get portal-operator -o wide 2>&1 | quote
    tail -n 15 "$stage/operator.log" | quote
  fi
} >&2
