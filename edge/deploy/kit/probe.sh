# What `emotion-edge kit install` asks a board before it copies anything; changes nothing. $1: version of the kit.
export LC_ALL=C.UTF-8
PATH=$PATH:/usr/sbin:/sbin
echo "arch=$(dpkg --print-architecture 2>/dev/null)"
echo "uid=$(id -u)"
for tool in apt-get flock sha256sum ssh-keygen systemctl tar; do
    command -v "$tool" >/dev/null || echo "missing=$tool"
done
case $(dpkg-query -W -f '${db:Status-Status}' emotion-edge 2>/dev/null) in
    ''|not-installed|config-files) ;;
    *)
        installed=$(dpkg-query -W -f '${Version}' emotion-edge)
        echo "installed=$installed"
        if dpkg --compare-versions "$1" lt "$installed"; then echo "older=yes"; fi ;;
esac
echo "free_kb=$(df -Pk /var/lib | awk 'NR == 2 { print $4 }')"
if findmnt -n -o OPTIONS -T /var/lib 2>/dev/null | grep -qE '^ro(,|$)'; then echo "readonly=yes"; fi
if ! command -v sudo >/dev/null; then echo "sudo=none"
elif sudo -n true 2>/dev/null; then echo "sudo=free"
else echo "sudo=password"
fi
