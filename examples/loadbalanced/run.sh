#!/usr/bin/env bash
# Runs nginx in front of three replicas of the playground, which share a key file
# and a Redis: run.sh start|stop|status. See README.md in this folder.
#
#	CARRYON_LB_PORT  port of nginx; the replicas use the next three ports, Redis
#	                 the one after (default 8090)
#	CARRYON_LB_DIR   folder for files, logs and process ids; start creates it,
#	                 stop removes it
set -euo pipefail
umask 077
PATH=$PATH:/usr/sbin

here=$(cd "$(dirname "$0")" && pwd)
port=${CARRYON_LB_PORT:-8090}
dir=${CARRYON_LB_DIR:-${XDG_RUNTIME_DIR:-/tmp}/carryon-loadbalanced-$(id -u)-$port}
redis=$((port + 4))
replicas=(1 2 3)

die() { echo "loadbalanced: error: $*" >&2; exit 1; }

case $port in *[!0-9]* | "") die "CARRYON_LB_PORT is not a number" ;; esac
case $dir in /*) ;; *) die "CARRYON_LB_DIR is not an absolute path" ;; esac

# process NAME prints the process id if it is running. Since ids are reused, it
# checks that the command line contains our folder.
process() {
	local pid
	read -r pid 2>/dev/null <"$dir/$1.pid" || return 1
	grep -qsF "$dir/" "/proc/$pid/cmdline" && echo "$pid"
}

# launch NAME COMMAND... starts a process if it is not running, and records its
# id and its log.
launch() {
	local name=$1
	shift
	process "$name" >/dev/null && return
	nohup "$@" </dev/null >>"$dir/$name.log" 2>&1 &
	echo $! >"$dir/$name.pid"
}

# await NAME COMMAND... waits until the command succeeds, at most a few minutes.
await() {
	local name=$1
	shift
	for _ in $(seq 1200); do
		"$@" >/dev/null 2>&1 && return
		kill -0 "$(cat "$dir/$name.pid")" 2>/dev/null || break
		sleep 0.1
	done
	tail -n 5 "$dir/$name.log" >&2
	die "$name does not answer; is one of the ports $port to $redis taken?"
}

# ask PORT makes a request without external tools.
ask() (
	exec 3<>"/dev/tcp/127.0.0.1/$1"
	printf 'GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&3
	read -r -t 5 line <&3
	[[ $line == HTTP/1.?" 200"* ]]
)

configure() {
	# stop removes the folder, so start must have created it. Files of another
	# user could be a trap.
	if [ ! -e "$dir/ours" ] || [ ! -O "$dir/ours" ]; then
		mkdir "$dir" || die "set CARRYON_LB_DIR to a folder that is not there yet"
		echo "run.sh made this folder, and run.sh stop removes it" >"$dir/ours"
	fi
	# A replica that is restarted later must run the same program as the others.
	[ -e "$dir/built" ] || (cd "$here/.." && go build -o "$dir/" ./playground github.com/carryon-go/carryon/cmd/carryon)
	touch "$dir/built"
	[ -e "$dir/keys.json" ] || "$dir/carryon" keys init "$dir/keys.json" 2>/dev/null

	# Acknowledged writes are on disk, so Redis may be killed too.
	cat >"$dir/redis.conf" <<-END
		bind 127.0.0.1
		port $redis
		dir "$dir"
		save ""
		appendonly yes
		appendfsync always
		maxmemory-policy noeviction
		set-proc-title no
	END

	# A request that could not be sent goes to the next replica at once. nginx
	# does not repeat a POST that was sent, because its result is unknown.
	cat >"$dir/nginx.conf" <<-END
		daemon off;
		$([ "$(id -u)" -ne 0 ] || echo 'user root; # like all processes; another user cannot write to our folder')
		pid "$dir/nginx-master.pid";
		worker_processes 1;
		events {}
		http {
			access_log off;
			client_body_temp_path "$dir/body";
			proxy_temp_path "$dir/proxy";
			fastcgi_temp_path "$dir/fastcgi";
			uwsgi_temp_path "$dir/uwsgi";
			scgi_temp_path "$dir/scgi";
			upstream replicas {
				$(for n in "${replicas[@]}"; do printf 'server 127.0.0.1:%d max_fails=1 fail_timeout=2s; ' $((port + n)); done)
			}
			server {
				listen 127.0.0.1:$port;
				location / {
					proxy_pass http://replicas;
					proxy_connect_timeout 1s;
					proxy_set_header Host \$http_host;
					add_header X-Replica \$upstream_addr always;
				}
			}
		}
	END
}

start() {
	local tool n
	for tool in go nginx redis-server redis-cli; do
		command -v "$tool" >/dev/null || die "$tool is not installed; on Debian: apt-get install golang nginx redis-server"
	done
	configure
	launch redis redis-server "$dir/redis.conf"
	await redis redis-cli -h 127.0.0.1 -p "$redis" ping
	for n in "${replicas[@]}"; do
		# The address may contain a password, so it is passed in the environment.
		CARRYON_STORE=redis://127.0.0.1:$redis launch "replica$n" "$dir/playground" \
			-addr "127.0.0.1:$((port + n))" -keys "$dir/keys.json" -limits nginx
	done
	for n in "${replicas[@]}"; do await "replica$n" ask $((port + n)); done
	launch nginx nginx -p "$dir/" -e "$dir/nginx.log" -c "$dir/nginx.conf"
	await nginx ask "$port"
	echo "http://127.0.0.1:$port/"
}

# end NAME asks a process to end, and kills it after ten seconds.
end() {
	local pid
	pid=$(process "$1") || return 0
	kill "$pid"
	for _ in $(seq 100); do
		process "$1" >/dev/null || return 0
		sleep 0.1
	done
	kill -9 "$pid"
}

stop() {
	local name
	for name in nginx replica1 replica2 replica3 redis; do end "$name"; done
	# The folder is removed with its content, so start must have created it.
	if [ -O "$dir/ours" ]; then rm -rf -- "$dir"; fi
}

status() {
	local name pid all=0
	for name in nginx replica1 replica2 replica3 redis; do
		if pid=$(process "$name"); then echo "$name: runs, process $pid"; else echo "$name: does not run"; all=1; fi
	done
	return $all
}

case ${1-} in
start | stop | status) "$1" ;;
*) die "usage: run.sh start|stop|status" ;;
esac
