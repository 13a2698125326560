// Every given case of evidence with what the command line prints about it: {name, call, args, want}. `call` is a
// function of a loaded core (web/glue.js), `args` its arguments, `want` the text, byte for byte.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { tmpdir } from "node:os";

const evidence = new URL("../../evidence/", import.meta.url).pathname;
const work = mkdtempSync(`${tmpdir()}/page-cases-`);
process.on("exit", () => rmSync(work, { recursive: true }));

function once(f) {
	let value;
	return () => (value ??= f());
}

export const families = { mutants: () => mutants(), "real quotes": () => real(), "decoded quotes": () => shown(), "event logs": () => logs(),
	"SEV-SNP reports": () => reports(), "pieces of whole evidence": () => whole() };

export const read = (path) => new Uint8Array(readFileSync(evidence + path));

const tool = (name, ...args) => execFileSync(name, args, { stdio: ["ignore", "pipe", "ignore"] });

export function dstack(...args) {
	try {
		return execFileSync("dstack", args, { env: { ...process.env, DSTACK_HOME: "" }, stdio: ["ignore", "pipe", "ignore"] }).toString().replace(/\n$/, "");
	} catch (e) {
		return e.stdout.toString().replace(/\n$/, ""); // a refusal has an exit status, too
	}
}

// Without `root` Intel's or AMD's is trusted.
const quoteCase = (name, quote, collateral, root, now) => ({
	name,
	call: "verifyQuote",
	args: [{ quote: readFileSync(quote), collateral: readFileSync(collateral), ...(root ? { root: readFileSync(root) } : {}) }, now],
	want: dstack("quote", "verify", "--quote", quote, "--collateral", collateral, ...(root ? ["--root", root] : []), "--at", String(now), "--json"),
});

const blob = (name) => `${evidence}mutants/blobs/${name}`;
// An empty file is no case: the command line names it, and the page does not take it.
const index = JSON.parse(readFileSync(`${evidence}mutants/index.json`)).filter((c) => readFileSync(blob(c.quote)).length);

// The altered and malformed ones.
export const mutants = once(() => index.map((c) => quoteCase(c.id, blob(c.quote), blob(c.collateral), blob(c.root), c.now)));

const QUOTES = ["dcap-qvl/sgx_quote", "dcap-qvl/tdx_quote", "dcap-qvl/quote-from-tappd.hex", "dstack/ra-tls/tdx_quote",
	"go-tdx-guest/testing/testdata/tdx_prod_quote_SPR_E4.dat", "go-tdx-guest/testing/testdata/quote_v5_sample.dat",
	"trustee/deps/verifier/test_data/tdx_quote_4.dat", "trustee/deps/verifier/test_data/tdx_quote_5.dat",
	"trustee/deps/verifier/test_data/occlum_quote.dat", "intel-qvl/Src/AttestationApp/sampleData/quote.dat"];

// Each genuine quote with each collateral set, under the set's root, inside its window.
export const real = once(() => {
	const pool = readdirSync(`${evidence}real/collateral-pool`).sort();
	return pool.flatMap((file, i) => {
		const set = JSON.parse(readFileSync(`${evidence}real/collateral-pool/${file}`));
		writeFileSync(`${work}/${i}.json`, JSON.stringify(set.collateral));
		writeFileSync(`${work}/${i}.der`, Buffer.from(set.root_pem.replace(/-----[A-Z ]+-----|\s/g, ""), "base64"));
		return QUOTES.map((q) => quoteCase(`${q} with ${file}`, `${evidence}real/${q}`, `${work}/${i}.json`, `${work}/${i}.der`, set.now));
	});
});

// Each quote of both, decoded.
export const shown = once(() => {
	const blobs = new Set(index.map((c) => `mutants/blobs/${c.quote}`));
	return [...blobs, ...QUOTES.map((q) => `real/${q}`)].map((path) => ({
		name: `show ${path}`,
		call: "showQuote",
		args: [readFileSync(evidence + path)],
		want: dstack("quote", "show", evidence + path, "--json"),
	}));
});

const LOGS = ["real/dstack/cc-eventlog/ccel.bin", "real/dstack/cc-eventlog/tpm_eventlog.bin", "real/dstack/verifier/tdx-lite-getquote.json",
	"real/dstack/verifier/tdx-lite-attestation.json", "real/dstack/verifier/sev-snp-attestation.json", "real/dstack/guest-agent/attestation.bin",
	"real/dstack/sdk-simulator/attestation.bin", "real/dstack/sdk-simulator/sys-config.json", "real/trustee/deps/eventlog/test_data/CCEL_data",
	"real/trustee/deps/eventlog/test_data/CCEL_data_gcp", "real/trustee/deps/eventlog/test_data/CCEL_data_grub",
	"real/trustee/deps/eventlog/test_data/CCEL_data_ovmf", "soft/tpm-1024.bin", "soft/tpm-2560.bin", "soft/tpm-3072-2cpu.bin",
	"real/dcap-qvl/tdx_quote", "real/dcap-qvl/quote-from-tappd.hex"];

// Each event log, and a few files that hold none.
export const logs = once(() => LOGS.map((path) => ({
	name: `replay ${path}`,
	call: "replay",
	args: [read(path)],
	want: dstack("events", "replay", evidence + path, "--list", "--json"),
})));

// ---- whole evidence

let files = 0;
function file(bytes) {
	const path = `${work}/file-${files++}`;
	writeFileSync(path, bytes);
	return path;
}

// `evidence` and `collateral` bytes, `expect` an object, a text or nothing.
function evidenceCase(name, evidence, collateral, root, now, expect) {
	const text = typeof expect === "object" ? JSON.stringify(expect) : expect;
	const input = { evidence: new Uint8Array(evidence) };
	if (root)
		input.root = new Uint8Array(root);
	if (collateral)
		input.collateral = new Uint8Array(collateral);
	if (text)
		input.expect = new TextEncoder().encode(text);
	return {
		name, call: "verify", args: [input, now],
		want: dstack("verify", file(evidence), ...(collateral ? ["--collateral", file(collateral)] : []), ...(root ? ["--root", file(root)] : []), "--at", String(now), "--json",
			...(text ? ["--policy", file(text)] : [])),
	};
}

// A machine of the software TEE that measured exactly what the genuine one in tdx-lite-getquote.json did.
function softMachine() {
	const pki = process.env.PAGE_PKI ?? `${work}/pki`; // may be there already
	const answer = JSON.parse(readFileSync(`${evidence}real/dstack/verifier/tdx-lite-getquote.json`));
	const genuine = JSON.parse(dstack("quote", "show", file(answer.quote), "--json")).report;
	const values = { mrtd: "mr_td", mrconfigid: "mr_config_id", mrowner: "mr_owner", mrownerconfig: "mr_owner_config",
		rtmr0: "rtmr0", rtmr1: "rtmr1", rtmr2: "rtmr2", rtmr3: "rtmr3" };
	if (!process.env.PAGE_PKI)
		tool("dstack-softtee", "pki", "--dir", pki);
	const now = Math.floor(Date.now() / 1000);
	const collateral = tool("dstack-softtee", "collateral", "--dir", pki, "--now", String(now));
	const root = readFileSync(`${pki}/root.der`);
	const quote = (reportData, other = {}) => {
		const all = { ...genuine, ...other };
		tool("dstack-softtee", "quote", "--dir", pki, ...Object.entries(values).flatMap(([o, f]) => [`--${o}`, all[f]]),
			"--report-data", reportData, "--out", `${work}/quote`);
		return readFileSync(`${work}/quote`);
	};
	return { answer, genuine, now, collateral, root, quote };
}

const LEGACY = "1.3.6.1.4.1.62397.1.";

// An RA-TLS certificate of the older form: quote and log in extensions, bound to its key.
function certificate(machine, log, pem) {
	tool("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", `${work}/key.pem`);
	const spki = tool("openssl", "pkey", "-in", `${work}/key.pem`, "-pubout", "-outform", "DER");
	const bound = createHash("sha512").update("ratls-cert:").update(spki).digest("hex");
	const octets = (bytes) => `ASN1:FORMAT:HEX,OCTETSTRING:${bytes.toString("hex")}`;
	// Too long for a command line's single argument.
	writeFileSync(`${work}/req.cnf`, `[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nCN=app\n[ext]\n` +
		`${LEGACY}1=${octets(machine.quote(bound))}\n${LEGACY}2=${octets(log)}\n`);
	tool("openssl", "req", "-x509", "-new", "-key", `${work}/key.pem`, "-days", "30", "-config", `${work}/req.cnf`,
		"-outform", pem ? "PEM" : "DER", "-out", `${work}/cert`);
	return readFileSync(`${work}/cert`);
}

export const softEvidence = once(() => {
	const m = softMachine(), { answer, genuine, now, collateral, root } = m;
	const image = JSON.parse(answer.vm_config).os_image_hash, log = JSON.parse(answer.event_log);
	const json = (changes, quote = m.quote(genuine.report_data)) => JSON.stringify({ ...answer, quote: quote.toString("hex"), ...changes });
	const events = (change) => JSON.stringify(log.map((e) => ({ ...e })).flatMap((e, i) => change(e, i) ?? [e]));
	const payload = (name) => log.find((e) => e.event === name).event_payload;
	const good = { os_image_hash: [image] };
	const one = (name, text, expect, c = collateral, at = now) => evidenceCase(name, Buffer.from(text), c, root, at, expect);
	const stripped = JSON.stringify(log.filter((e) => e.imr === 3));
	const changed = json({ event_log: events((e) => e.event === "compose-hash" ? [{ ...e, event_payload: "44".repeat(32) }] : null) });
	return { image, json: json(), changed, app: payload("app-id"), collateral, root, now, file, cases: [
		one("accepted", json(), good),
		one("accepted with everything expected", json(), { ...good, app_id: [payload("app-id")], compose_hash: [payload("compose-hash")],
			report_data: genuine.report_data, tcb_status: ["UpToDate"] }),
		one("its own collateral", json({ collateral: JSON.parse(collateral) }), good, null),
		one("its own collateral as text", json({ collateral: collateral.toString() }), good, null),
		one("no expectation", json()),
		one("another image", json(), { os_image_hash: ["00".repeat(32)] }),
		one("nothing allowed", json(), { os_image_hash: [] }),
		one("another app", json(), { ...good, app_id: ["11".repeat(20)] }),
		one("another compose file", json(), { ...good, compose_hash: ["22".repeat(32)] }),
		one("another key provider", json(), { ...good, key_provider_id: ["3059"] }),
		one("other report data", json(), { ...good, report_data: "33".repeat(64) }),
		one("a status that is not allowed", json(), { ...good, tcb_status: ["OutOfDate"] }),
		one("unknown member", json(), { ...good, debug: true }),
		one("expectations that are no JSON", json(), "{\"os_image_hash\":[}"),
		one("expectations that are a list", json(), "[]"),
		one("a payload changed", changed, good),
		one("an event left out", json({ event_log: events((e) => e.event === "instance-id" ? [] : null) }), good),
		one("an event appended", json({ event_log: events((e, i) => i === log.length - 1 ? [e, e] : null) }), good),
		one("a boot event changed", json({ event_log: events((e, i) => i === 16 ? [{ ...e, digest: "55".repeat(48) }] : null) }), good),
		one("no log", json({ event_log: undefined }), good),
		one("a log that is no list", json({ event_log: "{}" }), good),
		one("another memory size", json({ vm_config: answer.vm_config.replace("2147483648", "4294967296") }), good),
		one("no machine description", json({ vm_config: undefined }), good),
		one("another firmware", json({}, m.quote(genuine.report_data, { mr_td: "66".repeat(48) })), good),
		one("another kernel", json({}, m.quote(genuine.report_data, { rtmr1: "77".repeat(48) })), good),
		one("another command line", json({}, m.quote(genuine.report_data, { rtmr2: "88".repeat(48) })), good),
		one("collateral of tomorrow", json(), good, collateral, now - 400 * 86400),
		one("collateral of last year", json(), good, collateral, now + 400 * 86400),
		one("collateral that is none", json(), good, Buffer.from("{}")),
		one("the quote alone", m.quote(genuine.report_data), good),
		one("the quote alone in hex", m.quote(genuine.report_data).toString("hex"), good),
		one("certificate", certificate(m, Buffer.from(stripped), false), good),
		one("certificate in PEM, log compressed", certificate(m, Buffer.concat([Buffer.from("ELGZv1"), gzipSync(stripped)]), true), good),
		one("certificate, log that does not inflate", certificate(m, Buffer.from("ELGZv1 and no gzip"), false), good),
		one("certificate, log that inflates to too much", certificate(m, Buffer.concat([Buffer.from("ELGZv1"), gzipSync(Buffer.alloc(100000))]), false), good),
		one("nothing known", "some text that is no evidence", good),
		one("JSON without evidence", "{}", good),
	] };
});

const WHOLE = ["dstack/guest-agent/attestation.bin", "dstack/sdk-simulator/attestation.bin", "dstack/verifier/tdx-lite-getquote.json",
	"dstack/verifier/tdx-lite-attestation.json", "dstack/verifier/sev-snp-attestation.json", "dstack/dstack-attest/nitro_attestation.bin",
	"dstack/dstack-attest/sev_snp_vcek.pem", "dstack/cc-eventlog/ccel.bin", "dcap-qvl/sgx_quote", "dcap-qvl/tdx_quote", "dcap-qvl/quote-from-tappd.hex",
	"go-tdx-guest/testing/testdata/quote_v5_sample.dat"];

// SEV-SNP: a report by itself with its certificates, and a guest, under AMD's root and under others.
function snp() {
	const azure = `${evidence}real/trustee/deps/verifier/test_data/az-snp-vtpm/`, trust = `${evidence}real/go-sev-guest/verify/trust/`;
	const ark = (name) => Buffer.from(readFileSync(`${trust}ask_ark_${name}.pem`).toString().split("-----BEGIN CERTIFICATE-----")[2]
		.replace(/-----[A-Z ]+-----|\s/g, ""), "base64");
	const report = readFileSync(`${azure}hcl-report.bin`).subarray(32, 32 + 1184), now = 1750588248;
	const turned = Buffer.from(report);
	turned[0x90] ^= 1;
	const alone = (name, r, certs, root) => quoteCase(name, file(r), `${azure}${certs}`, file(root), now);
	const guest = readFileSync(`${evidence}real/dstack/verifier/sev-snp-attestation.json`);
	const measured = { tcb_status: ["OutOfDate"], snp_measurement:
		["7f51e17f72a04d5422cb2c00998166536019a217376f3aa45a630e59c805a599847ff250dbffcd07e1ba639771d6f05d"] };
	return [
		alone("report", report, "vcek.pem", ark("milan")),
		alone("report, one bit turned", turned, "vcek.pem", ark("milan")),
		alone("report, too long", Buffer.concat([report, report]), "vcek.pem", ark("milan")),
		alone("report, another chip's certificate", report, "vcek-genoa.pem", ark("milan")),
		alone("report under another product's root", report, "vcek.pem", ark("genoa")),
		alone("report under no root of AMD's", report, "vcek.pem", Buffer.from("none")),
		evidenceCase("guest", guest, null, ark("milan"), 1790000000, measured),
		evidenceCase("guest, no measurement allowed", guest, null, ark("milan"), 1790000000, { tcb_status: ["OutOfDate"] }),
		evidenceCase("guest, another app", guest, null, ark("milan"), 1790000000, { ...measured, app_id: ["11".repeat(20)] }),
		evidenceCase("guest before its certificate", guest, null, ark("milan"), now, measured),
		evidenceCase("guest under another product's root", guest, null, ark("turin_vcek"), 1790000000, measured),
	];
}

// Genuine whole evidence with each collateral set, and what a machine of the software TEE shows.
export const whole = once(() => {
	const pool = readdirSync(`${evidence}real/collateral-pool`).sort();
	const cases = pool.flatMap((name) => {
		const set = JSON.parse(readFileSync(`${evidence}real/collateral-pool/${name}`));
		const root = Buffer.from(set.root_pem.replace(/-----[A-Z ]+-----|\s/g, ""), "base64");
		return WHOLE.map((path) => evidenceCase(`${path} with ${name}`, readFileSync(`${evidence}real/${path}`),
			Buffer.from(JSON.stringify(set.collateral)), root, set.now,
			{ os_image_hash: ["e6f5cfec20c02e7b97baa213d0f718020b55e040172d90ccbcb946d56c8b09db"] }));
	});
	return [...cases, ...snp(), ...softEvidence().cases];
});

const SNP = `${evidence}real/trustee/deps/verifier/test_data/snp`, GO_SNP = `${evidence}real/go-sev-guest/verify`;
const pem = (der) => `-----BEGIN CERTIFICATE-----\n${der.toString("base64").replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`;

export const snpReport = once(() => ({ now: 1748736000, report: `${SNP}/test-report.bin`,
	certificates: file(pem(readFileSync(`${SNP}/test-vcek.der`)) + readFileSync(`${GO_SNP}/trust/ask_ark_milan.pem`)) }));

// SEV-SNP reports by themselves, under AMD's roots and others, at several times; and in an envelope.
export const reports = once(() => {
	const vceks = ["test-vcek.der", "test-vcek-invalid-new.der", "test-vcek-invalid-legacy.der", "test-vlek.der"];
	const chains = readdirSync(`${GO_SNP}/trust`).sort(), now = snpReport().now;
	const pairs = ["test-report.bin", "test-vlek-report.bin"].flatMap((r) => vceks.flatMap((v) => chains.map((c) => [r, v, c])));
	const envelope = readFileSync(`${evidence}real/dstack/verifier/sev-snp-attestation.json`), intel = readFileSync(`${evidence}real/dcap-qvl/intel-root-ca.der`);
	return [
		...pairs.map(([r, v, c]) => quoteCase(`${r}, ${v}, ${c}`, `${SNP}/${r}`,
			file(pem(readFileSync(`${SNP}/${v}`)) + readFileSync(`${GO_SNP}/trust/${c}`)), null, now)),
		...[0, 1600000000, now, 4000000000].map((at) => quoteCase(`report at ${at}`, snpReport().report, snpReport().certificates, null, at)),
		quoteCase("report under Intel's root", snpReport().report, snpReport().certificates, file(intel), now),
		quoteCase("report in debug mode", `${GO_SNP}/testdata/attestation.bin`,
			file(pem(readFileSync(`${GO_SNP}/testdata/vcek.testcer`)) + readFileSync(`${GO_SNP}/trust/ask_ark_milan.pem`)), null, now),
		quoteCase("report without certificates", snpReport().report, file("-"), null, now),
		...[1700000000, 1770000000, 1780000000, 1790000000].map((at) => evidenceCase(`envelope at ${at}`, envelope, null, null, at)),
		evidenceCase("envelope under Intel's root", envelope, null, intel, 1770000000),
	];
});
