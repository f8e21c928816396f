# shellcheck shell=bash
# What the other scripts share: finding or installing what a build or a test needs. Sourced, not run.
# It installs with apt where it may, and otherwise says exactly what to install. It changes nothing else.

# Runs a command as root, or fails where that is not possible without asking for a password.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@" 2>/dev/null; fi
}

# apt_install PACKAGE...: whether all of them are installed now.
apt_install() {
  command -v apt-get >/dev/null || return 1
  [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null || return 1
  echo "installing: $*" >&2
  as_root apt-get update -qq >&2 &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

# need COMMAND DEBIAN_PACKAGE HINT: makes sure the command is there, or ends the script.
need() {
  command -v "$1" >/dev/null && return
  apt_install "$2" && command -v "$1" >/dev/null && return
  echo "$0: '$1' is missing and could not be installed here." >&2
  echo "  Debian, Ubuntu: apt-get install $2" >&2
  echo "  elsewhere:      $3" >&2
  exit 1
}

# What building Pingora takes.
need_build_tools() {
  if ! command -v cargo >/dev/null; then
    echo "$0: Rust is missing; https://rustup.rs installs it." >&2
    exit 1
  fi
  need cmake cmake "install cmake 3.5 or newer (macOS: brew install cmake)"
  need cc build-essential "install a C compiler (macOS: xcode-select --install)"
  need c++ build-essential "install a C++ compiler (macOS: xcode-select --install)"
  need make build-essential "install make (macOS: xcode-select --install)"
}
