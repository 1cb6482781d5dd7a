#!/bin/sh
# One node's power supply: runs as long as the node is on, in mount and network namespaces of its own, which hold the
# node's disk and cable and vanish with it. Started by node.py in the node's cgroup, with the host's network as fd 3.
set -eu
rootfs=$1 directory=$2 name=$3 bridge=$4 link=$5 link_state=$6 address=$7 gateway=$8
shift 8

nsenter --net=/proc/self/fd/3 ip -batch - <<END
link add name $link type veth peer name eth0 netns $$
link set dev $link master $bridge
link set dev $link $link_state
END
exec 3<&-
ip -batch - <<END
link set dev lo up
address add $address/24 dev eth0
link set dev eth0 up
route add default via $gateway
END

cd "$directory"
mount --bind "$rootfs" lower
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay root
# systemd-nspawn is to see nothing but cgroup v2, and no systemd or registered machines of this host.
umount --recursive --lazy /sys/fs/cgroup 2>/dev/null || :
mount -t cgroup2 cgroup2 /sys/fs/cgroup
root=$PWD/root
mount -t tmpfs -o mode=755 tmpfs /run

# CAP_MKNOD goes beyond what systemd-nspawn withholds by itself: no node is to open a disk of the host.
# CAP_NET_ADMIN is of its own network only: a node has a firewall.
while :; do
    status=0
    systemd-nspawn --quiet --machine="$name" --directory="$root" --boot --register=no --keep-unit \
        --network-namespace-path=/proc/self/ns/net --resolv-conf=off --timezone=off --link-journal=no --console=pipe \
        --drop-capability=CAP_MKNOD --capability=CAP_NET_ADMIN \
        "$@" || status=$?
    [ "$status" = 133 ] || exit "$status" # 133: the node asked for a reboot
done
