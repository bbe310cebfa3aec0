#!/bin/bash
# What `make run` does after building: serves *.localhost on loopback, with everything it needs in
# ./run. Takes the path of the program. Nothing here needs editing; for real use see README.md.
set -euo pipefail

program=$1
run=run
umask 077
mkdir -p "$run"

# An IPv6 loopback is used where there is one, since "localhost" may mean either.
has_ipv6() {
    grep -qs '^0\{31\}1 ' /proc/net/if_inet6
}

listen() {
    printf '"127.0.0.1:%s"' "$1"
    if has_ipv6; then
        printf ', "[::1]:%s"' "$1"
    fi
}

cat >"$run/sallyport.cfg" <<END
# Made by "make run" each time it starts; copy it elsewhere to change it. All keys: etc/sallyport.cfg
state_dir = "$run";
domain = "localhost";
listen = {
    ssh = [ $(listen 2222) ];
    http = [ $(listen 8080) ];
    https = [ $(listen 8443) ];
    admin = [ "127.0.0.1:4040" ];
};
tcp = {
    ports = "30000-30999";
    fixed_ports = "20000-20999";
    listen = [ "127.0.0.1"$(has_ipv6 && printf ', "::1"') ];
};
authorized_keys = [ "$run/authorized_keys" ];
END

# The public keys of ~/.ssh and of the agent, each once.
home=${HOME:-/root}
{
    cat "$home"/.ssh/*.pub /dev/null || true
    ssh-add -L || true
} 2>/dev/null | tr -d '\r' | awk '
    $1 ~ /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)$/ &&
        !seen[$2]++ { print $1, $2, $3 }' >"$run/authorized_keys.new"
mv "$run/authorized_keys.new" "$run/authorized_keys"

if [ ! -s "$run/authorized_keys" ]; then
    cat <<END

You have no SSH key yet, so nobody may connect. Make one in another terminal, and let it in:

    ssh-keygen -t ed25519
    cat ~/.ssh/id_ed25519.pub >> $PWD/$run/authorized_keys

END
fi

cat <<END

sallyport is for *.localhost now. Serve something, publish it, and visit it:

    python3 -m http.server 3000
    ssh -p 2222 -R app.localhost:443:localhost:3000 v2@localhost http --basic-auth user:password
    curl -k -u user:password https://app.localhost:8443/

END
exec "$program" serve -c "$run/sallyport.cfg"
