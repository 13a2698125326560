// page - what the person sees. Texts from outside get into the document as text only, never as markup.

const $ = (id) => document.getElementById(id);
const el = (tag, attributes, ...children) => {
	const e = document.createElement(tag);
	Object.assign(e, attributes);
	e.append(...children);
	return e;
};
const unbase64 = (s) => Uint8Array.from(atob(s), (c) => c.charCodeAt(0));
const number = (n) => n.toLocaleString("en");

// ---- what was given

const KINDS = { evidence: "evidence", collateral: "collateral", policy: "expectations" };
const POLICY = ["os_image_hash", "app_id", "compose_hash", "key_provider_id", "tcb_status", "advisories_denied", "report_data"];
const REPORT_SIZE = 1184;
const given = new Map(); // kind -> {name, bytes, what}

const asText = (bytes) => {
	try {
		return new TextDecoder("utf-8", { fatal: true }).decode(bytes).trim();
	} catch {
		return null;
	}
};
const asObject = (text) => {
	try {
		const v = JSON.parse(text);
		return v && typeof v === "object" ? v : null;
	} catch {
		return null;
	}
};
const isHex = (text) => text !== null && /^(0x)?([0-9a-f]{2})+$/i.test(text);
// A quote says its version and its key's type first.
const isQuote = (bytes) => {
	const text = asText(bytes);
	const head = isHex(text) ? text.replace(/^0x/i, "").slice(0, 8).match(/../g).map((h) => parseInt(h, 16)) : bytes;
	return head[0] >= 3 && head[0] <= 5 && head[1] === 0 && head[2] <= 3 && head[3] === 0;
};

// An SEV-SNP report has one length, and a version that is small.
const isReport = (bytes) => {
	const text = asText(bytes);
	return isHex(text) ? text.replace(/^0x/i, "").length === 2 * REPORT_SIZE && /^(0x)?0\d000000/i.test(text)
		: bytes.length === REPORT_SIZE && bytes[0] < 10 && !bytes[1];
};
const isPem = (bytes) => !!asText(bytes)?.startsWith("-----BEGIN");

function classify(bytes) {
	const text = asText(bytes), object = text && asObject(text);
	if (object) {
		const names = Object.keys(object);
		if (!Array.isArray(object) && "tcb_info" in object && "qe_identity" in object)
			return ["collateral", "collateral"];
		if (!Array.isArray(object) && names.every((n) => POLICY.includes(n)))
			return ["policy", "expectations"];
		if ("manifest_version" in object)
			return ["compose", "app-compose.json"];
		return ["evidence", Array.isArray(object) ? "event log" : "JSON evidence"];
	}
	if (isReport(bytes))
		return ["evidence", "SEV-SNP report"];
	if (isQuote(bytes))
		return ["evidence", "quote"];
	if (isPem(bytes)) // beside a report: the certificates that it needs
		return given.has("evidence") && isReport(given.get("evidence").bytes) ? ["collateral", "certificates"] : ["evidence", "certificate"];
	return ["evidence", bytes[0] === 0x30 ? "certificate" : "attestation"];
}

async function give(name, bytes) {
	if (!bytes.length)
		return;
	const [kind, what] = classify(bytes);
	if (kind === "policy") {
		$("policy").value = asText(bytes);
		policyToFields();
	} else if (kind === "compose") { // its hash is what it should be
		const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
		$("expect-compose_hash").value = [...hash].map((b) => b.toString(16).padStart(2, "0")).join("");
		fieldsToPolicy();
	} else {
		const before = given.get("evidence");
		if (kind === "evidence" && isReport(bytes) && before && isPem(before.bytes)) // they came the other way round
			given.set("collateral", { ...before, what: "certificates" });
		given.set(kind, { name, bytes, what });
	}
	hideResult();
	showItems();
}

function showItems() {
	$("items").replaceChildren(
		...[...given].map(([kind, g]) =>
			el("li", {},
				el("span", { className: "what" }, `${g.what}, ${number(g.bytes.length)} bytes`, g.name ? `: ${g.name}` : ""),
				el("button", { type: "button", ariaLabel: `Remove ${KINDS[kind]}`, onclick: () => {
					given.delete(kind);
					hideResult();
					showItems();
				} }, "Remove"))));
	$("verify").disabled = !core || !given.has("evidence");
}

async function giveFiles(list) {
	for (const f of list)
		await give(f.name, new Uint8Array(await f.arrayBuffer()));
}

// ---- what it should be

const FIELDS = {
	os_image_hash: "Image hash (64 hex digits)",
	compose_hash: "Compose hash (64 hex digits)",
	app_id: "App id (40 hex digits)",
};

// The fields and the text are two views of one document; what the text has beyond the fields is kept.
function fieldsToPolicy() {
	const policy = asObject($("policy").value) || {};
	for (const name of Object.keys(FIELDS)) {
		const lines = $(`expect-${name}`).value.split(/[\s,]+/).map((l) => l.replace(/^0x/i, "").toLowerCase()).filter(Boolean);
		if (lines.length)
			policy[name] = lines;
		else
			delete policy[name];
	}
	$("policy").value = Object.keys(policy).length ? JSON.stringify(policy) : "";
}

function policyToFields() {
	const policy = asObject($("policy").value) || {};
	for (const name of Object.keys(FIELDS))
		$(`expect-${name}`).value = Array.isArray(policy[name]) ? policy[name].join("\n") : "";
}

const setNow = () => ($("time").value = new Date().toISOString().replace(/\.\d+Z$/, "Z"));

// Unix seconds, from those or from a date; NaN when it is neither.
function readTime() {
	const text = $("time").value.trim();
	if (/^\d+$/.test(text))
		return Number(text);
	return /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?Z?)?$/.test(text)
		? Math.floor(Date.parse(text.replace(" ", "T").replace(/(T\d\d:\d\d(:\d\d)?)$/, "$1Z")) / 1000)
		: NaN;
}

// ---- the verdict, for people

const SAYS = {
	quote: ["Signed by genuine hardware", "The signatures lead from the trusted root through the platform's certificate to this quote."],
	tcb: ["Security updates", "What the maker says of the platform's firmware and microcode: UpToDate is best."],
	collateral: ["The maker's statements", "Certificates, revocation lists and update levels were valid at the time of the verdict."],
	fmspc: ["Kind of processor", "The maker's number for the platform's family and model."],
	ppid: ["Which machine", "The processor's own number. The same machine shows the same one."],
	debug: ["Debug mode", "A machine in debug mode could be read by its host."],
	report_data: ["Bound to", "64 bytes that whoever asked for the quote chose; they tie it to a key or a question."],
	binding: ["Made for", "A key or a challenge that the quote is bound to. When it only states something itself, it may be a copy of another's."],
	pod_payload: ["Pod's payload", "The bytes the pod committed to."],
	event_log: ["Log of the start", "The log gives exactly the register that the hardware measured."],
	app_id: ["App", "Which app runs."],
	compose_hash: ["App's definition", "SHA-256 of the app-compose.json that was started."],
	instance_id: ["Instance", "Which instance of the app."],
	identity: ["Identity", "Who the machine says it is."],
	key_provider: ["Keys come from", "The key service that gave the machine its keys."],
	config_id: ["Fixed at launch", "The configuration that the host had to commit to before the start."],
	os_image: ["System image", "Firmware, kernel and root file system that were booted."],
	mrtd: ["Firmware", "The hardware's measurement of the firmware is that of the image."],
	rtmr0: ["Virtual hardware", "CPU, memory and firmware settings are those that the image expects."],
	rtmr1: ["Kernel", "The kernel is that of the image."],
	rtmr2: ["Command line and initrd", "They are those of the image."],
	rtmr3: ["App's start", "What happened after the system was up."],
	tcb_allowed: ["Updates you allow", "The platform's security level is among those that you accept."],
	certificate: ["Certificate", "An RA-TLS certificate carries its evidence inside."],
	app_info: ["App info", "What the certificate's issuer wrote about the app is what the evidence says."],
	verdict: ["Completeness", "Everything that has to be compared was compared."],
	evidence: ["Evidence", "What was given can be read."],
	expectations: ["Expectations", "What it should be, as you wrote it."],
	collateral_age: ["Age of the statements", "Whether newer ones were seen."],
	chip_id: ["Which chip", "The processor's own number. The same machine shows the same one."],
	measurement: ["Launch measurement", "What the guest began with: firmware, kernel, command line."],
	platform: ["Platform", "What kind of machine it is."],
	tls_key: ["This connection", "The connection's key is the attested one."],
};

const headline = (cls, title, summary, todo) => {
	$("head").className = cls;
	$("headline").textContent = title;
	$("summary").textContent = summary;
	$("todo").textContent = todo || "";
};

async function showHead(v, isQuoteOnly) {
	const why = v.code ? await core.explain(v.code) : null;
	const todo = why ? `${why.means} ${why.todo}` : "";
	if (!v.claims)
		headline("no", "Cannot be judged", `${v.error} [${v.code}]`, todo);
	else if (!v.ok)
		headline("no", "Not trusted", `${v.error} [${v.code}]`, todo);
	else if (v.anchor === "development" || v.anchor === "none")
		headline("no", "Accepted by the development root only", "A software TEE: proves the path, not the hardware.");
	else if (isQuoteOnly)
		headline("half", "A genuine quote",
			"Real hardware signed it. What runs on that hardware was not compared with anything: " +
			"for that, give the whole attestation and the image's hash.");
	else
		headline("yes", "Trusted", "Genuine hardware runs exactly the system that you allow, and the evidence is complete.");
}

function showClaims(claims) {
	$("claims").hidden = !claims.length;
	$("claims").tBodies[0].replaceChildren(...claims.map((c) => {
		let [title, words] = SAYS[c.name] || [c.name, ""];
		if (c.name === "quote" && c.anchor === "development")
			[title, words] = ["Signed under a development root", "By software: says nothing about hardware."];
		const note = [words, c.detail, c.code ? `[${c.code}]` : ""].filter(Boolean);
		return el("tr", { className: c.ok ? "" : "wrong" },
			el("td", {}, el("span", { className: c.ok ? "ok" : "bad", title: c.ok ? "holds" : "does not hold" }, c.ok ? "yes" : "NO")),
			el("td", {}, title, " ", el("code", { className: "note" }, c.name)),
			el("td", { className: "bytes" }, c.value),
			el("td", {}, c.ok ? words : "", c.ok && !c.detail ? "" : el("div", {}, (c.ok ? [c.detail] : note.slice(words ? 1 : 0)).join(" "))));
	}));
}

// ---- the quote and the log

function showFields(quote) {
	$("decoded").hidden = !quote;
	$("fields").replaceChildren(...Object.entries(quote || {}).flatMap(([group, fields]) => [
		el("h3", {}, group.replaceAll("_", " ")),
		el("table", {}, el("tbody", {}, ...Object.entries(fields).map(([name, value]) =>
			el("tr", {}, el("th", { scope: "row" }, name), el("td", { className: "bytes" }, String(value)))))),
	]));
}

const PARTS = {
	content: (d, e) => `event ${d.event}${e} is not what was measured: its content does not give the digest beside it.`,
	later: (d, e) => `everything from event ${d.event}${e} on came after the quote.`,
	unknown: () => "no beginning of this log gives the quoted value: events are missing, or were changed.",
};

function showLog(log, differences, isTrusted) {
	$("log").hidden = !log;
	if (!log)
		return;
	const list = log.event_log || [], first = new Map(differences.map((d) => [d.event, d]));
	const named = (i) => (list[i]?.event ? ` (${list[i].event})` : "");
	$("log-note").className = differences.length ? "bad" : "";
	$("log-note").textContent = differences.length
		? differences.map((d) => `${d.register}: ${PARTS[d.difference](d, named(d.event))}`).join(" ") +
			(isTrusted ? " The verdict does not rest on that part of the log: the register itself is what the image gives." : "")
		: log.quoted ? "Replayed, the log gives the registers that the quote has." : "There is no quote beside it to compare with.";
	$("registers").tBodies[0].replaceChildren(...["rtmr0", "rtmr1", "rtmr2", "rtmr3"].map((name) => {
		const bad = log.quoted && log[name] !== null && log[name] !== log.quoted[name];
		return el("tr", { className: bad ? "wrong" : "" }, el("th", { scope: "row" }, name),
			el("td", { className: "bytes" }, log[name] ?? "not in this log: its boot events were left out"),
			el("td", { className: "bytes" }, log.quoted ? (bad || log[name] === null ? log.quoted[name] : "the same") : ""));
	}));
	$("events").tBodies[0].replaceChildren(...list.map((e, i) => el("tr", { className: first.has(i) ? "wrong" : "" },
		el("td", {}, String(i)), el("td", {}, `${e.pcr_index === undefined ? "rtmr" : "pcr"}${e.imr ?? e.pcr_index}`), el("td", {}, e.event || ""),
		el("td", { className: "bytes" }, readable(e.event_payload || "")), el("td", { className: "bytes" }, e.digest))));
}

// Hex as the text it stands for, where it stands for one.
function readable(hex) {
	if (!/^([2-6][0-9a-f]|7[0-9a-e])+$/.test(hex))
		return hex;
	return hex.replace(/../g, (h) => String.fromCharCode(parseInt(h, 16)));
}

function hideResult() {
	for (const id of ["verdict", "raw", "log", "decoded"])
		$(id).hidden = true;
}

// ---- doing it

async function verifyGiven() {
	const now = readTime(), expect = $("policy").value.trim(), file = (kind) => given.get(kind)?.bytes ?? null;
	const evidence = file("evidence"), collateral = file("collateral"), root = DEVELOPMENT_ROOT ? unbase64(DEVELOPMENT_ROOT) : null;
	if (!(now >= 0 && now < 2 ** 53))
		return headline("no", "Cannot be judged", "The time is neither a date nor Unix seconds.", "Write it like 2026-01-31T12:00:00Z.");
	// A bare quote that is compared with nothing is judged as just that.
	const isQuoteOnly = (isQuote(evidence) || isReport(evidence)) && collateral && !expect;
	const result = isQuoteOnly ? await core.verifyQuote({ quote: evidence, collateral, root }, now)
		: await core.verify({ evidence, collateral, root, expect: expect ? new TextEncoder().encode(expect) : null }, now);
	const quote = isQuoteOnly ? await core.showQuote(evidence) : await core.showEvidence();
	const log = isQuoteOnly ? { ok: false } : await core.replayEvidence();
	const v = JSON.parse(result.text);
	await showHead(v, isQuoteOnly);
	showClaims(v.claims || []);
	showLog(log.ok ? JSON.parse(log.text) : null, log.differences, v.ok);
	showFields(quote.ok ? JSON.parse(quote.text) : null);
	$("command").textContent = isQuoteOnly ? `dstack quote verify --quote FILE --collateral FILE --at ${now} --json`
		: `dstack verify FILE${collateral ? " --collateral FILE" : ""}${expect ? " --policy FILE" : ""} --at ${now} --json`;
	$("text").textContent = result.text;
	$("raw").hidden = false;
	$("engines").textContent = "Every signature was checked twice: by this page's own code and by the browser's cryptography. They agreed.";
	$("engines").hidden = !v.ok;
}

async function verifyClicked() {
	$("verify").disabled = true;
	hideResult();
	showClaims([]);
	try {
		await verifyGiven();
	} catch (e) {
		headline("no", "Cannot be judged", `This page failed: ${e.message}`);
	}
	$("verdict").hidden = false;
	$("verdict").focus();
	$("verify").disabled = false;
}

// ---- start

let core = null;

function blocked(...lines) {
	$("blocked").replaceChildren(...lines.map((l) => el("p", {}, l)));
	$("blocked").hidden = false;
}

function listen() {
	$("files").onchange = async () => {
		await giveFiles($("files").files);
		$("files").value = "";
	};
	$("add").onclick = () => {
		give("pasted text", new TextEncoder().encode($("paste").value));
		$("paste").value = "";
	};
	document.ondragover = (e) => {
		e.preventDefault();
		document.body.classList.add("over");
	};
	document.ondragleave = () => document.body.classList.remove("over");
	document.ondrop = (e) => {
		e.preventDefault();
		document.body.classList.remove("over");
		const text = e.dataTransfer.getData("text/plain");
		if (e.dataTransfer.files.length)
			giveFiles([...e.dataTransfer.files]);
		else if (text)
			give("dropped text", new TextEncoder().encode(text));
	};
	$("now").onclick = setNow;
	$("policy").oninput = () => (hideResult(), policyToFields());
	$("time").oninput = hideResult;
	$("verify").onclick = verifyClicked;
	$("clear").onclick = () => {
		given.clear();
		$("policy").value = $("paste").value = "";
		policyToFields();
		setNow();
		hideResult();
		showItems();
	};
	$("copy").onclick = () => {
		getSelection().selectAllChildren($("text")); // where there is no clipboard to write to, it is at least selected
		navigator.clipboard?.writeText($("text").textContent);
	};
}

async function start() {
	$("expect").append(...Object.entries(FIELDS).map(([name, label]) => {
		const field = el("textarea", { id: `expect-${name}`, rows: 1, spellcheck: false, oninput: () => (hideResult(), fieldsToPolicy()) });
		return el("label", {}, label, field);
	}));
	$("development").hidden = !DEVELOPMENT_ROOT;
	setNow();
	listen();
	showItems();
	// No secure context: anybody on the way could have changed this page, and the browser withholds WebCrypto,
	// the second opinion on every signature.
	if (!isSecureContext || !globalThis.crypto?.subtle)
		return blocked("This page cannot verify anything here: it came over a connection that is not protected, so anybody on the way " +
			"could have changed it, and the browser withholds its cryptography (WebCrypto) from such pages.",
			"Save it and open it from disk, or open it over https. Compare the file's SHA-256 with the release's.");
	try {
		core = await loadCore(unlzma(unbase85(CORE), CORE_SIZE), crypto.subtle);
	} catch (e) {
		return blocked(`This browser cannot run the verifier: ${e.message}`, "Use a current Firefox, Chromium or Safari with WebAssembly.");
	}
	showItems();
	document.body.dataset.ready = "yes";
}

start();
