# The databases that the stores are tested on, and the OpenID provider of the sign-in.
# Sourced by run, which sets tools.
#
# What answers at its usual port without a password is used as it is. What does
# not is started from a folder of its own on another port, leaves nothing behind,
# and the tests are told where. run ends it by its process id.

engines=$(mktemp -d)
chmod 711 "$engines" # its servers run as users of their own

# engine_packages prints the packages that are missing.
engine_packages() {
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || echo postgresql
	[ -x /usr/sbin/pgbouncer ] || echo pgbouncer
	[ -x /usr/sbin/mariadbd ] || echo mariadb-server
	command -v redis-server >/dev/null || echo redis-server
	command -v npm >/dev/null || printf '%s\n' nodejs npm
}

postgres_answers() { psql -w -h 127.0.0.1 -U postgres -c 'SELECT 1' test; }
mariadb_answers() { mariadb --no-defaults -h 127.0.0.1 -u root -e 'SELECT 1' test; }
redis_answers() { [ "$(redis-cli -h 127.0.0.1 ping)" = PONG ]; }
dynamodb_answers() { false; } # whatever stands at its port, it may be somebody's data
ferretdb_answers() { false; }
oidc_provider_answers() { false; } # each test starts one of its own

# engine NAME VARIABLE ANSWERS START. START prints what the variable is to be.
engine() {
	local value
	if [ -n "${!2:-}" ]; then
		echo "$1: where $2 says"
	elif "$3" >/dev/null 2>&1; then
		echo "$1: runs"
	else
		value=$("$4") || { echo "$1: cannot be started"; tail -n 5 "$engines"/*.log; return 1; }
		printf 'export %s=%q\n' "$2" "$value" >>"$engines/environment"
		echo "$1: started"
	fi
}

start_engines() {
	engine PostgreSQL CARRYON_TEST_POSTGRES postgres_answers start_postgres
	engine MariaDB CARRYON_TEST_MYSQL mariadb_answers start_mariadb
	engine Redis CARRYON_TEST_REDIS redis_answers start_redis
	engine DynamoDB CARRYON_TEST_DYNAMODB dynamodb_answers start_dynalite
	engine FerretDB CARRYON_TEST_FERRETDB ferretdb_answers start_ferretdb
	engine oidc-provider CARRYON_TEST_OIDC_PROVIDER oidc_provider_answers install_oidc_provider
}

# It refuses to run as root.
start_postgres() {
	local bin data=$engines/postgres as=()
	bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
	mkdir "$data"
	if [ "$(id -u)" -eq 0 ]; then
		chown postgres "$data"
		as=(runuser -u postgres --)
	fi
	(
		cd /
		"${as[@]}" "$bin/initdb" -D "$data/db" -A trust -U postgres --no-sync
		"${as[@]}" "$bin/pg_ctl" -D "$data/db" -w -l "$data/log" \
			-o "-p 25432 -h 127.0.0.1 -k $data -c fsync=off" start
		"$bin/createdb" -h 127.0.0.1 -p 25432 -U postgres test
		head -n 1 "$data/db/postmaster.pid" >>"$engines/pids"
	) >"$engines/postgres.log" 2>&1 || return 1
	echo "postgres://postgres@127.0.0.1:25432/test?sslmode=disable"
}

start_mariadb() {
	local data=$engines/mariadb as=()
	mkdir "$data"
	if [ "$(id -u)" -eq 0 ]; then
		chown mysql "$data"
		as=(--user=mysql)
	fi
	{
		mariadb-install-db --no-defaults --auth-root-authentication-method=normal --datadir="$data/db" "${as[@]}" &&
			/usr/sbin/mariadbd --no-defaults "${as[@]}" --datadir="$data/db" --bind-address=127.0.0.1 --port=23306 \
				--socket="$data/socket" &
	} >"$engines/mariadb.log" 2>&1
	echo $! >>"$engines/pids"
	wait_for mariadb --no-defaults -h 127.0.0.1 -P 23306 -u root -e 'SELECT 1' test || return 1
	echo "root@tcp(127.0.0.1:23306)/test"
}

start_redis() {
	redis-server --bind 127.0.0.1 --port 26379 --save "" --appendonly no --dir "$engines" >"$engines/redis.log" 2>&1 &
	echo $! >>"$engines/pids"
	wait_for redis-cli -h 127.0.0.1 -p 26379 ping || return 1
	echo "127.0.0.1:26379"
}

# dynalite from npm, as the lock file pins it; nothing of it is run to install it.
start_dynalite() {
	local url=http://127.0.0.1:24567
	cp -r "$top/.ci/dynalite" "$engines/dynalite"
	(cd "$engines/dynalite" && npm ci --ignore-scripts --no-audit --no-fund) >"$engines/dynalite.log" 2>&1 || return 1
	node "$engines/dynalite/serve.js" --host 127.0.0.1 --port "${url##*:}" --createTableMs 0 --deleteTableMs 0 \
		>>"$engines/dynalite.log" 2>&1 &
	echo $! >>"$engines/pids"
	wait_for bash -c "exec 3<>/dev/tcp/127.0.0.1/${url##*:}" || return 1
	echo "$url"
}

# oidc-provider from npm, in the same way. It prints the folder: the tests start it from
# there, each with its own settings. Version 8 is the last one for Node.js before 22.
install_oidc_provider() {
	cp -r "$top/.ci/oidc-provider" "$engines/oidc-provider"
	(cd "$engines/oidc-provider" && npm ci --ignore-scripts --no-audit --no-fund) >"$engines/oidc-provider.log" 2>&1 || return 1
	echo "$engines/oidc-provider"
}

# FerretDB from Go's module proxy, with SQLite inside. It is built from a copy,
# because a module of Go's has not the file that it wants to know its version from.
start_ferretdb() {
	local version=v1.24.2 address=127.0.0.1:27227 source=$engines/ferretdb module
	{
		module=$(cd "$engines" && GOWORK=off go mod download -json "github.com/FerretDB/FerretDB@$version" |
			sed -n 's/^\t"Dir": "\(.*\)",$/\1/p') &&
			cp -r "$module" "$source" && chmod -R u+w "$source" && echo "$version" >"$source/build/version/version.txt" &&
			(cd "$source" && GOWORK=off go build -o "$engines/ferretdb.exe" ./cmd/ferretdb) || return 1
		mkdir "$engines/ferretdb.data"
		"$engines/ferretdb.exe" --listen-addr="$address" --debug-addr=- --telemetry=disable --handler=sqlite \
			--state-dir="$engines/ferretdb.data" --sqlite-url="file:$engines/ferretdb.data/" &
	} >"$engines/ferretdb.log" 2>&1
	echo $! >>"$engines/pids"
	wait_for bash -c "exec 3<>/dev/tcp/${address%:*}/${address##*:}" || return 1
	echo "mongodb://$address/"
}

# wait_for COMMAND... runs it until it succeeds, for half a minute.
wait_for() {
	local i
	for i in $(seq 150); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.2
	done
	return 1
}

# stop_engines ends what start_engines has started, and no other.
stop_engines() {
	local pid
	if [ -e "$engines/pids" ]; then
		while read -r pid; do
			kill "$pid" 2>/dev/null
			for _ in $(seq 50); do
				kill -0 "$pid" 2>/dev/null || break
				sleep 0.1
			done
		done <"$engines/pids"
	fi
	rm -rf "$engines"
}
