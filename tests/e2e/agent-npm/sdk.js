// The published JS SDK, unmodified, against a running agent.
//   node sdk.js SOCKET TAPPD_SOCKET
// Prints one line a check; exit 1 when one fails.
'use strict';
const { X509Certificate, createHash, createPrivateKey } = require('crypto');
const { DstackClient, TappdClient } = require('@phala/dstack-sdk');

let failed = 0;
async function check(text, run) {
	const began = Date.now();
	try {
		if ((await run()) === false) throw new Error('not so');
		if (Date.now() - began > 3000) throw new Error(`took ${Date.now() - began} ms`);
		console.log(`ok - SDK: ${text}`);
	} catch (e) {
		failed++;
		console.log(`not ok - SDK: ${text}: ${e.message || e}`);
	}
}
const hex = (b) => Buffer.from(b).toString('hex');

async function main(socket) {
	const c = new DstackClient(socket);
	await check('isReachable within its 500 ms', async () => (await c.isReachable()) === true);
	await check('info, whose tcb_info is parsed', async () => {
		const i = await c.info();
		return i.app_id.length === 40 && i.tcb_info.rtmr3.length === 96 && i.tcb_info.event_log.length > 8 && i.app_name === 'café';
	});
	await check('getKey is the same each time and differs by path', async () => {
		const [a, b, d] = [await c.getKey('/x', 'p'), await c.getKey('/x', 'p'), await c.getKey('/y', 'p')];
		return a.key.length === 32 && hex(a.key) === hex(b.key) && hex(a.key) !== hex(d.key) && a.signature_chain.length === 2;
	});
	await check('getKey for ed25519', async () => (await c.getKey('/x', 'p', 'ed25519')).key.length === 32);
	await check('getTlsKey: a certificate for its key, never twice the same', async () => {
		const q = { subject: 'a.test', altNames: ['a.test'], usageRaTls: true, usageServerAuth: true };
		const [a, b] = [await c.getTlsKey(q), await c.getTlsKey(q)];
		const leaf = new X509Certificate(a.certificate_chain[0]);
		return leaf.subjectAltName === 'DNS:a.test' && leaf.checkPrivateKey(createPrivateKey(a.key)) && a.key !== b.key;
	});
	await check('getTlsKey with a given validity', async () => {
		const r = await c.getTlsKey({ subject: 'a', notAfter: 4102444800, withAppInfo: true });
		return new X509Certificate(r.certificate_chain[0]).validTo.includes('2100');
	});
	for (const algorithm of ['secp256k1', 'ed25519', 'secp256k1_prehashed'])
		await check(`sign and verify with ${algorithm}`, async () => {
			const data = Buffer.alloc(32, 7);
			const s = await c.sign(algorithm, data);
			const good = await c.verify(algorithm, data, s.signature, s.public_key);
			const bad = await c.verify(algorithm, Buffer.alloc(32, 8), s.signature, s.public_key);
			return good.valid === true && bad.valid === false && s.signature_chain.length === 3 && hex(s.signature_chain[0]) === hex(s.signature);
		});
	await check('getQuote, whose event log replays to RTMR0-3 of the quote', async () => {
		const r = await c.getQuote('hello');
		const rtmr = r.replayRtmrs();
		const at = (i) => r.quote.replace(/^0x/, '').slice(2 * (376 + 48 * i), 2 * (424 + 48 * i));
		for (let i = 0; i < 4; i++)
			if (rtmr[i] !== at(i)) throw new Error(`RTMR${i} replays to ${rtmr[i]}, the quote has ${at(i)}`);
	});
	await check('attest', async () => !c.attest || (await c.attest('hello')).attestation.length > 1000);
	await check('version', async () => !c.version || (await c.version()).version.length > 0);
	await check('errors reach the caller', async () => {
		try {
			await c.getKey('/x', 'p', 'rot13');
		} catch {
			return true;
		}
		return false;
	});
}

async function tappd(socket) {
	console.warn = () => {}; // it says that it is deprecated
	const c = new TappdClient(socket);
	const bound = (r) => r.quote.slice(2 * 568, 2 * 632);
	await check('TappdClient: isReachable', async () => (await c.isReachable()) === true);
	await check('TappdClient: deriveKey gives the key of its path', async () => {
		const [a, b] = [await c.deriveKey('/', 'a.test', ['a.test']), await c.deriveKey('/x')];
		const scalar = (pem) => Buffer.from(createPrivateKey(pem).export({ format: 'jwk' }).d, 'base64url').toString('hex');
		const leaf = new X509Certificate(a.certificate_chain[0]);
		return scalar(a.key) === 'f6c1ed94488394d78e0a4e5ab75d62e9f085d73b0b555d0614fb90ca13d9464d' && scalar(b.key) !== scalar(a.key) &&
			leaf.subject === 'CN=a.test' && leaf.subjectAltName === 'DNS:a.test' && leaf.checkPrivateKey(createPrivateKey(a.key));
	});
	await check('TappdClient: tdxQuote hashes with a tag', async () => {
		const sum = (name) => createHash(name).update('app-data:hello').digest('hex').padEnd(128, '0');
		return bound(await c.tdxQuote('hello')) === sum('sha512') && bound(await c.tdxQuote('hello', 'sha3-256')) === sum('sha3-256') &&
			bound(await c.tdxQuote('hello', 'sha384')) === sum('sha384');
	});
	await check('TappdClient: tdxQuote raw, padded on the left by the client', async () =>
		bound(await c.tdxQuote('hello', 'raw')) === Buffer.from('hello').toString('hex').padStart(128, '0'));
	await check('TappdClient: what it inherits works on its socket too', async () =>
		hex((await c.getKey('/', 'test')).key).startsWith('f6c1ed94') && (await c.info()).app_id.length === 40);
}

main(process.argv[2]).then(() => tappd(process.argv[3])).then(() => process.exit(failed ? 1 : 0));
