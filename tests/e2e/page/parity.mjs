// parity: the module under node says of every case what the command line says, with its own
// signature checks alone and together with WebCrypto.
import { readFileSync } from "node:fs";
import { webcrypto } from "node:crypto";
import * as cases from "./cases.mjs";

const [, , wasm, glue] = process.argv;
const loadCore = new Function(`${readFileSync(glue, "utf8")}; return loadCore;`)();
const bytes = readFileSync(wasm);
const engines = { "own code": await loadCore(bytes, null), "own code and WebCrypto": await loadCore(bytes, webcrypto.subtle) };

for (const [family, list] of Object.entries(cases.families).map(([f, make]) => [f, make()]))
	for (const [name, core] of Object.entries(engines)) {
		const differ = [];
		for (const c of list) {
			const got = (await core[c.call](...c.args)).text.replace(/\n$/, "");
			if (got !== c.want)
				differ.push(`${c.name}\n  # wasm   ${got}\n  # native ${c.want}`);
		}
		console.log(`${differ.length ? "not ok" : "ok"} - node: ${list.length} ${family}, ${name}: the command line's text, byte for byte`);
		differ.slice(0, 5).forEach((d) => console.log(`  # ${d}`));
	}

// An engine that is wrong about a signature is noticed, whichever way it is wrong.
const all = cases.mutants();
for (const [answer, c] of [[false, all.find((m) => m.want.startsWith('{"ok":true'))], [true, all.find((m) => m.want.includes('"code":"quote.signature"'))]]) {
	const core = await loadCore(bytes, { importKey: async () => null, verify: async () => answer });
	const got = JSON.parse((await core[c.call](...c.args)).text);
	const noticed = !got.ok && got.code === "engine.disagreement" && !got.claims;
	console.log(`${noticed ? "ok" : "not ok"} - node: a WebCrypto that says ${answer} where own code does not: ${got.code}`);
}
