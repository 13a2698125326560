// webdriver - Debian's Chromium by its driver's HTTP protocol (W3C WebDriver): no package, no socket of our own.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

async function driverPort(child) {
	let said = "";
	for await (const chunk of child.stdout) {
		said += chunk;
		const port = /started successfully on port (\d+)/.exec(said);
		if (port)
			return Number(port[1]);
	}
	throw new Error(`chromedriver did not start: ${said}`);
}

// `hosts`: "MAP name address" rules. `key`: base64 SHA-256 of the SPKI of a certificate to let through, or nothing. Call
// close() at the end.
export async function openBrowser(hosts, key) {
	const profile = mkdtempSync(`${tmpdir()}/page-profile-`);
	const child = spawn("chromedriver", ["--port=0"], { stdio: ["ignore", "pipe", "ignore"], env: { ...process.env, HOME: profile } });
	const base = `http://127.0.0.1:${await driverPort(child)}`;
	const call = async (method, path, body) => {
		const answer = await fetch(base + path, { method, body: body && JSON.stringify(body) });
		const { value } = await answer.json();
		if (!answer.ok)
			throw new Error(`${path}: ${value.error}: ${value.message.split("\n")[0]}`);
		return value;
	};
	const args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--window-size=1100,1400", `--user-data-dir=${profile}`, `--host-resolver-rules=${hosts}`,
		...(key ? [`--ignore-certificate-errors-spki-list=${key}`] : [])];
	const { sessionId } = await call("POST", "/session", { capabilities: { alwaysMatch: {
		browserName: "chrome",
		"goog:chromeOptions": { binary: "/usr/bin/chromium", args },
		"goog:loggingPrefs": { performance: "ALL", browser: "ALL" },
	} } });
	const at = `/session/${sessionId}`;
	await call("POST", `${at}/timeouts`, { script: 60000, pageLoad: 30000 });
	const find = async (css) => Object.values(await call("POST", `${at}/element`, { using: "css selector", value: css }))[0];
	return {
		go: (url) => call("POST", `${at}/url`, { url }),
		run: (script, ...a) => call("POST", `${at}/execute/sync`, { script, args: a }),
		// `script` is the body of an async function of `a`.
		wait: (script, ...a) => call("POST", `${at}/execute/async`, { script:
			`const done = arguments[arguments.length - 1], a = [...arguments].slice(0, -1);
			(async (...a) => { ${script} })(...a).then((v) => done({ v }), (e) => done({ e: String(e) }));`, args: a })
			.then(({ v, e }) => { if (e) throw new Error(e); return v; }),
		click: async (css) => call("POST", `${at}/element/${await find(css)}/click`, {}),
		type: async (css, text) => call("POST", `${at}/element/${await find(css)}/value`, { text }),
		// Keys to whatever has the focus.
		keys: (...keys) => call("POST", `${at}/actions`, { actions: [{ type: "key", id: "k", actions:
			keys.flatMap((value) => [{ type: "keyDown", value }, { type: "keyUp", value }]) }] }),
		text: async (css) => call("GET", `${at}/element/${await find(css)}/text`),
		log: (type) => call("POST", `${at}/se/log`, { type }),
		screenshot: () => call("GET", `${at}/screenshot`),
		size: (width, height) => call("POST", `${at}/window/rect`, { width, height }),
		cdp: (cmd, params) => call("POST", `${at}/goog/cdp/execute`, { cmd, params }),
		close: async () => {
			await call("DELETE", at).catch(() => {});
			child.kill();
			rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
		},
	};
}
