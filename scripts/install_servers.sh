#!/bin/sh
# Installs the servers that some tests run against: Prometheus (with promtool) and Alertmanager (with amtool).
# As root on Debian or Ubuntu it installs their packages; elsewhere it says what to install. Changes nothing where they
# are there already, and leaves no service running.
set -eu

missing=""
for program in prometheus promtool prometheus-alertmanager amtool; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
if [ -z "$missing" ]; then
    echo "Prometheus and Alertmanager are there: $(command -v prometheus), $(command -v prometheus-alertmanager)"
    exit 0
fi

if ! command -v apt-get >/dev/null 2>&1; then
    echo "Missing:$missing. There is no apt-get here: install Prometheus and Alertmanager by your system's means, so" >&2
    echo "that prometheus, promtool, prometheus-alertmanager (or alertmanager) and amtool are on the PATH." >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "Missing:$missing. Run this as root, or: sudo apt-get install prometheus prometheus-alertmanager" >&2
    exit 1
fi

# Their packages start services on 9090 and 9093 where there is an init system: not wanted on a developer's machine.
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus prometheus-alertmanager
echo "installed: $(prometheus --version 2>&1 | head -n 1); $(prometheus-alertmanager --version 2>&1 | head -n 1)"
