#!/bin/sh
# Installs what some tests run against: Prometheus (with promtool), Alertmanager (with amtool), PostgreSQL, and the client
# of Docker compose, which checks docker-compose.yml without an engine.
# As root on Debian or Ubuntu it installs their packages; elsewhere it says what to install. Changes nothing where they
# are there already, and leaves no service running.
set -eu

missing=""
for program in prometheus promtool prometheus-alertmanager amtool docker-compose; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
# Debian keeps PostgreSQL's programs off the PATH.
command -v postgres >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgres"
if [ -z "$missing" ]; then
    echo "They are there: $(command -v prometheus), $(command -v prometheus-alertmanager), $(command -v docker-compose)"
    exit 0
fi

if ! command -v apt-get >/dev/null 2>&1; then
    echo "Missing:$missing. There is no apt-get here: install them by your system's means, so that prometheus, promtool," >&2
    echo "prometheus-alertmanager (or alertmanager), amtool, postgres and docker-compose are on the PATH." >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "Missing:$missing. Run this as root, or: sudo apt-get install prometheus prometheus-alertmanager postgresql docker-compose" >&2
    exit 1
fi

# Their packages start services on 9090 and 9093 where there is an init system: not wanted on a developer's machine.
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus prometheus-alertmanager \
    postgresql docker-compose
echo "installed: $(prometheus --version 2>&1 | head -n 1); $(prometheus-alertmanager --version 2>&1 | head -n 1);" \
    "docker-compose $(docker-compose version --short)"
