#!/bin/bash
# The main job, as a user does it: `make run`'s own script, then the life of the app by hand.
. "$(dirname "$0")/lib.sh"
export DSTACK_PORT_BASE=18500

if scripts/run.sh >"$work/run.out" 2>&1; then ok "run: compose file to attested answer"; else
	not_ok "run: compose file to attested answer"
	tail -n 40 "$work/run.out" | sed 's/^/  # /'
	exit
fi
no_returns() { ! tr -cd "\r" <"$1" | grep -q .; }
check "a pipe gets plain lines" no_returns "$work/run.out"
check "the verdict says the anchor is the development root" grep -q 'anchor: development' "$work/run.out"

app=$(vm_field hello app_id) id=$(vm_field hello id) domain=dstack.localhost port=18506
ask() # ask HOST-SUFFIX: the app's answer through the gateway
{
	curl -sSf --max-time 20 --cacert "$DSTACK_HOME/gateway/tls/ca.pem" --resolve "$app-$1.$domain:$port:127.0.0.1" "https://$app-$1.$domain:$port/"
}
visits() { ask 8080 | sed -n 's/^visits: //p'; }
check "the app knows its id" grep -q "app_id: $app" <(ask 8080)
before=$(visits)

# What the agent tells anybody, through the gateway, of real containers; and the host, through the VMM.
agent() # agent PATH [CURL-ARGUMENT…]
{
	curl -sS --max-time 20 "${@:2}" --cacert "$DSTACK_HOME/gateway/tls/ca.pem" --resolve "$app-8090.$domain:$port:127.0.0.1" "https://$app-8090.$domain:$port$1"
}
check "the dashboard is served" eval 'agent / -f -o "$work/dashboard.html" -D "$work/dashboard.head"'
log=$(sed -n 's/.*class="dot up".*href="\(\/logs\/[^?]*hello[^?]*\)?.*/\1/p' "$work/dashboard.html")
told() { for w in '<bdi>hello</bdi>' "$app" 'aria-label="Memory in use' '"dot up"></span><bdi>Up ' rtmr3 '<strong>Development.</strong>'; do grep -qF -- "$w" "$work/dashboard.html" || { echo "no $w" && return 1; }; done; }
check "it shows the app, its machine, that no hardware protects it, and the running container ${log##*/}" told
check "which carries its policy through the gateway" grep -qi "^content-security-policy: default-src 'none'" "$work/dashboard.head"
check "the container's log" grep -q "^hello: app $app on :8080" <(agent "$log?text&bare&tail=all")
check "with the engine's times, as JSON lines" jq -es 'length >= 1 and all(.channel == "stdout" or .channel == "stderr") and (.[0].message | test("^20[0-9][0-9]-"))' <(agent "$log?text&timestamps&tail=5")
silent() { agent "$log?text&bare&since=1s" >"$work/since" && { [ ! -s "$work/since" ] || { cat "$work/since" && return 1; }; }; }
check "nothing since a second ago" until_true 5 silent
followed() { agent "$log?text&bare&follow&tail=1" -N --max-time 4 >"$work/followed" 2>&1; test $? = 28 && grep -q '^hello: app' "$work/followed"; }
check "followed, it comes at once and the end does not" followed
check "another container's log is not there" jq -e '.code == "agent.no_container"' <(agent /logs/nobody)
check "the machine in numbers" grep -q '^system_num_cpus [1-9]' <(agent /metrics)
listed() { curl -sS --max-time 20 --unix-socket "$DSTACK_HOME/vmm/vmm.sock" -d "{\"id\":\"$id\"}" 'http://vmm/guest/ListContainers?json'; }
check "the host sees the same container" jq -e --arg n "/${log##*/}" '.containers | any(.names == [$n] and .state == "running" and (.image | test("hello")) and (.status | startswith("Up ")) and .created > 1700000000)' <(listed)

check "verify as JSON says ok" sh -c "dstack verify https://$app-8443s.$domain:$port/ --compose '$DSTACK_HOME/apps/hello.json' --json | jq -e '.ok and .anchor == \"development\"'"
check "verify tells what the compose file lets the app do" grep -qF '[lint.' <(dstack verify "https://$app-8443s.$domain:$port/" --compose "$DSTACK_HOME/apps/hello.json")
sed 's/hello/other/' "$DSTACK_HOME/apps/hello.json" >"$work/other.json"
refused "verify refuses another compose file" compose_hash dstack verify "https://$app-8443s.$domain:$port/" --compose "$work/other.json"
refused "verify refuses without the development root" root.not_trusted dstack verify "https://$app-8443s.$domain:$port/" --development-root "" --json
refused "verify refuses a certificate that ends in the gateway" ratls.no_evidence dstack verify "https://$app-8080.$domain:$port/" --json
# The verification service on the same certificate: the KMS signed it, so it is not of the self-signed kind, but its evidence holds.
serviced()
{
	openssl s_client -connect "127.0.0.1:$port" -servername "$app-8443s.$domain" </dev/null 2>/dev/null | openssl x509 >"$work/app.pem"
	{ env DSTACK_VERIFIER_INSECURE_DEVELOPMENT=true "DSTACK_VERIFIER_ATTESTATION__DEVELOPMENT_ROOT=$DSTACK_HOME/pki/root.der" \
		"DSTACK_VERIFIER_ATTESTATION__URLS__PCCS=$(sed -n 's/^pccs = "\(.*\)"/\1/p' "$DSTACK_HOME/config.toml")" \
		"DSTACK_VERIFIER_IMAGE_CACHE_DIR=$DSTACK_HOME/images" DSTACK_VERIFIER_IMAGE_DOWNLOAD_URL= \
		dstack-verifier --verify-cert "$work/app.pem" 2>/dev/null || test $? = 1; } |
		jq -e '.verdict.ok and .certificate.attestation_bound and (.certificate.self_signed | not) and (.is_valid | not)'
}
check "dstack-verifier says the same of its evidence" serviced

# The guest's network is QEMU's, in a namespace of its own: what that cannot reach, the guest cannot.
socat TCP-LISTEN:18590,bind=127.0.0.1,reuseaddr,fork OPEN:/dev/null &
other=$!
until_true 10 socat -u OPEN:/dev/null TCP:127.0.0.1:18590
inside="nsenter -n -t $(pgrep -f "[q]emu-system.*$DSTACK_HOME" | head -n 1)"
check "from its network the registry answers" $inside curl -sf --max-time 5 http://127.0.0.1:18500/v2/
check "another port of the host's loopback does not" sh -c "! $inside socat -u OPEN:/dev/null TCP:127.0.0.1:18590"
check "and nothing lies beyond" sh -c "! $inside ip route get 192.0.2.1"
kill $other

check "run again is harmless" scripts/run.sh
check "ls names the app" sh -c "dstack ls | grep -q hello"
check "info asks the guest's agent, through the VMM" sh -c "dstack info hello --json | jq -e '.guest.app_id == \"$app\" and .system.num_cpus >= 1 and (.network.interfaces | length >= 1)'"
check "info is for people, too" grep -qE '^memory +[0-9.]+ [MG]iB, ' <(dstack info hello)
check "ps lists the app's containers" sh -c "dstack ps hello --json | jq -e '[.containers[].state] | index(\"running\")'"
check "logs show the guest's console" sh -c "dstack logs hello -n 50 | grep -q ."
check "deploy refuses a taken name" sh -c "dstack deploy build/hello/compose.yaml --name hello -e SECRET=1; test \$? -eq 3"

# The VMM dies: its VMs do not, and a new one takes them over.
kill -9 "$(cut -d' ' -f1 "$DSTACK_HOME/run/vmm.pid")"
check "the app answers without a VMM" ask 8080
check "up starts only what is missing" dstack up --dir "$DSTACK_HOME" --port-base $DSTACK_PORT_BASE
check "a new VMM has the running VM" test "$(vm_field hello status)" = running
check "it is the same boot" test "$(vm_field hello id)" = "$id"

check "stop" dstack stop hello
check "it is stopped" test "$(vm_field hello status)" = stopped
check "start" dstack start hello --wait
check "it answers again" until_true 120 ask 8080
after=$(visits)
check "the volume survived: $before, then $after" test "${after:-0}" -gt "${before:-0}"

# QEMU dies: the VM is started again, and neither containers nor the volume took harm from what was not written.
kill -9 "$(pgrep -f "[q]emu-system.*$DSTACK_HOME")"
check "it answers after a crash" until_true 180 ask 8080
crashed=$(visits)
check "the volume survived the crash: $after, then $crashed" test "${crashed:-0}" -gt "$before"

check "doctor has a line a fact" sh -c "dstack doctor --json | jq -e '.checks | length >= 8'"
check "rm --force" dstack rm hello --force
check "it is gone" sh -c "test -z \"\$(dstack ls --json | jq -r '.vms[].name')\""
check "down" dstack down --dir "$DSTACK_HOME"
check "nothing of the stack is left" sh -c "! pgrep -af '${DSTACK_HOME%e}[e]'"
