// browser: the dashboard in Debian's Chromium. What is said of the app, on any width, in light and dark; what may not be said is
// not there; nothing is fetched but the page; words of the app are text.
//   node browser.mjs PUBLIC-URL [PRIVATE-URL]      SHOTS=FOLDER keeps pictures
import { writeFileSync } from "node:fs";
import { openBrowser } from "../page/webdriver.mjs";

const [, , shown, hidden] = process.argv;
let failed = false;
function say(ok, what, detail) {
	failed ||= !ok;
	console.log(`${ok ? "ok" : "not ok"} - chromium: ${what}`);
	if (!ok && detail !== undefined)
		console.log(`  # ${JSON.stringify(detail).slice(0, 2000)}`);
}

const b = await openBrowser("");
const facts = () => b.run(`return {
	title: document.title, h1: document.querySelector("h1").innerText, text: document.body.innerText,
	cards: [...document.querySelectorAll("h2")].map((h) => h.innerText),
	rows: [...document.querySelectorAll("tbody tr")].map((r) => [...r.cells].map((c) => c.innerText.trim())),
	links: [...document.querySelectorAll("a")].map((a) => a.getAttribute("href")),
	meters: [...document.querySelectorAll("[role=meter]")].map((m) => Number(m.getAttribute("aria-valuenow"))),
	tcb: document.querySelector("textarea")?.value, readonly: document.querySelector("textarea")?.readOnly,
	foreign: document.querySelectorAll("script, img, iframe, object, embed, form, input, link, base, [style], [onerror], [onload]").length };`);
// Nothing wider than the window, nothing of no size, no text cut off.
const layout = () => b.run(`const wide = [];
	for (const e of document.querySelectorAll("body, section, header, h1, dd, td, .tile, .big, .bar, textarea, footer")) {
		const r = e.getBoundingClientRect();
		if (r.right > innerWidth + 1 || r.left < 0 || r.width < 4 || r.height < 2 || (e.tagName !== "TEXTAREA" && e.scrollWidth > e.clientWidth + 1 && e.clientWidth))
			wide.push([e.tagName, e.className, Math.round(r.left), Math.round(r.right), innerWidth]);
	}
	return { wide, scroll: document.documentElement.scrollWidth - innerWidth };`);
// WCAG 2: the ratio of the luminance of text to that of what is behind it, of the worst text.
const contrast = () => b.run(`const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
	const light = (c) => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
	const rgb = (s) => s.match(/[\\d.]+/g).map(Number);
	let worst = 99, where = "";
	for (const e of document.querySelectorAll("h1, h2, h3, p, dt, dd, td, th, a, label, code, textarea, small, strong")) {
		let behind = e;
		while (behind && rgb(getComputedStyle(behind).backgroundColor)[3] === 0)
			behind = behind.parentElement;
		const [x, y] = [light(rgb(getComputedStyle(e).color)), light(rgb(getComputedStyle(behind ?? document.body).backgroundColor))];
		const ratio = (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
		if (ratio < worst)
			[worst, where] = [ratio, e.tagName + "." + e.className];
	}
	return [worst, where, getComputedStyle(document.body).backgroundColor];`);
const view = (width, height, scheme) => b.cdp("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 500 })
	.then(() => b.cdp("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] }));

try {
	await view(1200, 900, "light");
	await b.go(shown);
	let f = await facts();
	say(f.cards.join() === "App,Machine,Containers,Measurements", "four cards", f.cards);
	say(f.title === `${f.h1} · dstack` && f.h1 === process.env.APP_NAME, "the app's name, whatever it is, is the heading and the title", [f.title, f.h1]);
	say(f.foreign === 0, "no script, no image, no form: markup in names is text", f.foreign);
	say(f.rows.some((r) => r[0] === process.env.EVIL_NAME && r[2] === "none"), "a hostile container name is a row of text, without a link", f.rows);
	say(f.links.includes("/logs/web?text&bare&timestamps&follow&tail=20"), "a container's log is linked", f.links);
	say(f.meters.length >= 2 && f.meters.every((v) => v >= 0 && v <= 100), "memory and disk have gauges", f.meters);
	say(f.readonly && JSON.parse(f.tcb).rtmr3.length === 96, "the TCB info is there, to be read only, and still the same JSON", f.tcb);
	say(f.links.every((l) => l.startsWith("/")), "no link leads elsewhere", f.links);
	const seen = [];
	for (const scheme of ["light", "dark"]) {
		for (const [w, h] of [[320, 640], [390, 844], [768, 1024], [1200, 900], [2400, 1300]]) {
			await view(w, h, scheme);
			await b.go(shown);
			const l = await layout();
			if (l.wide.length || l.scroll > 0)
				say(false, `layout at ${w} pixels, ${scheme}`, l);
			if (process.env.SHOTS)
				writeFileSync(`${process.env.SHOTS}/${w}-${scheme}.png`, Buffer.from((await b.cdp("Page.captureScreenshot", { captureBeyondViewport: true })).data, "base64"));
		}
		await b.run("document.querySelector('header').insertAdjacentHTML('afterend', '<p class=notice><strong>Not</strong> hardware</p>')"); // as without a TEE
		const [worst, where, paper] = await contrast();
		say(worst >= 4.5, `${scheme}: all text has a contrast of at least 4.5 (${worst.toFixed(1)} at ${where})`);
		seen.push(paper);
	}
	say(seen[0] !== seen[1], "light and dark differ", seen);
	say(!failed, "nothing is cut off or wider than the window from 320 to 2400 pixels");

	await b.go(new URL("/logs/web?text&bare", shown).href);
	const log = await b.run("return [document.contentType, document.body.innerText, document.querySelectorAll('script, img').length]");
	say(log[0] === "text/plain" && log[1].includes("<script>alert") && log[2] === 0, "a log with markup is shown as text", log);
	const missing = await fetch(new URL("/logs/nobody", shown));
	say(missing.headers.get("x-content-type-options") === "nosniff" && missing.status === 404, "also what is refused may not be taken for something else");

	if (hidden) {
		await b.go(hidden);
		f = await facts();
		say(f.cards.join() === "App,Containers,Measurements" && !f.tcb && !f.meters.length, "with the switches off: no machine, no gauges, no TCB info", f.cards);
		say(f.rows[0].length === 2 && f.links.join() === "/prpc/Worker.Info", "and no logs", f.links);
	}
	const requests = (await b.log("performance")).map((e) => JSON.parse(e.message).message).filter((m) => m.method === "Network.requestWillBeSent" &&
		!m.params.documentURL.startsWith("chrome://")).map((m) => m.params.request.url); // that is the empty first tab
	const own = [shown, hidden, new URL("/logs/web?text&bare", shown).href].filter(Boolean).map((u) => new URL(u).href);
	say(requests.length >= 12 && requests.every((u) => own.includes(u)), "nothing is fetched but what was opened", [...new Set(requests)]);
	const complaints = (await b.log("browser")).map((e) => e.message);
	say(complaints.length === 0, "the browser has nothing to complain about", complaints);
} catch (e) {
	say(false, `the test ran to its end: ${e.stack}`);
} finally {
	await b.close();
}
process.exit(failed ? 1 : 0);
