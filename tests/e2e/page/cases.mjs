// Every given case of evidence with what the command line prints about it: {name, call, args, want}. `call` is a
// function of a loaded core (web/glue.js), `args` its arguments, `want` the text, byte for byte.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";

const evidence = new URL("../../evidence/", import.meta.url).pathname;
const work = mkdtempSync(`${tmpdir()}/page-cases-`);
process.on("exit", () => rmSync(work, { recursive: true }));

export const read = (path) => new Uint8Array(readFileSync(evidence + path));

export function dstack(...args) {
	try {
		return execFileSync("dstack", args, { stdio: ["ignore", "pipe", "ignore"] }).toString().replace(/\n$/, "");
	} catch (e) {
		return e.stdout.toString().replace(/\n$/, ""); // a refusal has an exit status, too
	}
}

const quoteCase = (name, quote, collateral, root, now) => ({
	name,
	call: "verifyQuote",
	args: [{ quote: readFileSync(quote), collateral: readFileSync(collateral), root: readFileSync(root) }, now],
	want: dstack("quote", "verify", "--quote", quote, "--collateral", collateral, "--root", root, "--at", String(now), "--json"),
});

const blob = (name) => `${evidence}mutants/blobs/${name}`;
// An empty file is no case: the command line names it, and the page does not take it.
const index = JSON.parse(readFileSync(`${evidence}mutants/index.json`)).filter((c) => readFileSync(blob(c.quote)).length);

// The altered and malformed ones.
export const mutants = () => index.map((c) => quoteCase(c.id, blob(c.quote), blob(c.collateral), blob(c.root), c.now));

const QUOTES = ["dcap-qvl/sgx_quote", "dcap-qvl/tdx_quote", "dcap-qvl/quote-from-tappd.hex", "dstack/ra-tls/tdx_quote",
	"go-tdx-guest/testing/testdata/tdx_prod_quote_SPR_E4.dat", "go-tdx-guest/testing/testdata/quote_v5_sample.dat",
	"trustee/deps/verifier/test_data/tdx_quote_4.dat", "trustee/deps/verifier/test_data/tdx_quote_5.dat",
	"trustee/deps/verifier/test_data/occlum_quote.dat", "intel-qvl/Src/AttestationApp/sampleData/quote.dat"];

// Each genuine quote with each collateral set, under the set's root, inside its window.
export function real() {
	const pool = readdirSync(`${evidence}real/collateral-pool`).sort();
	return pool.flatMap((file, i) => {
		const set = JSON.parse(readFileSync(`${evidence}real/collateral-pool/${file}`));
		writeFileSync(`${work}/${i}.json`, JSON.stringify(set.collateral));
		writeFileSync(`${work}/${i}.der`, Buffer.from(set.root_pem.replace(/-----[A-Z ]+-----|\s/g, ""), "base64"));
		return QUOTES.map((q) => quoteCase(`${q} with ${file}`, `${evidence}real/${q}`, `${work}/${i}.json`, `${work}/${i}.der`, set.now));
	});
}

// Each quote of both, decoded.
export function shown() {
	const blobs = new Set(index.map((c) => `mutants/blobs/${c.quote}`));
	return [...blobs, ...QUOTES.map((q) => `real/${q}`)].map((path) => ({
		name: `show ${path}`,
		call: "showQuote",
		args: [readFileSync(evidence + path)],
		want: dstack("quote", "show", evidence + path, "--json"),
	}));
}

const LOGS = ["real/dstack/cc-eventlog/ccel.bin", "real/dstack/cc-eventlog/tpm_eventlog.bin", "real/dstack/verifier/tdx-lite-getquote.json",
	"real/dstack/verifier/tdx-lite-attestation.json", "real/dstack/verifier/sev-snp-attestation.json", "real/dstack/guest-agent/attestation.bin",
	"real/dstack/sdk-simulator/attestation.bin", "real/dstack/sdk-simulator/sys-config.json", "real/trustee/deps/eventlog/test_data/CCEL_data",
	"real/trustee/deps/eventlog/test_data/CCEL_data_gcp", "real/trustee/deps/eventlog/test_data/CCEL_data_grub",
	"real/trustee/deps/eventlog/test_data/CCEL_data_ovmf", "soft/tpm-1024.bin", "soft/tpm-2560.bin", "soft/tpm-3072-2cpu.bin",
	"real/dcap-qvl/tdx_quote", "real/dcap-qvl/quote-from-tappd.hex"];

// Each event log, and a few files that hold none.
export const logs = () => LOGS.map((path) => ({
	name: `replay ${path}`,
	call: "replay",
	args: [read(path)],
	want: dstack("events", "replay", evidence + path, "--list", "--json"),
}));
