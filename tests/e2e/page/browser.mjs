// browser: the page in Debian's Chromium. From a file, from http://127.0.0.1, from an https origin and from one
// that is not secure; every given case; files, paste, drop and keyboard through the real controls.
import { createHash, X509Certificate } from "node:crypto";
import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import * as cases from "./cases.mjs";
import { openBrowser } from "./webdriver.mjs";

const [, , , , pageFile, developmentFile] = process.argv;
const evidence = new URL("../../evidence/", import.meta.url).pathname;
const ENTER = "\uE007", TAB = "\uE004";

let failed = false;
function say(ok, what, detail) {
	failed ||= !ok;
	console.log(`${ok ? "ok" : "not ok"} - chromium: ${what}`);
	if (!ok && detail !== undefined)
		console.log(`  # ${JSON.stringify(detail).slice(0, 2000)}`);
}
const same = (got, want, what) => say(got === want, what, { got, want });

const asked = [];
const serve = (request, response) => {
	asked.push(request.url);
	response.setHeader("content-type", "text/html");
	response.end(request.url === "/verify.html" ? readFileSync(pageFile) : "nothing here");
};
const listening = async (server) => {
	await new Promise((done) => server.listen(0, "127.0.0.1", done));
	return server.address().port;
};

// A certificate of the test's own for evidence.test; the browser is told its key, and no other is let through.
const tlsDir = mkdtempSync(`${tmpdir()}/page-tls-`);
execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=evidence.test",
	"-addext", "subjectAltName=DNS:evidence.test", "-days", "2", "-keyout", `${tlsDir}/key`, "-out", `${tlsDir}/cert`], { stdio: "ignore" });
const certificate = readFileSync(`${tlsDir}/cert`);
const spki = new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" });
const tlsServer = createTlsServer({ key: readFileSync(`${tlsDir}/key`), cert: certificate }, serve);
rmSync(tlsDir, { recursive: true });

const server = createServer(serve);
const port = await listening(server), tlsPort = await listening(tlsServer);
const b = await openBrowser("MAP evidence.test 127.0.0.1", createHash("sha256").update(spki).digest("base64"));

const started = "for (let i = 0; i < 400; i++) { if (document.body?.dataset.ready || !document.getElementById('blocked').hidden) break;" +
	"await new Promise((r) => setTimeout(r, 25)); } return document.body.dataset.ready === 'yes';";
const open = async (url) => {
	await b.go(url);
	return b.wait(started);
};
const shown = () => b.run(`const t = (id) => document.getElementById(id).textContent;
	return { head: t("headline"), cls: document.getElementById("head").className, summary: t("summary"), todo: t("todo"), text: t("text"),
		hidden: document.getElementById("verdict").hidden, items: t("items"), note: t("log-note"), log: document.getElementById("log").hidden,
		fields: t("fields"), claims: [...document.querySelectorAll("#claims tbody tr")].map((r) => r.innerText) };`);
const settled = async () => {
	await b.wait("for (let i = 0; i < 400 && (document.getElementById('verdict').hidden || document.getElementById('verify').disabled); i++)" +
		"await new Promise((r) => setTimeout(r, 25));");
	return shown();
};
const verify = async () => {
	await b.click("#verify");
	return settled();
};
const setTime = (text) => b.run("const t = document.getElementById('time'); t.value = arguments[0]; t.dispatchEvent(new Event('input'));", String(text));
const base64 = (bytes) => Buffer.from(bytes).toString("base64");

// Every case through the functions of the page that stands in the browser, in portions.
async function everyCase(origin) {
	for (const [family, make] of Object.entries(cases.families)) {
		const list = make();
		const differ = [];
		for (let i = 0; i < list.length; i += 25) {
			const part = list.slice(i, i + 25), pack = (v) => (v instanceof Uint8Array ? { base64: base64(v) } : typeof v === "object" ?
				Object.fromEntries(Object.entries(v).map(([k, w]) => [k, pack(w)])) : v);
			const got = await b.wait(`const unpack = (v) => typeof v !== "object" ? v : v.base64 !== undefined ? unbase64(v.base64) :
					Object.fromEntries(Object.entries(v).map(([k, w]) => [k, unpack(w)]));
				const out = [];
				for (const c of a[0])
					out.push((await core[c.call](...c.args.map(unpack))).text.replace(/\\n$/, ""));
				return out;`, part.map((c) => ({ call: c.call, args: c.args.map(pack) })));
			got.forEach((text, k) => text === part[k].want || differ.push([part[k].name, text, part[k].want]));
		}
		say(!differ.length, `${origin}: ${list.length} ${family} get the command line's text, byte for byte`, differ.slice(0, 3));
	}
}

async function flows(origin) {
	const blob = (name) => `${evidence}mutants/blobs/${name}`;
	const index = JSON.parse(readFileSync(`${evidence}mutants/index.json`));
	const good = index.find((c) => c.id === "real-tdx-base");
	const want = cases.dstack("quote", "verify", "--quote", blob(good.quote), "--collateral", blob(good.collateral), "--at", String(good.now), "--json");

	await b.type("#files", `${blob(good.quote)}\n${blob(good.collateral)}`);
	await b.wait("for (let i = 0; i < 200 && document.querySelectorAll('#items li').length < 2; i++) await new Promise((r) => setTimeout(r, 25));");
	await setTime(good.now);
	let s = await verify();
	same(s.text, want, `${origin}: chosen files give the verdict of the command line`);
	same(s.head, "A genuine quote", `${origin}: the head does not claim more than a quote proves`);
	say(s.fields.includes("mr_td") && s.fields.includes("rtmr3") && s.fields.includes("ppid"), `${origin}: the quote is shown decoded`, s.fields);
	say(s.claims.length > 5 && s.claims.every((c) => c.startsWith("yes")), `${origin}: every claim is shown`, s.claims);

	await setTime("2030-01-01T00:00:00Z");
	s = await verify();
	say(s.head === "Not trusted" && s.cls === "no" && s.text.includes('"crl.time"') && s.todo.length > 20,
		`${origin}: another time, another verdict, with what to do`, s);
	await setTime("yesterday");
	s = await verify();
	say(s.head === "Cannot be judged" && s.summary.includes("time"), `${origin}: a time that is none is refused`, s);

	await b.click("#clear");
	s = await shown();
	say(s.hidden && !s.items, `${origin}: Clear forgets what was given`, s);
	const paste = async (text) => {
		await b.click("#paste");
		await b.run("document.execCommand('insertText', false, arguments[0])", text);
		await b.click("#add");
	};
	await paste(readFileSync(blob(good.quote)).toString("hex"));
	await paste(readFileSync(blob(good.collateral)).toString());
	await setTime(new Date(good.now * 1000).toISOString().replace(".000", ""));
	same((await verify()).text, want, `${origin}: pasted hex and JSON give the same`);

	await b.click("#clear");
	await b.run(`const data = new DataTransfer();
		for (const [name, text] of arguments[0])
			data.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name));
		document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));`,
		[["quote.bin", base64(readFileSync(blob(good.quote)))], ["collateral.json", base64(readFileSync(blob(good.collateral)))]]);
	await b.wait("for (let i = 0; i < 200 && document.querySelectorAll('#items li').length < 2; i++) await new Promise((r) => setTimeout(r, 25));");
	await setTime(good.now);
	await b.run("document.getElementById('time').focus()");
	await b.keys(TAB, TAB, ENTER); // Now, then Verify
	s = await settled();
	same(s.text, want, `${origin}: dropped files, and Verify by the keyboard alone, give the same`);
	same(await b.run("return document.activeElement.id"), "verdict", `${origin}: the verdict then has the focus`);

	await b.click("#clear");
	const compose = `${evidence}real/dstack/sdk-simulator/app-compose.json`;
	await b.type("#files", compose);
	await b.wait("for (let i = 0; i < 200 && !document.getElementById('expect-compose_hash').value; i++) await new Promise((r) => setTimeout(r, 25));");
	same(await b.run("return document.getElementById('policy').value"), JSON.stringify({ compose_hash: [createHash("sha256").update(readFileSync(compose)).digest("hex")] }),
		`${origin}: an app-compose.json becomes the hash that is expected`);
	await b.click("#clear");
	const snp = cases.snpReport();
	for (const files of [`${snp.report}\n${snp.certificates}`, `${snp.certificates}\n${snp.report}`]) { // in either order
		await b.type("#files", files);
		await b.wait("for (let i = 0; i < 200 && document.querySelectorAll('#items li').length < 2; i++) await new Promise((r) => setTimeout(r, 25));");
		await setTime(snp.now);
		s = await verify();
		same(s.text, cases.dstack("quote", "verify", "--quote", snp.report, "--collateral", snp.certificates, "--at", String(snp.now), "--json"),
			`${origin}: an SEV-SNP report with its certificates`);
		say(s.cls === "half" && s.fields.includes("measurement"), `${origin}: shown as what it is`, s);
		await b.click("#clear");
	}
	await paste('{"quote":"<img src=x onerror=alert(1)>","event_log":"<script>alert(2)</script>","quote":1}');
	s = await verify();
	const foreign = await b.run("return document.querySelectorAll('img, iframe, object, embed, script:not(body > script)').length");
	say(foreign === 0 && s.cls === "no", `${origin}: markup in evidence stays text`, s);
}

// Whole evidence and what it should be, typed into the fields, as the command line judges it under the same root.
async function wholeEvidence(page, root) {
	const m = cases.softEvidence();
	const want = (policy, text = m.json) => cases.dstack("verify", m.file(text), "--collateral", m.file(m.collateral), ...(root ? ["--root", m.file(root)] : []),
		"--at", String(m.now), "--json", ...(policy ? ["--policy", m.file(JSON.stringify(policy))] : []));
	const drop = (...files) => b.wait(`const data = new DataTransfer();
		for (const [name, text] of a[0])
			data.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name));
		document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
		await new Promise((r) => setTimeout(r, 200));`, files);
	const collateral = ["collateral.json", base64(m.collateral)];

	await drop(["evidence.json", base64(m.json)], collateral);
	await setTime(m.now);
	let s = await verify();
	same(s.text, want(null), `${page}: evidence without expectations, the command line's text`);
	say(s.cls === "no" && s.todo.length > 20, `${page}: and it is not trusted`, s);
	await b.type("#expect-os_image_hash", m.image);
	s = await verify();
	same(s.text, want({ os_image_hash: [m.image] }), `${page}: with the image's hash typed in, the command line's text`);
	if (!root) {
		say(s.head === "Not trusted" && s.text.includes('"ok":false'), `${page}: evidence under a development root is refused`, s);
		return;
	}
	say(s.text.startsWith('{"ok":true') && s.head === "Accepted by the development root only" && s.cls === "no",
		`${page}: accepted, and the head says what that is worth`, s);
	say(!s.log && s.note.includes("gives the registers") && s.fields.includes("mr_td"), `${page}: the log is replayed and the quote decoded`, s);
	await b.type("#expect-app_id", "99".repeat(20));
	s = await verify();
	say(s.cls === "no" && s.text.includes('"app_id.mismatch"'), `${page}: another app than expected`, s);
	await b.click("#clear");
	await drop(["policy.json", base64(JSON.stringify({ os_image_hash: [m.image], app_id: [m.app] }))], ["evidence.json", base64(m.changed)], collateral);
	await setTime(m.now);
	same(await b.run("return document.getElementById('expect-app_id').value"), m.app, `${page}: a policy file fills the fields`);
	s = await verify();
	same(s.text, want({ os_image_hash: [m.image], app_id: [m.app] }, m.changed), `${page}: a changed log, the command line's text`);
	say(!s.log && s.note.includes("rtmr3:"), `${page}: and the page says where the log parts from the quote`, s.note);
}

const later = (script) => b.wait(`return await new Promise((done) => setTimeout(async () => { try { ${script}; done("ran"); }
	catch (e) { done(e.name); } }, 0));`);

try {
	say(await open(`file://${pageFile}`), "the page starts from a file");
	same(await later("(0, eval)('1')"), "EvalError", "eval is blocked");
	same(await later("new Function('return 1')()"), "EvalError", "the Function constructor is blocked");
	same(await later("document.body.innerHTML = '<b>x</b>'"), "TypeError", "markup from strings is blocked");
	same(await later(`await fetch('http://127.0.0.1:${port}/leak')`), "TypeError", "it can fetch nothing");
	await later(`new Image().src = 'http://127.0.0.1:${port}/image'`);
	await everyCase("file");
	await b.log("performance");
	await flows("file");
	await wholeEvidence("released page", null);

	say(await open(`http://127.0.0.1:${port}/verify.html`), "the page starts from http://127.0.0.1");
	await b.log("performance");
	await flows("http");
	const requests = (await b.log("performance")).map((e) => JSON.parse(e.message).message).filter((m) => m.method === "Network.requestWillBeSent");
	const foreign = requests.map((m) => m.params.request.url).filter((u) => !u.startsWith("data:") && !u.startsWith("blob:"));
	same(foreign.length, 0, "while it works it makes no request");

	say(await open(`https://evidence.test:${tlsPort}/verify.html`), "the page starts from https");
	same(await b.run("return `${location.protocol} ${isSecureContext} ${typeof crypto.subtle}`"), "https: true object", "which is a secure origin");
	await flows("https");

	say(!(await open(`http://evidence.test:${port}/verify.html`)), "on an insecure origin it does not verify");
	const why = await b.run("return [document.getElementById('blocked').innerText, isSecureContext, typeof crypto.subtle, document.getElementById('verify').disabled]");
	say(why[0].includes("not protected") && why[0].includes("https") && !why[1] && why[2] === "undefined" && why[3], "and says why it cannot", why);
	same([...new Set(asked)].join(), "/verify.html", "the server was asked for the page only");

	say(await b.run("return document.getElementById('development').hidden"), "the released page has no development root");
	say(await open(`file://${developmentFile}`), "the development page starts");
	const red = await b.run("const e = document.getElementById('development'); return [e.hidden, e.innerText, getComputedStyle(e).color]");
	await wholeEvidence("development page", cases.softEvidence().root);
	say(!red[0] && red[1].includes("proves nothing about hardware"), "and says in red what it is", red);
} catch (e) {
	say(false, `the test ran to its end: ${e.stack}`);
} finally {
	await b.close();
	server.close();
	tlsServer.close();
}
process.exit(failed ? 1 : 0);
