#!/bin/bash
# Installs the Debian packages named as arguments, those that are missing only. A word
# "package=command" is content with the command, wherever it comes from. Does nothing and asks
# nothing when all are there.
#
# Refuses a libssh older than 0.10.6-0+deb12u3, which takes AES-GCM packets with a forged tag for
# good ones (see its changelog), and systems where these package names mean something else.
#
# SALLYPORT_DEPS=skip leaves all of this to you, for systems that are no Debian.
set -euo pipefail

libssh_min=0.10.6-0+deb12u3

die() {
    printf 'deps: %s\n' "$@" >&2
    exit 1
}

[ "${SALLYPORT_DEPS:-}" != skip ] || exit 0

id=unknown version=0
if [ -r /etc/os-release ]; then
    # shellcheck disable=SC1091
    . /etc/os-release
    id=${ID:-unknown} version=${VERSION_ID:-999} # testing and unstable have no number
fi
if [ "$id" != debian ] || ! command -v dpkg-query >/dev/null; then
    die "this system is ${PRETTY_NAME:-$id}, and packages are only known for Debian 12 and newer" \
        "install what corresponds to: $(printf '%s ' "${@%%=*}")" \
        "libssh must be 0.10.6 with the fixes of Debian's $libssh_min, or newer" \
        "then say SALLYPORT_DEPS=skip make ..."
fi
if [ "${version%%.*}" -lt 12 ]; then
    die "Debian $version is too old: its libssh lacks fixes; use Debian 12 or newer"
fi

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=()
for word in "$@"; do
    package=${word%%=*} command=
    [ "$package" = "$word" ] || command=${word#*=}
    if ! is_installed "$package" && ! { [ -n "$command" ] && command -v "$command" >/dev/null; }; then
        missing+=("$package")
    fi
done

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)

# The tests bring up their own sshd and nginx; those of the system shall not start for them, neither
# now nor at the next boot.
install_missing() {
    local guard=/usr/sbin/policy-rc.d guarded= unit
    local -A fresh=()

    is_installed openssh-server || fresh[ssh]=openssh-server
    is_installed nginx-light || is_installed nginx || fresh[nginx]=nginx-light
    if [ ! -e "$guard" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$guard" >/dev/null
        "${as_root[@]}" chmod 755 "$guard"
        guarded=yes
    fi
    "${as_root[@]}" apt-get update -q &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends "${missing[@]}" || failed=yes
    [ -z "$guarded" ] || "${as_root[@]}" rm -f "$guard"
    for unit in "${!fresh[@]}"; do
        if is_installed "${fresh[$unit]}" && command -v systemctl >/dev/null; then
            "${as_root[@]}" systemctl disable --quiet "$unit" 2>/dev/null || true
        fi
    done
}

if [ ${#missing[@]} -gt 0 ]; then
    printf 'deps: installing %s\n' "${missing[*]}" >&2
    if [ ${#as_root[@]} -gt 0 ] && ! command -v sudo >/dev/null; then
        die "not root, and there is no sudo; as root, run: apt-get install ${missing[*]}"
    fi
    failed=
    install_missing
    [ -z "$failed" ] || die "apt-get failed; as root, try: apt-get install ${missing[*]}"
fi

libssh=$(dpkg-query -W -f='${Version}' libssh-4 2>/dev/null || true)
if [ -n "$libssh" ] && ! dpkg --compare-versions "$libssh" ge "$libssh_min"; then
    die "libssh-4 is $libssh, but $libssh_min or newer is needed: older ones accept forged packets" \
        "as root, run: apt-get update && apt-get install libssh-4 libssh-dev (from bookworm-security)"
fi
