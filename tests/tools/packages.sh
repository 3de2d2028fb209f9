# SPDX-License-Identifier: PostgreSQL
# shellcheck shell=bash disable=SC2034
#
# The packages of Debian 12 that the commands of this tree need, and how they are installed. Sourced
# by run-tests and run-demo.

# Compiler and build.
packages_build=(gcc libc6-dev meson ninja-build pkgconf)
# What walrx links: server protocol, codecs, file of options, JSON, messages to systemd, HTTP; and the
# charting library that is put into the page.
packages_libraries=(libpq-dev zlib1g-dev libisal-dev libdeflate-dev liblz4-dev libzstd-dev libinih-dev libjansson-dev libsystemd-dev
  libmicrohttpd-dev libjs-chart.js)
# Servers and client programs (pg_basebackup, pg_receivewal, pg_waldump, pgbench).
packages_postgres=(postgresql-15 postgresql-client-15)
# The command line tools that archives are checked with.
packages_codecs=(gzip lz4 zstd)
# Unit tests; the second compiler, the sanitizers' run time and libFuzzer.
packages_unit=(libcmocka-dev clang libclang-rt-14-dev)
# Lint: formatting, static analysis, man pages.
packages_lint=(clang-format-14 cppcheck mandoc pyflakes3)
# Tests of the command line and against servers: pytest, TLS certificates, networks and disks of their own; for
# PostgreSQL's own test of pg_receivewal perl and its source; a browser for the page. That source, Barman,
# Prometheus and servers of other major versions the tests fetch and unpack themselves, without installing
# them; Barman needs the three from rsync on.
packages_integration=(python3 python3-pytest python3-pytest-xdist openssl libipc-run-perl bzip2
  iproute2 iptables xfsprogs rsync python3-psycopg2 python3-dateutil chromium-headless-shell)
# Majors that no suite of Debian has come through npm, which a machine may have from elsewhere.
command -v npm >/dev/null || packages_integration+=(npm)

# While a PostgreSQL package is configured it would make and start a cluster "main".
no_cluster_file=/etc/postgresql-common/createcluster.d/walrx-tests.conf

# Runs a command as root.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

# Installs those packages that are missing; nothing is started, nothing existing is configured anew.
install_missing() { # PACKAGE...
  local package missing=() status=0
  for package in "$@"; do
    if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
      missing+=("$package")
    fi
  done
  if [ ${#missing[@]} = 0 ]; then
    return 0
  fi
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    echo "not root, and no sudo to install with: ${missing[*]}" >&2
    return 1
  fi
  echo "installing ${missing[*]}"
  as_root mkdir -p "${no_cluster_file%/*}"
  echo 'create_main_cluster = false' | as_root tee "$no_cluster_file" >/dev/null
  local apt=(apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
  { as_root env DEBIAN_FRONTEND=noninteractive "${apt[@]}" update &&
      as_root env DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends \
        "${missing[@]}"; } </dev/null >/dev/null || status=1
  as_root rm -f "$no_cluster_file"
  return $status
}
