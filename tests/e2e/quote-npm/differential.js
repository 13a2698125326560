// Every case of tests/evidence judged by us and by npm's @phala/dcap-qvl: one line, tab-separated, for each
// on which the answers differ (acceptance, status or advisories): case, ours, theirs.
//   NODE_PATH=.../node_modules node differential.js DSTACK EVIDENCE-FOLDER SCRATCH-FOLDER
// The cases: the altered ones of mutants/index.json; real quotes, each with every collateral of the pool; and
// the real quote and its collateral with single bits flipped, named quote-bit-N and collateral-bit-N. On
// standard error: how many.
'use strict';
const fs = require('fs');
const path = require('path');
const { spawnSync } = require('child_process');
const { QuoteVerifier } = require('@phala/dcap-qvl');

const [dstack, evidence, scratch] = process.argv.slice(2);
const read = (...names) => fs.readFileSync(path.join(evidence, ...names));
const say = (status, ids) => (ids.length ? `${status} ${ids.join(',')}` : status);

function theirs(c) {
	try {
		const collateral = JSON.parse(c.collateral.toString());
		for (const key of ['root_ca_crl', 'pck_crl', 'tcb_info_signature', 'qe_identity_signature']) {
			if (!/^([0-9a-fA-F]{2})*$/.test(collateral[key])) // it takes bytes
				throw new Error(`${key} is not hex`);
			collateral[key] = Array.from(Buffer.from(collateral[key], 'hex'));
		}
		const r = new QuoteVerifier(c.root).verify(c.quote, collateral, c.now);
		return { ok: true, text: say(r.status, r.advisory_ids) };
	} catch (e) {
		return { ok: false, text: 'refused' };
	}
}

function ours(c) {
	const file = (name) => path.join(scratch, name);
	for (const name of ['quote', 'collateral', 'root'])
		fs.writeFileSync(file(name), c[name]);
	const p = spawnSync(dstack, ['quote', 'verify', '--json', '--quote', file('quote'), '--collateral',
		file('collateral'), '--root', file('root'), '--at', String(c.now)], { encoding: 'utf8' });
	const v = JSON.parse(p.stdout || p.stderr);
	if (v.ok !== (p.status === 0))
		throw new Error(`${c.id}: exit status ${p.status} of ${p.stdout}${p.stderr}`);
	return { ok: v.ok, text: v.ok ? say(v.status, v.advisory_ids) : v.code };
}

function* cases() {
	for (const c of JSON.parse(read('mutants/index.json')))
		yield { id: c.id, now: c.now, quote: read('mutants/blobs', c.quote),
			collateral: read('mutants/blobs', c.collateral), root: read('mutants/blobs', c.root) };
	const quotes = ['dcap-qvl/sgx_quote', 'dcap-qvl/tdx_quote', 'dstack/ra-tls/tdx_quote',
		'go-tdx-guest/testing/testdata/quote_v5_sample.dat',
		'go-tdx-guest/testing/testdata/tdx_prod_quote_SPR_E4.dat',
		'trustee/deps/verifier/test_data/tdx_quote_4.dat',
		'trustee/deps/verifier/test_data/tdx_quote_5.dat',
		'trustee/deps/verifier/test_data/occlum_quote.dat',
		'intel-qvl/Src/AttestationApp/sampleData/quote.dat'];
	for (const name of fs.readdirSync(path.join(evidence, 'real/collateral-pool')).sort()) {
		const pool = JSON.parse(read('real/collateral-pool', name));
		const root = Buffer.from(pool.root_pem.replace(/-----[^-]*-----/g, ''), 'base64');
		for (const q of quotes)
			yield { id: `${q} with ${name}`, now: pool.now, root, quote: read('real', q),
				collateral: Buffer.from(JSON.stringify(pool.collateral)) };
	}
	const base = JSON.parse(read('mutants/index.json')).find((c) => c.id === 'real-tdx-base');
	const whole = { now: base.now, quote: read('mutants/blobs', base.quote),
		collateral: read('mutants/blobs', base.collateral), root: read('mutants/blobs', base.root) };
	for (const part of ['quote', 'collateral']) {
		const bits = whole[part].length * 8;
		for (let i = 0; i < 200; i++) {
			const bit = (i * 7919 * 13 + 5) % bits; // all over it, the same each time
			const copy = Buffer.from(whole[part]);
			copy[bit >> 3] ^= 1 << (bit & 7);
			yield { ...whole, id: `${part}-bit-${bit}`, [part]: copy };
		}
	}
}

let n = 0, accepted = 0;
for (const c of cases()) {
	const a = ours(c), b = theirs(c);
	n++;
	accepted += a.ok;
	if (a.ok !== b.ok || (a.ok && a.text !== b.text))
		console.log([c.id, a.text, b.text].join('\t'));
}
console.error(`${n} cases, ${accepted} accepted by us`);
