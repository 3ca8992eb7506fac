# Runs as root in the clean root that scripts/prove-packages boots; each `ok:` is a step that holds, and the first that does not ends it.
set -eux
cd /
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
ip link set lo up || true
next=$(cat /opt/given/next)
deb=$(ls /opt/given/*.deb | grep -v "_${next}_")
deb_next=$(ls /opt/given/*.deb | grep "_${next}_")
wheel=$(ls /opt/given/*.whl | grep -v -- "-${next}-")
wheel_next=$(ls /opt/given/*.whl | grep -- "-${next}-")
version=$(dpkg-deb -f "$deb" Version)
before=$(date +%s)
ok() { # WORDS...: a step that holds, and the seconds since the one before
  now=$(date +%s)
  echo "ok: $* ($((now - before)) s)"
  before=$now
}
fails() { # CODE WORDS... : the command ends with that code
  wanted=$1
  shift
  code=0
  "$@" >/tmp/said 2>&1 || code=$?
  cat /tmp/said
  [ "$code" = "$wanted" ]
}
runs() { p2pshare service status --json | grep "\"running_version\": \"$1\""; } # the daemon that answers is of this version

# --- the package ---
dpkg -i "$deb"
ok "the package is installed without a network"
dpkg -V p2pshare
[ -z "$(find /usr/local /etc/systemd/system -name '*p2pshare*')" ] && man -w p2pshare
[ "$(stat -c %U:%G:%a /var/lib/p2pshare)" = p2pshare:p2pshare:750 ]
ok "its files are the package manager's, home and user are there"
dpkg-reconfigure p2pshare || dpkg --configure -a
/var/lib/dpkg/info/p2pshare.postinst configure "$version"
ok "its maintainer script may run again"
fails 1 p2pshare service status
p2pshare service install --name "Hospital A" --url https://127.0.0.1
systemctl is-active p2pshare.socket p2pshare.service
p2pshare status --json | grep '"running": true'
runs "$version"
ok "one command founds the node and starts it, behind the socket at port 443"
id=$(p2pshare status --json | grep -o '"partner_id": "[0-9a-f]*"' | head -1)
systemctl status --no-pager p2pshare | grep '0 of 0 partners linked, 0 observables, nothing needs a person'
systemctl reload p2pshare
journalctl --no-pager -u p2pshare -p warning
ok "it reloads, and says how it stands"
p2pshare service upgrade "$deb_next"
runs "$next"
systemctl is-active p2pshare.socket p2pshare.service
[ "$(p2pshare status --json | grep -o '"partner_id": "[0-9a-f]*"' | head -1)" = "$id" ]
ok "service upgrade takes the next package, and the node goes on"
fails 1 p2pshare service upgrade "$deb"
grep 'is older than' /tmp/said
fails 1 p2pshare service uninstall
grep 'apt remove' /tmp/said
ok "going back, and removing what is the package manager's, are refused with the way"
systemctl stop p2pshare.socket p2pshare.service
dpkg -i "$deb_next"
fails 3 systemctl is-active p2pshare.service
systemctl start p2pshare.socket p2pshare.service
ok "an upgrade starts nothing that did not run"
apt-get -y remove p2pshare
[ ! -e /usr/bin/p2pshare ] && [ ! -e /opt/p2pshare/venv ] && [ -e /var/lib/p2pshare/identity.p2pkey ]
fails 4 systemctl status p2pshare.service
ok "removed, and the home stays"
dpkg -i "$deb_next"
systemctl enable --now p2pshare.socket p2pshare.service
[ "$(p2pshare status --json | grep -o '"partner_id": "[0-9a-f]*"' | head -1)" = "$id" ]
ok "installed again it is the same node"
apt-get -y purge p2pshare
[ -z "$(find /var/lib/p2pshare /opt/p2pshare /usr -name '*p2pshare*' 2>/dev/null)" ]
fails 2 getent passwd p2pshare
ok "purged, nothing of it is left"

# --- the wheel ---
hash -r # the command was in /usr/bin
python3 -m venv /opt/p2pshare/venv
export PIP_NO_INDEX=1 PIP_FIND_LINKS=/opt/given/wheels PIP_DISABLE_PIP_VERSION_CHECK=1
/opt/p2pshare/venv/bin/pip install --require-hashes --only-binary :all: -r /opt/given/requirements.lock
/opt/p2pshare/venv/bin/pip install --no-deps "$wheel"
unset PIP_NO_INDEX PIP_FIND_LINKS
/opt/p2pshare/venv/bin/p2pshare service install --name "Hospital A" --url https://127.0.0.1:8443
runs "$version"
id=$(p2pshare status --json | grep -o '"partner_id": "[0-9a-f]*"' | head -1)
ok "the wheel is installed, and one command founds the node and starts it"
(umask 077 && p2pshare service upgrade "$wheel_next" --wheels /opt/given/wheels)
runs "$next"
[ "$(p2pshare status --json | grep -o '"partner_id": "[0-9a-f]*"' | head -1)" = "$id" ] && [ -d /opt/p2pshare/venv-before ]
ok "service upgrade takes the next wheel, and the node goes on"
fails 1 p2pshare service upgrade "$wheel" --wheels /opt/given/wheels
grep 'is older than' /tmp/said
fails 1 p2pshare service upgrade "$deb_next"
fails 1 p2pshare service upgrade "$wheel_next" --wheels /nowhere
runs "$next"
ok "going back, a package, and a folder without wheels are refused while the node goes on"
mkdir /tmp/broken
cd /tmp/broken
python3 - "$wheel_next" <<'PYTHON' # the next wheel, with a program that does not start
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as old, zipfile.ZipFile("/tmp/broken/" + sys.argv[1].rpartition("/")[2], "w") as new:
    for one in old.infolist():
        content = old.read(one)
        if one.filename == "p2pshare/cli/program.py":
            content = b"raise SystemExit('it does not start')\n"
        if not one.filename.endswith("/RECORD"):
            new.writestr(one, content)
        else:
            new.writestr(one, b"")
PYTHON
cd /
fails 1 p2pshare service upgrade /tmp/broken/*.whl --wheels /opt/given/wheels
cat /tmp/said
grep 'was not installed' /tmp/said
runs "$next"
ok "a version that does not start is put back, and the node goes on"
p2pshare service uninstall
[ -e /var/lib/p2pshare/identity.p2pkey ]
/opt/p2pshare/venv/bin/p2pshare service install --start
runs "$next"
[ "$(p2pshare status --json | grep -o '"partner_id": "[0-9a-f]*"' | head -1)" = "$id" ]
ok "uninstalled the home stays, and the node comes back from it"
p2pshare service uninstall --purge --yes
[ -z "$(find /var/lib/p2pshare /usr/local /etc -name '*p2pshare*' 2>/dev/null)" ]
ok "uninstalled and purged, nothing but its environment is left"
