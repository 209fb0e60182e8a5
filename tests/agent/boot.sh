# Makes a machine of new namespaces and becomes its init: sh boot.sh FOLDER NEEDED...
#
# Called in mount, PID, UTS, IPC and cgroup namespaces of its own. Its disk is this machine's under an overlay in memory,
# so that nothing it does stays; its network is ours. Only the targets that order other units are there, and nothing
# that would touch a kernel which is not its own. FOLDER: an empty one, to mount on. NEEDED: folders it must see.
set -e
folder=$1
shift
mount --make-rprivate /
mount -t tmpfs tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
for each; do
    if [ "$(stat -c %i "$each")" != "$(stat -c %i "$folder/root$each")" ]; then mount --bind "$each" "$folder/root$each"; fi
done
cd "$folder/root"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for each in null zero full random urandom tty; do
    touch "dev/$each"
    mount --bind "/dev/$each" "dev/$each"
done
mkdir dev/shm dev/pts
mount -t tmpfs tmpfs dev/shm
rm -rf etc/systemd/system
mkdir -p etc/systemd/system before
for each in sysinit basic multi-user local-fs paths shutdown slices sockets timers umount; do
    cp "lib/systemd/system/$each.target" etc/systemd/system/
done
pivot_root . before
umount -l /before
exec env -i container=milepost PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_UNIT_PATH=/etc/systemd/system \
    /lib/systemd/systemd --system --unit=multi-user.target --log-target=console --log-level=notice --show-status=false
