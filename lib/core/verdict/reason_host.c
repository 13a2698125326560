// Explanations of codes about the host: VMM, gateway, services, command line.
#include "core/verdict/reason_more.h"

// clang-format off
static const struct reason_text table[] = {
	{
		"host.key_provider", "The local key provider gives no key",
		"It cannot be reached, or it refused the guest.",
		"Check key_provider.address of the VMM and the provider's log, which has the reason.",
	},
	{
		"host.quote", "The guest sent no quote",
		"GetSealingKey takes the guest's own quote.",
		"Use a current guest image.",
	},
	{
		"sealing.request", "The local key provider takes {\"quote\":[bytes]}",
		"What came is something else, or longer than any quote.",
		"Let the VMM speak to it: its key_provider.address.",
	},
	{
		"sealing.machine", "The guest runs on another machine",
		"Guest and key provider must be quoted by the same quoting enclave.",
		"Use the key provider of the guest's own machine.",
	},
	{
		"sealing.guest_key", "The guest's key is one that hides nothing",
		"Its X25519 key has small order, so anybody could open the box.",
		"Use a current guest image.",
	},
	{
		"sealing.key", "The key provider's secret is damaged",
		"sealing.key does not hold 16 bytes.",
		"Restore it from a backup. With another one, disks sealed before do not open.",
	},
	{
		"config.development_root", "A development root is configured without insecure_development",
		"Whoever holds its key could forge any evidence, so it is never used by accident.",
		"Set insecure_development = true for tests; in production remove attestation.development_root.",
	},
	{
		"config.development_only", "A setting for development is used without insecure_development",
		"It weakens what the program promises.",
		"Set insecure_development = true for tests, or remove the setting.",
	},
	{
		"config.unknown_key", "The configuration has an unknown key",
		"It may be a spelling mistake, so it is not ignored.",
		"See --help-config for all keys.",
	},
	{
		"config.missing", "A required key is missing in the configuration",
		"The program cannot choose it for you.",
		"Add it; see --help-config.",
	},
	{
		"config.syntax", "The configuration is no TOML",
		"It cannot be read.",
		"Correct the line that the message names.",
	},
	{
		"config.type", "A configuration value has the wrong type",
		"It cannot be used.",
		"See --help-config.",
	},
	{
		"config.range", "A configuration value is out of range",
		"It cannot be used.",
		"See --help-config.",
	},
	{
		"config.duplicate", "A configuration key is given twice",
		"It is not clear which one is meant.",
		"Remove one.",
	},
	{
		"config.peer", "A configured peer is no other KMS",
		"audit.peer takes the https address of each other KMS once, at most 16 of them.",
		"Correct audit.peer in the configuration.",
	},
	{
		"config.names", "A configured name is no host name or address",
		"rpc.sans lists what clients use to reach the KMS.",
		"Correct the configuration.",
	},
	{
		"config.address", "An address in the configuration has no known form",
		"Addresses are unix:PATH, tcp:IP:PORT, vsock:PORT or fd:N.",
		"Correct it.",
	},
	{
		"config.pccs_url", "The collateral URL is neither http nor https",
		"Collateral cannot be fetched.",
		"Correct attestation.pccs_url.",
	},
	{
		"config.value", "A configured value is out of range",
		"The message says what is wanted.",
		"Correct it; --help-config lists all keys.",
	},
	{
		"config.wg", "A reserved network is not in the gateway's own",
		"wg.reserved_net must lie in the network of wg.ip.",
		"Correct the configuration.",
	},
	{
		"platform.tdx_unavailable", "This host cannot run TDX machines",
		"platform = tdx never falls back to emulation.",
		"See dstack doctor for what the host lacks.",
	},
	{
		"platform.qemu", "QEMU cannot be used",
		"It is not installed or does not run.",
		"Install qemu-system-x86.",
	},
	{
		"sni.domain", "The name asked for is not one of this gateway's",
		"Nothing is connected.",
		"Check the address.",
	},
	{
		"sni.label", "The name asked for names no app",
		"Nothing is connected.",
		"Use <app or instance id>[-<port>][s or g].<domain>.",
	},
	{
		"sni.port", "The port in the name is not one",
		"It is 1 to 65535 in decimal.",
		"Use <app or instance id>[-<port>][s or g].<domain>.",
	},
	{
		"register.app_mismatch", "The app id is not the certificate's",
		"A machine may register only as what its certificate says.",
		"Use the certificate that the KMS gave it.",
	},
	{
		"register.no_certificate", "No client certificate was shown",
		"Only attested machines may register.",
		"Use the certificate that the KMS gave it.",
	},
	{
		"register.app_info", "The certificate's app info is malformed",
		"It was not written by a current KMS.",
		"Update the KMS.",
	},
	{
		"register.full", "The gateway has no address or place left",
		"Its network is too small for so many instances, or old ones have not expired.",
		"Use a larger wg.client_ip_range.",
	},
	{
		"register.id", "An id is empty",
		"App and instance ids are 20 bytes that are not all zero.",
		"Check the guest's version.",
	},
	{
		"register.instance_id", "Evidence and certificate name different instances",
		"The certificate was handed on.",
		"Do not trust that machine.",
	},
	{
		"register.port_policy", "The port policy is malformed",
		"It has too many ports, or one that is not 1 to 65535.",
		"Correct app-compose.json.",
	},
	{
		"cli.address", "The address is not HOST[:PORT] or a URL",
		"Nothing can be connected to.",
		"Give https://host:port/, or host:port.",
	},
	{
		"cli.ambiguous", "Several VMs match the name",
		"Names are not unique; ids are.",
		"Use the id that dstack ls shows.",
	},
	{
		"cli.boot_failed", "The guest stopped while it booted",
		"It reported why, or its log does.",
		"Look the code in the message up with dstack explain; see dstack logs.",
	},
	{
		"cli.boot_timeout", "The guest did not finish its boot in time",
		"Emulated machines are slow; a guest may also wait for a service.",
		"See dstack logs for the stage at which it is; dstack ls shows when it is done.",
	},
	{
		"cli.connect", "The host cannot be reached",
		"The name has no address, or nothing listens there.",
		"Check the address and that the gateway or app runs.",
	},
	{
		"cli.evidence", "The file holds no evidence",
		"Expected attestation, or quote and event_log.",
		"Pass what the agent's GetQuote or Attest answered.",
	},
	{
		"cli.env_without_kms", "There is no KMS to seal the variables to",
		"An app whose keys come from its machine, or from nobody, has no key that is known before it runs.",
		"Use --key-provider kms, or put what is no secret into the compose file.",
	},
	{
		"cli.kms_root", "Nothing says which KMS must answer",
		"The root CA of the KMS is neither given nor in config.toml, or the address is one without TLS.",
		"Give --kms-root FILE, the PEM of its root CA; or --unverified-tls, if who answers does not matter.",
	},
	{
		"cli.kms_moved", "The KMS of this stack is elsewhere",
		"A stack has its KMS on the host or in a CVM for good: its keys do not move.",
		"Use another --dir for the other kind.",
	},
	{
		"cli.name_taken", "A VM of that name exists",
		"Its disk would be lost.",
		"Choose another --name, or --replace to remove it and its disk.",
	},
	{
		"cli.no_image", "The VMM has no guest image",
		"Nothing can be booted.",
		"Build one: make image, then dstack up --image FOLDER.",
	},
	{
		"cli.no_stack", "There is no local stack here",
		"The folder has no config.toml.",
		"Run make run or dstack up, or set DSTACK_HOME.",
	},
	{
		"cli.no_such_code", "No such reason code",
		"Codes have the form stage.what.",
		"dstack explain without a code lists all.",
	},
	{
		"cli.no_such_vm", "No such VM",
		"It was removed, or never there.",
		"dstack ls shows all.",
	},
	{
		"cli.option", "An option is wrong",
		"Its value has the wrong form, or it does not exist.",
		"See --help of the command.",
	},
	{
		"cli.running", "The VM is running",
		"Removing it would lose what it is doing.",
		"Stop it first, or rm --force.",
	},
	{
		"cli.stop_timeout", "The VM did not stop in time",
		"Its containers take long to end.",
		"Wait, or dstack stop --force.",
	},
	{
		"cli.tls", "The TLS handshake failed",
		"The peer speaks no TLS, or refused the name.",
		"Use the passthrough name of the app (…s.<domain>) and check that the app's port speaks TLS.",
	},
	{
		"file.absent", "A file is missing",
		"It was expected at the path in the message.",
		"Check the path and the program's configuration.",
	},
	{
		"file.exists", "A file exists already",
		"It is not overwritten: it may hold a key.",
		"Remove it if it is not needed.",
	},
	{
		"file.mode", "A secret file is readable by others",
		"Whoever can read it has the secret.",
		"chmod 0600, and consider the secret known.",
	},
	{
		"file.not_regular", "A file is a link or a device",
		"Only plain files are read there.",
		"Put the file itself there.",
	},
	{
		"file.too_large", "A file is too large",
		"Each file has a bound that genuine ones do not reach.",
		"Check that it is the right file.",
	},
	{
		"hello.malformed", "The ClientHello is malformed",
		"Lengths inside it contradict each other.",
		"Check the client; nothing was connected.",
	},
	{
		"hello.name", "The host name in the ClientHello is malformed",
		"It is empty, too long or no host name.",
		"Check the client; nothing was connected.",
	},
	{
		"hello.not_tls", "The client does not speak TLS",
		"The gateway's port serves TLS alone.",
		"Use https.",
	},
	{
		"hello.too_large", "The ClientHello is too large",
		"No client needs so much.",
		"Check the client; nothing was connected.",
	},
	{
		"input.time", "The time is not a number",
		"--at takes seconds since 1970.",
		"Use date +%s.",
	},
	{
		"input.unreadable", "A file cannot be read",
		"It is missing, too large, or has other bytes than were asked for.",
		"Check the path.",
	},
	{
		"rpc.busy", "Too many calls are waiting",
		"The queue is full, and of all who wait this client has most calls in it.",
		"Wait for answers before asking more; try again.",
	},
	{
		"rpc.connect", "The service cannot be reached",
		"Nothing listens at the address, or the connection broke.",
		"Check that it runs: dstack doctor, and its log.",
	},
	{
		"rpc.http", "The request is not HTTP as this server accepts it",
		"Anything that two parsers could read differently is refused.",
		"Check the client.",
	},
	{
		"rpc.http_method", "The HTTP method is not allowed",
		"Methods are called with POST; some also with GET.",
		"Use POST.",
	},
	{
		"rpc.json", "The JSON does not fit the message",
		"A member has the wrong type or form, or the text is not JSON.",
		"Correct what the message names.",
	},
	{
		"rpc.not_found", "No such path",
		"The service answers below /prpc and a few others.",
		"Check the URL.",
	},
	{
		"rpc.not_tls", "The address is not https",
		"Who is there could not be checked: the other side proves itself by its certificate.",
		"Write the address as https://...",
	},
	{
		"rpc.protobuf", "The bytes are not a message of that type",
		"They are cut, or of another method.",
		"Check the client and its content type.",
	},
	{
		"rpc.query", "The query does not fit the message",
		"An escape or a value is malformed.",
		"Correct the URL, or send JSON.",
	},
	{
		"rpc.rate_limited", "Too many requests",
		"This address, or all together, asked more often than the server allows (status 429).",
		"Ask less often; the operator may raise the limits.",
	},
	{
		"rpc.reply", "The answer cannot be used",
		"It is too large, or not of the expected form.",
		"Check that the address is that of the right service.",
	},
	{
		"rpc.status", "The service answered with an HTTP error",
		"Its own code was not in the answer.",
		"See the service's log.",
	},
	{
		"rpc.timeout", "No answer in time",
		"The service is busy or hangs.",
		"Try again; see its log.",
	},
	{
		"rpc.tls", "The TLS connection failed",
		"The server's certificate is not trusted, or it refused ours.",
		"Check address, time and which root is configured.",
	},
	{
		"rpc.too_large", "The request is too large",
		"Each method bounds its request.",
		"Send less.",
	},
	{
		"rpc.unknown_method", "No such method",
		"The service does not have it.",
		"Check the spelling and the service's version.",
	},
	{
		"rpc.wait_timeout", "The call waited too long for its turn",
		"Many clients ask for what takes a while, such as quotes.",
		"Try again; keep evidence instead of asking for it each time.",
	},
	{
		"stack.died", "A service of the stack ended at its start",
		"Its last words are in the message.",
		"See its log in the stack's log folder.",
	},
	{
		"stack.failed", "A step of the stack's start failed",
		"Its last words are in the message.",
		"See its log in the stack's log folder.",
	},
	{
		"stack.not_ready", "A service of the stack does not answer",
		"It was started and did not become ready in time.",
		"See its log in the stack's log folder.",
	},
	{
		"stack.port_taken", "A port of the stack is in use",
		"Another program, or another stack, listens there.",
		"Choose --port-base, or end the other.",
	},
	{
		"vmm.address", "An address is not IP:PORT",
		"Host names are not looked up there.",
		"Correct it.",
	},
	{
		"vmm.compose", "The compose file is invalid",
		"A known member has the wrong type or value.",
		"Correct app-compose.json.",
	},
	{
		"vmm.full", "No room for the VM",
		"All context ids, vCPUs or the allowed memory are taken.",
		"Stop other VMs, or raise the limits in the VMM's configuration.",
	},
	{
		"vmm.guest_answer", "The guest's answer makes no sense",
		"What came from its agent's port is no answer to the question; guests are not trusted.",
		"See dstack logs; an image of another version may speak another protocol.",
	},
	{
		"vmm.guest_busy", "Too many requests to guests are open",
		"A guest gets few at a time, and each has seconds to answer.",
		"Try again; if it stays so, the guest's agent hangs: see dstack logs.",
	},
	{
		"vmm.guest_refused", "The guest refused the request",
		"Its agent answered with an error, which is quoted.",
		"See dstack logs.",
	},
	{
		"vmm.guest_silent", "The guest's agent does not answer",
		"The VM runs, but nothing answers at its vsock port 8000: it is still booting, or its agent died.",
		"Wait for the boot; see dstack logs.",
	},
	{
		"vmm.input", "The request is invalid",
		"A value is missing, too large or has the wrong form.",
		"Correct what the message names.",
	},
	{
		"vmm.instance_info", "The machine's ids are damaged",
		".instance_info has no valid 20-byte ids.",
		"Restore the file; a VM that never booted can be removed and deployed again.",
	},
	{
		"vmm.launch_file", "The launch file is damaged",
		"The daemon writes it for the runner at every start.",
		"Stop and start the VM.",
	},
	{
		"vmm.locked", "Another process has the lock",
		"Two daemons, or two runners, would work on the same files.",
		"End the other one.",
	},
	{
		"vmm.manifest", "The VM's manifest is damaged",
		"It was edited, or written by another version.",
		"Restore vm-manifest.json in the VM's folder.",
	},
	{
		"vmm.netns", "The VM's network namespace cannot be made",
		"It takes root and a kernel with network namespaces.",
		"Run the VMM as root; see dstack doctor.",
	},
	{
		"vmm.no_vm", "No such VM",
		"It was removed, or never there.",
		"dstack ls shows all.",
	},
	{
		"vmm.not_running", "The VM is not running",
		"Only a running one can be shut down, or asked what goes on inside.",
		"Start it first.",
	},
	{
		"vmm.path", "QEMU cannot be given a path",
		"It has a comma, a line feed, or is too long.",
		"Choose another folder.",
	},
	{
		"vmm.port_conflict", "Two port mappings want the same host port",
		"Only one can have it.",
		"Choose another port.",
	},
	{
		"vmm.port_in_use", "The host port is in use",
		"Another program listens there.",
		"Choose another port, or end the other program.",
	},
	{
		"vmm.port_mapping", "The port mapping is not allowed",
		"cvm.port_mapping of the VMM's configuration forbids it.",
		"Choose an allowed port, or change the configuration.",
	},
	{
		"vmm.ports", "Too many port mappings",
		"The number for one VM is bounded.",
		"Use fewer, or the gateway.",
	},
	{
		"vmm.removing", "The VM is being removed",
		"It cannot be started any more.",
		"Deploy it again.",
	},
	{
		"vmm.runner_died", "The VM's runner was killed",
		"Without it the VM ends.",
		"See what killed it (memory?) and start the VM.",
	},
	{
		"vmm.runtime", "The runtime file is damaged",
		"The runner writes it while the VM runs.",
		"Stop and start the VM.",
	},
	{
		"vmm.softtee", "The software TEE did not start",
		"Without it the guest has no evidence.",
		"See tee.log of the VM: dstack logs APP.",
	},
	{
		"vmm.stopping", "The VM is still stopping",
		"It can be started when it is off.",
		"Wait, or dstack stop --force.",
	},
	{
		"vmm.tpm", "The software TPM cannot be made",
		"swtpm or swtpm_setup failed.",
		"Install swtpm and swtpm-tools; see the message.",
	},
	{
		"vmm.unsupported", "This VMM does not support a part of the request",
		"What is not supported is refused, never left out silently.",
		"Remove what the message names.",
	},
	{
		"wg.cidr", "The network is malformed",
		"It is written 10.8.0.1/16.",
		"Correct the configuration.",
	},
	{
		"wg.key", "The WireGuard key is malformed",
		"A key is 44 base64 characters, and not the gateway's own.",
		"Check who sent it.",
	},
	{
		"wg.key_taken", "The WireGuard key belongs to another instance",
		"Two machines cannot share one.",
		"Restart the VM that asks: it makes a new key.",
	},
	{
		"wg.name", "The interface name is malformed",
		"It is 1 to 15 of a-z 0-9 - _.",
		"Correct wg.interface.",
	},
	{
		"wg.no_kernel", "This kernel has no WireGuard",
		"wireguard-go serves instead, if it is installed.",
		"Install wireguard-go, or load the wireguard module.",
	},
	{
		"wg.not_ours", "The interface exists and is of another kind",
		"It is not touched.",
		"Choose another wg.interface.",
	},
};
// clang-format on

const struct reason_group reason_host = { table, sizeof table / sizeof *table };
