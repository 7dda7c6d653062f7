# Builds a root of its own and runs a program in it, as the first process of its namespaces.
#
# usage: confine.sh ROOT FILES UID KEEP PROC DIRECTORIES LIMITS PROGRAM…
#
# ROOT is an empty directory to mount on, FILES what the program finds in its working directory. UID
# is whom the program runs as; it is empty in a user namespace, whose only user stays. KEEP names a
# file to copy back to FILES, PROC is not empty for programs that need /proc. DIRECTORIES, one a
# line, are shown read-only next to the system's. Whatever fails ends the run: a program is never
# started with less around it.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
root=$1 files=$2 uid=$3 keep=$4 proc=$5 directories=$6 limits=$7
shift 7
mount -t tmpfs -o size=1m,nr_inodes=4096,mode=755,nosuid,nodev tmpfs "$root"
show() { mkdir -p "$root$1" && mount --rbind "$1" "$root$1"; }
for top in /bin /sbin /lib /lib32 /lib64 /libx32; do
    if [ -L "$top" ]; then
        ln -s "$(readlink "$top")" "$root$top"
    elif [ -d "$top" ]; then
        show "$top"
    fi
done
show /usr
mkdir "$root/dev" "$root/etc" "$root/work" "$root/proc"
# Devices of the program's own: the machine's may be closed to all but root. In a user namespace none
# can be made; what its user cannot open there ends the run.
mount -t tmpfs -o size=64k,nr_inodes=16,mode=755,nosuid,noexec tmpfs "$root/dev"
device() {
    if [ -n "$uid" ] && mknod -m 666 "$root/dev/$1" c 1 "$2" && (: <"$root/dev/$1"); then
        return
    fi
    rm -f "$root/dev/$1"
    : >"$root/dev/$1"
    mount --bind "/dev/$1" "$root/dev/$1"
}
device null 3
device zero 5
device urandom 9
[ ! -f /etc/ld.so.cache ] || cp /etc/ld.so.cache "$root/etc/"
[ ! -d /etc/alternatives ] || cp -R /etc/alternatives "$root/etc/"
while IFS= read -r directory; do
    [ -z "$directory" ] || show "$directory"
done <<LIST
$directories
LIST
# Options of a mount that a namespace may not lift stay; spaces are octal there.
while read -r _ _ _ _ point options _; do
    point=$(printf %b "$point")
    case $point in
    "$root"/dev/*) ;;
    "$root"/*) mount -o "remount,bind,$options,ro" "$point" ;;
    esac
done </proc/self/mountinfo
mount -t tmpfs -o size=64m,nr_inodes=8192,mode=777,nosuid,nodev tmpfs "$root/work"
ln -s work "$root/tmp"
cp -R "$files/." "$root/work/"
chmod -R a+rwX "$root/work"
[ -z "$proc" ] || mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -o remount,bind,ro,nosuid,nodev "$root"
drop='--no-new-privs --inh-caps=-all --bounding-set=-all'
if [ -n "$uid" ]; then
    drop="$drop --reuid=$uid --regid=$uid --clear-groups"
else
    drop="$drop --securebits=+noroot,+noroot_locked"
fi
inside='cd /work && [ -r /dev/null ] && [ -w /dev/null ] && [ -r /dev/zero ] && [ -r /dev/urandom ] &&
    exec "$@"'
# From a changed root nobody without privileges can make a namespace (user_namespaces(7)).
code=0
prlimit $limits chroot "$root" setpriv $drop /bin/sh -c "$inside" sh "$@" || code=$?
if [ -n "$keep" ] && [ "$code" = 0 ] && [ -f "$root/work/$keep" ] && [ ! -L "$root/work/$keep" ]; then
    cp "$root/work/$keep" "$files/$keep"
fi
exit "$code"
