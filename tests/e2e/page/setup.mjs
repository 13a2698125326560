// setup: the set-up page of a KMS in Debian's Chromium, with its own policy in force: nothing is loaded but the page, a wrong
// token and a wrong domain are told, keys are made, the set-up ends.
//   node setup.mjs URL TOKEN
import { openBrowser } from "./webdriver.mjs";

const [, , url, token] = process.argv;
let failed = false;
function say(ok, what, detail) {
	failed ||= !ok;
	console.log(`${ok ? "ok" : "not ok"} - chromium: ${what}`);
	if (!ok && detail !== undefined)
		console.log(`  # ${JSON.stringify(detail).slice(0, 2000)}`);
}

const b = await openBrowser("");
const shown = () => b.run(`return [...document.querySelectorAll("section")].filter((s) => !s.hidden).map((s) => s.id).join()`);
const until = (script) => b.wait(`for (let i = 0; i < 100; i++) { if (${script}) return true; await new Promise((f) => setTimeout(f, 50)); } return false;`);
const error = () => b.text("#error");
const enter = async (t) => {
	await b.run(`document.getElementById("token").value = arguments[0]`, t);
	await b.click("#enter button");
};
try {
	await b.go(url);
	say((await shown()) === "enter", "the token is asked for first", await shown());
	say(await b.run(`return getComputedStyle(document.body).maxWidth !== "none"`), "its style is let through by its own policy");
	await enter("wrong");
	say(await until(`!document.getElementById("error").hidden`) && (await error()).includes("admin.unauthorized"), "a wrong token is told");
	await enter(token);
	say(await until(`!document.getElementById("what").hidden`), "the right one leads on", await shown());
	const rows = await b.run(`return Object.fromEntries([...document.querySelectorAll("#info tr")].map((r) => [r.cells[0].innerText, r.cells[1].innerText]))`);
	say(/^[0-9a-f]{64}$/.test(rows["Aggregated measurement"]) && rows.TEE === "dstack-tdx", "what to allow is shown", rows);
	await b.type("#domain", "-bad");
	await b.click("#bootstrap button");
	say(await until(`document.getElementById("error").textContent.includes("kms.domain")`), "a wrong domain is told", await error());
	await b.run(`document.getElementById("domain").value = ""`);
	await b.type("#domain", "kms.test");
	await b.click("#bootstrap button");
	say(await until(`!document.getElementById("done").hidden`), "keys are made", await error().catch(() => ""));
	const made = JSON.parse(await b.text("#result"));
	say(/^0x[0-9a-f]{182}$/.test(made.ca_pubkey) && /^0x[0-9a-f]{66}$/.test(made.k256_pubkey) && made.attestation.length > 1000, "and shown as a contract takes them", Object.keys(made));
	await b.click("#finish");
	say(await until(`!document.getElementById("end").hidden`), "the set-up ends", await shown());
	const asked = (await b.log("performance")).map((l) => JSON.parse(l.message).message).filter((m) => m.method === "Network.requestWillBeSent")
		.map((m) => m.params.request.url);
	say(asked.every((u) => u.startsWith(url) || u.startsWith("data:") || u.startsWith("chrome")), "nothing but the KMS was asked", asked);
	const loud = (await b.log("browser")).filter((l) => /Content Security Policy|Refused/.test(l.message));
	say(loud.length === 0, "nothing broke the page's policy", loud);
} catch (e) {
	say(false, "the page", String(e));
} finally {
	await b.close();
}
process.exit(failed ? 1 : 0);
