# Sourced by the scripts that fetch packages: a registry that does not answer once must not fail a whole run.

retry() { # retry COMMAND...: up to three times, with pauses; the last failure's status
  local status pause
  for pause in 15 60 0; do
    "$@" && return 0
    status=$?
    [ "$pause" = 0 ] || { echo "'$1 ${2-}' failed with $status; trying again in $pause s." >&2 && sleep "$pause"; }
  done
  return "$status"
}

get_uv() { # uv installs everything else; with Debian's own Python pip wants to be told that it may
  command -v uv >/dev/null && return 0
  retry python3 -m pip install --quiet uv || retry python3 -m pip install --quiet --break-system-packages uv || {
    echo "uv is missing and could not be installed with pip; install it and run this again." >&2
    return 1
  }
}
export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-120} # seconds without a byte; the default 30 is short for a busy registry
