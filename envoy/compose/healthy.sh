# Asks a port of this container for a path, and for more of them if there are more arguments. It needs
# only bash and grep, because the images have no HTTP client.
#
#   bash healthy.sh PORT PATH [PORT PATH ...]
set -eu
while [ $# -gt 0 ]; do
  exec 3<>"/dev/tcp/127.0.0.1/$1"
  printf 'GET %s HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n' "$2" >&3
  grep -q '^HTTP/1.1 200' <&3
  shift 2
done
