#!/bin/bash
# Whether svs answers; for the image's HEALTHCHECK, which has no curl.
exec 3<>"/dev/tcp/127.0.0.1/${SVS_HEALTH_PORT:-8000}" || exit 1
printf 'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
read -r -t 10 status <&3 && [[ $status == "HTTP/1.1 200"* ]]
