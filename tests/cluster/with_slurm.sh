#!/bin/bash
# with_slurm.sh COMMAND …: install Slurm from Debian's packages where it is missing, start it on this one machine, run the
# command, and stop all that was started, whatever happens. Needs root. Its files stay in a folder of its own, but for
# /etc/slurm/slurm.conf: Snakemake clears SLURM_* from the environment, so no other place is found.
set -euo pipefail

conf=/etc/slurm/slurm.conf
mark="# written by tests/cluster/with_slurm.sh"
special='[][:space:]"$&'"'"'*;<>()|?`\!#{}~^[]'
if [[ $PWD =~ $special ]]; then # Snakemake's plugin does not quote it
    echo "with_slurm.sh: '$PWD' has a blank or another character that a shell takes apart: move the checkout" >&2
    exit 1
fi
[ "$(id -u)" = 0 ] || { echo "with_slurm.sh starts system daemons: run it as root" >&2; exit 1; }
if [ -e $conf ] && ! grep -q "$mark" $conf; then
    echo "$conf belongs to a real cluster; this test wants a machine without one" >&2
    exit 1
fi
state=$(mktemp -d /tmp/one-node-slurm.XXXXXX)
munge_started=

stop() {
    status=$?
    trap - EXIT
    scancel --user root --full > /dev/null 2>&1 || true
    for daemon in slurmd slurmctld; do
        if [ -s "$state/$daemon.pid" ]; then
            pid=$(cat "$state/$daemon.pid")
            kill "$pid" 2> /dev/null || true
            for _ in $(seq 50); do kill -0 "$pid" 2> /dev/null || break; sleep 0.2; done
            kill -9 "$pid" 2> /dev/null || true
        fi
    done
    [ -z "$munge_started" ] || kill "$(cat /run/munge/munged.pid)" 2> /dev/null || true
    [ "$status" = 0 ] || tail -n 15 "$state"/*.log >&2 || true
    rm -rf "$state" $conf
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT TERM HUP

missing=
for program in slurmctld slurmd sbatch munged; do command -v $program > /dev/null || missing=yes; done
if [ -n "$missing" ]; then
    command -v apt-get > /dev/null || { echo "Slurm is missing, and there is no apt-get to install it" >&2; exit 1; }
    policy=/usr/sbin/policy-rc.d # the packages shall start no daemon themselves
    [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' > $policy; chmod +x $policy; ours=yes; }
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge \
        > "$state/apt.log" 2>&1
    [ -z "${ours:-}" ] || rm $policy
fi

if ! munge -n > /dev/null 2>&1; then
    install -d -o munge -g munge -m 755 /run/munge
    if [ ! -s /etc/munge/munge.key ]; then
        (umask 077 && head -c 1024 /dev/urandom > /etc/munge/munge.key)
        chown munge: /etc/munge/munge.key
    fi
    setpriv --reuid munge --regid munge --clear-groups munged
    munge_started=yes
fi

host=$(hostname -s)
memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
mkdir -p /etc/slurm "$state/spool" "$state/state"
cat > $conf << END
$mark
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
StateSaveLocation=$state/state
SlurmdSpoolDir=$state/spool
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
slurmctld
slurmd
for _ in $(seq 60); do
    [ "$(sinfo -h -o %T 2> /dev/null)" = idle ] && break
    sleep 0.5
done
sinfo
[ "$(sinfo -h -o %T)" = idle ] || { echo "the node did not come up" >&2; exit 1; }

"$@"
